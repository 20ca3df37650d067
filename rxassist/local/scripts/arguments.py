"""Arguments that fit a JSON Schema, for calls that no model makes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from rxassist.local.server.plain import as_list, as_object

_DEEPEST = 16  # a schema that requires itself has no finite value: stop somewhere

_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "somebody@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}

_Schema = Mapping[str, Any]


def fitting_arguments(schema: _Schema | None, message: str = "") -> dict[str, Any]:
    """Arguments that fit the schema of a function's parameters, in the spirit of a message.

    The same schema and message always give the same arguments. An object gets its required
    properties, or all of them if the schema has no ``required``. Of several choices, the message's
    is taken, or else the first. A free text is a quotation or a capitalised name of the message,
    or else the name of its property; a free number is one of the message's, or else 1.
    """
    value = _Filler(schema or {}, message).value({"type": "object", **(schema or {})}, "", 0)
    return dict(as_object(value) or {})


class _Filler:
    """Fills one schema; it takes each name and number of the message only once."""

    def __init__(self, root: _Schema, message: str) -> None:
        self._root = root
        self._message = message.lower()
        self._names = _names(message)
        self._numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", message)]

    def value(self, schema: object, name: str, depth: int) -> Any:  # noqa: ANN401 -- JSON
        """A value that fits; ``name`` is the name of its property."""
        given = as_object(schema)
        if given is None:
            return name  # ``true``, or nothing: anything fits
        plain = self._plain(given)
        if "const" in plain:
            return plain["const"]
        for source in (plain.get("enum"), plain.get("examples")):
            if choices := as_list(source):
                mentioned = [each for each in choices if str(each).lower() in self._message]
                return (mentioned or choices)[0]
        return plain["default"] if "default" in plain else self._typed(plain, name, depth)

    def _plain(self, schema: _Schema) -> _Schema:
        """The same schema without references and alternatives."""
        for _ in range(_DEEPEST):
            if isinstance(schema.get("$ref"), str):
                rest = {key: value for key, value in schema.items() if key != "$ref"}
                schema = {**self._referred(schema["$ref"]), **rest}
            elif schema.get("allOf"):
                rest = {key: value for key, value in schema.items() if key != "allOf"}
                parts = [self._plain(part) for part in schema["allOf"]]
                schema = _united([rest, *parts])
            elif schema.get("anyOf") or schema.get("oneOf"):
                choices: list[_Schema] = schema.get("anyOf") or schema["oneOf"]
                rest = {
                    key: value for key, value in schema.items() if key not in {"anyOf", "oneOf"}
                }
                chosen = next((each for each in choices if each.get("type") != "null"), choices[0])
                schema = _united([rest, chosen])
            else:
                break
        return schema

    def _referred(self, reference: str) -> _Schema:
        found: Any = self._root
        for key in reference.removeprefix("#").split("/")[1:]:
            found = found.get(key.replace("~1", "/").replace("~0", "~"), {})
        return as_object(found) or {}

    def _typed(self, schema: _Schema, name: str, depth: int) -> Any:  # noqa: ANN401 -- JSON
        match _type(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer" | "number" as kind:
                return self._number(schema, whole=kind == "integer")
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self._text(schema, name)

    def _object(self, schema: _Schema, depth: int) -> dict[str, Any]:
        properties: _Schema = schema.get("properties") or {}
        wanted = schema.get("required")
        if wanted is None:
            wanted = list(properties) if depth < _DEEPEST else []
        if depth > _DEEPEST:
            return {}
        return {name: self.value(properties.get(name), name, depth + 1) for name in wanted}

    def _array(self, schema: _Schema, name: str, depth: int) -> list[Any]:
        first: list[object] = schema.get("prefixItems") or []
        least = max(schema.get("minItems", 1), len(first))
        count = min(least, schema.get("maxItems", least))
        items: object = schema.get("items")
        if schema.get("uniqueItems") and not first:
            return _different(self._plain(as_object(items) or {}), name, count)
        kinds: list[object] = (
            [*first, *[items] * (count - len(first))][:count] if depth < _DEEPEST else []
        )
        return [self.value(kind, name, depth + 1) for kind in kinds]

    def _number(self, schema: _Schema, *, whole: bool) -> float:
        low, high = _bounds(schema, 1 if whole else 0.5)
        step = schema.get("multipleOf") or (1 if whole else 0)
        for given in (*self._numbers, 1.0):
            if low <= given <= high and (not step or given % step == 0):
                if given in self._numbers:
                    self._numbers.remove(given)
                return int(given) if whole or given.is_integer() else given
        edge = low if math.isfinite(low) else high
        if step:
            edge = (math.ceil(edge / step) if edge == low else math.floor(edge / step)) * step
        return int(edge) if whole else edge

    def _text(self, schema: _Schema, name: str) -> str:
        text = _FORMATS.get(schema.get("format", ""))
        if text is not None:
            return text
        text = self._names.pop(0) if self._names else name
        text = text.ljust(schema.get("minLength", 0), "x")
        return text[: schema.get("maxLength")]


def _names(message: str) -> list[str]:
    """What a message is probably about: its quotations, or capitalised words in sentences."""
    quoted = re.findall(r'["“]([^"“”]+)["”]', message)
    if quoted:
        return quoted
    found: list[str] = []
    follows_name, begins = False, True
    for word in message.split():
        bare = word.strip(".,;:!?()'\"")
        is_name = bare[:1].isupper() and not begins and bare != "I"
        if is_name and follows_name:
            found[-1] += f" {bare}"
        elif is_name:
            found.append(bare)
        follows_name = is_name and word.endswith(bare)
        begins = word[-1] in ".!?:"
    return found


def _type(schema: _Schema) -> str:
    kind = schema.get("type")
    if kinds := as_list(kind):
        return next((str(each) for each in kinds if each != "null"), "null")
    if isinstance(kind, str):
        return kind
    for key, meant in (("properties", "object"), ("items", "array"), ("minimum", "number")):
        if key in schema:
            return meant
    return "string"


def _bounds(schema: _Schema, gap: float) -> tuple[float, float]:
    """The least and the greatest number that fit; ``gap`` keeps away from excluded bounds."""
    low, high = float(schema.get("minimum", -math.inf)), float(schema.get("maximum", math.inf))
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if math.isfinite(low) and math.isfinite(high):
        gap = min(gap, (high - low) / 2) or gap
    if above is not None and above is not False:
        low = max(low, (low if above is True else above) + gap)
    if below is not None and below is not False:
        high = min(high, (high if below is True else below) - gap)
    return low, high


def _united(schemas: list[_Schema]) -> _Schema:
    """One schema with the constraints of all."""
    united: dict[str, Any] = {}
    for schema in schemas:
        for key, value in schema.items():
            if key == "properties":
                united[key] = {**united.get(key, {}), **value}
            elif key == "required":
                united[key] = [*united.get(key, []), *value]
            else:
                united.setdefault(key, value)
    return united


def _different(items: _Schema, name: str, count: int) -> list[Any]:
    """Different values of one kind."""
    if isinstance(items.get("enum"), list):
        return list(islice(items["enum"], count))
    if _type(items) in {"integer", "number"}:
        low, _ = _bounds(items, 1)
        start = math.ceil(low) if math.isfinite(low) else 1
        step = items.get("multipleOf", 1)
        return [start + index * step for index in range(count)]
    return [f"{name}{index + 1}" for index in range(count)]


__all__ = ["fitting_arguments"]
