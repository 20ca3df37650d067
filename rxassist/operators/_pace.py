"""Text and snapshots at a pace that people can follow."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from math import ceil, inf
from typing import Generic, Protocol, TypeVar, cast

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, SerialDisposable
from reactivex.scheduler import TimeoutScheduler

from rxassist.checks import needing
from rxassist.typing import Operator

_A = TypeVar("_A")
_B = TypeVar("_B")
_T = TypeVar("_T")
_Item_contra = TypeVar("_Item_contra", contravariant=True)
_Shown_co = TypeVar("_Shown_co", covariant=True)


# --- one thing at a time -------------------------------------------------------------------


class _Waiting(Protocol[_Item_contra, _Shown_co]):
    """What has come and was not shown yet. ``None`` is nothing to show, a tuple holds it."""

    def put(self, item: _Item_contra) -> None: ...

    def take(self) -> tuple[_Shown_co] | None: ...

    def rest(self) -> tuple[_Shown_co] | None: ...


def _paced(
    seconds: float, begin: Callable[[], _Waiting[_A, _B]], scheduler: abc.SchedulerBase | None
) -> Operator[_A, _B]:
    """Show what waits, at least ``seconds`` apart, and the rest when the source has ended."""

    def operator(source: Observable[_A]) -> Observable[_B]:
        def subscribe(
            observer: abc.ObserverBase[_B], given: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            clock = scheduler or given or TimeoutScheduler.singleton()
            pace = _Pace(seconds, begin(), clock, observer)
            pace.held.add(
                source.subscribe(pace.on_next, pace.on_error, pace.on_completed, scheduler=given)
            )
            return pace.held

        return Observable(subscribe)

    return operator


class _Pace(Generic[_A, _B]):
    """One subscription: a timer runs for a while after each thing that was shown.

    A timer may call from a thread of its own, so they take turns.
    """

    def __init__(
        self,
        seconds: float,
        waiting: _Waiting[_A, _B],
        clock: abc.SchedulerBase,
        observer: abc.ObserverBase[_B],
    ) -> None:
        self._seconds = seconds
        self._waiting = waiting
        self._clock = clock
        self._observer = observer
        self._timer = SerialDisposable()
        self._resting = False
        self._ended = False
        self.held = CompositeDisposable(self._timer)
        self._turn = self.held.lock

    def on_next(self, item: _A) -> None:
        with self._turn:
            try:
                self._waiting.put(item)
            except Exception as error:  # noqa: BLE001 -- the subscriber is told
                self._ended = True
                self._timer.dispose()
                self._observer.on_error(error)
                return
            if not self._resting:
                self._show()

    def on_error(self, error: Exception) -> None:
        with self._turn:
            self._end()
            self._observer.on_error(error)

    def on_completed(self) -> None:
        with self._turn:
            self._end()
            self._observer.on_completed()

    def _show(self) -> None:
        shown = self._waiting.take()
        self._resting = shown is not None
        if shown is not None:
            self._observer.on_next(shown[0])
            self._timer.disposable = self._clock.schedule_relative(self._seconds, self._rested)

    def _rested(self, _: abc.SchedulerBase, __: object = None) -> None:
        with self._turn:
            if self._ended:
                return
            try:
                self._show()
            except Exception:
                self.held.dispose()
                raise  # to the scheduler, as no source is there to be told

    def _end(self) -> None:
        self._ended = True
        self._timer.dispose()
        rest = self._waiting.rest()
        if rest is not None:
            self._observer.on_next(rest[0])


def _checked(name: str, seconds: float) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        msg = f"{name} must be a number of seconds, got {seconds!r}"
        raise TypeError(msg)
    if not 0 < seconds < inf:
        msg = f"{name} must be above 0 and finite, got {seconds}"
        raise ValueError(msg)


# --- snapshots -----------------------------------------------------------------------------


class _Newest(Generic[_T]):
    """Only the newest of what has come."""

    def __init__(self) -> None:
        self._item: tuple[_T] | None = None

    def put(self, item: _T) -> None:
        self._item = (item,)

    def take(self) -> tuple[_T] | None:
        item, self._item = self._item, None
        return item

    rest = take


def debounce_snapshots(
    seconds: float, *, scheduler: abc.SchedulerBase | None = None
) -> Operator[_T, _T]:
    """Emit the newest snapshot, at most one every ``seconds``: for what is drawn again each time.

    The first comes at once; what is overtaken while nothing may be emitted is dropped; the last
    one always comes, also before an error. (RxPY's ``debounce`` waits for silence, and a text that
    keeps growing is never silent.) Takes anything of which only the newest counts. Completes and
    fails with its source. Waits on ``scheduler``, else on that of the subscription.

    Where three ticks must lie between two snapshots::

        source  -abc-d--e|
        result  -a--c--d-(e|)
    """
    _checked("seconds", seconds)
    return _paced(seconds, _Newest[_T], scheduler)


# --- text ----------------------------------------------------------------------------------

By = str | re.Pattern[str]
"""``"word"``, ``"grapheme"``, or a regular expression that matches what ends one unit of text."""

_FAR_BEHIND = 30  # units: where more wait, several come at a time

# Signs that are words by themselves: of Chinese and Japanese, and their punctuation.
_SIGN = "[\u2e80-\u9fff\uf900-\ufaff\uff00-\uff9f\U00020000-\U0003ffff]"
_WORD = re.compile(rf"\S{{0,39}}?{_SIGN}|\S{{0,39}}\s+|\S{{40}}")  # no longer word is held back

_Cut = Callable[[str], tuple[list[str], str]]


def _cut_by(pattern: re.Pattern[str]) -> _Cut:
    """Cut behind each match; what is behind the last one may still grow."""

    def cut(text: str) -> tuple[list[str], str]:
        ends = [match.end() for match in pattern.finditer(text) if match[0]]
        units = [text[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
        return units, text[ends[-1] :] if ends else text

    return cut


def _cut_by_grapheme() -> _Cut:
    """Cut into what a reader takes for one character; the last one may still grow."""
    try:
        import regex  # noqa: PLC0415 -- only who asks for graphemes needs it
    except ModuleNotFoundError:
        msg = needing('smooth(by="grapheme")', "text", "regex")
        raise ModuleNotFoundError(msg, name="regex") from None
    find = regex.compile(r"\X").findall

    def cut(text: str) -> tuple[list[str], str]:
        units = find(text)
        return units[:-1], units[-1] if units else ""

    return cut


def _cut(by: By) -> _Cut:
    if by == "word":
        return _cut_by(_WORD)
    if by == "grapheme":
        return _cut_by_grapheme()
    wrong = f'by must be "word", "grapheme" or a regular expression of text, got {by!r}'
    try:
        pattern = re.compile(by)
    except re.error as error:
        msg = f"{wrong}: {error}"
        raise ValueError(msg) from None
    except TypeError:
        raise TypeError(wrong) from None
    if not isinstance(cast("object", pattern.pattern), str):
        raise TypeError(wrong)
    return _cut_by(pattern)


class _Units:
    """Units of text; the more of them wait, the more are taken at a time."""

    def __init__(self, cut: _Cut) -> None:
        self._cut = cut
        self._units: deque[str] = deque()
        self._growing = ""

    def put(self, item: str) -> None:
        units, self._growing = self._cut(self._growing + item)
        self._units.extend(units)

    def take(self) -> tuple[str] | None:
        if not self._units:
            return None
        count = ceil(len(self._units) / _FAR_BEHIND)
        return ("".join([self._units.popleft() for _ in range(count)]),)

    def rest(self) -> tuple[str] | None:
        rest = "".join([*self._units, self._growing])
        return (rest,) if rest else None


def smooth(
    delay: float, by: By = "word", *, scheduler: abc.SchedulerBase | None = None
) -> Operator[str, str]:
    r"""Pace text for a reader's eye: whole units of it, one every ``delay`` seconds.

    A unit is a ``"word"`` with the space behind it (Chinese and Japanese: a sign), a ``"grapheme"``
    (what a reader takes for one character, however many code points it has; needs the extra
    ``rxassist[text]``), or what a regular expression ends, as text or compiled: ``r"\n"`` paces
    lines. Where more than 30 wait, several are emitted at a time, so that who reads is never far
    behind. What is left when the source completes or fails is emitted at once: nothing is lost, the
    strings together are those of the source. Waits on ``scheduler``, else on that of the
    subscription.

    Where ``p`` is ``"A B C "``, ``q`` is ``"D E"``, one tick lies between two words, and the
    letters are words with a space behind them, but ``E``::

        source  -p----q-|
        result  -ABC--D-(E|)
    """
    _checked("delay", delay)
    cut = _cut(by)
    return _paced(delay, lambda: _Units(cut), scheduler)
