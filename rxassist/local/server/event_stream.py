"""A streamed reply: events as Server-Sent Events, no faster than the client reads them."""

from __future__ import annotations

import asyncio
import logging
from typing import Generic, Protocol, TypeVar

from reactivex import Observable
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rxassist.errors import StreamClosed
from rxassist.local.server.connection import left
from rxassist.local.server.watch import Watch
from rxassist.reactive.backpressure import Demand, demanding

_BUFFERED_EVENTS = 64

_logger = logging.getLogger("rxassist.local")

_E = TypeVar("_E")
_EventT_contra = TypeVar("_EventT_contra", contravariant=True)


class Writer(Protocol[_EventT_contra]):
    """Writes the events of one stream as bytes."""

    def write(self, event: _EventT_contra, /) -> bytes:
        """The bytes of the stream's next event."""
        ...

    def write_error(self, message: str, /) -> bytes:
        """The bytes of an event that reports an error of the service."""
        ...


class EventStream(Response, Generic[_E]):
    """Sends the events that an Observable emits, until it ends or the client disconnects.

    At most 64 encoded events wait to be sent: a slow client closes the demand, and the log keeps
    its position.
    """

    media_type = "text/event-stream"

    def __init__(self, events: Observable[_E], writer: Writer[_E], watch: Watch) -> None:
        super().__init__(headers={"cache-control": "no-cache"})
        del self.headers["content-length"]
        self._events = events
        self._writer = writer
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the reply."""
        outbox = _Outbox(self._writer)
        self._watch.stream(+1)
        with demanding(outbox.demand):
            subscription = self._events.subscribe(outbox.put, outbox.fail, outbox.end)
        leaving = asyncio.ensure_future(_disconnected(receive, outbox))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while (chunk := await outbox.take()) is not None:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            leaving.cancel()
            subscription.dispose()
            self._watch.stream(-1)


async def _disconnected(receive: Receive, outbox: _Outbox[_E]) -> None:
    """End the stream when the client closes the connection."""
    await left(receive)
    outbox.end()


class _Outbox(Generic[_E]):
    """Encoded events that wait to be sent."""

    def __init__(self, writer: Writer[_E]) -> None:
        self.demand = Demand()
        self._writer = writer
        self._chunks: list[bytes] = []
        self._ended = False
        self._changed = asyncio.Event()

    def put(self, event: _E) -> None:
        self._add(self._writer.write(event))

    def fail(self, error: Exception) -> None:
        if not isinstance(error, StreamClosed):
            _logger.error("a stream broke", exc_info=error)
            self._add(self._writer.write_error(f"The local service had an error: {error!r}"))
        self.end()

    def end(self) -> None:
        self._ended = True
        self._changed.set()

    async def take(self) -> bytes | None:
        """All waiting events as one piece; ``None`` at the end."""
        while not self._chunks:
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        chunk = b"".join(self._chunks)
        self._chunks.clear()
        self.demand.open()
        return chunk

    def _add(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        if len(self._chunks) >= _BUFFERED_EVENTS:
            self.demand.close()
        self._changed.set()


__all__ = ["EventStream", "Writer"]
