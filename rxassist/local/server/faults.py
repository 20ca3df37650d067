"""Faults on demand, which spoil the replies of the service.

A service calls its ``faults`` at each request::

    def faults(asked):
        if asked.path.endswith("/runs") and asked.attempt == 1:
            return framing(chunk=1) | cut(at=1000, reset=True)
        return None

``|`` joins faults, in the order in which a reply passes them. ``at`` counts the bytes of the body
at that point, without the framing of HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TypeAlias

from attrs import define, field, frozen
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rxassist.local.server.connection import Connection
from rxassist.local.server.durations import check_duration
from rxassist.local.server.plain import as_object
from rxassist.local.server.problems import refused
from rxassist.wire.json import from_json, to_json

_NO_HEADERS: Mapping[str, str] = {}
_PAGE = b"<html>502 Bad Gateway</html>"
_LEAST_STATUS, _LARGEST_STATUS = 200, 599


@frozen
class Asked:
    """A request, before its body is read.

    ``path`` begins with ``/v1``, ``query`` is the part after the question mark. ``attempt`` counts
    the requests with this method and path, ``number`` all requests; both include this one.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)  # they hold the key
    attempt: int
    number: int


@frozen
class Fault:
    """A wrapper of the service's application, which spoils its reply.

    ``around`` takes an ASGI application, and returns another one. ``a | b`` is both: the reply
    passes ``a``, then ``b``.
    """

    around: Callable[[ASGIApp], ASGIApp]

    def __or__(self, after: Fault) -> Fault:
        return Fault(lambda app: after.around(self.around(app)))


Faults: TypeAlias = Callable[[Asked], Fault | None]
"""Returns the fault of a request. The service calls it on its only thread: it must not block."""

Edit: TypeAlias = Callable[[bytes | None], Iterable[bytes]]
"""Returns the pieces to send instead of a piece of the body, or, for ``None``, at its end."""


# --- other replies -------------------------------------------------------------------------


def refuse(
    status: int,
    headers: Mapping[str, str] = _NO_HEADERS,
    *,
    handled: bool = False,
    after: float = 0.0,
) -> Fault:
    """Refuse the request before the service reads it, with the error body of the status.

    ``refuse(429, {"retry-after": "1"})``. The request has no effect, unless it is ``handled``
    before the reply, or so many seconds ``after`` it, as in ``answer``.
    """
    body = refused(status).body
    return answer(
        body, "application/json", status=status, headers=headers, handled=handled, after=after
    )


def answer(
    body: bytes | str,
    content_type: str = "text/html",
    *,
    status: int = 200,
    headers: Mapping[str, str] = _NO_HEADERS,
    handled: bool = False,
    after: float = 0.0,
) -> Fault:
    """Reply with anything at all, before the service reads the request, which has no effect.

    An HTML page, garbage, a redirect (``status=307, headers={"location": url}``), a recorded
    stream (``"text/event-stream"``). With ``handled`` the request has its effect, and this reply
    replaces the service's own, as from a gateway that has lost the service::

        answer("upstream connect error", "text/plain", status=503, handled=True)

    With ``after`` it has its effect only so many seconds after the reply, as from a gateway that
    did not wait for a slow service.
    """
    if not _LEAST_STATUS <= status <= _LARGEST_STATUS:
        msg = f"status must be from {_LEAST_STATUS} to {_LARGEST_STATUS}, got {status}"
        raise ValueError(msg)
    response = Response(body, status, {"content-type": content_type, **headers})
    return _acting(response, handled=handled, after=after)


def hang_up(*, handled: bool, reset: bool = False, after: float = 0.0) -> Fault:
    """Close the connection before the first byte of the reply; with ``reset``, reset it.

    The client cannot know whether the request was ``handled``, so that it has its effect, or just
    read; nor that it has its effect only so many seconds ``after``.
    """

    async def end(scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        await (connection.reset() if reset else connection.close())

    return _acting(end, handled=handled, after=after)


def _acting(act: ASGIApp, *, handled: bool, after: float) -> Fault:
    """Act instead of the service's reply; the request is handled before it, after it, or never."""
    check_duration("after", after)
    if after and not handled:
        msg = f"after={after:g} needs handled=True: without it a request has no effect"
        raise ValueError(msg)

    def around(app: ASGIApp) -> ASGIApp:
        async def acting(scope: Scope, receive: Receive, send: Send) -> None:
            if handled and not after:
                await app(scope, receive, _instead(partial(act, scope, receive, send)))
                return
            body = await Connection(scope, receive, send).read()
            await act(scope, receive, send)
            if handled:
                await asyncio.sleep(after)
                await app(scope, _receiving(body), _instead(_nothing))

        return acting

    return Fault(around)


def _instead(act: Callable[[], Awaitable[None]]) -> Send:
    """Act once, when a reply begins, and send nothing of the reply."""
    acted = False

    async def send(_: Message) -> None:
        nonlocal acted
        if not acted:
            acted = True
            await act()

    return send


async def _nothing() -> None:
    """Do nothing: the reply was sent before."""


# --- other requests ------------------------------------------------------------------------


def forget(*names: str) -> Fault:
    """Remove these fields from a request, as a service that does not keep them.

    ``forget("metadata") | answer("upstream connect error", status=503, handled=True)``.
    """

    def around(app: ASGIApp) -> ASGIApp:
        async def forgetting(scope: Scope, receive: Receive, send: Send) -> None:
            body = await Connection(scope, receive, send).read()
            given = as_object(from_json(body)) if body else None
            if given is not None:
                body = to_json({name: given[name] for name in given if name not in names})
            await app(scope, _receiving(body), send)

        return forgetting

    return Fault(around)


def _receiving(body: bytes) -> Receive:
    """Receive a request with this body, from a client that never leaves."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Message:
        for message in messages:
            return message
        return await asyncio.Future()

    return receive


# --- ends of replies -----------------------------------------------------------------------


def cut(at: int | None, *, reset: bool = False) -> Fault:
    """Close the connection after so many bytes of the body; with ``reset``, reset it.

    0 is right after the headers, ``None`` at the end of the body, but without the end mark of HTTP.
    The request has its effect, and a run continues. A client gets exactly these bytes; before a
    reset, only on Linux.
    """
    return _until(at, Connection.reset if reset else Connection.close)


def truncate(at: int) -> Fault:
    """End the body properly after so many bytes, like a server that gives up."""
    return _until(at, partial(Connection.send_body, piece=b"", more=False), resized=True)


def stall(at: int | None) -> Fault:
    """Send nothing more after so many bytes, and keep the connection open.

    With ``None`` the whole body comes, but not the end mark of HTTP.
    """
    return _until(at, Connection.left)


def trickle(at: int, *, every: float, piece: bytes | None = None) -> Fault:
    """After so many bytes, send the rest byte by byte, with ``every`` seconds before each.

    A ``piece``, such as a comment, is sent instead of the rest, again and again, until the client
    leaves.
    """
    check_duration("every", every)
    if piece is None:
        return _slow(at, every)

    async def drip(connection: Connection) -> None:
        while not await connection.left_within(every):
            await connection.send_body(piece)

    return _until(at, drip, resized=True)


def break_chunk(
    at: int, raw: bytes = b"<html>502 Bad Gateway</html>", *, close: bool = True
) -> Fault:
    """After so many bytes of the body, write bytes where HTTP expects the size of the next chunk.

    Then the connection is closed, or, without ``close``, kept open in silence. Unlike all other
    faults this one breaks HTTP itself: with a page, or a size such as ``-5``, ``0x5``, or none.
    """

    async def then(connection: Connection) -> None:
        connection.write(raw)
        await (connection.close() if close else connection.left())

    return _until(at, then, resized=True)


# --- other bodies --------------------------------------------------------------------------


def garble(at: int, garbage: bytes) -> Fault:
    """Insert bytes into the body, after its first ``at``."""
    _check(at)

    def begin() -> Edit:
        position = 0

        def edit(piece: bytes | None) -> Iterable[bytes]:
            nonlocal position
            if piece is None:
                return (garbage,) if position == at else ()
            offset = at - position
            position += len(piece)
            if not 0 <= offset < len(piece):
                return (piece,)
            return (piece[:offset], garbage, piece[offset:])

        return edit

    return edited(begin)


def append(extra: bytes) -> Fault:
    """Add bytes to the end of the body, such as another event, or another stream."""
    return edited(lambda: lambda piece: (extra,) if piece is None else (piece,))


def edited(begin: Callable[[], Edit], *, json: bool | None = None) -> Fault:
    """Edit the body; ``begin`` makes the edit of each reply.

    With ``json`` only bodies that are JSON are edited, or, if it is ``False``, only all others.
    """

    def around(app: ASGIApp) -> ASGIApp:
        async def editing(scope: Scope, receive: Receive, send: Send) -> None:
            connection, edit, edits = Connection(scope, receive, send), begin(), True

            async def send_edited(message: Message) -> None:
                nonlocal edits
                if message["type"] == "http.response.start":
                    edits = json is None or json is _is_json(message)
                    await send(_without_length(message) if edits else message)
                    return
                if not edits:
                    await send(message)
                    return
                last = not message.get("more_body", False)
                for part in (message.get("body", b""), *((None,) if last else ())):
                    for piece in edit(part):
                        await connection.send_body(piece)
                if last:
                    await connection.send_body(b"", more=False)

            await app(scope, receive, send_edited)

        return editing

    return Fault(around)


# --- at a point of the body ----------------------------------------------------------------


def _until(
    at: int | None, then: Callable[[Connection], Awaitable[None]], *, resized: bool = False
) -> Fault:
    """So many bytes of the body, or all for ``None``; ``then`` decides how the reply continues.

    ``resized``: the body gets another length.
    """
    _check(at)

    def around(app: ASGIApp) -> ASGIApp:
        async def limiting(scope: Scope, receive: Receive, send: Send) -> None:
            limited = _Limited(Connection(scope, receive, send), at, then, resized)
            await app(scope, receive, limited.send)

        return limiting

    return Fault(around)


@define
class _Limited:
    """Sends a reply up to a point of its body."""

    connection: Connection
    left: int | None
    then: Callable[[Connection], Awaitable[None]]
    resized: bool
    over: bool = False

    async def send(self, message: Message) -> None:
        if self.over:
            return
        if message["type"] == "http.response.start":
            await self.connection.send(_without_length(message) if self.resized else message)
            if self.left == 0:
                await self._end()
            return
        body: bytes = message.get("body", b"")
        if self.left is not None:
            body = body[: self.left]
            self.left -= len(body)
        if self.left == 0 or (self.left is None and not message.get("more_body", False)):
            await self.connection.send_body(body)
            await self._end()
        else:
            await self.connection.send(message)

    async def _end(self) -> None:
        self.over = True
        await self.then(self.connection)


def _slow(at: int, every: float) -> Fault:
    """The body with a pause before each byte after the first ``at``."""
    _check(at)

    def around(app: ASGIApp) -> ASGIApp:
        async def slowing(scope: Scope, receive: Receive, send: Send) -> None:
            connection, quick = Connection(scope, receive, send), at

            async def send_slowly(message: Message) -> None:
                nonlocal quick
                body: bytes = message.pop("body", b"")
                await connection.send_body(body[:quick])
                for byte in body[quick:]:
                    if await connection.left_within(every):
                        return
                    await connection.send_body(bytes((byte,)))
                quick = max(quick - len(body), 0)
                await send(message)

            await app(scope, receive, send_slowly)

        return slowing

    return Fault(around)


def _is_json(message: Message) -> bool:
    """Whether a reply that begins so is JSON."""
    return Headers(raw=message["headers"]).get("content-type", "").startswith("application/json")


def _without_length(message: Message) -> Message:
    del MutableHeaders(scope=message)["content-length"]
    return message


def _check(at: int | None) -> None:
    if at is not None and at < 0:
        msg = f"at must not be negative, got {at}"
        raise ValueError(msg)


__all__ = [
    "Asked",
    "Edit",
    "Fault",
    "Faults",
    "answer",
    "append",
    "break_chunk",
    "cut",
    "edited",
    "forget",
    "garble",
    "hang_up",
    "refuse",
    "stall",
    "trickle",
    "truncate",
]
