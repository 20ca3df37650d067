"""Faults of event streams: other framings, and events that come twice, late or never."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from rxassist.local.server.faults import Edit, Fault, edited
from rxassist.wire.sse import ServerSentEvent, SSEDecoder, encode

_BOM = b"\xef\xbb\xbf"
_COMMENT = b": a comment"

Rewrite: TypeAlias = Callable[[Sequence[ServerSentEvent]], Iterable[ServerSentEvent]]
"""Returns the events to send when one comes, from all so far; the new one is the last of them."""

Replace: TypeAlias = Callable[[ServerSentEvent], Iterable[ServerSentEvent]]
"""Returns the events to send instead of one."""


def framing(
    *,
    line_end: Literal["\n", "\r\n", "\r"] = "\n",
    comments: bool = False,
    bom: bool = False,
    chunk: int | None = None,
) -> Fault:
    """The same events in other bytes, which must make no difference to a client.

    Line ends, comments between and inside events, a byte order mark, and HTTP chunks of ``chunk``
    bytes: with 1, there is a boundary after every byte.
    """
    if chunk is not None and chunk < 1:
        msg = f"chunk must be at least 1, got {chunk}"
        raise ValueError(msg)
    end = line_end.encode()
    comment = _COMMENT + end if comments else b""

    def begin() -> Edit:
        start, line = (_BOM if bom else b""), b""

        def edit(piece: bytes | None) -> Iterable[bytes]:
            nonlocal start, line
            *lines, line = (line + (piece or b"")).split(b"\n")
            text = b"".join((start, *(comment + each.removesuffix(b"\r") + end for each in lines)))
            start = b""
            if piece is None:
                text += line
            size = chunk or len(text) or 1
            return [text[place : place + size] for place in range(0, len(text), size)]

        return edit

    return edited(begin)


def rewrite(events: Rewrite) -> Fault:
    """Other events than those of the service, one by one.

    The function is called for each event of the service, with all events so far; it returns the
    events to send instead of the last one. A reply that is JSON stays as it is.
    """

    def begin() -> Replace:
        seen = list[ServerSentEvent]()

        def replace(event: ServerSentEvent) -> Iterable[ServerSentEvent]:
            seen.append(event)
            return events(seen)

        return replace

    return replacing(begin)


def replacing(begin: Callable[[], Replace]) -> Fault:
    """Other events than those of the service; ``begin`` makes the function for each stream."""

    def begin_edit() -> Edit:
        decoder, replace = SSEDecoder(), begin()

        def edit(piece: bytes | None) -> Iterable[bytes]:
            if piece is None:
                rest = decoder.flush()
                coming: Iterable[ServerSentEvent] = () if rest is None else (rest,)
            else:
                coming = decoder.feed(piece)
            for event in coming:
                yield from map(encode, replace(event))

        return edit

    return edited(begin_edit, json=False)


def drop(*which: str | int) -> Fault:
    """Some events never come: all of a name, or single ones by their index.

    With ``drop("done")`` a stream just ends. A name may be a pattern: ``drop("*.done")``.
    """
    return rewrite(lambda seen: () if _is_one(seen, which) else seen[-1:])


def duplicate(*which: str | int) -> Fault:
    """Some events come twice in a row: all of a name, or single ones by their index."""
    return rewrite(lambda seen: (*seen[-1:],) * (2 if _is_one(seen, which) else 1))


def swap(at: int) -> Fault:
    """The event at an index comes after the next one; if it is the last one, it never comes."""

    def swapped(seen: Sequence[ServerSentEvent]) -> Iterable[ServerSentEvent]:
        last = len(seen) - 1
        if last == at:
            return ()
        return (seen[last], seen[at]) if last == at + 1 else seen[-1:]

    return rewrite(swapped)


def finish(at: int) -> Fault:
    """The stream ends with ``done`` instead of the event at an index."""
    done = ServerSentEvent("done", "[DONE]")
    return rewrite(
        lambda seen: (done,) if len(seen) - 1 == at else seen[-1:] if len(seen) - 1 < at else ()
    )


def insert(event: ServerSentEvent, at: int) -> Fault:
    """An event of your own comes before the one at an index."""
    return rewrite(lambda seen: (event, seen[-1]) if len(seen) - 1 == at else seen[-1:])


def _is_one(seen: Sequence[ServerSentEvent], which: Sequence[str | int]) -> bool:
    name, index = seen[-1].event, len(seen) - 1
    return any(
        fnmatchcase(name, each) if isinstance(each, str) else each == index for each in which
    )


__all__ = [
    "Replace",
    "Rewrite",
    "drop",
    "duplicate",
    "finish",
    "framing",
    "insert",
    "replacing",
    "rewrite",
    "swap",
]
