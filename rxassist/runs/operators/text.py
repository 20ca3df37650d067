"""Text as it grows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from types import ModuleType
from typing import Protocol, cast

from rxassist.errors import excerpt
from rxassist.reactive.checks import needing
from rxassist.reactive.kernel import Finish, Step, choose_each, nothing
from rxassist.reactive.typing import Operator
from rxassist.runs.events import AnyEvent, Piece, Texts, check_event
from rxassist.runs.operators.resets import OnReset, Reset, check_on_reset
from rxassist.runs.state import SETTLED


class SeenTexts:
    """The text of unfinished messages that was emitted, by message and part."""

    def __init__(self, *, follows: bool = False) -> None:
        self.part: int = 0  # of the message: the index of the text emitted last
        self._pieces: dict[Hashable, dict[int, list[str]]] = {}
        self._finished: dict[Hashable, None] = {}  # smaller than a set while it is empty
        self._resets: dict[str, Reset] = {}
        self._follows = follows

    def step(self, event: AnyEvent) -> Iterable[str]:
        """Emit the text that an event adds."""
        item: object = event  # a source may emit anything
        if isinstance(item, AnyEvent) and item.is_delta:
            piece = item.piece()
            if piece is not None:  # nearly always
                return self.add(piece)
            return [text for each in item.pieces() for text in self.add(each)]
        check_event(event, "text_deltas")
        return (text for whole in self.wholes(event) for text in self.complete(whole))

    def wholes(self, event: AnyEvent) -> Iterator[Texts]:
        """The texts of the whole messages in an event, which may begin its run anew, or end it."""
        run_id = event.resets()
        if run_id is not None:
            self._reset(run_id)
        yield from event.texts()
        if event.run_status() in SETTLED:
            run = event.run()
            if run is not None:
                self._settle(run.id)

    def add(self, piece: Piece) -> tuple[str, ...]:
        """Emit a piece, unless its message has finished."""
        key, index, text = piece
        if not text or key in self._finished:
            return ()
        self.part = index = index or 0  # some servers say null
        parts = self._pieces.get(key)
        if parts is None:
            parts = self._pieces[key] = {}
        pieces = parts.get(index)
        if pieces is None:
            parts[index] = [text]
        else:
            pieces.append(text)
        return self._unheard(key, index, text) if self._resets else (text,)

    def complete(self, whole: Texts) -> Iterator[str]:
        """Emit the text of a whole message that its deltas did not have."""
        if not self.grows(whole):
            return
        texts = self.texts(whole)
        parts = self._pieces.setdefault(whole.key, {})
        if parts and not whole.finished:  # sent again while it grows: the deltas bring the rest
            return
        for part, text in texts.items():
            self.part = part
            pieces = parts.setdefault(part, [])
            seen = "".join(pieces)
            if len(text) > len(seen) and text.startswith(seen):
                pieces.append(text[len(seen) :])
                yield from self._unheard(whole.key, part, pieces[-1])
        if whole.finished:
            run_id = _run_of(whole.key)
            self._finished[whole.key] = None
            if run_id is None:
                del self._pieces[whole.key]
            elif run_id in self._resets:
                self._resets[run_id].check(whole.key)

    def grows(self, whole: Texts) -> bool:
        """Whether a message is an answer that has not finished."""
        return not whole.is_input and self.grows_by(whole.key)

    def grows_by(self, key: Hashable) -> bool:
        """Whether a message has not finished."""
        return key not in self._finished

    def texts(self, whole: Texts) -> dict[int, str]:
        """The texts of a message, by the indexes that its deltas have."""
        indexes = self.indexes(whole)
        return {indexes.get(index, index): text for index, text in whole.texts.items()}

    def _unheard(self, key: Hashable, part: int, text: str) -> tuple[str, ...]:
        """A piece without the text that was emitted before its run began anew."""
        reset = self._resets.get(_run_of(key) or "")
        if reset is not None:
            text = reset.unheard(key, part, text)
        return (text,) if text else ()

    def _reset(self, run_id: str) -> None:
        """Begin a run anew: nothing of it has come, and the texts that were emitted stay."""
        came: dict[Hashable, dict[int, str]] = {}
        for key in [key for key in self._pieces if _run_of(key) == run_id]:
            parts = self._pieces.pop(key)
            self._finished.pop(key, None)
            came[key] = {part: "".join(pieces) for part, pieces in parts.items()}
        before = self._resets.get(run_id)
        emitted = came if before is None else before.emitted(came)
        if emitted:
            self._resets[run_id] = Reset(run_id, {**emitted}, follows=self._follows)

    def _settle(self, run_id: str) -> None:
        """End a run, which cannot begin anew any more."""
        reset = self._resets.pop(run_id, None)
        if reset is not None:
            reset.check_all()
        for key in [key for key in self._pieces if key in self._finished]:
            if _run_of(key) == run_id:
                del self._pieces[key]

    def indexes(self, whole: Texts) -> dict[int, int]:
        """The indexes of deltas, by the positions in the whole message, where the two differ."""
        parts = self._pieces.get(whole.key, {})
        if parts.keys() <= whole.texts.keys():
            return {}
        # the deltas counted with gaps: only the order is sure
        return dict(zip(whole.texts, sorted(parts), strict=False))


def _run_of(key: Hashable) -> str | None:
    """The run of a message, if the service may begin it anew."""
    return cast("tuple[str, ...]", key)[0] if isinstance(key, tuple) else None


Position = tuple[Hashable, int]
"""The position of a text: the key of its message, and the index of its part."""


class TextReader:
    """Separates the texts of a source: one for each part of a message, or one of plain strings.

    A text ends with its message, or when another part of the message begins.
    """

    def __init__(self, *, follows: bool = False) -> None:
        self.seen: SeenTexts = SeenTexts(follows=follows)
        self._growing: dict[Hashable, int] = {}  # of each unfinished message, the part that grows

    def read(self, item: AnyEvent | str) -> Iterator[tuple[Position | None, str | None]]:
        """Each piece of text with its position (strings have none); ``None`` ends that text."""
        if isinstance(item, str):
            if item:
                yield None, item
            return
        check_event(item, "an operator of text", takes="events or strings")
        if item.is_delta:
            piece = item.piece()
            for each in item.pieces() if piece is None else (piece,):
                yield from self._placed(each[0], self.seen.add(each))
            return
        for whole in self.seen.wholes(item):
            yield from self._placed(whole.key, self.seen.complete(whole))
            part = self._growing.pop(whole.key, None) if whole.finished else None
            if part is not None:
                yield (whole.key, part), None

    def _placed(
        self, key: Hashable, pieces: Iterable[str]
    ) -> Iterator[tuple[Position | None, str | None]]:
        for piece in pieces:
            part, before = self.seen.part, self._growing.get(key)
            if before is not None and before != part:
                yield (key, before), None
            self._growing[key] = part
            yield (key, part), piece


class Splitter(Protocol):
    """Cuts one growing text."""

    def feed(self, piece: str) -> Iterable[str]:
        """Emit the pieces that are whole after more text has come."""
        ...

    def finish(self) -> Iterable[str]:
        """Emit the rest."""
        ...


class SplitTexts:
    """The texts that have not ended, in the order in which they began, each with its splitter."""

    def __init__(self, begin: Callable[[], Splitter]) -> None:
        self._begin = begin
        self._reader = TextReader()
        self._texts: dict[Position | None, Splitter] = {}

    def step(self, item: AnyEvent | str) -> Iterator[tuple[Position | None, str]]:
        """The pieces that become whole with an item, each with its position."""
        for position, piece in self._reader.read(item):
            if piece is None:
                whole = self._texts.pop(position).finish()
            else:
                if position not in self._texts:
                    self._texts[position] = self._begin()
                whole = self._texts[position].feed(piece)
            for each in whole:
                yield position, each

    def finish(self) -> Iterator[tuple[Position | None, str]]:
        """The rest of each text."""
        for position, text in self._texts.items():
            for each in text.finish():
                yield position, each


def split_each(begin: Callable[[], Splitter]) -> Operator[AnyEvent | str, str]:
    """Cut each text of a source with its own splitter, which ``begin`` returns."""

    def begin_all() -> tuple[Step[AnyEvent | str, str], Finish[str]]:
        texts = SplitTexts(begin)

        def step(item: AnyEvent | str) -> Iterator[str]:
            return (whole for _, whole in texts.step(item))

        def finish() -> Iterator[str]:
            return (whole for _, whole in texts.finish())

        return step, finish

    return choose_each(begin_all)


def regex_of(what: str) -> ModuleType:
    """The library ``regex``, which ``what`` needs: the error names that."""
    try:
        import regex  # noqa: PLC0415 -- it is of an extra
    except ModuleNotFoundError:
        msg = needing(what, "text", "regex")
        raise ModuleNotFoundError(msg, name="regex") from None
    return regex


def text_deltas(*, separator: str = "", on_reset: OnReset = "raise") -> Operator[AnyEvent, str]:
    """Emit the text of the assistant's messages as it grows: just the strings.

    When a finished message holds more than its deltas brought, the missing end is emitted too, so
    the strings together are the text. Text that contradicts what was emitted is not repeated: the
    finished message has it. Completes and fails with its source.

    ``separator`` is emitted between two texts: of two messages, or of two parts of one message,
    such as those around an image. Operators that take text after this one see no other border.

    The service may begin a response anew. Text that repeats what was emitted is not emitted again;
    text that contradicts it sends ``StreamDiverged`` to ``on_error``. With ``on_reset="follow"``
    the new text is emitted instead, from where it differs: for readers who take the whole text from
    a snapshot.

    Where ``t`` and ``u`` are deltas of ``"A"`` and ``"B"``, and ``n`` is the finished message,
    which says ``"ABC"``::

        source  -m-t-u-n-d|
        result  ---A-B-C--|
    """
    if not isinstance(separator, str):
        msg = f"separator must be text, got {excerpt(separator)}"
        raise TypeError(msg)
    check_on_reset(on_reset)
    follows = on_reset == "follow"
    if not separator:
        return choose_each(lambda: (SeenTexts(follows=follows).step, nothing))
    return choose_each(lambda: (_Separating(separator, follows=follows).step, nothing))


class _Separating:
    def __init__(self, separator: str, *, follows: bool) -> None:
        self._separator = separator
        self._reader = TextReader(follows=follows)
        self._last: Position | None = None

    def step(self, event: AnyEvent) -> Iterator[str]:
        for position, piece in self._reader.read(event):
            if piece is None:
                continue
            if self._last not in {None, position}:
                yield self._separator
            self._last = position
            yield piece
