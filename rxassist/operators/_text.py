"""Text as it grows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from rxassist.errors import excerpt
from rxassist.events import (
    Event,
    MessageEvent,
    ThreadMessageCompleted,
    ThreadMessageDelta,
    ThreadMessageIncomplete,
    check_event,
)
from rxassist.models import Message, MessageDeltaEvent, TextContentBlock, TextDeltaBlock
from rxassist.operators._kernel import Finish, Step, choose_each, nothing
from rxassist.typing import Operator


class _Seen:
    """The text of unfinished messages that was emitted, by message and part."""

    def __init__(self) -> None:
        self.part = 0  # of the message: where the text emitted last stands
        self._pieces: dict[str, dict[int, list[str]]] = {}
        self._finished: dict[str, None] = {}  # smaller than a set while it is empty

    def step(self, event: Event) -> Iterable[str]:
        """Emit the text that an event adds."""
        if isinstance(event, ThreadMessageDelta):
            return self.grow(event)
        if isinstance(event, MessageEvent):
            finished = isinstance(event, ThreadMessageCompleted | ThreadMessageIncomplete)
            return self.complete(event.data, finished=finished)
        check_event(event, "text_deltas")
        return ()

    def grow(self, event: ThreadMessageDelta) -> Iterable[str]:
        """Emit what a delta adds."""
        piece = event.piece()
        if piece is not None:  # as nearly always
            return self._added(*piece)
        return self._added_by_each(event.data)

    def _added_by_each(self, data: MessageDeltaEvent) -> Iterator[str]:
        for part in data.delta.content:
            if isinstance(part, TextDeltaBlock) and part.text is not None:
                yield from self._added(data.id, part.index, part.text.value)

    def _added(self, message_id: str, index: int, text: str | None) -> tuple[str, ...]:
        if not text or message_id in self._finished:
            return ()
        self.part = index = index or 0  # some servers say null
        parts = self._pieces.setdefault(message_id, {})
        parts.setdefault(index, []).append(text)
        return (text,)

    def complete(self, message: Message, *, finished: bool) -> Iterator[str]:
        """Emit what a whole message holds beyond its deltas."""
        if message.id in self._finished or message.role == "user":
            return
        parts = self._pieces.setdefault(message.id, {})
        if parts and not finished:  # told again while it grows: the deltas bring the rest
            return
        texts = {
            index: block.text.value
            for index, block in enumerate(message.content)
            if isinstance(block, TextContentBlock) and block.text.value
        }
        told: dict[int, int] = {}  # by the place in the message, the index of its deltas
        if not parts.keys() <= texts.keys():  # the deltas counted with gaps: only the order is sure
            told = dict(zip(texts, sorted(parts), strict=False))
        for index, text in texts.items():
            self.part = told.get(index, index)
            pieces = parts.setdefault(self.part, [])
            seen = "".join(pieces)
            if len(text) > len(seen) and text.startswith(seen):
                pieces.append(text[len(seen) :])
                yield pieces[-1]
        if finished:
            self._finished[message.id] = None
            del self._pieces[message.id]


Place = tuple[str, int]
"""Where a text stands: the id of its message, and the index of its part."""


class TextReader:
    """Tells apart the texts of a source: one for each part of a message, or one of plain strings.

    A text ends with its message, or where another part of the message begins.
    """

    def __init__(self) -> None:
        self._seen = _Seen()
        self._growing: dict[str, int] = {}  # of each unfinished message, the part that grows

    def read(self, item: Event | str) -> Iterator[tuple[Place | None, str | None]]:
        """Each piece of text with its place (strings have none); ``None`` ends the text there."""
        if isinstance(item, str):
            if item:
                yield None, item
        elif isinstance(item, ThreadMessageDelta):
            yield from self._placed(item.glance().id, self._seen.grow(item))
        elif isinstance(item, MessageEvent):
            message_id = item.data.id
            yield from self._placed(message_id, self._seen.step(item))
            if isinstance(item, ThreadMessageCompleted | ThreadMessageIncomplete):
                part = self._growing.pop(message_id, None)
                if part is not None:
                    yield (message_id, part), None
        else:
            check_event(item, "an operator of text", takes="events or strings")

    def _placed(
        self, message_id: str, pieces: Iterable[str]
    ) -> Iterator[tuple[Place | None, str | None]]:
        for piece in pieces:
            part, before = self._seen.part, self._growing.get(message_id)
            if before is not None and before != part:
                yield (message_id, before), None
            self._growing[message_id] = part
            yield (message_id, part), piece


class Splitter(Protocol):
    """Cuts one growing text."""

    def feed(self, piece: str) -> Iterable[str]:
        """Emit what is whole now that more has come."""
        ...

    def finish(self) -> Iterable[str]:
        """Emit the rest."""
        ...


def split_each(begin: Callable[[], Splitter]) -> Operator[Event | str, str]:
    """Cut each text of a source by a splitter of its own, which ``begin`` gives."""

    def begin_all() -> tuple[Step[Event | str, str], Finish[str]]:
        splitting = _Splitting(begin)
        return splitting.step, splitting.finish

    return choose_each(begin_all)


class _Splitting:
    """The texts that have not ended, in the order in which they began."""

    def __init__(self, begin: Callable[[], Splitter]) -> None:
        self._begin = begin
        self._reader = TextReader()
        self._texts: dict[Place | None, Splitter] = {}

    def step(self, item: Event | str) -> Iterator[str]:
        for place, piece in self._reader.read(item):
            if piece is None:
                yield from self._texts.pop(place).finish()
                continue
            if place not in self._texts:
                self._texts[place] = self._begin()
            yield from self._texts[place].feed(piece)

    def finish(self) -> Iterator[str]:
        for text in self._texts.values():
            yield from text.finish()


def text_deltas(*, separator: str = "") -> Operator[Event, str]:
    """Emit the text of the assistant's messages as it grows: just the strings.

    When a finished message holds more than its deltas brought, the missing end is emitted too, so
    the strings together are the text. Text that contradicts what was emitted is not repeated: the
    finished message has it. Completes and fails with its source.

    ``separator`` is emitted between two texts: of two messages, or of two parts of one message,
    such as those around an image. Operators that take text after this one see no other border.

    Where ``t`` and ``u`` are deltas of ``"A"`` and ``"B"``, and ``n`` is the finished message,
    which says ``"ABC"``::

        source  -m-t-u-n-d|
        result  ---A-B-C--|
    """
    if not isinstance(separator, str):
        msg = f"separator must be text, got {excerpt(separator)}"
        raise TypeError(msg)
    if not separator:
        return choose_each(lambda: (_Seen().step, nothing))
    return choose_each(lambda: (_Separating(separator).step, nothing))


class _Separating:
    def __init__(self, separator: str) -> None:
        self._separator = separator
        self._reader = TextReader()
        self._last: Place | None = None

    def step(self, event: Event) -> Iterator[str]:
        for place, piece in self._reader.read(event):
            if piece is None:
                continue
            if self._last not in {None, place}:
                yield self._separator
            self._last = place
            yield piece
