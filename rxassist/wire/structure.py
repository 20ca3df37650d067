"""Convert plain data to models, and models to plain data.

Tolerant where servers differ, strict where they are wrong: unknown fields are kept as ``extra``, a
missing or null list is empty and a null in a list is left out, a null stays ``None``, an unknown
``type`` keeps the raw object; but a list where an object belongs is a ``DecodeError`` that names
the place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from itertools import chain, repeat
from math import isfinite
from operator import is_, length_hint
from types import CodeType, FunctionType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn, override

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


class MisfitError(TypeError):
    """A value of the wrong shape, the expected one in words, and where the value is.

    The path is empty where the error is raised; each hook above adds its own step to it.
    """

    path = ""

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
    raise MisfitError(value, "text")


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
    raise MisfitError(value, "a number")


def _whole_number(value: object, _: object) -> int | None:
    if type(value) is int:  # nearly always
        return value
    number = _number(value, None)
    if number is None or isinstance(number, int):
        return number
    if number.is_integer():
        return int(number)
    raise MisfitError(value, "a whole number")


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
    raise MisfitError(value, "seconds or milliseconds since 1970")


def _boolean(value: object, _: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if value in (0, 1):
        return value == 1
    if isinstance(value, str) and value.lower() in ("true", "false"):  # some servers quote them
        return value.lower() == "true"
    raise MisfitError(value, "true or false")


def _mapping(value: object, before: object) -> Mapping[str, Any]:
    said: object = {} if value is None else value
    if isinstance(said, dict):
        alike = type(before) is dict and _alike(cast("object", said), cast("object", before))
        return cast("dict[str, Any]", before if alike else said)
    raise MisfitError(value, "an object")


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


def _class_hook(cls: Any, converter: Converter) -> _Hook:  # noqa: ANN401 -- a type form
    """The hook of a class, whose code is generated for the first object of it that comes.

    A response may hold thirty classes and mostly holds four; each takes about a millisecond, in
    which the event loop stands still. The function stays the same and gets other code, so calls
    cost nothing more afterwards. Two threads may generate it at once: they generate the same.
    """
    scope: dict[str, Any] = {}
    exec(_FIRST_LINES, scope)  # noqa: S102 -- as cattrs does
    hook: FunctionType = scope["structure"]

    def generated() -> _Hook:
        hook.__code__ = _class_code(cls, converter, scope)
        return hook

    scope["generated"] = generated
    return hook


_FIRST_LINES = compile(
    "def structure(value, before):\n    return generated()(value, before)", "<first>", "exec"
)


def _class_code(cls: Any, converter: Converter, scope: dict[str, Any]) -> CodeType:  # noqa: ANN401 -- a type form
    """The code of the hook of a class, and what it uses into ``scope``.

    It takes each field that is equal from the value before; if all are equal, it returns that.
    """
    origin: Any = get_origin(cls) or cls
    given = dict(zip(getattr(origin, "__parameters__", ()), get_args(cls), strict=False))
    hints = get_type_hints(origin)
    fields = _said_fields(origin)
    make: Callable[..., object] = maker(origin)
    scope |= {
        "cls": origin,
        "make": make,
        "blank": make(*[_nothing if _is_made(field) else field.default for field in fields]),
        "misfit": MisfitError,
        "expected": f"an object ({origin.__name__})",
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
    lines.append(_PLACE_LINES)
    values = "".join(f"v_{field.name}, " for field in fields)
    if issubclass(origin, Model):
        lines.append(_EXTRA_LINES.format(values=values))
    lines.append(f"    return before if same else make({values})")
    exec("\n".join(lines), scope)  # noqa: S102 -- as cattrs does
    code: CodeType = scope["structure"].__code__
    return code


_nothing = object()  # equal to no value of JSON


def _is_made(field: attrs.Attribute[Any]) -> bool:
    return field.default is attrs.NOTHING or isinstance(field.default, FACTORY)


_CLASS_LINES = """\
def structure(value, before):
    absent = missing
    if value is None:
        value, absent = {}, None
    elif not isinstance(value, dict):
        raise misfit(value, expected)
    if type(before) is not cls:
        before = blank
    try:
        same, get, place = True, value.get, ''"""


_PLACE_LINES = """\
    except misfit as error:
        error.path = place + error.path
        raise"""


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
    if plain == "int":
        made = f"old if type({value}) is type(old) is int and {value} == old else {made}"
    elif plain == "str":
        made = f"(old if {value} == old else {value}) if type({value}) is str else {made}"
    lines = [f"{value} = get({wire_name(field)!r}, default_{name})"]
    if field.default is attrs.NOTHING:
        lines = [f"{value} = get({wire_name(field)!r}, absent)", f"if {value} is missing:"]
        lines += ["    place = ''", f"    raise misfit(value, {f'a field {wire_name(field)!r}'!r})"]
    lines += [
        f"old = before.{name}",
        f"if {value} is not old:",
        f"    place = {f'.{wire_name(field)}'!r}",
        f"    {value} = {made}",
        f"    same = same and {value} is old",
    ]
    return "\n".join(f"        {line}" for line in lines)


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
        if value is None or value == []:
            return ()
        if item_type is str and isinstance(value, str):  # some servers send just the text
            value = [value]
        if not isinstance(value, list):
            raise MisfitError(value, "a list")
        old = cast("tuple[object, ...]", before) if type(before) is tuple else ()
        told = cast("list[object]", value)
        given = iter(told)
        items = (item for item in given if item is not None) if None in told else given
        try:
            made = tuple(map(item_hook, items, chain(old, repeat(None))))
        except MisfitError as error:
            index = len(told) - length_hint(given) - 1
            error.path = f"[{index}]{error.path}"
            raise
        return old if len(old) == len(made) and all(map(is_, old, made)) else made

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


def _renaming_hook(cls: type[Model], converter: Converter) -> _Hook:
    structure = _class_hook(cls, converter)
    return lambda value, before: structure(_renamed(value, cls._other_names), before)


def _configured() -> Converter:
    converter = Converter(detailed_validation=False, unstruct_collection_overrides={tuple: list})
    converter.register_structure_hook_factory(attrs.has)(_class_hook)
    converter.register_structure_hook_factory(_has_other_names)(_renaming_hook)
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


_converter = _configured()
structure_hook: Callable[[Any], _Hook] = cache(_converter.get_structure_hook)
"""The hook for a type: it takes plain data, and the value built last time."""


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
        made: _T = explained(lambda: structure_hook(target)(value, before), value, called)
    except DecodeError:
        raise
    except Exception as error:  # noqa: BLE001 -- such as a type that no hook is there for
        wrong = DecodeError(called, "$", value, f"something else ({error})")
    else:
        return made
    raise wrong


def explained(make: Callable[[], _T], value: object, name: str) -> _T:
    """What ``make`` makes of a value. Raises ``DecodeError``, with the path to the misfit."""
    try:
        return make()
    except MisfitError as error:
        wrong = DecodeError(name, f"${error.path}", error.value, error.expected)
    except RecursionError:
        wrong = DecodeError(name, "$", value, "JSON that is not nested so deep")
    raise wrong


def unstructure(value: object) -> Any:  # noqa: ANN401 -- plain data is anything
    """Make plain data (objects, lists, text, numbers) from models, as on the wire.

    Whole objects keep their nulls; deltas carry only what they add.
    """
    return _converter.unstructure(value)


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
