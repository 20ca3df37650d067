"""JSON ⇄ models and events: the only module that knows cattrs and the JSON library.

Tolerant where servers differ, strict where they are wrong: unknown fields are ignored, a missing
or null list is empty, a null stays ``None``, an unknown ``type`` keeps the raw object; but a list
where an object belongs is a ``DecodeError`` that names the place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from math import isfinite
from types import UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs
import msgspec
from cattrs import (
    AttributeValidationNote,
    ClassValidationError,
    Converter,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn

from rxassist.errors import DecodeError, StreamTruncated, api_error_fields, excerpt
from rxassist.events import DoneEvent, ErrorEvent, Event, KnownEvent, UnknownEvent
from rxassist.models import ErrorObject, deltas
from rxassist.models._values import Unknown
from rxassist.sse import MAX_EVENT_BYTES, ServerSentEvent, SSEDecoder

_T = TypeVar("_T")
_Hook = Callable[[Any, Any], Any]

_DONE = "[DONE]"


# --- JSON ----------------------------------------------------------------------------------


def from_json(text: str | bytes, name: str = "body") -> Any:  # noqa: ANN401 -- JSON is anything
    """Parse JSON, leniently where that loses nothing.

    What the fast parser refuses is tried again with the standard library, which knows ``NaN``,
    lone surrogates and the like; closing brackets too many after a whole value are ignored (the
    service's own documentation has such events). Anything else is a ``DecodeError`` for ``name``.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _from_odd_json(text, name)


def _from_odd_json(text: str | bytes, name: str) -> Any:  # noqa: ANN401 -- JSON is anything
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    try:
        value, end = json.JSONDecoder().raw_decode(text.lstrip())
    except (ValueError, RecursionError) as error:
        raise DecodeError(name, "$", text, f"JSON ({error})") from None
    if text.lstrip()[end:].strip("}] \t\r\n"):
        raise DecodeError(name, "$", text, "JSON and nothing behind it")
    return value


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


def _text(value: object, _: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return str(value)
    raise _MisfitError(value, "text")


def _number(value: object, _: object) -> float | None:
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    raise _MisfitError(value, "a number")


def _boolean(value: object, _: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise _MisfitError(value, "true or false")


def _mapping(value: object, _: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    raise _MisfitError(value, "an object")


def _literal(value: object, _: object) -> object:
    return value


def _is_unknown(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return isinstance(kind, type) and issubclass(kind, Unknown)


def _unknown_hook(cls: type[Unknown], _: Converter) -> _Hook:
    def structure(value: object, _: object) -> Unknown:
        raw = _mapping(value, None)
        return cls(type=str(raw.get("type") or ""), raw=raw)

    return structure


def _class_hook(cls: type, converter: Converter) -> _Hook:
    inner = cast("_Hook", make_dict_structure_fn(cls, converter, _cattrs_use_linecache=False))
    required = [field.name for field in attrs.fields(cls) if field.default is attrs.NOTHING]

    def structure(value: object, target: object) -> Any:  # noqa: ANN401 -- the class decides
        if value is None:  # where it may be null, the union's hook saw to it
            value = {}
        if not isinstance(value, dict):
            raise _MisfitError(value, f"an object ({cls.__name__})")
        said = cast("dict[str, Any]", value)
        for name in required:
            if said.get(name) is None:
                raise _MisfitError(said, f"a field {name!r}")
        return inner(said, target)

    return structure


def _tuple_hook(kind: Any, converter: Converter) -> _Hook:  # noqa: ANN401 -- a type form
    item_type = get_args(kind)[0]
    item_hook = converter.get_structure_hook(item_type)

    def structure(value: object, _: object) -> tuple[Any, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            raise _MisfitError(value, "a list")
        items = cast("list[object]", value)
        if converter.detailed_validation:
            return tuple(explained(item, index) for index, item in enumerate(items))
        return tuple([one(item) for item in items])

    def one(item: object) -> object:
        if item is None:
            raise _MisfitError(item, "an item of a list")
        return item_hook(item, item_type)

    def explained(item: object, index: int) -> object:
        try:
            return one(item)
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

    def structure(value: object, _: object) -> Any:  # noqa: ANN401 -- the members decide
        if value is None or (takes_text and isinstance(value, str)):
            return value
        said = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        tag = said.get("type")
        if tag is None:  # a member's own field is named like its tag
            tag = next((known for known in by_tag if known in said), None)
        hook = by_tag.get(tag, fallback_hook) if isinstance(tag, str) else fallback_hook
        return hook(value, fallback)

    return structure


def _is_tuple(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return get_origin(kind) is tuple


def _is_mapping(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return get_origin(kind) is Mapping


def _is_literal(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return get_origin(kind) is Literal


def _is_delta(kind: Any) -> bool:  # noqa: ANN401 -- a type form
    return getattr(kind, "__module__", "") == deltas.__name__ and attrs.has(kind)


def _delta_unstructure_hook(cls: type, converter: Converter) -> Callable[[Any], dict[str, Any]]:
    """Deltas carry only what they add: what is ``None`` or empty is left out."""
    inner: Callable[[Any], dict[str, Any]] = make_dict_unstructure_fn(cls, converter)

    def unstructure(value: object) -> dict[str, Any]:
        return {key: item for key, item in inner(value).items() if item is not None and item != []}

    return unstructure


def _configured(*, detailed_validation: bool) -> Converter:
    converter = Converter(
        detailed_validation=detailed_validation, unstruct_collection_overrides={tuple: list}
    )
    converter.register_structure_hook_factory(attrs.has)(_class_hook)
    converter.register_structure_hook_factory(_is_unknown)(_unknown_hook)
    converter.register_structure_hook_factory(_is_tuple)(_tuple_hook)
    converter.register_structure_hook_factory(_is_union)(_union_hook)
    converter.register_structure_hook_func(_is_mapping, _mapping)
    converter.register_structure_hook_func(_is_literal, _literal)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(int, _number)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(bool, _boolean)
    converter.register_unstructure_hook_factory(_is_delta)(_delta_unstructure_hook)
    converter.register_unstructure_hook_func(_is_unknown, lambda unknown: unknown.raw)
    return converter


_fast = _configured(detailed_validation=False)


@lru_cache(maxsize=1)
def _explaining() -> Converter:
    """The same converter again, slower, whose errors say where they happened."""
    return _configured(detailed_validation=True)


def structure(value: object, target: type[_T], name: str | None = None) -> _T:
    """Make a model of parsed JSON.

    Raises ``DecodeError``, with the path to what does not fit; ``name`` is what the error calls
    the whole, by default the class.
    """
    try:
        return _fast.structure(value, target)
    except Exception:  # noqa: BLE001 -- whatever it was, the slow converter tells it precisely
        return _structure_or_explain(
            value, target, name or str(getattr(target, "__name__", "body"))
        )


def _structure_or_explain(value: object, target: type[_T], name: str) -> _T:
    try:
        return _explaining().structure(value, target)
    except RecursionError:
        raise DecodeError(name, "$", value, "JSON that is not nested so deep") from None
    except Exception as error:
        path, leaf = _leaf(error)
        if isinstance(leaf, _MisfitError):
            raise DecodeError(name, path, leaf.value, leaf.expected) from None
        raise DecodeError(name, path, value, f"something else ({leaf})") from error


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
        said = attrs.asdict(cast("Any", value), recurse=False)
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
    name, data = _named(sent)
    if name == "done":
        return DoneEvent(data if isinstance(data, str) else _DONE)
    if name == "error":
        return ErrorEvent(structure(api_error_fields(data), ErrorObject, name))
    known = _EVENT_TYPES.get(name)
    if known is None:
        return UnknownEvent(name, data)
    event, data_type = known
    if data is None:
        raise DecodeError(name, "$", data, f"an object ({data_type.__name__})")
    return event(structure(data, data_type, name))


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
    return ServerSentEvent(event.event, to_json(data).decode())


class EventDecoder:
    """Bytes of a body in, typed events out, whatever the chunks are.

    Raises what ``SSEDecoder`` and ``decode_event`` raise, at the event that is wrong.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._sse = SSEDecoder(max_event_bytes)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Decode a chunk and yield the events that it completes. Exhaust it before the next."""
        for sent in self._sse.feed(chunk):
            yield decode_event(sent)

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
                msg = f"the body ended in the middle of an event ({pending.event})"
                raise StreamTruncated(msg) from None
        yield decode_event(pending)


__all__ = [
    "EventDecoder",
    "decode_event",
    "encode_event",
    "from_json",
    "structure",
    "to_json",
    "to_request",
    "unstructure",
]
