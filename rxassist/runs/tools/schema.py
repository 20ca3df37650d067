"""The JSON Schema of the arguments of a function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Annotated, Any, cast, get_args, get_origin

from rxassist.errors import excerpt
from rxassist.runs.tools.docstrings import descriptions, summary
from rxassist.runs.tools.values import (
    Field,
    choices_of,
    explains_itself,
    fields_of,
    list_of,
    mapping_of,
    members_of,
    plain_schema,
    takes_null,
    to_plain,
)

_NAMES = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}
_ENFORCED_FORMATS = frozenset({"date-time", "date", "time", "duration", "uuid"})

Schema = dict[str, Any]

DEFINITIONS = "#/$defs/"
"""How a reference to a definition begins."""


def schema_of(fields: Iterable[Field], described: Mapping[str, str], *, strict: bool) -> Schema:
    """The schema of an object with these fields, the classes in it written out in place.

    Only a class that contains itself becomes a reference to ``$defs``. With ``strict`` the schema
    stays in the subset that the service can enforce. Raises ``TypeError`` for a type that has no
    schema, or none in that subset.
    """
    schemas = _Schemas(strict=strict)
    schema = schemas.of_object(fields, described)
    return {**schema, "$defs": schemas.definitions} if schemas.definitions else schema


def schema_of_type(kind: Any, *, strict: bool) -> Schema:  # noqa: ANN401 -- a type form
    """The schema of a class with fields, as ``schema_of`` makes that of some fields.

    Raises ``TypeError`` for a type that is no object in JSON, too.
    """
    schemas = _Schemas(strict=strict)
    schema = schemas.of(kind)
    if "$ref" in schema:  # it contains itself
        schema = schemas.definitions[schema["$ref"].removeprefix(DEFINITIONS)]
    if schema.get("type") != "object":
        msg = f"a class with fields is needed, got {excerpt(kind)}"
        raise TypeError(msg)
    return {**schema, "$defs": schemas.definitions} if schemas.definitions else schema


class _Schemas:
    """The schemas of one function; ``definitions`` has those of classes that contain themselves."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._begun: list[type] = []
        self._recursive: dict[type, str] = {}
        self.definitions: dict[str, Schema] = {}

    def of_object(self, fields: Iterable[Field], described: Mapping[str, str]) -> Schema:
        properties: dict[str, Schema] = {}
        required: list[str] = []
        for field in fields:
            try:
                schema = self._of_field(field)
            except TypeError as error:
                msg = f"{field.name}: {error}"
                raise TypeError(msg) from None
            said = _annotated(field.type) or described.get(field.name)
            properties[field.name] = _with(schema, description=said) if said else schema
            if field.required or self._strict:
                required.append(field.name)
        return {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }

    def _of_field(self, field: Field) -> Schema:
        schema = self.of(field.type)
        if self._strict and not field.required and not takes_null(field.type):
            said = {name: schema.pop(name) for name in ("description",) if name in schema}
            return {**said, **_any_of([schema, {"type": "null"}])}
        if not self._strict:
            for default in field.default:
                with suppress(TypeError):  # a default that is no JSON is left out
                    return _with(schema, default=to_plain(default))
        return schema

    def of(self, kind: Any) -> Schema:  # noqa: ANN401, PLR0911 -- a type form, of ten kinds
        if get_origin(kind) is Annotated:
            said, schema = _annotated(kind), self.of(get_args(kind)[0])
            return _with(schema, description=said) if said else schema
        if (supertype := getattr(kind, "__supertype__", None)) is not None:  # a NewType
            return self.of(supertype)
        if (members := members_of(kind)) is not None:
            return _any_of([self.of(member) for member in members])
        if (choices := choices_of(kind)) is not None:
            return _of_values([value for _, value in choices])
        if (items := list_of(kind)) is not None:
            return self._of_list(kind, items)
        if (mapping := mapping_of(kind)) is not None:
            return self._of_mapping(mapping[1])
        if explains_itself(kind):
            return self._of_itself(kind)
        if (fields := fields_of(kind)) is not None:
            return self._of_class(cast("type", kind), fields)
        return self._of_plain(kind)

    def _of_list(self, kind: Any, items: tuple[Any, ...]) -> Schema:  # noqa: ANN401 -- a type form
        schema: Schema = {"type": "array"}
        if items[1:] == (...,):
            schema["items"] = self.of(items[0])
            if (get_origin(kind) or kind) in {set, frozenset} and not self._strict:
                schema["uniqueItems"] = True
            return schema
        schema |= {"minItems": len(items), "maxItems": len(items)}
        schemas = [self.of(item) for item in items]
        if schemas and schemas.count(schemas[0]) == len(schemas):
            return {**schema, "items": schemas[0]}
        self._must_be_enforced(enforced=not schemas, what="a tuple of several types")
        return {**schema, "prefixItems": schemas, "items": False}

    def _of_mapping(self, item: Any) -> Schema:  # noqa: ANN401 -- a type form
        self._must_be_enforced(enforced=False, what="a mapping with keys of any name")
        return {"type": "object", "additionalProperties": self.of(item)}

    def _of_class(self, kind: type, fields: Iterable[Field]) -> Schema:
        if kind in self._begun:
            if kind not in self._recursive:
                same = sum(known.__name__ == kind.__name__ for known in self._recursive)
                self._recursive[kind] = f"{kind.__name__}{same + 1 if same else ''}"
            return {"$ref": f"{DEFINITIONS}{self._recursive[kind]}"}
        self._begun.append(kind)
        schema = self.of_object(fields, descriptions(kind))
        self._begun.remove(kind)
        said = summary(kind)
        schema = _with(schema, description=said) if said else schema
        if kind not in self._recursive:
            return schema
        self.definitions[self._recursive[kind]] = schema
        return {"$ref": f"{DEFINITIONS}{self._recursive[kind]}"}

    def _of_itself(self, kind: Any) -> Schema:  # noqa: ANN401 -- a class of pydantic's
        """The schema that a class makes itself; its references go to the definitions."""
        number = 0
        while True:
            last = str(number) if number else ""
            schema: Schema = kind.model_json_schema(ref_template=DEFINITIONS + "{model}" + last)
            named = {name + last: each for name, each in schema.pop("$defs", {}).items()}
            if self._strict:
                schema = _enforced(schema)
                named = {name: _enforced(each) for name, each in named.items()}
            if all(self.definitions.get(name, each) == each for name, each in named.items()):
                self.definitions |= named
                return schema
            number += 1

    def _of_plain(self, kind: Any) -> Schema:  # noqa: ANN401 -- a type form
        schema = plain_schema(kind)
        if not self._strict:
            return schema
        self._must_be_enforced(enforced="type" in schema, what="a value of any type")
        formats = {"format": schema["format"]} if schema.get("format") in _ENFORCED_FORMATS else {}
        return {"type": schema["type"], **formats}

    def _must_be_enforced(self, *, enforced: bool, what: str) -> None:
        if self._strict and not enforced:
            msg = (
                f"{what} cannot be said with strict=True; use a dataclass or an attrs class, "
                "or leave strict away"
            )
            raise TypeError(msg)


def _annotated(kind: Any) -> str | None:  # noqa: ANN401 -- a type form
    """The text of an ``Annotated``, or of the ``description`` of a ``Field`` in it."""
    notes = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    said = (note if isinstance(note, str) else getattr(note, "description", None) for note in notes)
    return next((text for text in said if isinstance(text, str)), None)


def _enforced(schema: Any) -> Any:  # noqa: ANN401 -- a JSON Schema or a part of one
    """A schema that another library made, in the subset that the service can enforce."""
    if isinstance(schema, list):
        return [_enforced(each) for each in cast("list[object]", schema)]
    if not isinstance(schema, dict):
        return schema
    given = cast("Schema", schema)
    properties = given.get("properties")
    if not isinstance(properties, dict):
        return {key: _enforced(each) for key, each in given.items() if key != "default"}
    named = cast("Schema", properties)
    each = {name: _enforced(one) for name, one in named.items()}
    return {**given, "properties": each, "required": list(each), "additionalProperties": False}


def _of_values(values: list[Any]) -> Schema:
    names = list(dict.fromkeys(_NAMES[type(value)] for value in values if type(value) in _NAMES))
    if len(names) == 1:
        return {"type": names[0], "enum": values}
    return {"type": names, "enum": values}


def _any_of(schemas: list[Schema]) -> Schema:
    members = [member for schema in schemas for member in _members(schema)]
    return {"anyOf": members}


def _members(schema: Schema) -> list[Schema]:
    """The alternatives of a schema, so that a union in a union is one."""
    return schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]


def _with(schema: Schema, **more: object) -> Schema:
    """The schema with more keys; a reference may have no neighbours, so it is wrapped."""
    return {**more, **({"anyOf": [schema]} if "$ref" in schema else {**schema, **more})}


__all__ = ["Schema", "schema_of"]
