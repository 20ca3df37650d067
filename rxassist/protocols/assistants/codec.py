"""Bytes ⇄ events of the Assistants protocol.

Most events are deltas that hold one piece and nothing else; they have a fast path, which knows
msgspec. All others are structured by ``wire/structure.py``, which is tolerant where servers differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Literal, TypeVar, cast, get_args, get_type_hints

import attrs
import msgspec

from rxassist.errors import DecodeError, api_error_fields, redacted_error
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
from rxassist.runs.events import Piece
from rxassist.wire.json import _is_too_deep, from_json, to_json
from rxassist.wire.maker import maker
from rxassist.wire.sse import DONE, MAX_EVENT_BYTES, ServerSentEvent, SSEDecoder
from rxassist.wire.structure import structure, structure_hook, unstructure
from rxassist.wire.values import ErrorObject

_PartT = TypeVar("_PartT")

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
    """Make a typed event from a Server-Sent Event.

    An unknown name gives an ``UnknownEvent``, whose data is text if it is no JSON. Also understands
    the data-only framing, with the name inside the data (``{"event": …, "data": …}``). Raises
    ``DecodeError``.
    """
    if sent.data == DONE or sent.event == "done":
        return DoneEvent(sent.data or DONE)
    return event_of(*_named(sent))


def event_of(name: str, data: Any) -> Event:  # noqa: ANN401 -- JSON is anything
    """Make a typed event from its name and its JSON. Raises ``DecodeError``."""
    if name == "done":
        return DoneEvent(data if isinstance(data, str) else DONE)
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
    """All fields of an error, in both of its shapes: bare and wrapped in ``error``."""
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
        return sent.event, sent.data  # the data may be any text, such as that of a ping or an error
    framed = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    if sent.event == "message":
        if isinstance(framed.get("event"), str):
            return framed["event"], framed.get("data")
        if framed.get("error"):
            return "error", framed
    return sent.event, cast("Any", data)


def encode_event(event: Event) -> ServerSentEvent:
    """Make a Server-Sent Event from a typed event, as the service writes it."""
    if isinstance(event, DoneEvent):
        return ServerSentEvent(event.event, event.data)
    read = event._read if isinstance(event, ThreadMessageDelta) else None
    if isinstance(read, _MessageDelta):
        data = read.plain()
    else:
        data = event.data if isinstance(event, UnknownEvent) else unstructure(event.data)
    return ServerSentEvent(event.name, to_json(data).decode())


# --- the usual deltas ----------------------------------------------------------------------
#
# Nearly all events of a run are deltas of text, of arguments or of code. Deltas that hold nothing
# else are parsed here, in a fraction of the time, and their models are made only when they are
# read: the parsed structs have the attributes of the models, and the garbage collector skips them.
# Anything unusual in one, such as an unknown field or a number as text, is an error here, and then
# the models above decide.


class _Usual(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    extra: ClassVar[Mapping[str, Any]] = MappingProxyType({})


class _Only(_Usual, Generic[_PartT], array_like=True):
    """An array of one part, as nearly all are: the collector would look at a tuple, and at a list.

    An array of another length is unusual.
    """

    part: _PartT

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[_PartT]:
        return iter((self.part,))

    def __getitem__(self, index: int) -> _PartT:
        return (self.part,)[index]


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
    content: _Only[_TextBlock]
    role: str | None = None


class _MessageDelta(_Usual):
    id: str
    delta: _Content
    object: Literal["thread.message.delta"] = "thread.message.delta"

    def piece(self) -> Piece:
        block = self.delta.content.part
        return self.id, block.index, block.text.value

    def plain(self) -> dict[str, Any]:
        """The same as JSON, as the models are written."""
        block, role = self.delta.content.part, self.delta.role
        text = {} if block.text.value is None else {"value": block.text.value}
        content = [{"index": block.index, "text": text, "type": "text"}]
        delta = {"content": content} if role is None else {"role": role, "content": content}
        return {"id": self.id, "delta": delta, "object": self.object}

    def made(self) -> deltas.MessageDeltaEvent:
        content = (self.delta.content.part.made(),)
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
    tool_calls: _Only[_FunctionCall | _CodeCall]


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

_USUAL: dict[bytes, tuple[Callable[[bytes], Any], Callable[[Any], Event]]] = {
    b"thread.message.delta": (_read_message_delta, _late_message_delta),
    b"thread.run.step.delta": (_read_step_delta, _late_step_delta),
    b"done": (bytes.decode, lambda text: DoneEvent(text or DONE)),
}
"""What reads the data of a usual event, and what makes the event of it."""


_WHOLE = {
    name.encode(): types for name, types in _EVENT_TYPES.items() if name not in {"error", "done"}
}


class EventDecoder:
    """Bytes of a body in, typed events out, whatever the chunks are.

    Consecutive objects of one kind share their equal parts: a run is sent again and again, mostly
    unchanged. Raises the errors of ``SSEDecoder`` and ``decode_event``, at the wrong event.
    """

    __slots__ = ("_last", "_said", "_sse")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._sse = SSEDecoder(max_event_bytes)
        self._last: dict[type, object] = {}  # the last whole object of each kind
        self._said: tuple[type, bytes] | None = None  # the kind and the JSON of the very last one

    def feed(self, chunk: bytes) -> Iterable[Event]:
        """Decode a chunk and give the events that it completes. Exhaust it before the next."""
        only = self._sse.only_event(chunk)
        if only is not None:
            name, data = only
            event = self._known(name, data)
            if event is not None:
                return (event,)
        return self._feed(chunk)

    def _feed(self, chunk: bytes) -> Iterator[Event]:
        for name, data in self._sse.feed_raw(chunk):
            yield self._known(name, data) or decode_event(self._sse.decoded(name, data))

    def _known(self, name: bytes, data: bytes) -> Event | None:
        """Decode on the fast path; ``None`` if the event is unusual or invalid."""
        usual = _USUAL.get(name)
        if usual is not None:
            read, make = usual
            try:
                return make(read(data))
            except (ValueError, RecursionError):  # errors of msgspec are ValueErrors
                pass
        whole = _WHOLE.get(name)
        if whole is None:
            return None
        try:
            return self._whole(*whole, data)
        except Exception:  # noqa: BLE001 -- ``decode_event`` raises the exact error
            return None

    def _whole(self, event: Callable[[Any], Event], data_type: type, data: bytes) -> Event | None:
        said, self._said = self._said, None
        if said == (data_type, data):  # "created", "queued" and "in progress" can have equal data
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
        pending = self._sse.flush_whole()
        if pending is not None:
            yield decode_event(pending)

    def let_go(self) -> Iterator[Event]:
        """Yield nothing: no event waits for the next one."""
        return iter(())


__all__ = ["EventDecoder", "decode_event", "encode_event", "event_of"]
