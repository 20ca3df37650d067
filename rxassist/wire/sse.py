"""Server-Sent Events: bytes ⇄ events, incremental and bounded, without I/O.

Follows WHATWG HTML, "Interpreting an event stream" (section 9.2.6), with two additions: the size
of an event is bounded, and ``flush`` returns the event that is pending at the end of a body.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from attrs import frozen

from rxassist.errors import DecodeError, EventTooLargeError, StreamTruncated, excerpt
from rxassist.reactive.checks import check_positive
from rxassist.wire.json import from_json

_Event_co = TypeVar("_Event_co", covariant=True)

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""The default bound on the size of one event."""

DONE = "[DONE]"
"""The data of the last event of a stream: text, and no JSON."""

_BOM = b"\xef\xbb\xbf"
_NAME = b"event: "  # how the lines of nearly all events begin
_DATA = b"data: "
_NAME_SIZE, _DATA_SIZE = len(_NAME), len(_DATA)
_LF, _CR = b"\n\r"  # numbers: looking for one in bytes takes a tenth of looking for b"\n"
_RETRY_DIGITS = 18  # more milliseconds than any client waits, and cheap to parse


@frozen
class ServerSentEvent:
    """One dispatched event.

    ``event`` is its type, ``"message"`` if the stream names none. ``data`` is the text of its
    ``data`` lines, joined by newlines. ``id`` is the last event id of the stream so far. ``retry``
    is the reconnection time in milliseconds, if it was set since the event before.
    """

    event: str = "message"
    data: str = ""
    id: str = ""
    retry: int | None = None


class Decoder(Protocol[_Event_co]):
    """Makes events from the bytes of one body."""

    def feed(self, chunk: bytes) -> Iterable[_Event_co]:
        """Give the events that a chunk completes. Exhaust it before the next chunk."""
        ...

    def flush(self) -> Iterable[_Event_co]:
        """Give the event that is pending at the end of the body."""
        ...

    def let_go(self) -> Iterable[_Event_co]:
        """Give the events that wait for the next one, when the connection broke before it."""
        ...


class SSEDecoder:
    """Bytes in, events out, whatever the chunks are.

    Any chunking of the same bytes gives the same events and, after the same byte, the same error.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        check_positive("max_event_bytes", max_event_bytes, whole=True)
        self._limit = max_event_bytes
        self._start: bytes | None = b""  # the first bytes, until it is known if they are a BOM
        self._after_cr = False  # the last byte was a CR: a LF that follows belongs to it
        self._line = bytearray()  # the beginning of an unfinished line
        self._event = b""
        self._data: list[bytes] = []
        self._data_size = 0
        self._id = ""
        self._retry: int | None = None

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Decode a chunk and yield the events that it completes.

        A generator: nothing is decoded before it is iterated, and it must be exhausted before
        the next chunk is fed. Raises ``EventTooLargeError`` if an event exceeds the bound, after
        it has yielded the events before that one.
        """
        for name, data in self.feed_raw(chunk):
            yield self.decoded(name, data)

    def feed_raw(self, chunk: bytes) -> Iterator[tuple[bytes, bytes]]:
        """As ``feed``, but yield the name and the data of each event as raw bytes."""
        if self._start is not None or self._after_cr or _CR in chunk:
            chunk = self._normalized(chunk)
        *blocks, rest = chunk.split(b"\n\n")
        begun = bool(self._line or self._event or self._data)
        for block in blocks:
            if block[:7] == _NAME and not begun:
                name, _, line = block.partition(b"\n")
                if line[:6] == _DATA and _LF not in line and len(block) <= self._limit:
                    yield name[7:], line[6:]  # nearly all events are these two lines
                    continue
            if not block and not begun:  # a blank line that ends no event
                continue
            yield from self._feed_lines(block + b"\n\n")
            begun = False
        if rest:
            yield from self._feed_lines(rest)

    def only_event(self, chunk: bytes) -> tuple[bytes, bytes] | None:
        """The name and the data of a chunk that is one whole event; ``None`` if it must be fed.

        If a stream is read as fast as it is written, nearly all chunks are one event of two lines.
        """
        name_end = chunk.find(b"\n")
        if chunk.find(b"\n", name_end + 1) != len(chunk) - 2 or _CR in chunk:
            return None
        data_start = name_end + _DATA_SIZE + 1
        if chunk[:_NAME_SIZE] != _NAME or chunk[name_end + 1 : data_start] != _DATA:
            return None
        if self._line or self._event or self._data or self._start is not None or self._after_cr:
            return None
        if chunk[-1:] != b"\n" or len(chunk) > self._limit:
            return None
        return chunk[_NAME_SIZE:name_end], chunk[data_start:-2]

    def decoded(self, name: bytes, data: bytes) -> ServerSentEvent:
        """The event that ``feed_raw`` has just yielded."""
        retry, self._retry = self._retry, None
        return ServerSentEvent(
            name.decode(errors="replace") or "message",
            data.decode(errors="replace"),
            self._id,
            retry,
        )

    def _feed_lines(self, text: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Process lines; the first may have begun before, and the last may continue."""
        *lines, rest = text.split(b"\n")
        if lines and self._line:
            lines[0] = bytes(self._line) + lines[0]
            self._line.clear()
        for line in lines:
            if line:
                self._take(line)
            else:
                if self._data:
                    yield self._pending()
                self._event = b""
        if rest:
            self._line += rest
            if self._data_size + len(self._line) > self._limit:
                raise EventTooLargeError(self._limit)

    def flush(self) -> ServerSentEvent | None:
        """Return the event pending at the end of the body, ``None`` if the body ended cleanly.

        A browser discards it: it may lack only its blank line, or be cut anywhere. The caller
        decides which, by its data. Nothing can be fed afterwards.
        """
        if self._line:
            for _ in self.feed_raw(b"\n"):
                pass  # a line that is not empty dispatches nothing
        return self.decoded(*self._pending()) if self._data or self._event else None

    def flush_whole(self) -> ServerSentEvent | None:
        """As ``flush``, for a stream of JSON.

        Raises ``StreamTruncated`` if the body was cut in the middle of an event: if the data is
        neither JSON nor ``DONE``.
        """
        pending = self.flush()
        if pending is not None and pending.data != DONE:
            try:
                from_json(pending.data, pending.event)
            except DecodeError:
                msg = f"the body ended in the middle of an event ({excerpt(pending.event)})"
                raise StreamTruncated(msg) from None
        return pending

    def _normalized(self, chunk: bytes) -> bytes:
        """The chunk without a leading byte order mark, and with LF for all its line ends."""
        if self._start is not None:
            chunk = self._without_bom(chunk)
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if _CR in chunk:
            self._after_cr = chunk[-1:] == b"\r"
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return chunk

    def _without_bom(self, chunk: bytes) -> bytes:
        """Drop a leading byte order mark, also one cut by chunk boundaries."""
        start = (self._start or b"") + chunk
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._start = start
            return b""
        self._start = None
        return start.removeprefix(_BOM)

    def _take(self, line: bytes) -> None:
        """Process one line that is not empty."""
        if self._data_size + len(line) > self._limit:
            raise EventTooLargeError(self._limit)
        name, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if name == b"data":
            self._data.append(value)
            self._data_size += len(line) + 1
        elif name == b"event":
            self._event = value
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode(errors="replace")
        elif name == b"retry" and value.isdigit():
            digits = value.lstrip(b"0")
            if len(digits) <= _RETRY_DIGITS:
                self._retry = int(digits or b"0")

    def _pending(self) -> tuple[bytes, bytes]:
        """Return the name and the data of the event received so far, and forget it."""
        pending = self._event, b"\n".join(self._data)
        self._event = b""
        self._data.clear()
        self._data_size = 0
        return pending


def encode(event: ServerSentEvent) -> bytes:
    """Write one event as bytes: the inverse of the decoder.

    Raises ``ValueError`` if the format cannot carry a value: a carriage return in ``data``, any
    line end in ``event`` or ``id``, a NUL in ``id``, a negative ``retry``.
    """
    if not (event.event.isprintable() and event.id.isprintable()) or "\r" in event.data:
        _refuse_line_ends(event)
    lines = f"event: {event.event}\n" if event.event not in {"", "message"} else ""
    if event.id:
        lines += f"id: {event.id}\n"
    if event.retry is not None:
        if event.retry < 0:
            msg = f"retry must not be negative, got {event.retry}"
            raise ValueError(msg)
        lines += f"retry: {event.retry}\n"
    data = event.data.replace("\n", "\ndata: ")
    return f"{lines}data: {data}\n\n".encode()


def _refuse_line_ends(event: ServerSentEvent) -> None:
    """Raise if a value holds what its line cannot carry."""
    for name, value, forbidden in (
        ("event", event.event, "\r\n"),
        ("id", event.id, "\r\n\0"),
        ("data", event.data, "\r"),
    ):
        if any(character in value for character in forbidden):
            msg = f"{name} cannot hold any of {forbidden!r} in a Server-Sent Event: {value!r}"
            raise ValueError(msg)


__all__ = ["DONE", "MAX_EVENT_BYTES", "Decoder", "SSEDecoder", "ServerSentEvent", "encode"]
