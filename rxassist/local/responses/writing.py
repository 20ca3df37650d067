"""Events as bytes, with the padding that hides the lengths of deltas."""

from __future__ import annotations

from string import ascii_letters
from typing import Any

from attrs import evolve

from rxassist.protocols.responses.codec import encode_event
from rxassist.protocols.responses.events import ErrorEvent, Event
from rxassist.wire.sse import encode
from rxassist.wire.values import ErrorObject

_PADDED_TO = 16
_LETTERS = ascii_letters * 2


class EventWriter:
    """Writes the events of one stream; ``obfuscated``: each delta gets letters that say nothing.

    The letters depend on the number of the event alone: when it is sent again, it is the same.
    """

    def __init__(self, *, obfuscated: bool) -> None:
        self._obfuscated = obfuscated

    def write(self, event: Event) -> bytes:
        """The bytes of the stream's next event."""
        if self._obfuscated and event.is_delta:
            event = _padded(event)
        return encode(encode_event(event))

    def write_error(self, message: str) -> bytes:
        """The bytes of an ``error`` event."""
        return self.write(ErrorEvent(data=ErrorObject(message, "server_error")))


def _padded(event: Event) -> Event:
    delta: Any = event
    start = (event.sequence_number or 0) % len(ascii_letters)
    length = _PADDED_TO - len(delta.delta) % _PADDED_TO
    padded: Event = evolve(delta, obfuscation=_LETTERS[start : start + length])
    return padded


__all__ = ["EventWriter"]
