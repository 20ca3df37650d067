"""From bytes to events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, overload

from reactivex import abc

from rxassist.errors import excerpt
from rxassist.protocols.assistants import codec as assistants
from rxassist.protocols.assistants.events import Event
from rxassist.protocols.responses import codec as responses
from rxassist.protocols.responses.events import Event as ResponseEvent
from rxassist.reactive.kernel import Stepping, linked
from rxassist.reactive.typing import Operator
from rxassist.wire.sse import MAX_EVENT_BYTES, Decoder

_DECODERS: Mapping[str, Callable[[int], Decoder[Any]]] = {
    "assistants": assistants.EventDecoder,
    "responses": responses.EventDecoder,
}


@overload
def decode(
    *, max_event_bytes: int = ..., protocol: Literal["assistants"] = ...
) -> Operator[bytes, Event]: ...
@overload
def decode(
    *, max_event_bytes: int = ..., protocol: Literal["responses"]
) -> Operator[bytes, ResponseEvent]: ...
def decode(
    *, max_event_bytes: int = MAX_EVENT_BYTES, protocol: str = "assistants"
) -> Operator[bytes, Any]:
    """Decode the chunks of an event stream's body into typed events.

    The chunks may be cut anywhere. Completes with its source; an event that is pending then is
    emitted if its data is whole. Sends to ``on_error``: ``StreamTruncated`` if the body was cut in
    the middle of an event, ``DecodeError`` for data that cannot be what its name says,
    ``EventTooLargeError`` for an event larger than ``max_event_bytes``. With
    ``protocol="responses"`` it decodes bodies of the Responses API, into the events of
    ``rxassist.protocols.responses.events``. Source: WHATWG HTML, section 9.2.6, and the API
    reference, streaming events of both.

    Where ``1`` and ``2`` are two halves of the bytes of an event ``q``, and ``3`` is the whole of
    the events ``p`` and ``d``::

        source  -1-2-3---|
        result  ---q-(pd)|
    """
    if protocol not in _DECODERS:
        msg = f"protocol must be one of {', '.join(_DECODERS)}, got {excerpt(protocol)}"
        raise ValueError(msg)
    decoder_of = _DECODERS[protocol]
    decoder_of(max_event_bytes)  # refuses a bound that is none, before anything is subscribed

    return linked(lambda observer, _: _Decoding(observer, decoder_of(max_event_bytes)))


def _as_bytes(chunk: object) -> bytes:
    """The bytes of a buffer: decoders look names up by theirs, and a buffer has no hash."""
    if not isinstance(chunk, bytearray):
        msg = f"decode takes bytes, the chunks of a body, got {excerpt(chunk)}"
        raise TypeError(msg)
    return bytes(chunk)


class _Decoding(Stepping[bytes, Any]):
    """One subscription: the decoder of one body."""

    __slots__ = ("_decoder",)

    def __init__(self, observer: abc.ObserverBase[Any], decoder: Decoder[Any]) -> None:
        super().__init__(observer, self._decoded, decoder.flush)
        self._decoder = decoder

    def _decoded(self, chunk: bytes) -> Iterable[Any]:
        if not isinstance(chunk, bytes):
            chunk = _as_bytes(chunk)
        return self._decoder.feed(chunk)

    def on_error(self, error: Exception) -> None:
        """Emit what waits for the next event, and fail."""
        if self._emit_rest(self._decoder.let_go):
            self.observer.on_error(error)
