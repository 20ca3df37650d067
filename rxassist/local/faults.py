"""Faults on demand: what stands between the service and its clients, and what it does to answers.

A service asks its ``faults`` at each request::

    def faults(asked):
        if asked.path.endswith("/runs") and asked.attempt == 1:
            return framing(chunk=1) | cut(at=1000, reset=True)
        return None

Faults are joined by ``|``, in the order in which an answer passes them. ``at`` counts the bytes of
the body there, without the framing of HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TypeAlias

from attrs import define, field, frozen
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rxassist.local.connection import Connection
from rxassist.local.durations import check_duration
from rxassist.local.plain import as_object
from rxassist.local.problems import refused
from rxassist.wire.json import from_json, to_json

_NO_HEADERS: Mapping[str, str] = {}
_PAGE = b"<html>502 Bad Gateway</html>"
_LEAST_STATUS, _LARGEST_STATUS = 200, 599


@frozen
class Asked:
    """A request, as far as it is known before its body is read.

    ``path`` begins with ``/v1``, ``query`` is what follows the question mark. ``attempt`` tells
    how often this method and path have come, ``number`` how many requests have come at all; both
    count this one.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)  # they hold the key
    attempt: int
    number: int


@frozen
class Fault:
    """Something that stands around the service's application and spoils its answer.

    ``around`` makes an ASGI application of the one it is given. ``a | b`` is both: the answer
    passes ``a``, then ``b``.
    """

    around: Callable[[ASGIApp], ASGIApp]

    def __or__(self, behind: Fault) -> Fault:
        return Fault(lambda app: behind.around(self.around(app)))


Faults: TypeAlias = Callable[[Asked], Fault | None]
"""Says what happens to a request. It is asked on the service's only thread, and must not block."""

Edit: TypeAlias = Callable[[bytes | None], Iterable[bytes]]
"""Gives the pieces to be sent instead of a piece of the body, or at its end, for ``None``."""


# --- other answers -------------------------------------------------------------------------


def refuse(
    status: int,
    headers: Mapping[str, str] = _NO_HEADERS,
    *,
    handled: bool = False,
    after: float = 0.0,
) -> Fault:
    """Turn the request away before the service looks at it, with an error body that fits.

    ``refuse(429, {"retry-after": "1"})``. It has no effect, unless it was ``handled`` before, or
    is so many seconds ``after``, as in ``answer``.
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
    """Answer anything at all, before the service looks at the request, which has no effect.

    An HTML page, garbage, a redirect (``status=307, headers={"location": url}``), a recorded
    stream (``"text/event-stream"``). With ``handled`` the request has its effect, and the answer
    comes instead of the service's own, as from a gateway that has lost the service::

        answer("upstream connect error", "text/plain", status=503, handled=True)

    With ``after`` it has its effect only so many seconds after the answer, as from a gateway that
    did not wait for a slow service.
    """
    if not _LEAST_STATUS <= status <= _LARGEST_STATUS:
        msg = f"status must be from {_LEAST_STATUS} to {_LARGEST_STATUS}, got {status}"
        raise ValueError(msg)
    response = Response(body, status, {"content-type": content_type, **headers})
    return _acting(response, handled=handled, after=after)


def hang_up(*, handled: bool, reset: bool = False, after: float = 0.0) -> Fault:
    """Close the connection before the first byte of an answer; with ``reset``, break it.

    Whether the request was ``handled``, so that it has its effect, or just read, is what the
    client cannot know; nor that it has its effect only so many seconds ``after``.
    """

    async def end(scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        await (connection.reset() if reset else connection.close())

    return _acting(end, handled=handled, after=after)


def _acting(act: ASGIApp, *, handled: bool, after: float) -> Fault:
    """Act instead of the service's answer, to a request that is handled, or not, or later."""
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
    """Act once when an answer begins, and send nothing of it."""
    acted = False

    async def send(_: Message) -> None:
        nonlocal acted
        if not acted:
            acted = True
            await act()

    return send


async def _nothing() -> None:
    """What there is to do where the answer was given before."""


# --- other requests ------------------------------------------------------------------------


def forget(*names: str) -> Fault:
    """The service never sees these fields of a request, as one that does not keep them.

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
    """A request whose body is there, and whose client never leaves."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Message:
        for message in messages:
            return message
        return await asyncio.Future()

    return receive


# --- ends of answers -----------------------------------------------------------------------


def cut(at: int | None, *, reset: bool = False) -> Fault:
    """Close the connection after so many bytes of the body; with ``reset``, break it.

    0 is behind the headers; ``None`` at the end of the body, but before HTTP has said that it is
    the end. The request has its effect, and a run goes on. A client gets exactly these bytes, on
    Linux also before a reset.
    """
    return _until(at, Connection.reset if reset else Connection.close)


def truncate(at: int) -> Fault:
    """End the body properly after so many bytes, as a server that gives up."""
    return _until(at, partial(Connection.send_body, piece=b"", more=False), resized=True)


def stall(at: int | None) -> Fault:
    """Say nothing more after so many bytes, and keep the connection open.

    With ``None`` the whole body comes, but not its end.
    """
    return _until(at, Connection.left)


def trickle(at: int, *, every: float, piece: bytes | None = None) -> Fault:
    """Send what follows so many bytes a byte at a time, with ``every`` seconds before each.

    With a ``piece``, such as a comment, that is sent instead, again and again, until the client
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
    """Write bytes where HTTP expects the size of the next chunk, after so many bytes of the body.

    Then the connection is closed, or, without ``close``, kept open without another word. Unlike
    all other faults this breaks HTTP itself: a page, or a size such as ``-5``, ``0x5``, or none.
    """

    async def then(connection: Connection) -> None:
        connection.write(raw)
        await (connection.close() if close else connection.left())

    return _until(at, then, resized=True)


# --- other bodies --------------------------------------------------------------------------


def garble(at: int, garbage: bytes) -> Fault:
    """Insert bytes into the body, behind its first ``at``."""
    _check(at)

    def begin() -> Edit:
        position = 0

        def edit(piece: bytes | None) -> Iterable[bytes]:
            nonlocal position
            if piece is None:
                return (garbage,) if position == at else ()
            place = at - position
            position += len(piece)
            if not 0 <= place < len(piece):
                return (piece,)
            return (piece[:place], garbage, piece[place:])

        return edit

    return edited(begin)


def edited(begin: Callable[[], Edit]) -> Fault:
    """Another body; each answer begins with a new edit."""

    def around(app: ASGIApp) -> ASGIApp:
        async def editing(scope: Scope, receive: Receive, send: Send) -> None:
            connection, edit = Connection(scope, receive, send), begin()

            async def send_edited(message: Message) -> None:
                if message["type"] == "http.response.start":
                    await send(_without_length(message))
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


# --- at a place of the body ----------------------------------------------------------------


def _until(
    at: int | None, then: Callable[[Connection], Awaitable[None]], *, resized: bool = False
) -> Fault:
    """So many bytes of the body, all for ``None``; ``then`` decides how the answer goes on.

    ``resized``: the body has another length then.
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
    """Sends an answer as far as a place in its body."""

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
    """The body with a pause before each byte behind the first ``at``."""
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
