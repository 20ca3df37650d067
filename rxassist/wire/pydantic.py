"""Let pydantic validate and write the objects of a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast, get_origin, get_type_hints

import attrs

from rxassist.errors import DecodeError
from rxassist.wire.structure import structure, unstructure
from rxassist.wire.values import Unknown


def core_schema(kind: Any) -> Any:  # noqa: ANN401 -- a type form, and a schema of pydantic's
    """The schema with which pydantic validates a model, or plain data, and writes it.

    ``kind`` is its class, or a generic one with its arguments, such as ``Page[Message]``.
    """
    from pydantic_core import core_schema as schemas  # noqa: PLC0415 -- only pydantic needs it

    cls: type = get_origin(kind) or kind
    tag = _tag(cls)

    def validate(value: object) -> object:
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            msg = f"expected an object ({cls.__name__})"
            raise ValueError(msg)  # noqa: TRY004 -- pydantic collects only these
        data = cast("Mapping[str, Any]", value)
        if tag is not None and data.get("type", tag) != tag:
            msg = f"expected the type {tag!r}"  # another member of a union may fit
            raise ValueError(msg)
        try:
            return structure(data, kind)
        except DecodeError as error:
            raise ValueError(str(error)) from None

    return schemas.no_info_plain_validator_function(
        validate, serialization=schemas.plain_serializer_function_ser_schema(unstructure)
    )


def _tag(cls: Any) -> str | None:  # noqa: ANN401 -- a class of attrs
    """The one type that a member of a tagged union has on the wire, if it is one."""
    if issubclass(cls, Unknown) or get_origin(get_type_hints(cls).get("type")) is not Literal:
        return None
    tag: str | None = attrs.fields_dict(cls)["type"].default
    return tag


__all__ = ["core_schema"]
