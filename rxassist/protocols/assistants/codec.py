"""JSON ⇄ models and events: the only module that knows cattrs and the JSON library.

Tolerant where servers differ, strict where they are wrong: unknown fields are kept as ``extra``, a
missing or null list is empty and a null in a list is left out, a null stays ``None``, an unknown
``type`` keeps the raw object; but a list where an object belongs is a ``DecodeError`` that names
the place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, cast, get_args, get_type_hints

import attrs
import msgspec

from rxassist.errors import DecodeError, StreamTruncated, api_error_fields, excerpt, redacted_error
from rxassist.protocols.assistants.events import (
    DoneEvent,
    ErrorEvent,
    Event,
    KnownEvent,
    ThreadMessageDelta,
    ThreadRunStepDelta,
    UnknownEvent,
    late,
)
from rxassist.protocols.assistants.models import deltas
from rxassist.wire.json import _is_too_deep, from_json, to_json
from rxassist.wire.maker import maker
from rxassist.wire.sse import MAX_EVENT_BYTES, ServerSentEvent, SSEDecoder
from rxassist.wire.structure import structure, structure_hook, unstructure
from rxassist.wire.values import ErrorObject

_DONE = "[DONE]"


# --- JSON ----------------------------------------------------------------------------------


# --- models --------------------------------------------------------------------------------


# --- values of users -----------------------------------------------------------------------
#
# Arguments that a model wrote, structured into types that users wrote. Here nothing is tolerated:
# who wrote a wrong value is told, and writes it again.


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
        whole = structure_hook(data_type)(value, self._last.get(data_type))
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


__all__ = ["EventDecoder", "decode_event", "encode_event", "event_of"]
