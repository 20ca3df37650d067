"""JSON ⇄ models and events: the only module that knows cattrs and the JSON library.

Tolerant where servers differ, strict where they are wrong: unknown fields are kept as ``extra``, a
missing or null list is empty and a null in a list is left out, a null stays ``None``, an unknown
``type`` keeps the raw object; but a list where an object belongs is a ``DecodeError`` that names
the place.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    ValuesView,
)
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache, lru_cache, partial
from itertools import chain, repeat
from math import isfinite
from operator import is_
from types import MappingProxyType, UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)
from uuid import UUID

import attrs
import msgspec
from cattrs import (
    AttributeValidationNote,
    ClassValidationError,
    Converter,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from rxassist.errors import DecodeError, StreamTruncated, api_error_fields, excerpt, redacted_error
from rxassist.events import (
    DoneEvent,
    ErrorEvent,
    Event,
    KnownEvent,
    ThreadMessageDelta,
    ThreadRunStepDelta,
    UnknownEvent,
    late,
)
from rxassist.models import ErrorObject, VectorStoreFileContent, deltas
from rxassist.models._maker import maker
from rxassist.models._values import Model, Unknown
from rxassist.sse import MAX_EVENT_BYTES, ServerSentEvent, SSEDecoder

_T = TypeVar("_T")
_Hook = Callable[[Any, Any], Any]
"""What makes a value of JSON. The second argument is a value that was made before, which is given
again where it is what would be made; cattrs passes the type there, which is no such value."""

_DONE = "[DONE]"
_ODD: Any = object()

_DEEPEST = 200  # levels of nested JSON: more than any schema, less than Python's stack can take

_FIRST_MILLISECONDS = 1e11  # no server means the year 5138 by it


# --- JSON ----------------------------------------------------------------------------------


def from_json(text: str | bytes, name: str = "body") -> Any:  # noqa: ANN401 -- JSON is anything
    """Parse JSON, leniently where that loses nothing.

    What the fast parser refuses is tried again with the standard library, which knows ``NaN``,
    lone surrogates and the like; closing brackets too many after a whole value are ignored (the
    service's own documentation has such events). Anything else is a ``DecodeError`` for ``name``,
    and so are lists and objects nested more than 200 deep, and whole numbers of more digits than
    Python reads (4,300).
    """
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        value = _ODD
    if value is _ODD:  # after the ``except``, so that no error hangs on one that holds the text
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
    """Write plain data (as ``unstructure`` gives it) as JSON."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate, which JSON can carry escaped
        return json.dumps(value).encode()


# --- models --------------------------------------------------------------------------------


class _MisfitError(TypeError):
    """A value that has the wrong shape, and what was expected in its place."""

    def __init__(self, value: object, expected: str) -> None:
        super().__init__(f"expected {expected}, got {excerpt(value)}")
        self.value = value
        self.expected = expected


def _alike(one: object, other: object) -> bool:
    """Whether two values of JSON are equal to the types of their numbers."""
    return one == other and (not one or to_json(one) == to_json(other))


def _text(value: object, before: object) -> str | None:
    if value is None or isinstance(value, str):
        return before if isinstance(before, str) and value == before else value
    if isinstance(value, (bool, int, float)):
        return str(value)
    raise _MisfitError(value, "text")


def _json_text(value: object, before: object) -> str | None:
    """The text of some JSON; a server that sends the JSON itself can only mean its text."""
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
    if type(value) is int:  # as nearly always
        return value
    number = _number(value, None)
    if number is None or isinstance(number, int):
        return number
    if number.is_integer():
        return int(number)
    raise _MisfitError(value, "a whole number")


def _seconds(value: object, _: object) -> float | None:
    """A point in time; some servers count in milliseconds."""
    if type(value) is int and 0 <= value < _FIRST_MILLISECONDS:  # as nearly always
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
    """The fields of a class that stand for fields on the wire."""
    return [field for field in attrs.fields(cls) if field.name != _EXTRA]


def _hook_by_name(name: str) -> _Hook | None:
    return _seconds if name.endswith("_at") else _BY_NAME.get(name)


def _extra_of(value: Mapping[str, Any], named: frozenset[str], before: object) -> Any:  # noqa: ANN401 -- a mapping
    """What is said besides the fields."""
    extra = {key: item for key, item in value.items() if key not in named}
    return before if before is not None and _alike(extra, before) else extra


def _explaining_class_hook(cls: type, converter: Converter) -> _Hook:
    origin: Any = get_origin(cls) or cls
    fields = _said_fields(origin)
    named = frozenset(field.name for field in fields)
    overrides: dict[str, Any] = {
        name: override(struct_hook=hook) for name in named if (hook := _hook_by_name(name))
    }
    if issubclass(origin, Model):
        overrides[_EXTRA] = override(omit=True)
    inner = cast(
        "_Hook",
        make_dict_structure_fn(cls, converter, _cattrs_use_linecache=False, **overrides),
    )
    required = [field.name for field in fields if field.default is attrs.NOTHING]

    def structure(value: object, _: object) -> Any:  # noqa: ANN401 -- the class decides
        if value is None:  # where it may be null, the union's hook saw to it
            value = dict.fromkeys(required)
        if not isinstance(value, dict):
            raise _MisfitError(value, f"an object ({cls.__name__})")
        said = cast("dict[str, Any]", value)
        for name in required:
            if name not in said:
                raise _MisfitError(said, f"a field {name!r}")
        made = inner(said, cls)
        extra = {key: item for key, item in said.items() if key not in named}
        return attrs.evolve(made, extra=extra) if extra and isinstance(made, Model) else made

    return structure


def _class_hook(cls: Any, converter: Converter) -> _Hook:  # noqa: ANN401 -- a type form
    """What the explaining hook does, but generated as one function, and without explanations.

    Each field is taken from the value before if it is equal to it, and if all are, so is the whole.
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
        "named": frozenset(field.name for field in fields),
        "extra_of": _extra_of,
    }
    lines = [_CLASS_LINES]
    for field in fields:
        name, kind = field.name, _filled(hints[field.name], given)
        hook = _hook_by_name(name) or converter.get_structure_hook(kind)
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
    return field.default is attrs.NOTHING or isinstance(field.default, _FACTORY)


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
    """The source that makes one field. What is missing is as null, unless its default is plain.

    What has no default may not be missing, but may be null: that says nothing, and ends nothing.
    """
    name, value = field.name, f"v_{field.name}"
    made = f"hook_{name}({value}, old)"
    if plain is not None:
        made = f"old if type({value}) is type(old) is {plain} and {value} == old else {made}"
    lines = [f"{value} = get({name!r}, default_{name})"]
    if field.default is attrs.NOTHING:
        lines = [f"{value} = get({name!r}, absent)", f"if {value} is missing:"]
        lines += ["    raise misfit(value)"]
    lines += [
        f"old = before.{name}",
        f"if {value} is not old:",
        f"    {value} = {made}",
        f"    same = same and {value} is old",
    ]
    return "\n".join(f"    {line}" for line in lines)


def _plain_type(kind: Any) -> str | None:  # noqa: ANN401 -- a type form
    """The name of the type whose values nearly all values of a type form are, as they come."""
    members = get_args(kind) if _is_union(kind) else (kind,)
    if str in members or _is_literal(kind):
        return "str"
    return "int" if int in members or float in members else None


def _filled(kind: Any, given: Mapping[Any, Any]) -> Any:  # noqa: ANN401 -- a type form
    """A type form with the types that were given for its variables."""
    variables = getattr(kind, "__parameters__", ())
    return kind[tuple(given[variable] for variable in variables)] if variables else kind


def _tuple_hook(kind: Any, converter: Converter) -> _Hook:  # noqa: ANN401 -- a type form
    item_type = get_args(kind)[0]
    item_hook = converter.get_structure_hook(item_type)

    def structure(value: object, before: object) -> tuple[Any, ...]:
        if value is None:
            return ()
        if item_type is str and isinstance(value, str):  # some lists of one come as their text
            value = [value]
        if not isinstance(value, list):
            raise _MisfitError(value, "a list")
        items = cast("list[object]", value)
        if converter.detailed_validation:
            told = enumerate(items)
            return tuple(explained(item, index) for index, item in told if item is not None)
        if None in items:  # says nothing
            items = [item for item in items if item is not None]
        old = cast("tuple[object, ...]", before) if type(before) is tuple else ()
        made = tuple(map(item_hook, items, chain(old, repeat(None))))
        return old if len(old) == len(made) and all(map(is_, old, made)) else made

    def explained(item: object, index: int) -> object:
        try:
            return item_hook(item, None)
        except Exception as error:  # noqa: BLE001 -- it goes on, with its place
            error.__notes__ = [IterableValidationNote("", index, item_type)]
            message = f"item {index}"
            told = IterableValidationError(message, [error], kind)  # pyright: ignore[reportCallIssue]
            raise told from None

    return structure


def _is_union(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return get_origin(kind) in {Union, UnionType}


def _union_hook(kind: Any, converter: Converter) -> _Hook:  # noqa: ANN401 -- a type form
    """Tell the members of a union apart: by ``type``, or text from an object."""
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
        if tag is None:  # a member's own field is named like its tag
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
    return getattr(kind, "__module__", "") == deltas.__name__ and _is_model(kind)


def _is_model(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    origin = get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, Model)


def _unstructure_hook(cls: Any, converter: Converter) -> Callable[[Any], dict[str, Any]]:  # noqa: ANN401 -- a class
    inner: Callable[[Any], dict[str, Any]] = make_dict_unstructure_fn(
        cls, converter, _extra=override(omit=True)
    )

    def unstructure(value: Model) -> dict[str, Any]:
        extra = value._extra
        return inner(value) if extra is None else {**extra, **inner(value)}

    return unstructure


def _delta_unstructure_hook(cls: type, converter: Converter) -> Callable[[Any], dict[str, Any]]:
    """Deltas carry only what they add: what is ``None`` or empty is left out.

    But not where it would be read as something else, such as an index of null as 0.
    """
    inner = _unstructure_hook(cls, converter)
    added = {field.name for field in _said_fields(cls) if field.default in {None, ()}}

    def unstructure(value: object) -> dict[str, Any]:
        said = inner(value).items()
        return {key: item for key, item in said if key not in added or item not in (None, [])}

    return unstructure


def _is_text_of_a_file(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return kind is VectorStoreFileContent


def _as_page(value: object) -> Mapping[str, Any]:
    """The text of a file as its schema has it: the example beside it says ``content``."""
    said = _mapping(value, None)
    if "data" in said or "content" not in said:
        return said
    return {"data" if key == "content" else key: item for key, item in said.items()}


def _configured(*, detailed_validation: bool) -> Converter:
    converter = Converter(
        detailed_validation=detailed_validation, unstruct_collection_overrides={tuple: list}
    )
    class_hook = _explaining_class_hook if detailed_validation else _class_hook
    converter.register_structure_hook_factory(attrs.has)(class_hook)

    def page_hook(cls: type, converter: Converter) -> _Hook:
        structure = class_hook(cls, converter)
        return lambda value, before: structure(_as_page(value), before)

    converter.register_structure_hook_factory(_is_text_of_a_file)(page_hook)
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


@lru_cache(maxsize=1)
def _explaining() -> Converter:
    """The same converter again, slower, whose errors say where they happened."""
    return _configured(detailed_validation=True)


def structure(
    value: object, target: type[_T], name: str | None = None, before: _T | None = None
) -> _T:
    """Make a model of parsed JSON.

    What is equal in it and in one that was made ``before`` is taken from that, and all of it if
    nothing differs. Raises ``DecodeError``, with the path to what does not fit; ``name`` is what
    the error calls the whole, by default the class.
    """
    called = name or str(getattr(target, "__name__", "body"))
    if value is None:
        raise DecodeError(called, "$", value, f"an object ({called})")
    try:
        return cast("_T", _hook_of(cast("Any", target))(value, before))
    except Exception:  # noqa: BLE001, S110 -- whatever it is, the slow converter tells it precisely
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
    """Follow the notes of nested validation errors down to the first thing that went wrong."""
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
    """Make plain data (objects, lists, text, numbers) of models, as the wire has it.

    Whole objects keep their nulls; deltas carry only what they add.
    """
    return _fast.unstructure(value)


def to_request(value: object) -> Any:  # noqa: ANN401 -- plain data is anything
    """Make plain data of what a user passed: models lose what they do not say.

    Raises ``TypeError`` for what is no JSON.
    """
    if isinstance(value, Unknown):
        return value.raw
    if attrs.has(type(value)):
        said = {field.name: getattr(value, field.name) for field in _said_fields(type(value))}
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


# --- values of users -----------------------------------------------------------------------
#
# Arguments that a model wrote, structured into types that users wrote. Here nothing is tolerated:
# who wrote a wrong value is told, and writes it again.


@attrs.frozen
class Field:
    """One of several values that belong together: of a class, or an argument of a function.

    ``default`` holds what it is otherwise, unless that is made anew each time.
    """

    name: str
    type: Any
    required: bool = True
    default: tuple[()] | tuple[object] = ()


def fields_of(kind: Any) -> tuple[Field, ...] | None:  # noqa: ANN401 -- a type form
    """What a class is made of that says it, ``None`` for everything else.

    That is a dataclass, an attrs class, a ``TypedDict`` or a ``NamedTuple``.
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
    return () if none or isinstance(default, _FACTORY) else (default,)


_FACTORY: type = type(attrs.Factory(dict[str, str]))

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
    if kind in {datetime, time}:  # whether there is a zone is not said
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

    What has a default may be missing, or null where its type takes none: then it is left out.
    Raises ``DecodeError`` that names the place: nothing is made to fit that does not.
    """
    return _fitted(lambda: _fit_fields(value, tuple(fields), ""), value, name)


def fit_value(value: object, kind: Any, name: str) -> Any:  # noqa: ANN401 -- the type decides
    """Structure a JSON value into a type, strictly, as ``fit`` does the fields of an object."""
    return _fitted(lambda: _placed(value, kind, ""), value, name)


def _fitted(fit: Callable[[], _T], value: object, name: str) -> _T:
    try:
        return fit()
    except _MisplacedError as misfit:
        wrong = DecodeError(name, f"${misfit.path}", misfit.value, misfit.expected)
    except RecursionError:
        wrong = DecodeError(name, "$", value, "JSON that is not nested so deep")
    raise wrong


class _MisplacedError(_MisfitError):
    """A value that does not fit, and where it stood."""

    path = ""


def _placed(value: object, kind: Any, place: str) -> Any:  # noqa: ANN401 -- the type decides
    try:
        return _strict.structure(value, kind)
    except _MisplacedError as misfit:
        misfit.path = place + misfit.path
        raise


def _fit_fields(value: object, fields: tuple[Field, ...], what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _MisplacedError(value, f"an object{what}")
    said = cast("dict[str, Any]", value)
    known = {field.name: field for field in fields}
    for name in said:
        if name not in known:
            raise _MisplacedError(said, f"no {name!r}; it takes {', '.join(known) or 'nothing'}")
    fitted: dict[str, Any] = {}
    for name, field in known.items():
        if name not in said and field.required:
            raise _MisplacedError(said, f"a field {name!r}")
        if name not in said or (
            said[name] is None and not field.required and not takes_null(field.type)
        ):
            continue
        fitted[name] = _placed(said[name], field.type, f".{name}")
    return fitted


def _fit_class(kind: type, _: Converter) -> _Hook:
    fields = fields_of(kind) or ()

    def structure(value: object, _: object) -> object:
        fitted = _fit_fields(value, fields, f" ({kind.__name__})")
        try:
            return kind(**fitted)
        except (TypeError, ValueError) as error:  # a validator's
            raise _MisplacedError(value, f"another {kind.__name__} ({error})") from error

    return structure


def _fit_validated(kind: Any, _: Converter) -> _Hook:  # noqa: ANN401 -- a class
    """Have a class of pydantic's validate what is its own."""

    def structure(value: object, _: object) -> object:
        try:
            return kind.model_validate_json(to_json(value))
        except ValueError as error:  # errors of pydantic are such
            misfit = _MisplacedError(value, f"another {kind.__name__} ({error})")
            if hasattr(error, "errors"):
                first = cast("Any", error).errors()[0]
                expected = str(first["msg"]).removeprefix("Input should be ")
                misfit = _MisplacedError(first["input"], expected)
                misfit.path = "".join(
                    f"[{place}]" if isinstance(place, int) else f".{place}"
                    for place in first["loc"]
                )
            raise misfit from None

    return structure


def _fit_list(kind: Any, _: Converter) -> _Hook:  # noqa: ANN401 -- a type form
    types = list_of(kind) or ()
    make = _LISTS[get_origin(kind) or kind]
    any_length = types[1:] == (...,)

    def structure(value: object, _: object) -> object:
        if not isinstance(value, list):
            raise _MisplacedError(value, "a list")
        items = cast("list[object]", value)
        if not any_length and len(items) != len(types):
            raise _MisplacedError(items, f"a list of {len(types)}")
        each = repeat(next(iter(types), Any)) if any_length else types
        pairs = enumerate(zip(items, each, strict=False))
        return make([_placed(item, item_type, f"[{place}]") for place, (item, item_type) in pairs])

    return structure


def _fit_mapping(kind: Any, _: Converter) -> _Hook:  # noqa: ANN401 -- a type form
    key_type, item_type = mapping_of(kind) or (str, Any)

    def structure(value: object, _: object) -> object:
        if not isinstance(value, dict):
            raise _MisplacedError(value, "an object")
        said = cast("dict[str, object]", value)
        return {key_of(key): _placed(item, item_type, f".{key}") for key, item in said.items()}

    def key_of(key: str) -> object:
        try:
            return msgspec.convert(key, key_type, strict=False)  # JSON has only keys of text
        except msgspec.ValidationError:
            expected = _EXPECTED.get(key_type, str(key_type))
            raise _MisplacedError(key, f"keys that are {expected}") from None

    return structure


def _fit_union(kind: Any, _: Converter) -> _Hook:  # noqa: ANN401 -- a type form
    members = sorted(get_args(kind), key=_takes_any_text)  # what text could be, before text

    def structure(value: object, _: object) -> object:
        misfits: list[_MisplacedError] = []
        for member in members:
            try:
                return _strict.structure(value, member)
            except _MisplacedError as misfit:
                misfits.append(misfit)
        deepest = max(misfits, key=_depth)
        if deepest.path:
            raise deepest
        expected = dict.fromkeys(misfit.expected for misfit in misfits)
        raise _MisplacedError(value, " or ".join(expected))

    return structure


def _takes_any_text(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return kind in {str, Any}


def _depth(misfit: _MisplacedError) -> int:
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
        raise _MisplacedError(value, _EXPECTED[kind]) from None


def _fit_choice(kind: Any, _: Converter) -> _Hook:  # noqa: ANN401 -- a type form
    choices = choices_of(kind) or {}

    def structure(value: object, _: object) -> object:
        for said, choice in choices.items():
            if said == (type(value), value):
                return choice
        raise _MisplacedError(value, " or ".join(repr(said) for _, said in choices))

    return structure


def choices_of(kind: Any) -> dict[tuple[type, Any], Any] | None:  # noqa: ANN401 -- a type form
    """The values of an ``Enum`` or a ``Literal``, by how JSON says them; ``None`` for all else."""
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
    """What a model is told of a value: text as it is, everything else as JSON.

    Plain values, dates, enums, lists, sets and mappings can be told; dataclasses, attrs classes,
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
    """What JSON says of a value, as ``to_text`` tells it. Raises ``TypeError`` for what cannot."""
    return msgspec.to_builtins(_tellable(value), enc_hook=_tellable)


_LEAVES = (
    type(None), str, int, float, Decimal, bytes, bytearray, memoryview,
    datetime, date, time, timedelta, UUID, Enum, msgspec.Struct,
)  # fmt: skip


def _tellable(value: object) -> object:
    """A value as plain data, but for what the JSON library knows by itself."""
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
    """The name of a value in an object of JSON."""
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
    """What is an object of JSON: a mapping, what has fields, a row; ``None`` for all else."""
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


# --- events --------------------------------------------------------------------------------


def _event_types() -> dict[str, tuple[Callable[[Any], Event], type]]:
    """From the name on the wire to the event's class and the class of its data."""
    types: dict[str, tuple[Callable[[Any], Event], type]] = {}
    for cls in get_args(KnownEvent):
        hints = get_type_hints(cls)
        types[attrs.fields(cls).event.default] = (cls, hints["data"])
    return types


_EVENT_TYPES = _event_types()


def decode_event(sent: ServerSentEvent) -> Event:
    """Make a typed event of a Server-Sent Event.

    Names that nobody knows give an ``UnknownEvent``, with text where its data is no JSON. The
    data-only framing, whose name is inside the data (``{"event": …, "data": …}``), is understood.
    Raises ``DecodeError``.
    """
    if sent.data == _DONE or sent.event == "done":
        return DoneEvent(sent.data or _DONE)
    return event_of(*_named(sent))


def event_of(name: str, data: Any) -> Event:  # noqa: ANN401 -- JSON is anything
    """Make a typed event of its name and its JSON. Raises ``DecodeError``."""
    if name == "done":
        return DoneEvent(data if isinstance(data, str) else _DONE)
    if name == "error":
        said = {**_besides(data), **api_error_fields(data)}
        return ErrorEvent(structure(redacted_error(said), ErrorObject, name))
    known = _EVENT_TYPES.get(name)
    if known is None:
        return UnknownEvent(name, data)
    event, data_type = known
    if data is None:
        raise DecodeError(name, "$", data, f"an object ({data_type.__name__})")
    return event(structure(data, data_type, name))


def _besides(error: object) -> dict[str, Any]:
    """What an error says in both of its shapes, bare and wrapped in ``error``."""
    said = cast("dict[str, Any]", error) if isinstance(error, dict) else {}
    wrapped = said.get("error")
    inner = cast("dict[str, Any]", wrapped) if isinstance(wrapped, dict) else {}
    return {key: value for key, value in {**said, **inner}.items() if key != "error"}


def _named(sent: ServerSentEvent) -> tuple[str, Any]:
    """The name of an event and its data, whatever the framing."""
    try:
        data = from_json(sent.data, sent.event)
    except DecodeError:
        if sent.event in _EVENT_TYPES.keys() - {"error"} or sent.event == "message":
            raise
        return sent.event, sent.data  # it may hold anything: a ping's text, an error's
    framed = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    if sent.event == "message":
        if isinstance(framed.get("event"), str):
            return framed["event"], framed.get("data")
        if framed.get("error"):
            return "error", framed
    return sent.event, cast("Any", data)


def encode_event(event: Event) -> ServerSentEvent:
    """Make a Server-Sent Event of a typed event, as the service writes it."""
    if isinstance(event, DoneEvent):
        return ServerSentEvent(event.event, event.data)
    data = event.data if isinstance(event, UnknownEvent) else unstructure(event.data)
    return ServerSentEvent(event.name, to_json(data).decode())


# --- the usual deltas ----------------------------------------------------------------------
#
# Nearly all events of a run are deltas of text, of arguments or of code. Those which hold nothing
# else are read here, in a fraction of the time, and the models are made only when somebody looks at
# them: what is read has their attributes, and is nothing that the garbage collector looks at.
# Whatever is unusual in one, such as an unknown field or a number as text, is an error here, and
# then the models above decide.


class _Usual(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    extra: ClassVar[Mapping[str, Any]] = MappingProxyType({})


_text_delta = maker(deltas.TextDelta)
_text_block = maker(deltas.TextDeltaBlock)
_message_delta = maker(deltas.MessageDelta)
_message_delta_event = maker(deltas.MessageDeltaEvent)


class _Text(_Usual):
    value: str | None = None
    annotations: tuple[()] = ()


class _TextBlock(_Usual, tag_field="type", tag="text"):
    type: ClassVar = "text"
    text: _Text
    index: int = 0

    def made(self) -> deltas.TextDeltaBlock:
        return _text_block(self.index, _text_delta(self.text.value))


class _Content(_Usual):
    content: tuple[_TextBlock, ...]
    role: str | None = None


class _MessageDelta(_Usual):
    id: str
    delta: _Content
    object: Literal["thread.message.delta"] = "thread.message.delta"

    def made(self) -> deltas.MessageDeltaEvent:
        content = tuple([block.made() for block in self.delta.content])
        return _message_delta_event(self.id, _message_delta(self.delta.role, content))


_function_delta = maker(deltas.FunctionDelta)
_function_call = maker(deltas.FunctionToolCallDelta)
_logs_delta = maker(deltas.CodeInterpreterLogsDelta)
_code_delta = maker(deltas.CodeInterpreterDelta)
_code_call = maker(deltas.CodeInterpreterToolCallDelta)
_calls_delta = maker(deltas.ToolCallDeltaObject)
_step_delta = maker(deltas.RunStepDelta)
_step_delta_event = maker(deltas.RunStepDeltaEvent)


class _Function(_Usual):
    name: str | None = None
    arguments: str | None = None
    output: str | None = None


class _FunctionCall(_Usual, tag_field="type", tag="function"):
    type: ClassVar = "function"
    function: _Function
    index: int = 0
    id: str | None = None

    def made(self) -> deltas.FunctionToolCallDelta:
        said = self.function
        function = _function_delta(said.name, said.arguments, said.output)
        return _function_call(self.index, self.id, function)


class _Logs(_Usual, tag_field="type", tag="logs"):
    type: ClassVar = "logs"
    index: int = 0
    logs: str | None = None


class _Code(_Usual):
    input: str | None = None
    outputs: tuple[_Logs, ...] = ()


class _CodeCall(_Usual, tag_field="type", tag="code_interpreter"):
    type: ClassVar = "code_interpreter"
    code_interpreter: _Code
    index: int = 0
    id: str | None = None

    def made(self) -> deltas.CodeInterpreterToolCallDelta:
        said = self.code_interpreter
        logs = tuple([_logs_delta(output.index, output.logs) for output in said.outputs])
        return _code_call(self.index, self.id, _code_delta(said.input, logs))


class _Calls(_Usual, tag_field="type", tag="tool_calls"):
    type: ClassVar = "tool_calls"
    tool_calls: tuple[_FunctionCall | _CodeCall, ...]


class _Details(_Usual):
    step_details: _Calls


class _StepDelta(_Usual):
    id: str
    delta: _Details
    object: Literal["thread.run.step.delta"] = "thread.run.step.delta"

    def made(self) -> deltas.RunStepDeltaEvent:
        calls = tuple([call.made() for call in self.delta.step_details.tool_calls])
        return _step_delta_event(self.id, _step_delta(_calls_delta(calls)))


_read_message_delta = msgspec.json.Decoder(_MessageDelta).decode
_read_step_delta = msgspec.json.Decoder(_StepDelta).decode
_late_message_delta = late(ThreadMessageDelta)
_late_step_delta = late(ThreadRunStepDelta)

_USUAL: dict[bytes, Callable[[bytes], Event]] = {
    b"thread.message.delta": lambda data: _late_message_delta(_read_message_delta(data)),
    b"thread.run.step.delta": lambda data: _late_step_delta(_read_step_delta(data)),
}


_WHOLE = {
    name.encode(): types for name, types in _EVENT_TYPES.items() if name not in {"error", "done"}
}

_hook_of = cache(_fast.get_structure_hook)


class EventDecoder:
    """Bytes of a body in, typed events out, whatever the chunks are.

    What is equal in one whole object and the next of its kind is the same object in both: those of
    a run tell of it again and again. Raises what ``SSEDecoder`` and ``decode_event`` raise, at the
    event that is wrong.
    """

    __slots__ = ("_last", "_said", "_sse")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._sse = SSEDecoder(max_event_bytes)
        self._last: dict[type, object] = {}  # the whole object of each kind that came last
        self._said: tuple[type, bytes] | None = None  # what the last one of all was made of

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Decode a chunk and give the events that it completes. Exhaust it before the next."""
        only = self._sse.only_event(chunk)
        event = None if only is None else self._known(*only)
        return self._feed(chunk) if event is None else iter((event,))

    def _feed(self, chunk: bytes) -> Iterator[Event]:
        for name, data in self._sse.feed_raw(chunk):
            yield self._known(name, data) or decode_event(self._sse.decoded(name, data))

    def _known(self, name: bytes, data: bytes) -> Event | None:
        """An event as nearly all are; ``None`` of others, and of those that are wrong."""
        usual = _USUAL.get(name)
        if usual is not None:
            try:
                return usual(data)
            except (ValueError, RecursionError):  # errors of msgspec are ValueErrors
                pass
        whole = _WHOLE.get(name)
        if whole is None:
            return None
        try:
            return self._whole(*whole, data)
        except Exception:  # noqa: BLE001 -- whatever it is, ``decode_event`` tells it precisely
            return None

    def _whole(self, event: Callable[[Any], Event], data_type: type, data: bytes) -> Event | None:
        said, self._said = self._said, None
        if said == (data_type, data):  # what was created is queued, or in progress
            return event(self._last[data_type])
        value = msgspec.json.decode(data)
        if value is None or _is_too_deep(data, value):
            return None
        whole = _hook_of(data_type)(value, self._last.get(data_type))
        self._last[data_type], self._said = whole, (data_type, data)
        return event(whole)

    def flush(self) -> Iterator[Event]:
        """Yield the event that is pending at the end of the body, if its data is whole.

        Raises ``StreamTruncated`` if the body was cut in the middle of an event.
        """
        pending = self._sse.flush()
        if pending is None:
            return
        if pending.data != _DONE:
            try:
                from_json(pending.data, pending.event)
            except DecodeError:
                msg = f"the body ended in the middle of an event ({excerpt(pending.event)})"
                raise StreamTruncated(msg) from None
        yield decode_event(pending)


__all__ = [
    "EventDecoder",
    "Field",
    "choices_of",
    "decode_event",
    "encode_event",
    "event_of",
    "explains_itself",
    "fields_of",
    "fit",
    "fit_value",
    "from_json",
    "list_of",
    "mapping_of",
    "members_of",
    "plain_schema",
    "structure",
    "takes_null",
    "to_json",
    "to_plain",
    "to_request",
    "to_text",
    "unstructure",
]
