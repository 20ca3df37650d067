"""The streamed answer: the events of a run as Server-Sent Events, no faster than they are read."""

from __future__ import annotations

import asyncio
import logging

from reactivex import Observable
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rxassist.errors import StreamClosed
from rxassist.events import ErrorEvent, Event
from rxassist.local.watch import Watch
from rxassist.local.writing import EventWriter
from rxassist.models import ErrorObject
from rxassist.reactive.backpressure import Demand, demanding

_BUFFERED_EVENTS = 64

_logger = logging.getLogger("rxassist.local")


class EventStream(Response):
    """Sends what an Observable of events emits, until it ends or the reader leaves.

    At most 64 encoded events wait to be sent: a slow reader closes its demand, and the log keeps
    its place.
    """

    media_type = "text/event-stream"

    def __init__(self, events: Observable[Event], watch: Watch) -> None:
        super().__init__(headers={"cache-control": "no-cache"})
        del self.headers["content-length"]
        self._events = events
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the answer."""
        outbox = _Outbox()
        self._watch.stream(+1)
        with demanding(outbox.demand):
            subscription = self._events.subscribe(outbox.put, outbox.fail, outbox.end)
        leaving = asyncio.ensure_future(_left(receive, outbox))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while (chunk := await outbox.take()) is not None:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            leaving.cancel()
            subscription.dispose()
            self._watch.stream(-1)


async def _left(receive: Receive, outbox: _Outbox) -> None:
    """Notice that the reader has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
    outbox.end()


class _Outbox:
    """Encoded events on their way to a reader."""

    def __init__(self) -> None:
        self.demand = Demand()
        self._writer = EventWriter()
        self._chunks: list[bytes] = []
        self._ended = False
        self._news = asyncio.Event()

    def put(self, event: Event) -> None:
        self._chunks.append(self._writer.write(event))
        if len(self._chunks) >= _BUFFERED_EVENTS:
            self.demand.close()
        self._news.set()

    def fail(self, error: Exception) -> None:
        if not isinstance(error, StreamClosed):
            _logger.error("a stream broke", exc_info=error)
            self.put(
                ErrorEvent(
                    ErrorObject(f"The local service had an error: {error!r}", "server_error")
                )
            )
        self.end()

    def end(self) -> None:
        self._ended = True
        self._news.set()

    async def take(self) -> bytes | None:
        """All that is waiting, as one piece; ``None`` at the end."""
        while not self._chunks:
            if self._ended:
                return None
            self._news.clear()
            await self._news.wait()
        chunk = b"".join(self._chunks)
        self._chunks.clear()
        self.demand.open()
        return chunk


__all__ = ["EventStream"]
