"""Runs that their service began anew: their text comes again, and what was emitted stays."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Literal

from rxassist.errors import StreamDiverged, excerpt

OnReset = Literal["raise", "follow"]
"""What text does if it comes anew and differs: it is an error, or the new text follows."""


def check_on_reset(given: object) -> None:
    """Raise unless the argument is one of the two choices."""
    if given not in ("raise", "follow"):
        msg = f"on_reset must be 'raise' or 'follow', got {excerpt(given)}"
        raise ValueError(msg)


Texts = Mapping[int, str]
"""The texts of a message, by the indexes of their parts."""

_ADVICE = (
    "the service began the run anew with another text; snapshots follow that, and so does "
    "text_deltas(on_reset='follow')"
)


class Reset:
    """A run that began anew: the texts that were emitted of it, and how much of each came again.

    A text that repeats what was emitted is not emitted again. One that differs raises
    ``StreamDiverged``, or is emitted from there on, with all that follows, if ``follows``.
    """

    __slots__ = ("_came", "_emitted", "_follows", "_is_over", "_run_id")

    def __init__(self, run_id: str, emitted: dict[Hashable, Texts], *, follows: bool) -> None:
        self._run_id = run_id
        self._emitted = emitted
        self._came: dict[tuple[Hashable, int], int] = {}  # characters
        self._follows = follows
        self._is_over = False

    def unheard(self, key: Hashable, part: int, text: str) -> str:
        """The end of a piece of text that was not emitted before."""
        if self._is_over:
            return text
        emitted, came = self._emitted.get(key, {}).get(part, ""), self._came.get((key, part), 0)
        self._came[key, part] = came + len(text)
        expected = emitted[came : came + len(text)]
        if not text.startswith(expected):
            self._diverge(emitted, emitted[:came] + text)
            return text[_count_equal(expected, text) :]
        return text[len(expected) :]

    def check(self, key: Hashable) -> None:
        """Raise ``StreamDiverged`` unless all that was emitted of a finished message came again."""
        for part, emitted in self._emitted.get(key, {}).items():
            came = self._came.get((key, part), 0)
            if came < len(emitted) and not self._is_over:
                self._diverge(emitted, emitted[:came])

    def check_all(self) -> None:
        """Raise ``StreamDiverged`` unless all that was emitted came again."""
        for key in self._emitted:
            self.check(key)

    def emitted(self, came: Mapping[Hashable, Texts]) -> dict[Hashable, Texts]:
        """The texts that were emitted of the run, of those that came since it began anew."""
        if self._is_over:
            return dict(came)
        return {
            key: _longest(self._emitted.get(key, {}), came.get(key, {}))
            for key in self._emitted.keys() | came.keys()
        }

    def _diverge(self, emitted: str, came: str) -> None:
        if not self._follows:
            raise StreamDiverged(self._run_id, emitted, came, advice=_ADVICE)
        self._is_over = True


def _longest(one: Texts, other: Texts) -> Texts:
    """The longer text of each part: one of the two begins with the other."""
    parts = one.keys() | other.keys()
    return {part: max(one.get(part, ""), other.get(part, ""), key=len) for part in parts}


def _count_equal(one: str, other: str) -> int:
    """The number of characters with which both texts begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


__all__ = ["Reset", "Texts"]
