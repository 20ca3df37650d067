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
from rxassist.operators._kernel import Finish, Step, choose_each, nothing
from rxassist.typing import Operator


class _Seen:
    """The text of unfinished messages that was emitted, by message and part."""

    def __init__(self) -> None:
        self._pieces: dict[str, dict[int, list[str]]] = {}
        self._finished: set[str] = set()

    def grow(self, data: MessageDeltaEvent) -> list[str]:
        added: list[str] = []
        if data.id in self._finished:
            return added
        parts = self._pieces.setdefault(data.id, {})
        for part in data.delta.content:
            if isinstance(part, TextDeltaBlock) and part.text is not None and part.text.value:
                index = part.index or 0  # some servers say null
                parts.setdefault(index, []).append(part.text.value)
                added.append(part.text.value)
        return added

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
            self._finished.add(message.id)
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

    def begin() -> tuple[Step[Event, str], Finish[str]]:
        seen = _Seen()

        def step(event: Event) -> Iterable[str]:
            if isinstance(event, ThreadMessageDelta):
                return seen.grow(event.data)
            if isinstance(event, MessageEvent):
                finished = isinstance(event, ThreadMessageCompleted | ThreadMessageIncomplete)
                return seen.complete(event.data, finished=finished)
            return ()

        return step, nothing

    return choose_each(begin)
