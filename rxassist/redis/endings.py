"""How a run ended, as the last entry of its log: and the same error again, for its followers."""

from __future__ import annotations

from typing import Any, cast

from rxassist import errors
from rxassist.errors import Headers, RxAssistError
from rxassist.wire.json import from_json, to_json

_PLAIN = (str, int, float, bool, type(None))


def written(error: Exception | None) -> bytes:
    """The data of the last entry of a log: how the run ended, without credentials.

    Of an error of this library, its class, its text and its plain attributes, which hold no
    credential; of any other the class and the text, from which credentials are removed.
    """
    if error is None:
        return to_json({})
    name = type(error).__name__
    if not isinstance(error, RxAssistError):
        shown = RxAssistError(f"{name}: {error}")
        return to_json({"type": name, "message": str(shown)})
    said = vars(error)
    plain = {key: value for key, value in said.items() if isinstance(value, _PLAIN)}
    others = sorted(said.keys() - plain.keys() - {"__notes__"})
    first = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    return to_json({"type": name, "message": first, "said": plain, "left_out": others})


def read(data: bytes) -> RxAssistError | None:
    """The error of a last entry; ``None`` if the run's stream completed.

    It is of the same class if that is one of this library's. What is no plain value, such as a
    snapshot, is ``None`` then. Of any other class it is an ``RxAssistError`` that names the class.
    """
    told = cast("dict[str, Any]", from_json(data, "the end of a log"))
    if not told:
        return None
    name, message = str(told.get("type")), str(told.get("message"))
    kind: object = getattr(errors, name, None) if name in errors.__all__ else None
    if not (isinstance(kind, type) and issubclass(kind, RxAssistError)):
        return RxAssistError(f"the producer of the run failed: {message}")
    error = kind.__new__(kind)
    error.args = (message,)
    left_out: dict[str, object] = {str(key): None for key in told.get("left_out") or ()}
    if "headers" in left_out:
        left_out["headers"] = Headers()
    vars(error).update(left_out | (told.get("said") or {}))
    return error


__all__ = ["read", "written"]
