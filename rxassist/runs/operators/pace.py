"""Text and snapshots at a pace that people can follow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from math import ceil, inf
from typing import Any, Generic, Protocol, Self, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import SerialDisposable

from rxassist.reactive.kernel import linked
from rxassist.reactive.links import Hold, clock_of, schedule_held
from rxassist.reactive.typing import Operator
from rxassist.runs.events import AnyEvent
from rxassist.runs.operators.text import Position, Splitter, SplitTexts
from rxassist.runs.operators.units import By, units

_A = TypeVar("_A")
_B = TypeVar("_B")
_T = TypeVar("_T")
_Item_contra = TypeVar("_Item_contra", contravariant=True)
_Shown_co = TypeVar("_Shown_co", covariant=True)


# --- one thing at a time -------------------------------------------------------------------


class _Waiting(Protocol[_Item_contra, _Shown_co]):
    """The items that have come and were not shown. ``take`` returns one in a tuple, or ``None``."""

    def put(self, item: _Item_contra) -> None: ...

    def take(self) -> tuple[_Shown_co] | None: ...

    def rest(self) -> Iterable[_Shown_co]: ...


def _paced(
    seconds: float, begin: Callable[[], _Waiting[_A, _B]], scheduler: abc.SchedulerBase | None
) -> Operator[_A, _B]:
    """Emit the items that wait, at least ``seconds`` apart, and the rest at the end."""
    return linked(
        lambda observer, given: _Pace(observer, seconds, begin(), clock_of(scheduler, given))
    )


class _Pace(Hold[_A, _B]):
    """One subscription: a timer runs for a while after each item that was emitted.

    The timer may call on another thread than the source, so they use a lock.
    """

    def __init__(
        self,
        observer: abc.ObserverBase[_B],
        seconds: float,
        waiting: _Waiting[_A, _B],
        clock: abc.SchedulerBase,
    ) -> None:
        super().__init__(observer)
        self._seconds = seconds
        self._waiting = waiting
        self._clock = clock
        self._timer = SerialDisposable()
        self._resting = False
        self._ended = False
        self._turn = self._timer.lock
        self.hold(self._timer)

    def follow(self, source: Observable[_A], scheduler: abc.SchedulerBase | None) -> Self:
        return self.hold(source.subscribe(self, scheduler=scheduler))

    def on_next(self, value: _A) -> None:
        with self._turn:
            try:
                self._waiting.put(value)
            except Exception as error:  # noqa: BLE001 -- reported to the subscriber
                self._ended = True
                self._timer.dispose()
                self.observer.on_error(error)
                return
            if not self._resting:
                self._show()

    def on_error(self, error: Exception) -> None:
        with self._turn:
            self._end()
            self.observer.on_error(error)

    def on_completed(self) -> None:
        with self._turn:
            self._end()
            self.observer.on_completed()

    def _show(self) -> None:
        shown = self._waiting.take()
        self._resting = shown is not None
        if shown is not None:
            self.observer.on_next(shown[0])
            schedule_held(self._timer, self._clock, self._seconds, self._rested)

    def _rested(self, _: abc.SchedulerBase, __: object = None) -> None:
        with self._turn:
            if self._ended:
                return
            try:
                self._show()
            except Exception:
                self.dispose()
                raise  # to the scheduler: no source called this

    def _end(self) -> None:
        self._ended = True
        self._timer.dispose()
        for item in self._waiting.rest():
            self.observer.on_next(item)


def _checked(name: str, seconds: float) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        msg = f"{name} must be a number of seconds, got {seconds!r}"
        raise TypeError(msg)
    if not 0 < seconds < inf:
        msg = f"{name} must be above 0 and finite, got {seconds}"
        raise ValueError(msg)


# --- snapshots -----------------------------------------------------------------------------


class _Newest(Generic[_T]):
    """Only the newest item that has come."""

    def __init__(self) -> None:
        self._item: tuple[_T] | None = None

    def put(self, item: _T) -> None:
        self._item = (item,)

    def take(self) -> tuple[_T] | None:
        item, self._item = self._item, None
        return item

    def rest(self) -> tuple[_T] | tuple[()]:
        return self.take() or ()


def debounce_snapshots(
    seconds: float, *, scheduler: abc.SchedulerBase | None = None
) -> Callable[[Observable[_T]], Observable[_T]]:  # not Operator: see its docstring
    """Emit the newest snapshot, at most one every ``seconds``: for code that draws it all anew.

    The first comes at once; a snapshot is dropped if a newer one comes before it may be emitted;
    the last one always comes, also before an error. (RxPY's ``debounce`` waits for silence, and a
    text that keeps growing is never silent.) Takes anything of which only the newest counts.
    Completes and fails with its source. Waits on ``scheduler``, else on that of the subscription.

    Where three ticks must lie between two snapshots::

        source  -abc-d--e|
        result  -a--c--d-(e|)
    """
    _checked("seconds", seconds)
    return _paced(seconds, _Newest[Any], scheduler)


# --- text ----------------------------------------------------------------------------------

_FAR_BEHIND = 30  # units: if more wait, several come at a time


class _Units:
    """Units of texts, in order; the more of them wait, the more are taken at a time."""

    def __init__(self, begin: Callable[[], Splitter]) -> None:
        self._texts = SplitTexts(begin)
        self._units: deque[str | None] = deque()  # None: here another text begins
        self._position: Position | None = None

    def put(self, item: AnyEvent | str) -> None:
        self._add(self._texts.step(item))

    def _add(self, units: Iterable[tuple[Position | None, str]]) -> None:
        for position, unit in units:
            if self._units and position != self._position:
                self._units.append(None)
            self._position = position
            self._units.append(unit)

    def take(self) -> tuple[str] | None:
        return self._taken(ceil(len(self._units) / _FAR_BEHIND))

    def rest(self) -> Iterator[str]:
        self._add(self._texts.finish())
        while (rest := self._taken(len(self._units))) is not None:
            yield rest[0]

    def _taken(self, most: int) -> tuple[str] | None:
        """The next units, of one text."""
        if self._units and self._units[0] is None:
            self._units.popleft()
        taken: list[str] = []
        while self._units and self._units[0] is not None and len(taken) < most:
            taken.append(self._units[0])
            self._units.popleft()
        return ("".join(taken),) if taken else None


def smooth(
    delay: float, by: By = "word", *, scheduler: abc.SchedulerBase | None = None
) -> Operator[AnyEvent | str, str]:
    r"""Pace text for a reader's eye: whole units of it, one every ``delay`` seconds.

    Takes text, or the events of a run. A unit is a ``"word"`` with the space after it (Chinese and
    Japanese: a sign), a ``"grapheme"`` (one character to a reader, however many code points it has;
    needs the extra ``rxassist[text]``), or text up to the match of a regular expression, given as
    text or compiled: ``r"\n"`` paces lines. The next character shows that a unit has ended, so no
    sign is parted from its marks, and the units do not depend on the pieces of the text. A word is
    cut after 40 characters, a grapheme after 128, any other unit after 2,000.

    If more than 30 units wait, several are emitted at a time, so that the text never lags far. Over
    events the end of a message ends a unit, and so does an image or another part of the message;
    units that are emitted together are of one message. When the source completes or fails, the rest
    is emitted at once: nothing is lost, the strings together are the text of the source. Waits on
    ``scheduler``, else on that of the subscription.

    Where ``p`` is ``"A B C "``, ``q`` is ``"D E"``, one tick lies between two words, and the
    letters are words with a space after them, but ``E``::

        source  -p----q--|
        result  -AB---CD-(E|)
    """
    _checked("delay", delay)
    begin = units(by)
    return _paced(delay, lambda: _Units(begin), scheduler)
