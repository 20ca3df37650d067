"""Markers in the text of a message, and texts that may become one."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from io import SEEK_END, StringIO

from attrs import evolve, field, frozen, mutable

from rxassist.runs.operators.text import regex_of
from rxassist.runs.operators.units import compiled
from rxassist.runs.protocol import Cited

_LONGEST = 200  # characters of a marker: a longer one is text
_MOST_EARLY = 100  # annotations of a part that wait for their text


# --- text to hold back ---------------------------------------------------------------------


@frozen
class Mark:
    """A stretch of a text, ``begin`` to ``end``, that is a marker or may be one.

    ``certain``: it is one without an annotation, too. ``passes``: it waits for an annotation only
    until more text comes.
    """

    begin: int
    end: int
    text: str
    annotation: Cited | None = None
    certain: bool = False
    passes: bool = False

    def is_behind(self, end: int) -> bool:
        """Whether the text up to a position does not have it; a place at its end belongs to it."""
        return self.begin > end or self.begin == end < self.end


Shape = Callable[[str, int, bool], tuple[list[Mark], int]]
"""Finds the markers in a text from a position on, and the position from which it is undecided.

The third argument says that nothing follows the text.
"""

_SIGNED = rf"【\d{{1,9}}(?::\d{{1,9}})?†[^【】\n]{{0,{_LONGEST}}}】"
_SIGNED_BEGUN = (
    rf"【(?:\d{{0,9}}|\d{{1,9}}:\d{{0,9}}|\d{{1,9}}(?::\d{{1,9}})?†[^【】\n]{{0,{_LONGEST}}})\Z"
)
_OF_PATH = r"[^\s()\[\]<>\"'`]"
_PATH = rf"sandbox:/{_OF_PATH}{{1,{_LONGEST}}}(?!{_OF_PATH})"
_PATH_BEGUN = (
    r"(?<!\w)(?:s|sa|san|sand|sandb|sandbo|sandbox|sandbox:)\Z"
    rf"|sandbox:/{_OF_PATH}{{0,{_LONGEST}}}\Z"
)
_URL = r"https?://(?:[^\s()]|\([^\s()]*\)){1,2000}"
_TITLE = r"\[[^\[\]\n]{1,200}\]"
_LINK = rf"(?P<link>\({_TITLE}\({_URL}\)\)|{_TITLE}\({_URL}\))"
_LINK_BEGUN = (
    r"\(?\[(?:[^\[\]\n]{0,200}|[^\[\]\n]{1,200}\](?:\((?:[a-z:/]{0,8}"
    r"|https?://(?:[^\s()]|\([^\s()]*\)){0,2000}(?:\([^\s()]{0,2000})?))?)\Z"
    rf"|\({_TITLE}\({_URL}\)\Z|\(\Z"
)


def of_the_service(*, paths: bool, links: bool = False) -> Shape:
    """The service's markers, such as ``【4:0†source】``; its paths of files, links to pages."""
    also = [(_PATH, _PATH_BEGUN)] * paths + [(_LINK, _LINK_BEGUN)] * links
    whole = re.compile("|".join([_SIGNED, *(each for each, _ in also)]))
    begun = re.compile("|".join([_SIGNED_BEGUN, *(each for _, each in also)]))

    def find(text: str, at: int, last: bool) -> tuple[list[Mark], int]:  # noqa: FBT001 -- a Shape
        half = None if last else begun.search(text, at)
        undecided = len(text) if half is None else half.start()
        marks = [
            Mark(
                *match.span(),
                match[0],
                certain=match[0][0] == "【",
                passes=match.lastgroup == "link",
            )
            for match in whole.finditer(text, at)
            if match.start() < undecided
        ]
        return marks, undecided

    return find


def of_pattern(marker: str | re.Pattern[str]) -> Shape:
    """Markers that a pattern matches, and beginnings that more text could complete.

    Raises ``TypeError`` or ``ValueError`` for anything but a pattern of text, and
    ``ModuleNotFoundError`` without the extra.
    """
    pattern = compiled(marker, f"marker must be a regular expression of text, got {marker!r}")
    library = regex_of("citations(marker=)")
    flags = sum(getattr(library, name) for name in "AIMSX" if pattern.flags & getattr(re, name))
    match = library.compile(pattern.pattern, flags).match

    def find(text: str, at: int, last: bool) -> tuple[list[Mark], int]:  # noqa: FBT001 -- a Shape
        marks: list[Mark] = []
        while at < len(text):
            found = match(text, at, at + _LONGEST + 1, partial=True)
            end = found.end() if found else at
            if end == at or end - at > _LONGEST:
                at += 1
            elif end == len(text) and not last:  # it may go on
                return marks, at
            elif found.partial:
                at += 1
            else:
                marks.append(Mark(at, end, text[at:end]))
                at = end
        return marks, len(text)

    return find


# --- text that annotations name ------------------------------------------------------------


@mutable
class Message:
    """The annotations of a message, by the text that they name."""

    annotations: dict[str, Cited] = field(factory=dict[str, Cited])
    finished: bool = False


@frozen
class _Note:
    """An annotation, with the text that it names and its position for that."""

    text: str
    start: int
    annotation: Cited

    @property
    def is_place(self) -> bool:
        """Whether the annotation has the place of the text instead of the text."""
        return self.annotation.text is None


class Part:
    """A text that grows: how much was emitted, and the positions of its markers."""

    def __init__(self, message: Message, shape: Shape) -> None:
        self.message = message
        self._shape = shape
        self._written = StringIO()
        self._length = 0
        self._before = 0  # the length before the last piece
        self._wide: list[int] = []  # positions of characters of two UTF-16 units, in units
        self._sent = 0
        self._decided = 0
        self._found: deque[Mark] = deque()  # by their shape
        self._named: list[Mark] = []  # by an annotation, in order
        self._noted: set[tuple[str, int, int]] = set()
        self._early: list[_Note] = []

    def add(self, piece: str) -> None:
        """The text grows."""
        for match in _WIDE.finditer(piece):
            self._wide.append(self._length + match.start() + len(self._wide))
        self._before = self._length
        self._written.seek(0, SEEK_END)
        self._written.write(piece)
        self._length += len(piece)

    def note(self, annotations: Iterable[Cited]) -> None:
        """Remember annotations; each is of this part or came before."""
        for annotation in annotations:
            text, start = annotation.text, annotation.start
            source = text or annotation.file_id or annotation.url or ""
            if (text is not None and not text) or (text is None and annotation.end < start):
                continue
            if (source, start, annotation.end) in self._noted:
                continue
            self._noted.add((source, start, annotation.end))
            if text is not None:
                self.message.annotations[text] = annotation
            if len(self._early) < _MOST_EARLY:
                self._early.append(_Note(text or "", start, annotation))
            else:
                self._name(_Note(text or "", start, annotation), exactly=False)

    def decide(self, *, last: bool = False) -> int:
        """The position up to which all markers are known."""
        if self._early:
            for exactly in (True, False):  # or one with a wrong position takes the text of another
                self._early = [
                    note for note in self._early if not self._name(note, exactly=exactly)
                ]
        for mark in self._named[bisect_right(self._named, self._decided, key=_end_of) :]:
            self._look(mark.begin, last=True)
            self._decided = mark.end
        end = self._length
        if self._early and not last:
            end = min(end, *map(self._held_for, self._early))
        self._look(end, last=last)
        return self._decided

    def _look(self, end: int, *, last: bool) -> None:
        """Find the texts that look like a marker, up to a position."""
        if end <= self._decided:
            return
        begin = max(self._decided - 1, 0)  # with the character before
        marks, undecided = self._shape(self._read(begin, end), self._decided - begin, last)
        for mark in marks:
            self._found.append(evolve(mark, begin=begin + mark.begin, end=begin + mark.end))
        self._decided = begin + undecided

    def next_mark(self) -> Mark | None:
        """The next marker, or text that may be one."""
        while self._named and self._named[0].begin < self._sent:
            self._named.pop(0)
        named = self._named[0] if self._named else None
        while self._found and (
            self._found[0].begin < self._sent or (named and _overlap(self._found[0], named))
        ):
            self._found.popleft()
        found = self._found[0] if self._found else None
        if named is None or (found is not None and found.begin < named.begin):
            return found
        return named

    def take(self, end: int) -> str:
        """Take the text up to a position, to emit it."""
        text = self._read(self._sent, end) if end > self._sent else ""
        self.skip(end)
        return text

    def has_passed(self, mark: Mark) -> bool:
        """Whether more text has come after a marker that does not wait longer."""
        return mark.passes and mark.end <= self._before

    def skip_mark(self, mark: Mark) -> None:
        """Go on after a marker, which may be empty."""
        self.skip(mark.end)
        if self._named and self._named[0] is mark:
            del self._named[0]

    def skip(self, end: int) -> None:
        """Go on at a position."""
        self._sent = max(self._sent, end)

    def _read(self, begin: int, end: int) -> str:
        self._written.seek(begin)
        return self._written.read(end - begin)

    def _positions(self, note: _Note) -> tuple[int, ...]:
        """The positions that an annotation may mean: in characters or in UTF-16 units."""
        if note.start < 0:
            return ()
        return note.start, note.start - bisect_left(self._wide, note.start)

    def _name(self, note: _Note, *, exactly: bool) -> bool:
        """Find the text that an annotation names; ``False`` if it has not come."""
        if note.is_place:
            return self._place(note.annotation)
        for position in self._positions(note):
            if self._read(position, position + len(note.text)) == note.text:
                self._put(Mark(position, position + len(note.text), note.text, note.annotation))
                return True
        if exactly:
            return False
        length, held = len(note.text), self._read(self._sent, self._length)
        marks = [
            Mark(self._sent + position, self._sent + position + length, note.text, note.annotation)
            for position in _positions_of(note.text, held)
        ]
        free = [mark for mark in marks if self._is_free(mark)]
        if free:
            self._put(min(free, key=lambda mark: abs(mark.begin - note.start)))
        return bool(free)

    def _place(self, cited: Cited) -> bool:
        """Find the place that an annotation names; ``False`` if the text has not come so far."""
        shifts = 0, bisect_left(self._wide, cited.start)  # in characters, or in UTF-16 units
        places = [(cited.start - shift, cited.end - shift) for shift in shifts]
        marks = [
            Mark(begin, end, self._read(begin, end), cited)
            for begin, end in places
            if end <= self._length
        ]
        if marks:
            self._put(next(filter(self._is_likely, marks), marks[0]))
        return bool(marks)

    def _is_likely(self, mark: Mark) -> bool:
        """Whether a place is one that is cited: the end of the text so far, a link or a path."""
        if mark.begin == mark.end:
            return mark.end == self._length
        is_link = mark.text.startswith(("(", "[")) and mark.text.endswith(")")
        return is_link or mark.text.startswith("sandbox:/")

    def _is_free(self, mark: Mark) -> bool:
        position = bisect_right(self._named, mark.begin, key=_begin_of)
        near = self._named[max(position - 1, 0) : position + 1]
        return not any(_overlap(mark, named) for named in near)

    def _put(self, mark: Mark) -> None:
        """Add a marker, unless it was emitted or another annotation names it."""
        if mark.begin < self._sent or not self._is_free(mark):
            return
        position = bisect_right(self._named, mark.begin, key=_begin_of)
        self._named.insert(position, mark)

    def _held_for(self, note: _Note) -> int:
        """The position of the text of an annotation that has come only in part."""
        if note.is_place:
            return min(note.start, self._length)
        for position in self._positions(note):
            begun = self._read(position, self._length) if position >= self._decided else ""
            if begun and len(note.text) <= _LONGEST and note.text.startswith(begun):
                return position
        return self._length


_WIDE = re.compile("[\U00010000-\U0010ffff]")


def _positions_of(text: str, held: str) -> Iterator[int]:
    """All positions of a text in another one."""
    position = held.find(text)
    while position >= 0:
        yield position
        position = held.find(text, position + len(text))


def _begin_of(mark: Mark) -> int:
    return mark.begin


def _end_of(mark: Mark) -> int:
    return mark.end


def _overlap(one: Mark, other: Mark) -> bool:
    return one.begin < other.end and other.begin < one.end
