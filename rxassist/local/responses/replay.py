"""A service that replays the recorded stream of a response, also from its middle."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any
from urllib.parse import parse_qs

from rxassist.errors import DecodeError
from rxassist.local.server.faults import Asked, Fault, Faults, answer
from rxassist.local.server.plain import as_object
from rxassist.protocols.responses.codec import EventDecoder
from rxassist.wire.json import from_json, to_json
from rxassist.wire.sse import ServerSentEvent, SSEDecoder, encode

CREATED = "/v1/responses"
RESPONSE = re.compile(r"/v1/responses/[^/]+")

_TYPE = re.compile(rb'"type"\s*:\s*"response\.')


def is_of_a_response(stream: bytes) -> bool:
    """Whether a recorded stream is one of a response."""
    return _TYPE.search(stream) is not None


def replay(stream: bytes) -> Faults:
    """Reply like the service from which the stream of a response was recorded."""
    decoder = EventDecoder()
    for _ in chain(decoder.feed(stream), decoder.flush()):
        pass  # it raises at a recording that is cut
    sse = SSEDecoder()
    events = [*sse.feed(stream), *(each for each in (sse.flush(),) if each is not None)]
    whole = _streamed(stream)
    response = _last_response(events)

    def faults(asked: Asked) -> Fault | None:
        if asked.method == "POST":
            return whole if asked.path == CREATED else None
        if asked.method != "GET" or not RESPONSE.fullmatch(asked.path):
            return None
        query = parse_qs(asked.query)
        if query.get("stream") == ["true"]:
            return _streamed(_after(events, int(query.get("starting_after", ["-1"])[0]), stream))
        return None if response is None else answer(to_json(response), "application/json")

    return faults


def _streamed(stream: bytes) -> Fault:
    return answer(stream, "text/event-stream; charset=utf-8")


def _after(events: Sequence[ServerSentEvent], number: int, stream: bytes) -> bytes:
    """The events after a number; all events, if they have no numbers."""
    if number < 0:
        return stream
    numbers = [_plain(event).get("sequence_number") for event in events]
    for index, each in enumerate(numbers):
        if isinstance(each, int) and each > number:
            return b"".join(map(encode, events[index:]))
    return b"" if any(isinstance(each, int) for each in numbers) else stream


def _last_response(events: Sequence[ServerSentEvent]) -> Mapping[str, Any] | None:
    carried = (as_object(_plain(event).get("response")) for event in reversed(events))
    return next((response for response in carried if response is not None), None)


def _plain(event: ServerSentEvent) -> Mapping[str, Any]:
    try:
        return as_object(from_json(event.data)) or {}
    except DecodeError:  # the end of the stream, or a ping
        return {}


__all__ = ["CREATED", "RESPONSE", "is_of_a_response", "replay"]
