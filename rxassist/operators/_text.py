"""Text as it grows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rxassist.events import (
    Event,
    MessageEvent,
    ThreadMessageCompleted,
    ThreadMessageDelta,
    ThreadMessageIncomplete,
)
from rxassist.models import Message, MessageDeltaEvent, TextContentBlock, TextDeltaBlock
from rxassist.operators._kernel import choose_each, nothing
from rxassist.typing import Operator


class _Seen:
    """The text of unfinished messages that was emitted, by message and part."""

    def __init__(self) -> None:
        self._pieces: dict[str, dict[int, list[str]]] = {}
        self._finished: dict[str, None] = {}  # smaller than a set while it is empty

    def step(self, event: Event) -> Iterable[str]:
        """Emit the text that an event adds."""
        if isinstance(event, ThreadMessageDelta):
            return self.grow(event)
        if isinstance(event, MessageEvent):
            finished = isinstance(event, ThreadMessageCompleted | ThreadMessageIncomplete)
            return self.complete(event.data, finished=finished)
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
        parts = self._pieces.setdefault(message_id, {})
        parts.setdefault(index or 0, []).append(text)  # some servers say null
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
        if not parts.keys() <= texts.keys():  # the deltas counted with gaps: only the order is sure
            parts = dict(zip(texts, (parts[index] for index in sorted(parts)), strict=False))
        for index, text in texts.items():
            pieces = parts.setdefault(index, [])
            seen = "".join(pieces)
            if len(text) > len(seen) and text.startswith(seen):
                pieces.append(text[len(seen) :])
                yield pieces[-1]
        if finished:
            self._finished[message.id] = None
            del self._pieces[message.id]


def text_deltas() -> Operator[Event, str]:
    """Emit the text of the assistant's messages as it grows: just the strings.

    When a finished message holds more than its deltas brought, the missing end is emitted too, so
    the strings together are the text. Text that contradicts what was emitted is not repeated: the
    finished message has it. Completes and fails with its source.

    Where ``t`` and ``u`` are deltas of ``"A"`` and ``"B"``, and ``n`` is the finished message,
    which says ``"ABC"``::

        source  -m-t-u-n-d|
        result  ---A-B-C--|
    """
    return choose_each(lambda: (_Seen().step, nothing))
