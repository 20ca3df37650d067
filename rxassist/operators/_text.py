"""Text as it grows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Protocol

from rxassist.checks import needing
from rxassist.errors import excerpt
from rxassist.events import (
    Event,
    MessageEvent,
    ThreadMessageCompleted,
    ThreadMessageDelta,
    ThreadMessageIncomplete,
    check_event,
)
from rxassist.models import (
    Annotation,
    AnnotationDelta,
    Message,
    MessageDeltaEvent,
    Text,
    TextContentBlock,
    TextDeltaBlock,
)
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
        if not self.grows(message):
            return
        texts = self.texts(message)
        parts = self._pieces.setdefault(message.id, {})
        if parts and not finished:  # told again while it grows: the deltas bring the rest
            return
        for part, told in texts:
            self.part = part
            pieces = parts.setdefault(part, [])
            text, seen = told.value, "".join(pieces)
            if len(text) > len(seen) and text.startswith(seen):
                pieces.append(text[len(seen) :])
                yield pieces[-1]
        if finished:
            self._finished[message.id] = None
            del self._pieces[message.id]

    def grows(self, message: Message) -> bool:
        """Whether a message is one that the assistant writes and has not finished."""
        return message.role != "user" and self.grows_by(message.id)

    def grows_by(self, message_id: str) -> bool:
        """Whether a message has not finished."""
        return message_id not in self._finished

    def texts(self, message: Message) -> list[tuple[int, Text]]:
        """The texts of a message, each with the index that its deltas have."""
        texts = {
            index: block.text
            for index, block in enumerate(message.content)
            if isinstance(block, TextContentBlock) and block.text.value
        }
        told: dict[int, int] = {}  # by the place in the message, the index of its deltas
        parts = self._pieces.get(message.id, {})
        if not parts.keys() <= texts.keys():  # the deltas counted with gaps: only the order is sure
            told = dict(zip(texts, sorted(parts), strict=False))
        return [(told.get(index, index), text) for index, text in texts.items()]


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

    def annotated(
        self, item: Event | str
    ) -> Iterator[tuple[Place, tuple[Annotation | AnnotationDelta, ...]]]:
        """The annotations that an item has, each part's with its place. Ask before ``read``."""
        if isinstance(item, ThreadMessageDelta):
            if item.piece() is None and self._seen.grows_by(item.data.id):
                for block in item.data.delta.content:
                    if isinstance(block, TextDeltaBlock) and block.text is not None:
                        yield (item.data.id, block.index or 0), block.text.annotations
        elif isinstance(item, MessageEvent) and self._seen.grows(item.data):
            for part, text in self._seen.texts(item.data):
                yield (item.data.id, part), text.annotations

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


class SplitTexts:
    """The texts that have not ended, in the order in which they began, each with its splitter."""

    def __init__(self, begin: Callable[[], Splitter]) -> None:
        self._begin = begin
        self._reader = TextReader()
        self._texts: dict[Place | None, Splitter] = {}

    def step(self, item: Event | str) -> Iterator[tuple[Place | None, str]]:
        """What becomes whole with an item, each with its place."""
        for place, piece in self._reader.read(item):
            if piece is None:
                whole = self._texts.pop(place).finish()
            else:
                if place not in self._texts:
                    self._texts[place] = self._begin()
                whole = self._texts[place].feed(piece)
            for each in whole:
                yield place, each

    def finish(self) -> Iterator[tuple[Place | None, str]]:
        """The rest of each text."""
        for place, text in self._texts.items():
            for each in text.finish():
                yield place, each


def split_each(begin: Callable[[], Splitter]) -> Operator[Event | str, str]:
    """Cut each text of a source by a splitter of its own, which ``begin`` gives."""

    def begin_all() -> tuple[Step[Event | str, str], Finish[str]]:
        texts = SplitTexts(begin)

        def step(item: Event | str) -> Iterator[str]:
            return (whole for _, whole in texts.step(item))

        def finish() -> Iterator[str]:
            return (whole for _, whole in texts.finish())

        return step, finish

    return choose_each(begin_all)


def regex_of(what: str) -> ModuleType:
    """The library ``regex``, which ``what`` needs."""
    try:
        import regex  # noqa: PLC0415 -- only those who ask for what needs it have it
    except ModuleNotFoundError:
        msg = needing(what, "text", "regex")
        raise ModuleNotFoundError(msg, name="regex") from None
    return regex


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
