"""Text in whole sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rxassist.operators._kernel import Finish, Step, choose_each
from rxassist.typing import Operator

_STOPS = ".!?…。！？｡"
_CLOSING = "\"'”’»«“)\\]）】」』》*_`"
_NOTES = r"(?:\[\d{1,3}\])*"
_MAYBE_NOTE = re.compile(r"\[\d{0,3}\Z")
_MARK = re.compile(
    rf"(?P<stop>[.!?…]+)[{_CLOSING}]*{_NOTES}"
    rf"|(?P<full>[。！？｡]+)[{_CLOSING.replace('“', '')}]*{_NOTES}"  # there “ only opens
    r'|(?P<quote>["“„«「『])'
    r"|(?P<line>\n)"
)
_CLOSES = {
    pair[0]: re.compile(rf"[{pair[1:]}][{_CLOSING}]*|\n[ \t\r]*\n")
    for pair in ('""', "“”", "„“”", "«»", "「」", "『』")
}
_LONGEST_QUOTE = 300  # a mark that nobody closes must not hold up all that follows
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_ITEM = re.compile(r"\n[ \t]*(?:[-*+•]|\d{1,3}[.)]|#{1,6})[ \t]")
_MAYBE_ITEM = re.compile(r"\n[ \t\r]*(?:[-*+•]|\d{1,3}[.)]?|#{1,6})?[ \t]*\Z")
_WORD_BEFORE = re.compile(r"[^\W_](?:[^\W_]|[.'’&](?=[^\W_]))*\Z")
_WORD_BEHIND = re.compile(r"\s+([^\W_]*)(.?)", re.DOTALL)
_LONGEST_WORD = 40


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEVER_LAST = _words(
    "approx bzw ca capt cf col d.h dr drs e.g eq evtl fr ft gen ggf gov hon hr i.e lt m.e messrs "
    "mlle mme mr mrs ms mt pres prof rep rev sen sgt sra st u.a vgl viz vs z.b"
)
_BEFORE_NUMBERS = _words("art ch chap fig figs no nos nr op p pp sec v vol")
_SELDOM_LAST = _words(
    "apr aug ave blvd co corp dec dept dez etc feb inc jan jr jul jun ltd mar nov oct okt sep sept "
    "sr usw"
)
_BEGINNERS = _words(
    "a after although an and as at because before but by even every for from he her here his how "
    "however i if in it its many most my no now of on one or our she so some such that the their "
    "then there these they this those thus to we what when where which while who why with yes you "
    "your das der die er es ich sie und wir"
)


def sentences() -> Operator[str, str]:
    """Emit each sentence of a growing text when it is whole: for speech.

    Without the space around it. A sentence ends with a stop and the space behind it, with a stop of
    Chinese or Japanese, at a blank line, and where a heading or an item of a list ends. What cites
    a source behind a stop (``[1]``) belongs to it. A sentence goes on behind abbreviations ("Dr.",
    "e.g."), initials and numbers ("3.14"), where a small letter follows, and inside quotation
    marks. What follows a stop decides, so a sentence comes when the next one begins. When the
    source completes, the rest is the last one. Fails with its source.

    Where ``a`` is ``"It is 3."``, ``b`` is ``"14. N"`` and ``c`` is ``"ew"``, ``A`` is the
    sentence ``"It is 3.14."`` and ``N`` the rest::

        source  -a-b-c-|
        result  ---A---(N|)
    """

    def begin() -> tuple[Step[str, str], Finish[str]]:
        splitter = _Splitter()
        return splitter.feed, splitter.finish

    return choose_each(begin)


class _Splitter:
    """The text that belongs to no whole sentence yet, and how far it was looked at."""

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._final = False

    def feed(self, piece: str) -> Iterator[str]:
        self._text += piece
        while (end := self._end()) is not None:
            sentence, self._text, self._at = self._text[:end].strip(), self._text[end:], 0
            if sentence:
                yield sentence

    def finish(self) -> Iterator[str]:
        self._final = True
        yield from self.feed("")
        rest = self._text.strip()
        if rest:
            yield rest

    def _end(self) -> int | None:
        """Where the first sentence ends, ``None`` if that is not known yet."""
        while (mark := _MARK.search(self._text, self._at)) is not None:
            behind = self._behind_quote(mark) if mark["quote"] else mark.end()
            ends = None if behind is None else self._ends(mark, behind)
            if behind is None or ends is None:
                self._at = mark.start()  # decided when more has come
                return None
            if ends:
                return behind
            self._at = behind
        self._at = len(self._text)
        return None

    def _ends(self, mark: re.Match[str], behind: int) -> bool | None:
        """Whether a sentence ends behind a mark, ``None`` if that is not known yet."""
        if mark["line"]:
            return self._line_ends(mark.start())
        if mark["quote"]:
            stop = self._text[mark.start() : behind].rstrip(_CLOSING)[-1:]
            return stop != "" and stop in _STOPS and self._space_ends(mark, behind)
        if behind == len(self._text):
            return True if self._final else None
        if not self._final and _MAYBE_NOTE.match(self._text, behind):
            return None
        if mark["full"] or (mark["stop"][-1] in "!?" and self._text[behind] > "\u2e80"):
            return True
        return self._space_ends(mark, behind)

    def _behind_quote(self, mark: re.Match[str]) -> int | None:
        """The place behind a quotation, or behind its mark alone if nobody closes it."""
        text, begin = self._text, mark.end()
        before = text[mark.start() - 1 : mark.start()]
        if mark["quote"] == '"' and before and (before.isalnum() or before in ".,!?…"):
            return begin  # it closes
        closed = _CLOSES[mark["quote"]].search(text, begin, begin + _LONGEST_QUOTE)
        if closed is not None:
            if closed[0].startswith("\n"):
                return begin
            return closed.end() if closed.end() < len(text) or self._final else None
        whole = self._final or len(text) >= begin + _LONGEST_QUOTE
        return begin if whole else None

    def _line_ends(self, place: int) -> bool | None:
        text = self._text
        if _BLANK_LINE.match(text, place) or _ITEM.match(text, place):
            return True
        if text.lstrip().startswith("#"):
            return bool(text[:place].strip())
        if _MAYBE_ITEM.match(text, place) and not self._final:
            return None
        return False

    def _space_ends(self, mark: re.Match[str], behind: int) -> bool | None:
        """Whether a sentence ends at a stop, by the word before it and the one behind it."""
        text = self._text
        following = _WORD_BEHIND.match(text, behind)
        if following is None:
            return self._final if behind == len(text) else False
        word, other = following.groups()
        if _BLANK_LINE.search(text, behind, following.start(1)):
            return True
        if not word and not other:
            return True if self._final else None
        if (word[:1] or other).islower():
            return False
        if mark["stop"] != ".":
            return True
        whole = bool(other) or self._final or len(word) > _LONGEST_WORD
        return self._ends_with(text[: mark.start()], word, whole=whole)

    def _ends_with(self, text: str, following: str, *, whole: bool) -> bool | None:
        """Whether a dot behind a text ends a sentence before the following word."""
        if text.strip().isdecimal():
            return False  # the number of an item
        before = _WORD_BEFORE.search(text[-_LONGEST_WORD:])
        if before is None:
            return True
        word = before[0]
        known = word.lower()
        initial = len(word) == 1 and word.isalpha() and word != "I"
        number = known in _BEFORE_NUMBERS and following[:1].isdecimal()
        if initial or number or known in _NEVER_LAST:
            return False
        shortened = "." in word and not word[-1].isdecimal()  # "p.m", and no "3.14"
        if shortened or known in _SELDOM_LAST:
            return following.lower() in _BEGINNERS if whole else None
        return True
