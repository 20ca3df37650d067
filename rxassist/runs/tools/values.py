"""Values that users pass and return: checked by their types, and as text."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import repeat
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints
from uuid import UUID

import attrs
import msgspec
from cattrs import Converter

from rxassist.errors import excerpt
from rxassist.wire.json import to_json
from rxassist.wire.structure import (
    FACTORY,
    MisfitError,
    _Hook,
    _is_literal,
    _is_union,
    explained,
    unstructure,
)
from rxassist.wire.values import Model, Unknown


@attrs.frozen
class Field:
    """One of several values that belong together: of a class, or an argument of a function.

    ``default`` holds the default, unless that is made anew each time.
    """

    name: str
    type: Any
    required: bool = True
    default: tuple[()] | tuple[object] = ()


def fields_of(kind: Any) -> tuple[Field, ...] | None:  # noqa: ANN401 -- a type form
    """The fields of a class that declares them, ``None`` for everything else.

    Such a class is a dataclass, an attrs class, a ``TypedDict`` or a ``NamedTuple``.
    """
    if not isinstance(kind, type):
        return None
    if hasattr(kind, "__required_keys__"):
        return _fields_of_typed_dict(kind)
    if _is_named_tuple(kind):
        return _fields_of_named_tuple(kind)
    if attrs.has(kind):
        hints = get_type_hints(kind, include_extras=True)
        made = [field for field in attrs.fields(kind) if field.init]
        return tuple(
            Field(
                field.alias,
                hints.get(field.name, Any),
                field.default is attrs.NOTHING,
                _shown(field.default),
            )
            for field in made
        )
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind, include_extras=True)
        return tuple(
            Field(
                field.name,
                hints[field.name],
                field.default is field.default_factory is dataclasses.MISSING,
                _shown(field.default),
            )
            for field in dataclasses.fields(kind)
            if field.init
        )
    return None


def _fields_of_typed_dict(kind: Any) -> tuple[Field, ...]:  # noqa: ANN401 -- a class
    def field(name: str, hint: Any) -> Field:  # noqa: ANN401 -- a type form
        required: bool = name in kind.__required_keys__
        while (origin := str(get_origin(hint)).rpartition(".")[2]) in _QUALIFIERS:
            required = required if origin == "ReadOnly" else origin == "Required"
            (hint,) = get_args(hint)
        return Field(name, hint, required)

    hints = get_type_hints(kind, include_extras=True)
    return tuple([field(name, hint) for name, hint in hints.items()])


_QUALIFIERS = frozenset({"Required", "NotRequired", "ReadOnly"})


def _is_named_tuple(kind: type) -> bool:
    return issubclass(kind, tuple) and hasattr(cast("object", kind), "_fields")


def _fields_of_named_tuple(kind: Any) -> tuple[Field, ...]:  # noqa: ANN401 -- a class
    hints, defaults = get_type_hints(kind, include_extras=True), kind._field_defaults
    return tuple(
        [
            Field(
                name,
                hints.get(name, Any),
                name not in defaults,
                (defaults[name],) if name in defaults else (),
            )
            for name in kind._fields
        ]
    )


def explains_itself(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    """Whether a class has a JSON Schema and validates JSON itself, as models of pydantic do."""
    return isinstance(kind, type) and hasattr(kind, "model_json_schema")


def _shown(default: object) -> tuple[()] | tuple[object]:
    none = default is attrs.NOTHING or default is dataclasses.MISSING
    return () if none or isinstance(default, FACTORY) else (default,)


_LISTS: dict[Any, Callable[[Iterable[Any]], Any]] = {
    list: list,
    Sequence: list,
    Iterable: list,
    Collection: list,
    set: set,
    AbstractSet: frozenset,
    frozenset: frozenset,
    tuple: tuple,
}


_MAPPINGS = frozenset({dict, Mapping})


_EXPECTED: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
    datetime: "a date and time such as 2026-01-31T12:00:00Z",
    date: "a date such as 2026-01-31",
    time: "a time such as 12:00:00",
    timedelta: "a duration such as PT5M",
    UUID: "a UUID",
    Decimal: "a decimal number",
    bytes: "text in Base64",
}


def takes_null(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    """Whether ``None`` is a value of a type."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if _is_union(kind):
        return any(map(takes_null, get_args(kind)))
    return kind in {Any, object, None, type(None)} or (_is_literal(kind) and None in get_args(kind))


def list_of(kind: Any) -> tuple[Any, ...] | None:  # noqa: ANN401 -- a type form
    """The types of the items of a list, set or tuple: ``(T, ...)`` unless they are counted."""
    origin = get_origin(kind) or kind
    if origin not in _LISTS:
        return None
    arguments = get_args(kind)
    if origin is tuple and arguments and arguments[-1] is not ...:
        return () if arguments == ((),) else arguments
    return (arguments[0] if arguments else Any, ...)


def mapping_of(kind: Any) -> tuple[Any, Any] | None:  # noqa: ANN401 -- a type form
    """The types of the keys and values of a mapping, ``None`` for everything else."""
    if (get_origin(kind) or kind) not in _MAPPINGS:
        return None
    return cast("tuple[Any, Any]", get_args(kind) or (str, Any))


def members_of(kind: Any) -> tuple[Any, ...] | None:  # noqa: ANN401 -- a type form
    """The members of a union, ``None`` for everything else."""
    return get_args(kind) if _is_union(kind) else None


def plain_schema(kind: Any) -> dict[str, Any]:  # noqa: ANN401 -- a type form
    """The JSON Schema of a type that is made of no others. Raises ``TypeError`` where none is."""
    if kind in {datetime, time}:  # the type does not say whether there is a zone
        return {"type": "string", "format": "time" if kind is time else "date-time"}
    if kind not in _EXPECTED and kind is not Any:
        msg = (
            f"{kind!r} has no JSON Schema here; dataclasses, attrs classes, TypedDicts, "
            "NamedTuples and models of pydantic have"
        )
        raise TypeError(msg)
    return msgspec.json.schema(kind)


def fit(value: object, fields: Iterable[Field], name: str) -> dict[str, Any]:
    """Structure the fields of a JSON object into their types, strictly.

    A field with a default may be missing, or null if its type does not allow null: then it is left
    out. Raises ``DecodeError``, which names the path: no value is converted to fit.
    """
    return explained(lambda: _fit_fields(value, tuple(fields), ""), value, name)


def fit_value(value: object, kind: Any, name: str) -> Any:  # noqa: ANN401 -- the type decides
    """Structure a JSON value into a type, strictly, as ``fit`` does the fields of an object."""
    return explained(lambda: _at(value, kind, ""), value, name)


def _at(value: object, kind: Any, path: str) -> Any:  # noqa: ANN401 -- the type decides
    try:
        return _strict.structure(value, kind)
    except MisfitError as misfit:
        misfit.path = path + misfit.path
        raise


def _fit_fields(value: object, fields: tuple[Field, ...], what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MisfitError(value, f"an object{what}")
    said = cast("dict[str, Any]", value)
    known = {field.name: field for field in fields}
    for name in said:
        if name not in known:
            raise MisfitError(said, f"no {name!r}; it takes {', '.join(known) or 'nothing'}")
    fitted: dict[str, Any] = {}
    for name, field in known.items():
        if name not in said and field.required:
            raise MisfitError(said, f"a field {name!r}")
        if name not in said or (
            said[name] is None and not field.required and not takes_null(field.type)
        ):
            continue
        fitted[name] = _at(said[name], field.type, f".{name}")
    return fitted


def _fit_class(kind: type, _: Converter) -> _Hook:
    fields = fields_of(kind) or ()

    def structure(value: object, _: object) -> object:
        fitted = _fit_fields(value, fields, f" ({kind.__name__})")
        try:
            return kind(**fitted)
        except (TypeError, ValueError) as error:  # a validator's
            raise MisfitError(value, f"another {kind.__name__} ({error})") from error

    return structure


def _fit_validated(kind: Any, _: Converter) -> _Hook:  # noqa: ANN401 -- a class
    """Validate a value with the class itself, one of pydantic's."""

    def structure(value: object, _: object) -> object:
        try:
            return kind.model_validate_json(to_json(value))
        except ValueError as error:  # errors of pydantic are such
            misfit = MisfitError(value, f"another {kind.__name__} ({error})")
            if hasattr(error, "errors"):
                first = cast("Any", error).errors()[0]
                expected = str(first["msg"]).removeprefix("Input should be ")
                misfit = MisfitError(first["input"], expected)
                misfit.path = "".join(
                    f"[{key}]" if isinstance(key, int) else f".{key}" for key in first["loc"]
                )
            raise misfit from None

    return structure


def _fit_list(kind: Any, _: Converter) -> _Hook:  # noqa: ANN401 -- a type form
    types = list_of(kind) or ()
    make = _LISTS[get_origin(kind) or kind]
    any_length = types[1:] == (...,)

    def structure(value: object, _: object) -> object:
        if not isinstance(value, list):
            raise MisfitError(value, "a list")
        items = cast("list[object]", value)
        if not any_length and len(items) != len(types):
            raise MisfitError(items, f"a list of {len(types)}")
        each = repeat(next(iter(types), Any)) if any_length else types
        pairs = enumerate(zip(items, each, strict=False))
        return make([_at(item, item_type, f"[{index}]") for index, (item, item_type) in pairs])

    return structure


def _fit_mapping(kind: Any, _: Converter) -> _Hook:  # noqa: ANN401 -- a type form
    key_type, item_type = mapping_of(kind) or (str, Any)

    def structure(value: object, _: object) -> object:
        if not isinstance(value, dict):
            raise MisfitError(value, "an object")
        said = cast("dict[str, object]", value)
        return {key_of(key): _at(item, item_type, f".{key}") for key, item in said.items()}

    def key_of(key: str) -> object:
        try:
            return msgspec.convert(key, key_type, strict=False)  # JSON has only keys of text
        except msgspec.ValidationError:
            expected = _EXPECTED.get(key_type, str(key_type))
            raise MisfitError(key, f"keys that are {expected}") from None

    return structure


def _fit_union(kind: Any, _: Converter) -> _Hook:  # noqa: ANN401 -- a type form
    members = sorted(get_args(kind), key=_takes_any_text)  # text comes last

    def structure(value: object, _: object) -> object:
        misfits: list[MisfitError] = []
        for member in members:
            try:
                return _strict.structure(value, member)
            except MisfitError as misfit:
                misfits.append(misfit)
        deepest = max(misfits, key=_depth)
        if deepest.path:
            raise deepest
        expected = dict.fromkeys(misfit.expected for misfit in misfits)
        raise MisfitError(value, " or ".join(expected))

    return structure


def _takes_any_text(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return kind in {str, Any}


def _depth(misfit: MisfitError) -> int:
    return len(misfit.path)


def _fit_plain(value: object, kind: Any) -> object:  # noqa: ANN401 -- a type form
    if kind not in _EXPECTED:  # an enum whose members are numbers or text as well
        return _fit_choice(kind, _strict)(value, kind)
    try:
        if kind is datetime and isinstance(value, str) and "T" in value.upper():
            return datetime.fromisoformat(value)  # which seconds and a zone may be missing of
        if kind is int and isinstance(value, float) and value.is_integer():
            return int(value)
        return msgspec.convert(value, kind)
    except ValueError:  # errors of msgspec are such
        raise MisfitError(value, _EXPECTED[kind]) from None


def _fit_choice(kind: Any, _: Converter) -> _Hook:  # noqa: ANN401 -- a type form
    choices = choices_of(kind) or {}

    def structure(value: object, _: object) -> object:
        for said, choice in choices.items():
            if said == (type(value), value):
                return choice
        raise MisfitError(value, " or ".join(repr(said) for _, said in choices))

    return structure


def choices_of(kind: Any) -> dict[tuple[type, Any], Any] | None:  # noqa: ANN401 -- a type form
    """The values of an ``Enum`` or a ``Literal``, by their JSON; ``None`` for all else."""
    if _is_literal(kind):
        members = {member: member for member in get_args(kind)}
        return {(type(value), value): value for value in members}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {(type(member.value), member.value): member for member in kind}
    return None


def _is_choice(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return _is_literal(kind) or (isinstance(kind, type) and issubclass(kind, Enum))


def _is_class(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return fields_of(kind) is not None


def _is_list(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return list_of(kind) is not None


def _is_any_mapping(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return mapping_of(kind) is not None


def _configured_strictly() -> Converter:
    converter = Converter()
    for kind in _EXPECTED:
        converter.register_structure_hook(kind, _fit_plain)
    converter.register_structure_hook_factory(_is_class)(_fit_class)
    converter.register_structure_hook_factory(explains_itself)(_fit_validated)
    converter.register_structure_hook_factory(_is_list)(_fit_list)
    converter.register_structure_hook_factory(_is_any_mapping)(_fit_mapping)
    converter.register_structure_hook_factory(_is_union)(_fit_union)
    converter.register_structure_hook_factory(_is_choice)(_fit_choice)
    return converter


_strict = _configured_strictly()


def to_text(value: object) -> str:
    """A value as a reply to a model: text as it is, everything else as JSON.

    Plain values, dates, enums, lists, sets and mappings can be written; dataclasses, attrs classes,
    named tuples, models of pydantic and rows of databases are objects. Raises ``TypeError`` for
    everything else.
    """
    if isinstance(value, str) and not isinstance(value, Enum):
        return value
    plain = _tellable(value)
    try:
        return msgspec.json.encode(plain, enc_hook=_tellable).decode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can carry escaped
        return json.dumps(to_plain(plain))


def to_plain(value: object) -> Any:  # noqa: ANN401 -- plain data is anything
    """The JSON of a value, as ``to_text`` writes it. Raises ``TypeError`` if it has none."""
    return msgspec.to_builtins(_tellable(value), enc_hook=_tellable)


_LEAVES = (
    type(None), str, int, float, Decimal, bytes, bytearray, memoryview,
    datetime, date, time, timedelta, UUID, Enum, msgspec.Struct,
)  # fmt: skip


def _tellable(value: object) -> object:
    """A value as plain data, except for values that the JSON library knows itself."""
    if isinstance(value, str | int | float) and not isinstance(value, bool | Enum):
        return next(kind(value) for kind in (str, int, float) if isinstance(value, kind))
    if isinstance(value, _LEAVES):
        return cast("object", value)
    if isinstance(value, Model | Unknown):
        return unstructure(value)
    if hasattr(type(value), "model_dump"):
        return cast("Any", value).model_dump(mode="json")
    items = _items_by_name(value)
    if items is not None:
        return {_key(name): _tellable(item) for name, item in items}
    if isinstance(value, Sequence | AbstractSet | ValuesView):
        return [_tellable(item) for item in cast("Iterable[object]", value)]
    raise _untellable(value)


def _key(name: object) -> object:
    """A key of a mapping as the name in a JSON object."""
    if name is None or isinstance(name, bool):
        return json.dumps(name)
    if isinstance(name, _LEAVES):
        return _tellable(cast("object", name))
    raise _untellable(name)


def _untellable(value: object) -> TypeError:
    msg = (
        f"{excerpt(value)} cannot be said as JSON; a tool may return text, numbers, dates, lists, "
        "mappings, dataclasses, attrs classes, models of pydantic and rows, so make one of it"
    )
    return TypeError(msg)


def _items_by_name(value: object) -> Iterable[tuple[object, object]] | None:
    """A mapping, an object with fields or a row, as a JSON object; ``None`` for all else."""
    kind: Any = type(value)
    if attrs.has(kind):
        return [(field.name, getattr(value, field.name)) for field in attrs.fields(kind)]
    if dataclasses.is_dataclass(kind):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(kind)]
    if isinstance(value, Mapping):
        return cast("Mapping[object, object]", value).items()
    if _is_named_tuple(kind):
        return zip(kind._fields, cast("tuple[object, ...]", value), strict=True)
    if isinstance(value, Sequence) and hasattr(kind, "keys"):  # a row, as of sqlite3
        return zip(kind.keys(value), cast("Sequence[object]", value), strict=True)
    return None


__all__ = [
    "Field",
    "choices_of",
    "explains_itself",
    "fields_of",
    "fit",
    "fit_value",
    "list_of",
    "mapping_of",
    "members_of",
    "plain_schema",
    "takes_null",
    "to_plain",
    "to_text",
]
