"""Events as bytes and responses as plain data, as the real service sends them."""

from __future__ import annotations

from collections.abc import Mapping
from string import ascii_letters
from typing import Any

from attrs import evolve

from rxassist.protocols.responses.codec import encode_event
from rxassist.protocols.responses.events import (
    ErrorEvent,
    Event,
    OutputItemEvent,
    ResponseEvent,
)
from rxassist.wire.json import to_json
from rxassist.wire.sse import ServerSentEvent, encode
from rxassist.wire.structure import unstructure
from rxassist.wire.values import ErrorObject

_PADDED_TO = 16
_LETTERS = ascii_letters * 2


class EventWriter:
    """Writes the events of one stream.

    An ``obfuscated`` stream hides how long its deltas are: each has letters besides that mean
    nothing. They depend only on the number and the length of the delta, so that a delta is always
    written the same.
    """

    def __init__(self, *, obfuscated: bool) -> None:
        self._obfuscated = obfuscated

    def write(self, event: Event) -> bytes:
        """The bytes of the stream's next event."""
        if event.is_delta:
            return encode(encode_event(_padded(event) if self._obfuscated else event))
        if isinstance(event, OutputItemEvent):
            item = plain_item(unstructure(event.item))
            return _encoded(event, {"output_index": event.output_index, "item": item})
        if isinstance(event, ResponseEvent):
            return _encoded(event, {"response": plain_response(unstructure(event.response))})
        return encode(encode_event(event))

    def write_error(self, message: str) -> bytes:
        """The bytes of an ``error`` event."""
        return self.write(ErrorEvent(data=ErrorObject(message, "server_error")))


def plain_response(response: Mapping[str, Any]) -> dict[str, Any]:
    """A response as the service sends it."""
    return {**response, "output": [plain_item(item) for item in response["output"]]}


def plain_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as the service sends it, without nulls: some clients refuse a status that is null."""
    said = {name: value for name, value in item.items() if value is not None}
    if item["type"] == "reasoning" and not item.get("content"):
        said.pop("content", None)
    return said


def _encoded(event: Event, whole: Mapping[str, Any]) -> bytes:
    """The bytes of an event that carries a whole item or response."""
    said = {"type": event.name, "sequence_number": event.sequence_number, **whole}
    return encode(ServerSentEvent(event.name, to_json(said).decode()))


def _padded(event: Event) -> Event:
    delta: Any = event
    start = (event.sequence_number or 0) % len(ascii_letters)
    length = _PADDED_TO - len(delta.delta) % _PADDED_TO
    padded: Event = evolve(delta, obfuscation=_LETTERS[start : start + length])
    return padded


__all__ = ["EventWriter", "plain_item", "plain_response"]
