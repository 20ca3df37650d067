"""Units of text to show one at a time: words, graphemes, or up to the match of a pattern."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import cast
from unicodedata import category, combining

from rxassist.runs.operators.text import Splitter, regex_of

By = str | re.Pattern[str]
"""``"word"``, ``"grapheme"``, or a regular expression that matches the end of one unit of text."""

_LONGEST_GRAPHEME = 128  # characters: a longer unit is cut, or each piece would cost all of it
_LONGEST_UNIT = 2000
_LONGEST_WORD = 80  # with the space after it

# Signs that are words by themselves: of Chinese and Japanese, and their punctuation.
_SIGN = "[\u2e80-\u9fff\uf900-\ufaff\uff00-\uff9f\U00020000-\U0003ffff]"
_WORD = re.compile(rf"\S{{0,39}}?{_SIGN}|\S{{0,39}}\s{{1,40}}|\S{{40}}")  # none longer is held back

_End = Callable[[str, int], int | None]
"""The end of the unit that begins at a position of a text; ``None`` if it is not known yet."""


def units(by: By) -> Callable[[], Splitter]:
    """A function that begins to cut a text into units. A unit has ended when more text follows.

    Raises ``TypeError`` or ``ValueError`` for a value that cannot cut text, and
    ``ModuleNotFoundError`` for ``"grapheme"`` without the extra.
    """
    if by == "word":
        end = _end_of_match(_WORD, _LONGEST_WORD)
    elif by == "grapheme":
        end = _end_of_grapheme()
    else:
        wrong = f'by must be "word", "grapheme" or a regular expression of text, got {by!r}'
        end = _end_of_match(compiled(by, wrong), _LONGEST_UNIT)
    return lambda: _Units(end)


class _Units:
    """The unit of one text that has not ended."""

    def __init__(self, end: _End) -> None:
        self._end = end
        self._growing = ""

    def feed(self, piece: str) -> Iterator[str]:
        text, begin = self._growing + piece, 0
        while (end := self._end(text, begin)) is not None:
            yield text[begin:end]
            begin = end
        self._growing = text[begin:]

    def finish(self) -> Iterator[str]:
        if self._growing:
            yield self._growing


def compiled(given: str | re.Pattern[str], wrong: str) -> re.Pattern[str]:
    """A pattern of text; raises an error that explains for anything else."""
    try:
        pattern = re.compile(given)
    except re.error as error:
        msg = f"{wrong}: {error}"
        raise ValueError(msg) from None
    except TypeError:
        raise TypeError(wrong) from None
    if not isinstance(cast("object", pattern.pattern), str):
        raise TypeError(wrong)
    return pattern


def _end_of_grapheme() -> _End:
    """A unit is a grapheme: one character to a reader."""
    match = regex_of('smooth(by="grapheme")').compile(r"\X").match

    def end(text: str, begin: int) -> int | None:
        # A slice, as the library looks back to the begin of the text.
        found = match(text[begin : begin + _LONGEST_GRAPHEME + 1])
        if found is None:
            return None
        position = begin + min(found.end(), _LONGEST_GRAPHEME)
        return position if position < len(text) else None

    return end


def _end_of_match(pattern: re.Pattern[str], longest: int) -> _End:
    """A unit ends with a match, and the marks of its last sign."""

    def end(text: str, begin: int) -> int | None:
        near = text[begin : begin + longest + 1]
        length = next((found.end() for found in pattern.finditer(near) if found[0]), len(near))
        position = begin + min(length, longest)
        farthest = position + _LONGEST_GRAPHEME
        while position < len(text) and position < farthest and _belongs(text, begin, position):
            position += 1
        return position if position < len(text) else None

    return end


# --- signs and their marks -----------------------------------------------------------------

# The rules by which Unicode (UAX 29) breaks graphemes, as far as they matter and can be decided
# without its newest data: an uncertain position counts as one within a grapheme.
# A test compares them with the data.

_CONTROLS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_MARKS = frozenset({"Mn", "Mc", "Me", "Cn"})  # Cn: an unknown sign may be a mark
_JOINER = "\u200d"
_EXTENDS = re.compile(
    "[\u0e33\u0eb3\u200c\u200d\uff9e\uff9f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)
_PREPENDED = re.compile(
    "[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd\U000111c2\U000111c3"
    "\U000113d1\U0001193f\U00011941\U00011a3a\U00011a84-\U00011a89\U00011d46\U00011f02]"
)
_LEADING = "\u1100-\u115f\ua960-\ua97c"
_VOWEL = "\u1160-\u11a7\ud7b0-\ud7c6\U00016d63\U00016d67-\U00016d6a"
_TRAILING = "\u11a8-\u11ff\ud7cb-\ud7fb"
_SYLLABLE = "\uac00-\ud7a3"
_SYLLABLE_GOES_ON = re.compile(
    f"[{_LEADING}][{_LEADING}{_VOWEL}{_SYLLABLE}]|[{_VOWEL}{_SYLLABLE}][{_VOWEL}{_TRAILING}]"
    f"|[{_TRAILING}][{_TRAILING}]"
)
_FLAG_LETTER = re.compile("[\U0001f1e6-\U0001f1ff]")
_VIRAMA = 9  # the combining class of marks that join two consonants


def _belongs(text: str, begin: int, position: int) -> bool:
    """Whether the sign at a position belongs to the one before it."""
    before, after = text[position - 1], text[position]
    if before.isascii() and after.isascii():
        return before == "\r" and after == "\n"
    if _EXTENDS.match(after):
        return not _is_control(before)
    if _is_control(before) or _is_control(after):
        return False
    return (
        category(after) in _MARKS
        or category(before) == "Cn"
        or _PREPENDED.match(before) is not None
        or (before == _JOINER and not after.isalnum() and not after.isspace())
        or _SYLLABLE_GOES_ON.match(text, position - 1) is not None
        or _is_half_flag(text, begin, position)
        or _is_conjunct(text, begin, position)
    )


def _is_control(sign: str) -> bool:
    return category(sign) in _CONTROLS and not _EXTENDS.match(sign) and not _PREPENDED.match(sign)


def _is_half_flag(text: str, begin: int, position: int) -> bool:
    """Whether a position is between the two letters of a flag."""
    if not _FLAG_LETTER.match(text, position):
        return False
    first = position
    while first > begin and _FLAG_LETTER.match(text, first - 1):
        first -= 1
    return (position - first) % 2 == 1


def _is_conjunct(text: str, begin: int, position: int) -> bool:
    """Whether marks join the letter at a position to the one before them."""
    if category(text[position]) != "Lo":
        return False
    while position > begin and (
        category(text[position - 1]) in _MARKS or text[position - 1] == _JOINER
    ):
        position -= 1
        if combining(text[position]) == _VIRAMA:
            return True
    return False
