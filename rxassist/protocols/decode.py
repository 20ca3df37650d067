"""From bytes to events."""

from __future__ import annotations

from collections.abc import Iterator

from rxassist.errors import excerpt
from rxassist.protocols.assistants.codec import EventDecoder
from rxassist.protocols.assistants.events import Event
from rxassist.reactive.kernel import Finish, Step, choose_each
from rxassist.reactive.typing import Operator
from rxassist.wire.sse import MAX_EVENT_BYTES


def decode(*, max_event_bytes: int = MAX_EVENT_BYTES) -> Operator[bytes, Event]:
    """Decode the chunks of an event stream's body into typed events.

    The chunks may be cut anywhere. Completes with its source; an event that is pending then is
    emitted if its data is whole. Sends to ``on_error``: ``StreamTruncated`` if the body was cut in
    the middle of an event, ``DecodeError`` for data that cannot be what its name says,
    ``EventTooLargeError`` for an event larger than ``max_event_bytes``. Source: WHATWG HTML,
    section 9.2.6, and the API reference, Assistants, streaming events.

    Where ``1`` and ``2`` are two halves of the bytes of an event ``q``, and ``3`` is the whole of
    the events ``p`` and ``d``::

        source  -1-2-3---|
        result  ---q-(pd)|
    """
    EventDecoder(max_event_bytes)  # refuses a bound that is none, before anything is subscribed

    def begin() -> tuple[Step[bytes, Event], Finish[Event]]:
        decoder = EventDecoder(max_event_bytes)

        def step(chunk: bytes) -> Iterator[Event]:
            if not isinstance(chunk, bytes | bytearray):
                msg = f"decode takes bytes, the chunks of a body, got {excerpt(chunk)}"
                raise TypeError(msg)
            return decoder.feed(chunk)

        return step, decoder.flush

    return choose_each(begin)
