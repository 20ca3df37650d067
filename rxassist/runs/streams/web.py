"""For browsers: any Observable as Server-Sent Events."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from itertools import count
from math import inf
from traceback import extract_tb
from typing import Any, cast

from attrs import asdict, evolve
from reactivex import Observable

from rxassist.errors import APIError, excerpt
from rxassist.reactive.iteration import BUFFER, ClosableItems, Items, iterate
from rxassist.reactive.kernel import Finish, Step, choose_each
from rxassist.reactive.logger import logger
from rxassist.reactive.polling import PollEvent
from rxassist.reactive.typing import Operator
from rxassist.runs.events import AnyEvent, protocol_of
from rxassist.runs.operators.merge import MergedEvent, RunSummary
from rxassist.runs.operators.usage import Timings
from rxassist.runs.state import AnySnapshot
from rxassist.runs.tools import ToolResult
from rxassist.wire.json import to_json
from rxassist.wire.sse import ServerSentEvent
from rxassist.wire.sse import encode as to_bytes
from rxassist.wire.structure import unstructure

_COMMENT = b": keep-alive\n\n"
END = ServerSentEvent("end", "null")
"""The event after the last one, so that a browser does not connect again."""
_RESULTS: dict[type, tuple[str, ...]] = {
    MergedEvent: (),
    RunSummary: ("status",),
    PollEvent: (),
    ToolResult: (),
    Timings: ("between_deltas", "tokens_per_second"),
}
"""The values that operators emit besides models, and their properties that are written, too."""

_ID = re.compile("[0-9]{1,18}")  # an event's number; no count gets longer


def to_event(item: object) -> ServerSentEvent:
    """Make an event for a browser from an item: the default ``encode`` of ``to_sse``.

    Events of a run are written as the service writes them, a ``ServerSentEvent`` as it is, a
    ``Snapshot`` as the run, the messages and the steps that it holds. Everything else is JSON, even
    text, so that no line end is lost: ``JSON.parse(event.data)``. A value from an operator is an
    object of its fields, a mapping is an object whose keys are text, and an exception in any of
    them has only its ``type`` and ``code``, as in ``to_sse``.
    """
    if isinstance(item, ServerSentEvent):
        return item
    if isinstance(item, AnyEvent):
        return protocol_of(item, "to_sse").encode(item)
    return ServerSentEvent(data=to_json(_plain(item)).decode())


def _plain(value: object) -> Any:  # noqa: ANN401 -- plain data is anything
    """Plain data from any value that operators emit, and from the values in it."""
    if isinstance(value, Exception):
        code = value.code if isinstance(value, APIError) else None
        return {"type": type(value).__name__, "code": code}
    if isinstance(value, AnySnapshot):
        value = {name: getattr(value, name) for name in value.shown}
    elif type(value) in _RESULTS:
        said = {name: getattr(value, name) for name in _RESULTS[type(value)]}
        value = asdict(cast("Any", value), recurse=False) | said
    if isinstance(value, Mapping):
        given = cast("Mapping[object, object]", value)
        return {str(key): _plain(item) for key, item in given.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in cast("Iterable[object]", value)]
    return unstructure(value)


def to_sse(
    *,
    encode: Callable[[Any], ServerSentEvent] = to_event,
    keep_alive: float | None = 15.0,
    after: str | int | None = None,
    buffer: int = BUFFER,
) -> Callable[[Observable[Any]], AsyncGenerator[bytes]]:
    """Write an Observable as the body of a ``text/event-stream`` response.

    Made for ``pipe``: returns an async generator of bytes, for a ``StreamingResponse`` of Starlette
    or FastAPI, or any server that sends chunks. ``encode`` makes an event from each item, with an
    ``id`` that counts from 1 unless it has one. After the last item comes an event named ``end``,
    so that a browser does not reconnect. An error is an event named ``error``, whose data is JSON
    with ``type`` and ``code``; its text is logged and not sent to the browser. After every
    ``keep_alive`` seconds of silence comes a comment.

    The source is subscribed when the generator is first read, paused while ``buffer`` items wait
    for a slow browser, and disposed when the generator is closed or cancelled: when the browser
    leaves. ``after`` is the ``Last-Event-ID`` of a browser that reconnects: so many items are left
    out; if it is no number, none is. For a server without asyncio, use ``to_sse_blocking``.
    """
    chunks = _chunks(encode, keep_alive, after, buffer)
    return lambda source: generate(chunks(source))


def to_sse_blocking(
    *,
    encode: Callable[[Any], ServerSentEvent] = to_event,
    keep_alive: float | None = 15.0,
    after: str | int | None = None,
    buffer: int = BUFFER,
) -> Callable[[Observable[Any]], ClosableItems[bytes]]:
    """Write an Observable as the body of a response of a WSGI server: Flask, Django, Bottle.

    As ``to_sse``, but an iterator of bytes: the thread of the request waits for each, so it takes
    the streams of a ``Client``. A WSGI server calls its ``close()`` when the browser leaves, which
    disposes the source; any thread may call it, and a thread that waits for an item stops waiting.
    A server notices only when it writes that a browser has left. So ``keep_alive`` also bounds how
    long a thread waits for such a browser: with ``None`` as long as the source is silent.
    """
    chunks = _chunks(encode, keep_alive, after, buffer)
    return lambda source: ClosableItems(chunks(source))


def _chunks(
    encode: Callable[[Any], ServerSentEvent],
    keep_alive: float | None,
    after: str | int | None,
    buffer: int,
) -> Callable[[Observable[Any]], Items[bytes]]:
    """A function that makes chunks from a source, for blocking and for async readers."""
    unbroken = body_of(keep_alive, buffer)
    seen = int(str(after)) if _ID.fullmatch(str(after)) else 0
    return lambda source: unbroken(source.pipe(_encoded(encode, seen)))


def body_of(
    keep_alive: float | None,
    buffer: int,
    error_event: Callable[[Exception], bytes | None] | None = None,
) -> Callable[[Observable[bytes]], Items[bytes]]:
    """A function that makes a body of events that are bytes already, with a sign of life.

    ``error_event`` says what a browser receives for an error, if not the usual event.
    """
    given: object = keep_alive
    if isinstance(given, bool) or not isinstance(given, int | float | None):
        msg = f"keep_alive must be a number of seconds, or None, got {keep_alive!r}"
        raise TypeError(msg)
    if keep_alive is not None and not 0 < keep_alive < inf:
        msg = f"keep_alive must be above 0 and finite, or None, got {keep_alive}"
        raise ValueError(msg)

    def body(source: Observable[bytes]) -> Items[bytes]:
        return iterate(source, buffer=buffer).unbroken(
            keep_alive, _COMMENT, error_event or error_to_event
        )

    return body


def generate(items: Items[bytes]) -> AsyncGenerator[bytes]:
    """The chunks of a body, for a server that takes an async generator."""
    return cast("AsyncGenerator[bytes]", aiter(items))


def _encoded(encode: Callable[[Any], ServerSentEvent], seen: int) -> Operator[Any, bytes]:
    """Each item as the bytes of an event, without those that were sent before, and the end."""

    def begin() -> tuple[Step[Any, bytes], Finish[bytes]]:
        numbers = count(1)

        def step(item: object) -> Iterator[bytes]:
            number = next(numbers)
            if number > seen:
                event: object = encode(item)
                if not isinstance(event, ServerSentEvent):
                    msg = f"encode must give a ServerSentEvent, got {excerpt(event)}"
                    raise TypeError(msg)
                yield to_bytes(event if event.id else evolve(event, id=str(number)))

        return step, lambda: (to_bytes(END),)

    return choose_each(begin)


def error_to_event(error: Exception) -> bytes:
    """Log an error, and make the event that a browser receives for it."""
    what = type(error).__name__
    logger.error("a stream for a browser failed: %s: %s%s", what, error, _raised_at(error))
    return to_bytes(ServerSentEvent("error", to_json(_plain(error)).decode()))


def _raised_at(error: Exception) -> str:
    """The line that raised an error, if any: a traceback would not fit a line of the log."""
    frames = extract_tb(error.__traceback__)
    return f" (at {frames[-1].filename}:{frames[-1].lineno})" if frames else ""


__all__ = ["END", "body_of", "error_to_event", "generate", "to_event", "to_sse", "to_sse_blocking"]
