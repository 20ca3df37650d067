"""JSON text and plain data, as strict as unknown servers allow."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast

import msgspec

from rxassist.errors import DecodeError

_ODD: Any = object()
_DEEPEST = 200  # levels of nested JSON: more than any schema, less than Python's stack can take


def from_json(text: str | bytes, name: str = "body") -> Any:  # noqa: ANN401 -- JSON is anything
    """Parse JSON, leniently if that loses nothing.

    Text that the fast parser refuses is tried again with the standard library, which knows ``NaN``,
    lone surrogates and the like; too many closing brackets after a whole value are ignored (the
    service's own documentation has such events). Anything else is a ``DecodeError`` for ``name``,
    and so are lists and objects nested more than 200 deep, and whole numbers of more digits than
    Python reads (4,300).
    """
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        value = _ODD
    if value is _ODD:  # after the ``except``: no error may refer to one that holds the text
        value = _from_odd_json(text, name)
    if _is_too_deep(text, value):
        raise DecodeError(name, "$", text, f"JSON that is nested at most {_DEEPEST} deep")
    return value


def _from_odd_json(text: str | bytes, name: str) -> Any:  # noqa: ANN401 -- JSON is anything
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    try:
        value, end = json.JSONDecoder().raw_decode(text.lstrip())
    except (ValueError, RecursionError) as error:
        wrong = DecodeError(name, "$", text, f"JSON ({error})")
    else:
        if not text.lstrip()[end:].strip("}] \t\r\n"):
            return value
        wrong = DecodeError(name, "$", text, "JSON and nothing behind it")
    raise wrong


def _is_too_deep(text: str | bytes, value: object) -> bool:
    brackets: tuple[Any, Any] = (b"[", b"{") if isinstance(text, bytes) else ("[", "{")
    if text.count(brackets[0]) + text.count(brackets[1]) <= _DEEPEST:
        return False
    level, depth = [value], 0
    while level and depth <= _DEEPEST:
        level, depth = [inner for outer in level for inner in _items(outer)], depth + 1
    return bool(level)


def _items(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()


def to_json(value: object) -> bytes:
    """Write plain data, such as ``unstructure`` returns, as JSON."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate, which JSON can carry escaped
        return json.dumps(value).encode()


__all__ = [
    "from_json",
    "to_json",
]
