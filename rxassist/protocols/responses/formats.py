"""The form of an answer, made of a class."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from rxassist.errors import excerpt
from rxassist.runs.tools.schema import schema_of_type

_NO_NAME = re.compile(r"[^a-zA-Z0-9_-]")


def with_format(text: Mapping[str, Any] | None, kind: Any) -> Mapping[str, Any]:  # noqa: ANN401 -- a type form
    """The parameter ``text`` with the schema of a class, in the subset that the service enforces.

    Raises ``TypeError`` for a class that has no such schema, ``ValueError`` if ``text`` has a
    format of its own.
    """
    if text is not None and not isinstance(cast("object", text), Mapping):
        msg = f"text must be a mapping, got {excerpt(text)}"
        raise TypeError(msg)
    given: Mapping[str, Any] = text or {}
    if given.get("format") is not None:
        msg = f"pass text_format or text={{'format': …}}, not both, got {excerpt(given)}"
        raise ValueError(msg)
    try:
        schema = schema_of_type(kind, strict=True)
    except TypeError as error:
        msg = f"text_format: {error}"
        raise TypeError(msg) from None
    name = _NO_NAME.sub("_", str(getattr(kind, "__name__", "answer")))[:64]
    form = {"type": "json_schema", "name": name, "schema": schema, "strict": True}
    return {**given, "format": form}


__all__ = ["with_format"]
