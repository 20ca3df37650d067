"""Convert plain data to models, and models to plain data.

Tolerant where servers differ, strict where they are wrong: unknown fields are kept as ``extra``, a
missing or null list is empty and a null in a list is left out, a null stays ``None``, an unknown
``type`` keeps the raw object; but a list where an object belongs is a ``DecodeError`` that names
the place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache, lru_cache, partial
from itertools import chain, repeat
from math import isfinite
from operator import is_
from types import UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs
from cattrs import (
    AttributeValidationNote,
    ClassValidationError,
    Converter,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from rxassist.errors import DecodeError, excerpt
from rxassist.wire.json import to_json
from rxassist.wire.maker import maker
from rxassist.wire.values import Delta, Model, Unknown, wire_name

_T = TypeVar("_T")


_Hook = Callable[[Any, Any], Any]
"""A function that makes a value from JSON. The second argument is the value built last time; the
hook returns it if nothing changed. cattrs passes the type there, which never equals a value."""


FACTORY: type = type(attrs.Factory(dict[str, str]))
"""The class of defaults that are made anew for each object."""

_FIRST_MILLISECONDS = 1e11  # as seconds, it would be the year 5138


class _MisfitError(TypeError):
    """A value of the wrong shape, and the expected one in words."""

    def __init__(self, value: object, expected: str) -> None:
        super().__init__(f"expected {expected}, got {excerpt(value)}")
        self.value = value
        self.expected = expected


def _alike(one: object, other: object) -> bool:
    """Whether two values of JSON are equal, down to the types of their numbers."""
    return one == other and (not one or to_json(one) == to_json(other))


def _text(value: object, before: object) -> str | None:
    if value is None or isinstance(value, str):
        return before if isinstance(before, str) and value == before else value
    if isinstance(value, (bool, int, float)):
        return str(value)
    raise _MisfitError(value, "text")


def _json_text(value: object, before: object) -> str | None:
    """Text that is JSON; if a server sends the JSON itself, take its text."""
    if isinstance(value, dict | list):
        value = to_json(cast("object", value)).decode()
    return _text(value, before)


def _number(value: object, before: object) -> float | None:
    if type(value) is type(before) and value == before != 0:  # 0.0 may be -0.0
        return cast("float", before)
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    raise _MisfitError(value, "a number")


def _whole_number(value: object, _: object) -> int | None:
    if type(value) is int:  # nearly always
        return value
    number = _number(value, None)
    if number is None or isinstance(number, int):
        return number
    if number.is_integer():
        return int(number)
    raise _MisfitError(value, "a whole number")


def _seconds(value: object, _: object) -> float | None:
    """A point in time; some servers count in milliseconds."""
    if type(value) is int and 0 <= value < _FIRST_MILLISECONDS:  # nearly always
        return value
    number = _number(value, None)
    if number is None:
        return None
    with suppress(OverflowError):
        seconds = number / 1000 if number >= _FIRST_MILLISECONDS else number
        if isfinite(seconds):
            return seconds
    raise _MisfitError(value, "seconds or milliseconds since 1970")


def _boolean(value: object, _: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if value in (0, 1):
        return value == 1
    if isinstance(value, str) and value.lower() in ("true", "false"):  # some servers quote them
        return value.lower() == "true"
    raise _MisfitError(value, "true or false")


def _mapping(value: object, before: object) -> Mapping[str, Any]:
    said: object = {} if value is None else value
    if isinstance(said, dict):
        alike = type(before) is dict and _alike(cast("object", said), cast("object", before))
        return cast("dict[str, Any]", before if alike else said)
    raise _MisfitError(value, "an object")


def _literal_hook(kind: Any, _: Converter) -> _Hook:  # noqa: ANN401 -- a type form
    usual = get_args(kind)[0]
    return lambda value, _: usual if value is None else value


def _is_unknown(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return isinstance(kind, type) and issubclass(kind, Unknown)


def _unknown_hook(cls: type[Unknown], _: Converter) -> _Hook:
    def structure(value: object, before: object) -> Unknown:
        raw = _mapping(value, None)
        if isinstance(before, cls) and _alike(raw, before.raw):
            return before
        return cls(str(raw.get("type") or ""), raw)

    return structure


_EXTRA = "_extra"


_BY_NAME: dict[str, _Hook] = {"arguments": _json_text, "output": _json_text}


def _said_fields(cls: Any) -> list[attrs.Attribute[Any]]:  # noqa: ANN401 -- a class
    """The fields of a class that are also fields on the wire."""
    return [field for field in attrs.fields(cls) if field.name != _EXTRA]


def _renaming(cls: Any) -> dict[str, Any]:  # noqa: ANN401 -- a class
    """The overrides for cattrs: the fields of a class that have other names on the wire."""
    fields = _said_fields(cls)
    names = {field.name: wire_name(field) for field in fields}
    return {name: override(rename=other) for name, other in names.items() if name != other}


def _hook_by_name(name: str, kind: Any) -> _Hook | None:  # noqa: ANN401 -- a type form
    """The hook for a field with a special name: a point in time, or text that may be JSON."""
    if name.endswith("_at"):
        return _seconds
    return _BY_NAME.get(name) if _plain_type(kind) == "str" else None


def _extra_of(value: Mapping[str, Any], named: frozenset[str], before: object) -> Any:  # noqa: ANN401 -- a mapping
    """The values that belong to no field."""
    extra = {key: item for key, item in value.items() if key not in named}
    return before if before is not None and _alike(extra, before) else extra


def _explaining_class_hook(cls: type, converter: Converter) -> _Hook:
    origin: Any = get_origin(cls) or cls
    fields = _said_fields(origin)
    named = frozenset(map(wire_name, fields))
    hints = get_type_hints(origin)
    overrides: dict[str, Any] = {
        field.name: override(rename=wire_name(field), struct_hook=hook)
        for field in fields
        if (hook := _hook_by_name(field.name, hints[field.name])) or wire_name(field) != field.name
    }
    if issubclass(origin, Model):
        overrides[_EXTRA] = override(omit=True)
    inner = cast(
        "_Hook",
        make_dict_structure_fn(cls, converter, _cattrs_use_linecache=False, **overrides),
    )
    required = [wire_name(field) for field in fields if field.default is attrs.NOTHING]

    def structure(value: object, _: object) -> Any:  # noqa: ANN401 -- the class decides
        if value is None:  # if null is allowed, the union's hook has handled it
            value = dict.fromkeys(required)
        if not isinstance(value, dict):
            raise _MisfitError(value, f"an object ({cls.__name__})")
        said = cast("dict[str, Any]", value)
        for name in required:
            if name not in said:
                raise _MisfitError(said, f"a field {name!r}")
        try:
            made = inner(said, cls)
        except ClassValidationError as error:
            _name_places(error, fields)
            raise
        extra = {key: item for key, item in said.items() if key not in named}
        return attrs.evolve(made, extra=extra) if extra and isinstance(made, Model) else made

    return structure


def _name_places(error: ClassValidationError, fields: list[attrs.Attribute[Any]]) -> None:
    """Replace the names of fields in an error by their names on the wire."""
    names = {field.name: wire_name(field) for field in fields}
    for wrong in error.exceptions:
        for note in getattr(wrong, "__notes__", ()):
            if isinstance(note, AttributeValidationNote):
                note.name = names[note.name]


def _class_hook(cls: Any, converter: Converter) -> _Hook:  # noqa: ANN401 -- a type form
    """The explaining hook without its explanations, generated as one function.

    It takes each field that is equal from the value before; if all are equal, it returns that.
    """
    origin: Any = get_origin(cls) or cls
    given = dict(zip(getattr(origin, "__parameters__", ()), get_args(cls), strict=False))
    hints = get_type_hints(origin)
    fields = _said_fields(origin)
    make: Callable[..., object] = maker(origin)
    scope: dict[str, Any] = {
        "cls": origin,
        "make": make,
        "blank": make(*[_nothing if _is_made(field) else field.default for field in fields]),
        "misfit": partial(_MisfitError, expected=f"an object ({origin.__name__})"),
        "missing": _nothing,
        "named": frozenset(map(wire_name, fields)),
        "extra_of": _extra_of,
    }
    lines = [_CLASS_LINES]
    for field in fields:
        name, kind = field.name, _filled(hints[field.name], given)
        hook = _hook_by_name(name, kind) or converter.get_structure_hook(kind)
        plain = isinstance(field.default, str | int | float)
        scope |= {f"hook_{name}": hook, f"default_{name}": field.default if plain else None}
        lines.append(_field_lines(field, _plain_type(kind)))
    values = "".join(f"v_{field.name}, " for field in fields)
    if issubclass(origin, Model):
        lines.append(_EXTRA_LINES.format(values=values))
    lines.append(f"    return before if same else make({values})")
    exec("\n".join(lines), scope)  # noqa: S102 -- as cattrs does
    structure: _Hook = scope["structure"]
    return structure


_nothing = object()  # equal to no value of JSON


def _is_made(field: attrs.Attribute[Any]) -> bool:
    return field.default is attrs.NOTHING or isinstance(field.default, FACTORY)


_CLASS_LINES = """\
def structure(value, before):
    absent = missing
    if value is None:
        value, absent = {}, None
    elif not isinstance(value, dict):
        raise misfit(value)
    if type(before) is not cls:
        before = blank
    same, get = True, value.get"""


_EXTRA_LINES = """\
    old = before._extra
    if not named.issuperset(value):
        extra = extra_of(value, named, old)
        return before if same and extra is old else make({values}extra=extra)
    same = same and old is None"""


def _field_lines(field: attrs.Attribute[Any], plain: str | None) -> str:
    """The source that makes one field. A missing field is as null, unless its default is plain.

    A field without a default must be there, but may be null: null means no value, and no error.
    """
    name, value = field.name, f"v_{field.name}"
    made = f"hook_{name}({value}, old)"
    if plain is not None:
        made = f"old if type({value}) is type(old) is {plain} and {value} == old else {made}"
    lines = [f"{value} = get({wire_name(field)!r}, default_{name})"]
    if field.default is attrs.NOTHING:
        lines = [f"{value} = get({wire_name(field)!r}, absent)", f"if {value} is missing:"]
        lines += ["    raise misfit(value)"]
    lines += [
        f"old = before.{name}",
        f"if {value} is not old:",
        f"    {value} = {made}",
        f"    same = same and {value} is old",
    ]
    return "\n".join(f"    {line}" for line in lines)


def _plain_type(kind: Any) -> str | None:  # noqa: ANN401 -- a type form
    """The name of the type that nearly all values of a type form have on the wire."""
    members = get_args(kind) if _is_union(kind) else (kind,)
    if str in members or _is_literal(kind):
        return "str"
    return "int" if int in members or float in members else None


def _filled(kind: Any, given: Mapping[Any, Any]) -> Any:  # noqa: ANN401 -- a type form
    """A type form with its type variables replaced."""
    variables = getattr(kind, "__parameters__", ())
    return kind[tuple(given[variable] for variable in variables)] if variables else kind


def _tuple_hook(kind: Any, converter: Converter) -> _Hook:  # noqa: ANN401 -- a type form
    item_type = get_args(kind)[0]
    item_hook = converter.get_structure_hook(item_type)

    def structure(value: object, before: object) -> tuple[Any, ...]:
        if value is None:
            return ()
        if item_type is str and isinstance(value, str):  # some servers send just the text
            value = [value]
        if not isinstance(value, list):
            raise _MisfitError(value, "a list")
        items = cast("list[object]", value)
        if converter.detailed_validation:
            told = enumerate(items)
            return tuple(explained(item, index) for index, item in told if item is not None)
        if None in items:  # null means no item
            items = [item for item in items if item is not None]
        old = cast("tuple[object, ...]", before) if type(before) is tuple else ()
        made = tuple(map(item_hook, items, chain(old, repeat(None))))
        return old if len(old) == len(made) and all(map(is_, old, made)) else made

    def explained(item: object, index: int) -> object:
        try:
            return item_hook(item, None)
        except Exception as error:  # noqa: BLE001 -- raised again, with its index
            error.__notes__ = [IterableValidationNote("", index, item_type)]
            message = f"item {index}"
            told = IterableValidationError(message, [error], kind)  # pyright: ignore[reportCallIssue]
            raise told from None

    return structure


def _is_union(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return get_origin(kind) in {Union, UnionType}


def _union_hook(kind: Any, converter: Converter) -> _Hook:  # noqa: ANN401 -- a type form
    """Distinguish the members of a union: by ``type``, or text from an object."""
    classes = [member for member in get_args(kind) if attrs.has(member)]
    others = [member for member in get_args(kind) if member not in {*classes, type(None)}]
    fallback: Any = next((cls for cls in classes if issubclass(cls, Unknown)), None)
    if fallback is None:
        (only,) = classes or others[:1]
        by_tag = {}
        fallback = only
    else:
        known = [cls for cls in classes if cls is not fallback]
        by_tag = {
            attrs.fields(cls).type.default: converter.get_structure_hook(cls) for cls in known
        }
    fallback_hook = converter.get_structure_hook(fallback)
    takes_text = str in others and fallback is not str
    if not by_tag and not takes_text:
        return lambda value, before: None if value is None else fallback_hook(value, before)

    def structure(value: object, before: object) -> Any:  # noqa: ANN401 -- the members decide
        if value is None or (takes_text and isinstance(value, str)):
            return value
        said = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        tag = said.get("type")
        if tag is None:  # a member has a field that is named like its tag
            tag = next((known for known in by_tag if known in said), None)
        hook = by_tag.get(tag, fallback_hook) if isinstance(tag, str) else fallback_hook
        return hook(value, before)

    return structure


def _is_tuple(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return get_origin(kind) is tuple


def _is_mapping(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return get_origin(kind) is Mapping


def _is_literal(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return get_origin(kind) is Literal


def _is_delta(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return isinstance(kind, type) and issubclass(kind, Delta)


def _is_model(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    origin = get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, Model)


def _unstructure_hook(cls: Any, converter: Converter) -> Callable[[Any], dict[str, Any]]:  # noqa: ANN401 -- a class
    inner: Callable[[Any], dict[str, Any]] = make_dict_unstructure_fn(
        cls, converter, _extra=override(omit=True), **_renaming(get_origin(cls) or cls)
    )

    def unstructure(value: Model) -> dict[str, Any]:
        extra = value._extra
        return inner(value) if extra is None else {**extra, **inner(value)}

    return unstructure


def _delta_unstructure_hook(cls: type, converter: Converter) -> Callable[[Any], dict[str, Any]]:
    """Deltas carry only what they add: leave out fields that are ``None`` or empty.

    But keep a null whose absence would mean another value: a missing index is 0.
    """
    inner = _unstructure_hook(cls, converter)
    added = {field.name for field in _said_fields(cls) if field.default in {None, ()}}

    def unstructure(value: object) -> dict[str, Any]:
        said = inner(value).items()
        return {key: item for key, item in said if key not in added or item not in (None, [])}

    return unstructure


def _has_other_names(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return isinstance(kind, type) and issubclass(kind, Model) and bool(kind._other_names)


def _renamed(value: object, names: Mapping[str, str]) -> Mapping[str, Any]:
    """Plain data in which a server's other names are replaced by the names of the fields."""
    said = _mapping(value, None)
    return {
        names[key] if names.get(key, key) not in said else key: item for key, item in said.items()
    }


def _configured(*, detailed_validation: bool) -> Converter:
    converter = Converter(
        detailed_validation=detailed_validation, unstruct_collection_overrides={tuple: list}
    )
    class_hook = _explaining_class_hook if detailed_validation else _class_hook
    converter.register_structure_hook_factory(attrs.has)(class_hook)

    def renaming_hook(cls: type[Model], converter: Converter) -> _Hook:
        structure = class_hook(cls, converter)
        return lambda value, before: structure(_renamed(value, cls._other_names), before)

    converter.register_structure_hook_factory(_has_other_names)(renaming_hook)
    converter.register_structure_hook_factory(_is_unknown)(_unknown_hook)
    converter.register_structure_hook_factory(_is_tuple)(_tuple_hook)
    converter.register_structure_hook_factory(_is_union)(_union_hook)
    converter.register_structure_hook_func(_is_mapping, _mapping)
    converter.register_structure_hook_factory(_is_literal)(_literal_hook)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(int, _whole_number)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(bool, _boolean)
    converter.register_unstructure_hook_factory(_is_model)(_unstructure_hook)
    converter.register_unstructure_hook_factory(_is_delta)(_delta_unstructure_hook)
    converter.register_unstructure_hook_func(_is_unknown, lambda unknown: unknown.raw)
    return converter


_fast = _configured(detailed_validation=False)
structure_hook: Callable[[Any], _Hook] = cache(_fast.get_structure_hook)
"""The hook for a type: it takes plain data, and the value built last time."""


@lru_cache(maxsize=1)
def _explaining() -> Converter:
    """The same converter again, slower; its errors say where they happened."""
    return _configured(detailed_validation=True)


def structure(
    value: object, target: type[_T], name: str | None = None, before: _T | None = None
) -> _T:
    """Make a model from parsed JSON.

    Parts that are equal in ``before``, an earlier model, are taken from it; if nothing differs,
    the result is ``before`` itself. Raises ``DecodeError``, with the path to the misfit; ``name``
    is the error's name for the whole, by default the class.
    """
    called = name or str(getattr(target, "__name__", "body"))
    if value is None:
        raise DecodeError(called, "$", value, f"an object ({called})")
    try:
        return cast("_T", structure_hook(cast("Any", target))(value, before))
    except Exception:  # noqa: BLE001, S110 -- the slow converter raises it with its exact path
        pass
    return _structure_or_explain(value, target, called)


def _structure_or_explain(value: object, target: type[_T], name: str) -> _T:
    try:
        return _explaining().structure(value, target)
    except RecursionError:
        wrong = DecodeError(name, "$", value, "JSON that is not nested so deep")
    except Exception as error:  # noqa: BLE001 -- it is explained
        path, leaf = _leaf(error)
        if isinstance(leaf, _MisfitError):
            wrong = DecodeError(name, path, leaf.value, leaf.expected)
        else:
            wrong = DecodeError(name, path, value, f"something else ({leaf})")
    raise wrong


def _leaf(error: BaseException, path: str = "$") -> tuple[str, BaseException]:
    """Follow the notes of nested validation errors down to the first error."""
    if not isinstance(error, ClassValidationError | IterableValidationError):
        return path, error
    first = error.exceptions[0]
    for note in getattr(first, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            path += f".{note.name}"
        elif isinstance(note, IterableValidationNote):
            path += f"[{note.index}]"
    return _leaf(first, path)


def unstructure(value: object) -> Any:  # noqa: ANN401 -- plain data is anything
    """Make plain data (objects, lists, text, numbers) from models, as on the wire.

    Whole objects keep their nulls; deltas carry only what they add.
    """
    return _fast.unstructure(value)


def to_request(value: object) -> Any:  # noqa: ANN401 -- plain data is anything
    """Make plain data from an argument: models lose their fields that are ``None``.

    Raises ``TypeError`` for a value that is no JSON.
    """
    if isinstance(value, Unknown):
        return value.raw
    if attrs.has(type(value)):
        fields = _said_fields(type(value))
        said = {wire_name(field): getattr(value, field.name) for field in fields}
        if isinstance(value, Model):
            said = {**value.extra, **said}
        return {key: to_request(item) for key, item in said.items() if item is not None}
    if isinstance(value, Mapping):
        given = cast("Mapping[str, object]", value)
        return {key: to_request(item) for key, item in given.items()}
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and isfinite(value):
        return value
    if isinstance(value, Iterable) and not isinstance(value, bytes | bytearray):
        return [to_request(item) for item in cast("Iterable[object]", value)]
    msg = f"{excerpt(value)} cannot be sent as JSON"
    raise TypeError(msg)


__all__ = [
    "structure",
    "to_request",
    "unstructure",
]
