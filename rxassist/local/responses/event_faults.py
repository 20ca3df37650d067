"""Faults of the streams of responses: the deviations of other servers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode

from attrs import define
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rxassist.local.server.connection import Connection
from rxassist.local.server.event_faults import Replace, replacing
from rxassist.local.server.faults import Edit, Fault, edited
from rxassist.local.server.identity import new_id
from rxassist.local.server.plain import as_object
from rxassist.wire.json import from_json, to_json
from rxassist.wire.sse import DONE, ServerSentEvent

_STREAM = "text/event-stream"
_EVENT, _COMPLETED = b"event: ", b"event: response.completed\n"
_TERMINAL = {"response.completed", "response.failed", "response.incomplete"}

Plain: TypeAlias = dict[str, Any]
"""An event as it is on the wire, with its ``type``."""

Retell: TypeAlias = Callable[[Plain], Iterable[Plain]]
"""Returns the events to send instead of one."""


def retell(begin: Callable[[], Retell]) -> Fault:
    """Other events than those of the service; ``begin`` makes the function of each stream."""

    def begin_replacing() -> Replace:
        instead = begin()

        def replace(sent: ServerSentEvent) -> Iterable[ServerSentEvent]:
            if sent.data == DONE:
                return (sent,)
            return map(_sent, instead(dict(as_object(from_json(sent.data)) or {})))

        return replace

    return replacing(begin_replacing)


def _sent(event: Plain) -> ServerSentEvent:
    return ServerSentEvent(event["type"], to_json(event).decode())


# --- ids -----------------------------------------------------------------------------------


def rotate_ids(*, response: bool = True) -> Fault:
    """Items have another id in each event, and so has the ``response``, as at GitHub Copilot."""

    def rotated(event: Plain) -> Iterable[Plain]:
        if "item_id" in event:
            event["item_id"] = new_id("rotated")
        if "item" in event:
            event["item"] = _with_other_id(event["item"])
        if "response" in event:
            event["response"] = _with_other_items(event["response"])
            if response:
                event["response"] = _with_other_id(event["response"])
        yield event

    return retell(lambda: rotated)


def other_final_ids() -> Fault:
    """The items have other ids in the last event than before, as at OpenRouter."""

    def differing(event: Plain) -> Iterable[Plain]:
        if event["type"] in _TERMINAL:
            event["response"] = _with_other_items(event["response"])
        yield event

    return retell(lambda: differing)


def _with_other_items(response: Mapping[str, Any]) -> Plain:
    return {**response, "output": [_with_other_id(item) for item in response["output"] or ()]}


def _with_other_id(value: Mapping[str, Any]) -> Plain:
    return {**value, "id": new_id("rotated")}


# --- responses and errors ------------------------------------------------------------------


def final_output(output: list[Any] | None) -> Fault:
    """The last event has this output, such as ``None`` or ``[]``, as at some gateways."""

    def replaced(event: Plain) -> Iterable[Plain]:
        if event["type"] in _TERMINAL:
            event["response"] = {**event["response"], "output": output}
        yield event

    return retell(lambda: replaced)


def rename(event: str, to: str) -> Fault:
    """An event has another name, and the same data.

    ``rename("response.incomplete", to="response.completed")`` is what some servers send.
    """

    def renamed(told: Plain) -> Iterable[Plain]:
        yield {**told, "type": to} if told["type"] == event else told

    return retell(lambda: renamed)


def error_form(*, flat: bool = False, alone: bool = False) -> Fault:
    """An ``error`` event that is ``flat``, as in the API reference, or ``alone``.

    The real service sends a nested one, and ``response.failed`` after it.
    """

    def begin() -> Retell:
        told = False

        def formed(event: Plain) -> Iterable[Plain]:
            nonlocal told
            if event["type"] == "error":
                told = True
                own = {name: event["error"].get(name) for name in ("code", "message", "param")}
                number = {"sequence_number": event.get("sequence_number")}
                yield {"type": "error", **own, **number} if flat else event
            elif not (told and alone):
                yield event

        return formed

    return retell(begin)


# --- sequence numbers ----------------------------------------------------------------------


def renumber(to: Callable[[int], int | None]) -> Fault:
    """Events have other sequence numbers, or, for ``None``, no number.

    ``renumber(lambda number: None)`` removes them, ``renumber(lambda number: 2 * number)`` makes
    gaps although no event is missing. A ``starting_after`` still means the service's own numbers.
    """

    def numbered(event: Plain) -> Iterable[Plain]:
        number = event.pop("sequence_number", None)
        other = None if number is None else to(number)
        yield event if other is None else {**event, "sequence_number": other}

    return retell(lambda: numbered)


def restart_numbers() -> Fault:
    """The first event of each stream has the number 0, also where the stream continues another."""

    def begin() -> Retell:
        first: int | None = None

        def numbered(event: Plain) -> Iterable[Plain]:
            nonlocal first
            number = event["sequence_number"]
            first = number if first is None else first
            yield {**event, "sequence_number": number - first}

        return numbered

    return retell(begin)


def keepalive(every: int) -> Fault:
    """After so many events comes a ``keepalive`` that takes a sequence number.

    A ``starting_after`` means these numbers.
    """
    if every < 1:
        msg = f"every must be at least 1, got {every}"
        raise ValueError(msg)

    def around(app: ASGIApp) -> ASGIApp:
        async def kept(scope: Scope, receive: Receive, send: Send) -> None:
            after = _after(scope)
            told = retell(lambda: partial(_with_keepalive, every, after))
            block, offset = divmod(after, every + 1)
            own = block * every + min(offset, every - 1)
            asked = scope if after < 0 else _asking(scope, starting_after=str(own))
            await told.around(app)(asked, receive, send)

        return kept

    return Fault(around)


def _with_keepalive(every: int, after: int, event: Plain) -> Iterable[Plain]:
    number: int = event["sequence_number"]
    shifted = number + number // every
    if number and number % every == 0 and shifted - 1 > after:
        yield {"type": "keepalive", "sequence_number": shifted - 1}
    yield {**event, "sequence_number": shifted}


# --- streams that continue -----------------------------------------------------------------


def rewind(by: int) -> Fault:
    """A stream that continues another one begins so many events too early: they come twice."""
    if by < 0:
        msg = f"by must not be negative, got {by}"
        raise ValueError(msg)
    return _asked(
        lambda scope: {"starting_after": str(_after(scope) - by)} if _after(scope) >= 0 else {}
    )


def unstreamed() -> Fault:
    """A request to continue a stream gets the response instead, as JSON."""
    return _asked(lambda _: {"stream": "false"})


def _asked(changes: Callable[[Scope], Mapping[str, str]]) -> Fault:
    """The service sees another query."""

    def around(app: ASGIApp) -> ASGIApp:
        async def asking(scope: Scope, receive: Receive, send: Send) -> None:
            await app(_asking(scope, **changes(scope)), receive, send)

        return asking

    return Fault(around)


def _asking(scope: Scope, **changes: str) -> Scope:
    query = {**_query(scope), **changes}
    return {**scope, "query_string": urlencode(query).encode()}


def _query(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope["query_string"].decode("latin-1")))


def _after(scope: Scope) -> int:
    return int(_query(scope).get("starting_after", -1))


def hang() -> Fault:
    """A stream stays open in silence at its end, unless the response completed, as at vLLM."""

    def around(app: ASGIApp) -> ASGIApp:
        async def hanging(scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope, receive, _Hanging(Connection(scope, receive, send)).send)

        return hanging

    return Fault(around)


@define
class _Hanging:
    """Sends a stream but its end, unless its last event is that the response completed."""

    connection: Connection
    streams: bool = False
    end: bytes = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            content_type = Headers(raw=message["headers"]).get("content-type", "")
            self.streams = content_type.startswith(_STREAM)
        elif self.streams:
            body: bytes = message.get("body", b"")
            start = body.rfind(_EVENT)
            self.end = body[start:] if start >= 0 else self.end + body
            if not message.get("more_body") and not self.end.startswith(_COMPLETED):
                await self.connection.send_body(body)
                await self.connection.left()
                return
        await self.connection.send(message)


def queued() -> Fault:
    """The response stays ``queued``: in its stream, which stops there, and in all replies."""

    def begin() -> Edit:
        body = bytearray()

        def edit(piece: bytes | None) -> Iterable[bytes]:
            if piece is not None:
                body.extend(piece)
                return ()
            response = dict(as_object(from_json(bytes(body))) or {})
            waiting: Plain = {"status": "queued", "output": [], "usage": None, "completed_at": None}
            return (to_json({**response, **waiting}),)

        return edit

    return edited(begin, json=True) | _silent_after("response.queued")


def _silent_after(name: str) -> Fault:
    """A stream sends nothing after an event, and stays open."""

    def begin() -> Retell:
        silent = False

        def told(event: Plain) -> Iterable[Plain]:
            nonlocal silent
            if not silent:
                yield event
            silent = silent or event["type"] == name

        return told

    return retell(begin) | hang()


__all__ = [
    "Plain",
    "Retell",
    "error_form",
    "final_output",
    "hang",
    "keepalive",
    "other_final_ids",
    "queued",
    "rename",
    "renumber",
    "restart_numbers",
    "retell",
    "rewind",
    "rotate_ids",
    "unstreamed",
]
