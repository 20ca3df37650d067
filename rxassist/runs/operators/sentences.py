"""Text in whole sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rxassist.reactive.typing import Operator
from rxassist.runs.events import AnyEvent
from rxassist.runs.operators.text import split_each

# All of Unicode's Sentence_Terminal (17.0), as a class of a regular expression; a test compares it
# with the data, and prints what to write here when they differ.
_TERMINALS = (
    "!.?\u0589\u061d-\u061f\u06d4\u0700-\u0702\u07f9\u0837\u0839\u083d\u083e\u0964\u0965"
    "\u104a\u104b\u1362\u1367\u1368\u166e\u1735\u1736\u17d4\u17d5\u1803\u1809\u1944\u1945"
    "\u1aa8-\u1aab\u1b4e\u1b4f\u1b5a\u1b5b\u1b5e\u1b5f\u1b7d-\u1b7f\u1c3b\u1c3c\u1c7e\u1c7f"
    "\u2024\u203c\u203d\u2047-\u2049\u2cf9-\u2cfb\u2e2e\u2e3c\u2e53\u2e54\u2e60\u2e61\u3002"
    "\ua4ff\ua60e\ua60f\ua6f3\ua6f7\ua876\ua877\ua8ce\ua8cf\ua92f\ua9c8\ua9c9\uaa5d-\uaa5f"
    "\uaaf0\uaaf1\uabeb\ufe12\ufe15\ufe16\ufe52\ufe56\ufe57\uff01\uff0e\uff1f\uff61"
    "\U00010a56\U00010a57\U00010f55-\U00010f59\U00010f86-\U00010f89\U00011047\U00011048"
    "\U000110be-\U000110c1\U00011141-\U00011143\U000111c5\U000111c6\U000111cd"
    "\U000111de\U000111df\U00011238\U00011239\U0001123b\U0001123c\U000112a9\U000113d4\U000113d5"
    "\U0001144b\U0001144c\U000115c2\U000115c3\U000115c9-\U000115d7\U00011641\U00011642"
    "\U0001173c-\U0001173e\U00011944\U00011946\U00011a42\U00011a43\U00011a9b\U00011a9c"
    "\U00011c41\U00011c42\U00011ef7\U00011ef8\U00011f43\U00011f44\U00016a6e\U00016a6f\U00016af5"
    "\U00016b37\U00016b38\U00016b44\U00016d6e\U00016d6f\U00016e98\U0001bc9f\U0001da88"
)
_DOTS = ".\u2024\ufe52\uff0e"  # which also stand in numbers and abbreviations
_DOT = frozenset(_DOTS)
_WEAK = rf"{_DOTS}!?…\u203c\u203d\u2047-\u2049"  # which end a sentence only before a space
_STOP = re.compile(rf"[{_TERMINALS}…]")
_CLOSING = "\"'”’»«“)\\]）】」』》*_`"
_INNER_SPACE = " \u00a0\u202f"  # of French: « Oui. »
_NOTES = r"(?:\[\d{1,3}\])*"
_MAYBE_NOTE = re.compile(r"\[\d{0,3}\Z")
_MARK = re.compile(
    rf"(?P<full>[{_WEAK}]*(?![{_WEAK}])[{_TERMINALS}][{_TERMINALS}…]*)"
    rf"[{_CLOSING.replace('“', '')}]*{_NOTES}"  # there “ only opens
    rf"|(?P<stop>[{_WEAK}]+)(?:[{_INNER_SPACE}]»(?!\w))?[{_CLOSING}]*{_NOTES}"
    r'|(?P<quote>["“„«「『]|»(?=\w|\Z))'
    r"|(?P<line>\n)"
)
_CLOSES = {
    pair[0]: re.compile(rf"[{pair[1:]}][{_CLOSING}]*|\n[ \t\r]*\n")
    for pair in ('""', "“”", "„“”", "«»", "»«", "「」", "『』")
}
_LONGEST_QUOTE = 300  # a mark that is never closed must not hold up all that follows
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_ITEM = re.compile(r"\n[ \t]*(?:[-*+•]|\d{1,3}[.)]|#{1,6})[ \t]")
_MAYBE_ITEM = re.compile(r"\n[ \t\r]*(?:[-*+•]|\d{1,3}[.)]?|#{1,6})?[ \t]*\Z")
# A letter that is a word by itself, as in "J. Doe" or "J.-P. Doe": not the end of one, or of a
# formula, and no sign of Chinese, Japanese or Korean.
_INITIAL = re.compile(
    r"(?:\A|(?<=\s))[(\[{<\"'“‘„«»‹*_]*(?:[^\W\d_]\.-)*"
    r"[^\W\d_\u2e80-\ud7ff\uf900-\uffdc\U00020000-\U0003ffff]\Z"
)
_ADDRESS = re.compile(r"(?:://|\bwww\.)\S*\Z")
_LONGEST_ADDRESS = 300
_WORD_BEFORE = re.compile(r"[^\W_](?:[^\W_]|[.'’&](?=[^\W_]))*\Z")
_WORD_AFTER = re.compile(r"\s+([^\W_]*)(.?)", re.DOTALL)
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


def sentences() -> Operator[AnyEvent | str, str]:
    """Emit each sentence of a growing text when it is whole: for speech.

    Takes text, or the events of a run; emits sentences without the space around them. A sentence
    ends with a stop and the space after it, with a stop of a script that needs no space (``。``,
    ``।``, ``؟``: the stops are Unicode's ``Sentence_Terminal``), at a blank line, where a heading
    or an item of a list ends, and over events with its message, or when an image or another part of
    the message begins. A citation after a stop (``[1]``) belongs to the sentence.

    A sentence goes on after abbreviations ("Dr.", "e.g."), initials and numbers ("3.14"), where a
    small letter follows (in scripts whose sentences begin with capitals), and inside quotation
    marks. The text after a stop decides, so a sentence comes when the next one begins. When the
    source completes, the rest is the last one. Fails with its source.

    Where ``a`` is ``"It is 3."``, ``b`` is ``"14. N"`` and ``c`` is ``"ew"``, ``A`` is the
    sentence ``"It is 3.14."`` and ``N`` the rest::

        source  -a-b-c-|
        result  ---A---(N|)
    """
    return split_each(_Splitter)


class _Splitter:
    """The text that belongs to no whole sentence yet, and the position up to which it was read."""

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
        """The end of the first sentence, ``None`` if it is not known yet."""
        while (mark := _MARK.search(self._text, self._at)) is not None:
            after = self._after_quote(mark) if mark["quote"] else mark.end()
            ends = None if after is None else self._ends(mark, after)
            if after is None or ends is None:
                self._at = mark.start()  # more text decides
                return None
            if ends:
                return after
            self._at = after
        self._at = len(self._text)
        return None

    def _ends(self, mark: re.Match[str], after: int) -> bool | None:
        """Whether a sentence ends after a mark, ``None`` if that is not known yet."""
        if mark["line"]:
            return self._line_ends(mark.start())
        if mark["quote"]:
            stop = self._text[mark.start() : after].rstrip(_CLOSING + _INNER_SPACE)[-1:]
            return _STOP.match(stop) is not None and self._space_ends(mark, after)
        if after == len(self._text):
            return True if self._final else None
        if not self._final and _MAYBE_NOTE.match(self._text, after):
            return None
        following = self._text[after]
        cjk = following > "\u2e80" and not following.isdecimal()
        if mark["full"] or (cjk and mark["stop"][-1] not in ".…"):
            return True
        return self._space_ends(mark, after)

    def _after_quote(self, mark: re.Match[str]) -> int | None:
        """The position after a quotation, or after its mark alone if nothing closes it."""
        text, begin = self._text, mark.end()
        if begin == len(text) and mark["quote"] == "»" and not self._final:
            return None  # it opens only before a word
        before = text[mark.start() - 1 : mark.start()]
        if mark["quote"] in '"»' and before and (before.isalnum() or before in ".,!?…"):
            return begin  # it closes
        closed = _CLOSES[mark["quote"]].search(text, begin, begin + _LONGEST_QUOTE)
        if closed is not None:
            if closed[0].startswith("\n"):
                return begin
            return closed.end() if closed.end() < len(text) or self._final else None
        whole = self._final or len(text) >= begin + _LONGEST_QUOTE
        return begin if whole else None

    def _line_ends(self, position: int) -> bool | None:
        text = self._text
        if _BLANK_LINE.match(text, position) or _ITEM.match(text, position):
            return True
        if text.lstrip().startswith("#"):
            return bool(text[:position].strip())
        if _MAYBE_ITEM.match(text, position) and not self._final:
            return None
        return False

    def _space_ends(self, mark: re.Match[str], after: int) -> bool | None:
        """Whether a sentence ends at a stop, by the words before and after it."""
        text = self._text
        following = _WORD_AFTER.match(text, after)
        if following is None:
            return self._final if after == len(text) else False
        word, other = following.groups()
        if _BLANK_LINE.search(text, after, following.start(1)):
            return True
        if not word and not other:
            return True if self._final else None
        if _goes_on(word[:1] or other):
            return False
        if mark["stop"] not in _DOT:
            return True
        whole = bool(other) or self._final or len(word) > _LONGEST_WORD
        return self._ends_with(text[: mark.start()], word, whole=whole)

    def _ends_with(self, text: str, following: str, *, whole: bool) -> bool | None:
        """Whether a dot after a text ends a sentence before the following word."""
        if text.strip().isdecimal():
            return False  # the number of an item
        before = _WORD_BEFORE.search(text[-_LONGEST_WORD:])
        if before is None:
            return True
        word = before[0]
        if _ADDRESS.search(text[-_LONGEST_ADDRESS:]):
            return True
        known = word.lower()
        alone = len(word) == 1 and word != "I"
        initial = alone and _INITIAL.search(text[-_LONGEST_WORD:]) is not None
        number = known in _BEFORE_NUMBERS and following[:1].isdecimal()
        if initial or number or known in _NEVER_LAST:
            return False
        parts = word.split(".")
        shortened = len(parts) > 1 and any(len(part) == 1 and part.isalpha() for part in parts)
        if shortened or known in _SELDOM_LAST:
            return following.lower() in _BEGINNERS if whole else None
        return True


def _goes_on(letter: str) -> bool:
    """Whether no sentence begins with a letter: a small one that has a capital form."""
    return letter.islower() and letter.title() != letter
