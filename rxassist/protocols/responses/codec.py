"""JSON ⇄ events of the Responses protocol.

Tolerant where servers differ: ``rxassist.wire.structure`` says how. The decoder of a body knows
more than one event does: which response it is of, and which place items have that were sent
without one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, cast, get_args, get_type_hints

import msgspec
from attrs import evolve, fields

from rxassist.errors import DecodeError, RxAssistError, api_error_fields, redacted_error
from rxassist.protocols.responses.events import (
    CallDelta,
    DoneEvent,
    ErrorEvent,
    Event,
    FailureAnnounced,
    ItemEvent,
    KeepAlive,
    KnownEvent,
    OutputItemAdded,
    OutputItemEvent,
    OutputTextDelta,
    ReasoningDelta,
    ResponseCreated,
    ResponseEvent,
    ResponseFailed,
    UnknownDelta,
    UnknownEvent,
)
from rxassist.protocols.responses.models import Response
from rxassist.runs.state import SETTLED
from rxassist.wire.json import from_json, to_json
from rxassist.wire.maker import maker
from rxassist.wire.sse import DONE, MAX_EVENT_BYTES, ServerSentEvent, SSEDecoder
from rxassist.wire.structure import structure, unstructure
from rxassist.wire.values import ErrorObject

_UNNAMED = "message"


def _types() -> dict[str, type[KnownEvent]]:
    """The class of each event, by its name on the wire."""
    classes: tuple[type[KnownEvent], ...] = get_args(KnownEvent)
    return {name: cls for cls in classes for name in get_args(get_type_hints(cls)["type"])}


_TYPES = _types()

# --- from the wire -------------------------------------------------------------------------


class EventDecoder:
    """Bytes of one body in, events out, whatever the chunks are.

    All events of a response have the id that its first event had: it is stamped on them, because
    most have none, and because some servers change it. A body that begins in the middle of a
    response has the id that is given. ``response.created`` begins another response.

    An ``error`` is held until the next event: if that is the response that failed, the error is a
    ``FailureAnnounced``, else an ``ErrorEvent``, also if no event comes. Raises
    ``EventTooLargeError`` and ``DecodeError`` at the event that is wrong.
    """

    __slots__ = ("_ended", "_held", "_id", "_indexes", "_is_stamped", "_last", "_next", "_sse")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES, response_id: str = "") -> None:
        self._sse = SSEDecoder(max_event_bytes)
        self._id = response_id
        self._is_stamped = bool(response_id)
        self._ended = False  # the response of this id ended, or waits
        self._held: ErrorEvent | None = None
        self._last: Response | None = None
        self._indexes: dict[str, int] = {}  # the places of items, by their ids
        self._next = 0  # the place of the next item

    def feed(self, chunk: bytes) -> Iterable[Event]:
        """Decode a chunk and give the events that it completes. Exhaust it before the next."""
        only = self._sse.only_event(chunk)
        if only is not None:
            name, data = only
            event = self._usual(name, data)
            if event is not None:
                return (event,)
        return self._feed(chunk)

    def _feed(self, chunk: bytes) -> Iterator[Event]:
        try:
            for name, data in self._sse.feed_raw(chunk):
                event = self._usual(name, data)
                if event is None:
                    yield from self.decode(self._sse.decoded(name, data))
                else:
                    yield event
        except RxAssistError:
            yield from self.let_go()
            raise

    def flush(self) -> Iterator[Event]:
        """Yield what is pending at the end of the body: an event, if its data is whole.

        Raises ``StreamTruncated`` if the body was cut in the middle of an event.
        """
        try:
            pending = self._sse.flush_whole()
            if pending is not None:
                yield from self.decode(pending)
        except RxAssistError:
            yield from self.let_go()
            raise
        yield from self.let_go()

    def let_go(self) -> Iterator[Event]:
        """Yield the error that is held, if the connection breaks before the next event."""
        held, self._held = self._held, None
        if held is not None:
            yield held

    def _usual(self, name: bytes, data: bytes) -> Event | None:
        """An event as nearly all are; ``None`` of others, and of those that are wrong."""
        if (name and name not in _USUAL) or self._held is not None:
            return None
        try:
            read = _read_usual(data)
        except (ValueError, RecursionError):  # errors of msgspec are ValueErrors
            return None
        self._is_stamped = True
        return read.event(self._id)

    def decode(self, sent: ServerSentEvent) -> Iterator[Event]:
        """Give the events that one Server-Sent Event completes: none while an error is held."""
        event = self._event(sent)
        held = self._held
        if held is not None and not isinstance(event, KeepAlive):
            self._held = None
            follows = isinstance(event, ResponseEvent) and _failed(event)
            yield _announced(held) if follows else held
        if isinstance(event, ErrorEvent):
            self._held = event
        else:
            yield event

    def _event(self, sent: ServerSentEvent) -> Event:
        if sent.data == DONE:
            return DoneEvent(None, self._id, sent.data)
        name, data = _named(sent)
        if name == "error":
            return self._error(data)
        if not isinstance(data, dict):
            if name in _TYPES:
                raise DecodeError(name, "$", data, "an object")
            return self._unknown(name, data)
        value = cast("dict[str, Any]", data)
        cls = _class_of(name, value)
        if cls is None:
            return self._unknown(name, value)
        for field in cls.needs:
            if not isinstance(value.get(field), dict):
                raise DecodeError(name, f"$.{field}", value.get(field), "an object")
        if issubclass(cls, ResponseEvent):
            return self._of_response(name, cls, value)
        if issubclass(cls, ItemEvent):
            self._is_stamped = True
            value["output_index"] = self._index(cls, value)
        return structure({**value, "type": name, "response_id": self._id}, cls, name)

    def _of_response(self, name: str, cls: type[ResponseEvent], value: dict[str, Any]) -> Event:
        response = structure(value.pop("response"), Response, name, self._last)
        self._last = response
        is_other = self._ended and response.id != self._id
        if not self._is_stamped or is_other or cls is ResponseCreated:
            self._id, self._is_stamped = response.id or "", True
            self._indexes, self._next = {}, 0
        event = structure({**value, "type": name, "response_id": self._id}, cls, name)
        event = evolve(event, response=response)
        self._ended = event.run_status() in SETTLED
        return cast("Event", event)

    def _error(self, data: object) -> ErrorEvent:
        sent = cast("dict[str, Any]", data if isinstance(data, dict) else {"error": data})
        wrapped: object = sent.get("error")
        own = {key: value for key, value in sent.items() if key not in {"error", "sequence_number"}}
        if own.get("type") == "error":
            del own["type"]
        body: dict[str, object] = {"error": wrapped or own}
        inner = cast("dict[str, Any]", wrapped) if isinstance(wrapped, dict) else {}
        told = {**own, **inner, **api_error_fields(body)}
        error = structure(redacted_error(told), ErrorObject, "error")
        return ErrorEvent(_number_of(sent), self._id, error)

    def _unknown(self, name: str, data: object) -> UnknownEvent:
        cls = UnknownDelta if name.endswith(".delta") else UnknownEvent
        return cls(_number_of(data), self._id, name, data)

    def _index(self, cls: type[object], value: Mapping[str, Any]) -> int:
        """The place of an item, which some servers do not send: then its id has it."""
        is_whole = issubclass(cls, OutputItemEvent)
        item_id = str((value["item"].get("id") if is_whole else value.get("item_id")) or "")
        index = value.get("output_index")
        if index is None and cls is OutputItemAdded:
            index = self._next
        elif index is None:
            index = self._indexes.get(item_id, max(self._next - 1, 0))
        if cls is OutputItemAdded and isinstance(index, int):
            self._indexes[item_id] = index
            self._next = max(self._next, index + 1)
        return cast("int", index)


def _named(sent: ServerSentEvent) -> tuple[str, Any]:
    """The name of an event and its data. The type in the data wins: not all servers send names."""
    try:
        data = from_json(sent.data, sent.event)
    except DecodeError:
        if sent.event in _TYPES or sent.event == _UNNAMED:
            raise
        return sent.event, sent.data  # such as the text of a ping, or of an error
    if not isinstance(data, dict):
        return sent.event, data
    value = cast("dict[str, Any]", data)
    named = value.get("type")
    if sent.event == "error" and named not in _TYPES:  # the type may be that of the error
        return "error", value
    if isinstance(named, str):
        return named, value
    if sent.event == _UNNAMED and value.get("error"):
        return "error", value
    return sent.event, value


def _class_of(name: str, value: Mapping[str, Any]) -> type[KnownEvent | ResponseEvent] | None:
    """The class of an event: also that of one with a new name, if it carries a response."""
    known = _TYPES.get(name)
    if known is not None:
        return known
    response: object = value.get("response")
    is_run = isinstance(response, dict) and "id" in response and name.startswith("response.")
    return ResponseEvent if is_run else None


def _failed(event: ResponseEvent) -> bool:
    return isinstance(event, ResponseFailed) or event.run_status() == "failed"


def _announced(error: ErrorEvent) -> FailureAnnounced:
    return FailureAnnounced(error.sequence_number, error.response_id, error.data)


def _number_of(data: object) -> int | None:
    number: object = None
    if isinstance(data, dict):
        number = cast("dict[str, object]", data).get("sequence_number")
    return number if isinstance(number, int) else None


# --- to the wire ---------------------------------------------------------------------------


def data_of(event: Event) -> Any:  # noqa: ANN401 -- JSON is anything
    """The data of an event as plain JSON, as the service writes it."""
    if isinstance(event, DoneEvent | UnknownEvent):
        return event.data
    said: dict[str, Any]
    if isinstance(event, OutputTextDelta):
        said = {**event.extra, **{name: getattr(event, name) for name in _OF_TEXT_DELTA}}
        said["logprobs"] = list(event.logprobs)
    elif isinstance(event, ErrorEvent):
        said = {"sequence_number": event.sequence_number, "error": unstructure(event.data)}
    else:
        said = unstructure(event)
        del said["response_id"]
    written = {key: value for key, value in said.items() if value is not None}
    return {"type": event.type, **written}


_OF_TEXT_DELTA = tuple(
    each.name
    for each in fields(OutputTextDelta)
    if each.name not in {"response_id", "type", "_extra"}
)


def encode_event(event: Event) -> ServerSentEvent:
    """Make a Server-Sent Event of an event, as the service writes it."""
    if isinstance(event, DoneEvent):
        return ServerSentEvent(data=event.data)
    return ServerSentEvent(event.name, to_json(data_of(event)).decode())


# --- the usual deltas ----------------------------------------------------------------------
#
# Nearly all events are deltas of text, of thoughts or of calls. They are read here in a fraction of
# the time. Whatever is unusual in one, such as an unknown field or a number as text, is an error
# here, and then the models above decide.

_text_delta = maker(OutputTextDelta)
_reasoning_delta = maker(ReasoningDelta)
_call_delta = maker(CallDelta)


class _Usual(msgspec.Struct, forbid_unknown_fields=True, gc=False, tag_field="type"):
    item_id: str
    output_index: int
    delta: str


class _Text(_Usual, tag="response.output_text.delta"):
    content_index: int
    sequence_number: int | None = None
    logprobs: tuple[dict[str, Any], ...] = ()
    obfuscation: str | None = None

    def event(self, response_id: str) -> OutputTextDelta:
        return _text_delta(
            self.sequence_number,
            response_id,
            self.output_index,
            self.item_id,
            self.content_index,
            self.delta,
            self.logprobs,
            self.obfuscation,
        )


class _Thought(_Usual, tag="response.reasoning_text.delta"):
    content_index: int
    sequence_number: int | None = None
    obfuscation: str | None = None

    def event(self, response_id: str) -> ReasoningDelta:
        return _reasoning_delta(
            self.sequence_number,
            response_id,
            self.output_index,
            self.item_id,
            self.content_index,
            None,
            self.delta,
            self.obfuscation,
        )


class _Summary(_Usual, tag="response.reasoning_summary_text.delta"):
    summary_index: int
    sequence_number: int | None = None
    obfuscation: str | None = None

    def event(self, response_id: str) -> ReasoningDelta:
        return _reasoning_delta(
            self.sequence_number,
            response_id,
            self.output_index,
            self.item_id,
            None,
            self.summary_index,
            self.delta,
            self.obfuscation,
            "response.reasoning_summary_text.delta",
        )


_Call = Literal[
    "response.function_call_arguments.delta",
    "response.custom_tool_call_input.delta",
    "response.mcp_call_arguments.delta",
    "response.code_interpreter_call_code.delta",
]


class _OfCall(_Usual):
    sequence_number: int | None = None
    obfuscation: str | None = None

    def event(self, response_id: str) -> CallDelta:
        return _call_delta(
            self.sequence_number,
            response_id,
            self.output_index,
            self.item_id,
            self.delta,
            self.obfuscation,
            cast("_Call", self.__struct_config__.tag),
        )


class _Arguments(_OfCall, tag="response.function_call_arguments.delta"):
    pass


class _Input(_OfCall, tag="response.custom_tool_call_input.delta"):
    pass


class _MCPArguments(_OfCall, tag="response.mcp_call_arguments.delta"):
    pass


class _Code(_OfCall, tag="response.code_interpreter_call_code.delta"):
    pass


_AnyUsual = _Text | _Thought | _Summary | _Arguments | _Input | _MCPArguments | _Code

_read_usual = msgspec.json.Decoder(_AnyUsual).decode
_USUAL = frozenset(str(cls.__struct_config__.tag).encode() for cls in get_args(_AnyUsual))

__all__ = ["EventDecoder", "data_of", "encode_event"]
