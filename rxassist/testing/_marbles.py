"""Marbles: test Observables in virtual time, with diagrams in and diagrams out.

A test is three aligned strings, the source, the result and the window of the subscription::

    marbles = Marbles()
    source = marbles.hot("-a-b-c-|")
    result = marbles.run(source.pipe(ops.take(2)))
    assert result ==             "-a-(b|)"
    assert source.subscriptions == ["^--!"]

One character is one tick (one second of virtual time), and nothing ever sleeps.

========== =======================================================================
``-``      a tick in which nothing happens
``a``      any other character: the value of that letter, or the character itself
``|``      completed
``#``      an error
``(ab|)``  all of it in one tick, that of the ``(``; the group takes as many columns
           as it has characters, here five
``^ !``    subscribed and disposed, in the diagrams of subscriptions
========== =======================================================================

Spaces are for aligning and are skipped. A result ends with its last notification, and is ``-`` if
there was none. Anything that has no character is in ``⟨ ⟩``, one tick wide: a value without a
letter as its ``repr``, and a time without a column as ``⟨@1⟩``, as in ``(ab)⟨@1⟩c`` or
``⟨@0.5⟩a``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import floor
from typing import Any

from reactivex import Notification, Observable, abc
from reactivex.disposable import Disposable
from reactivex.notification import OnCompleted, OnError, OnNext
from reactivex.testing import TestScheduler

END_OF_TIME = 1000
"""The tick at which a run stops, so that an endless timer does not hang the test."""

_RESERVED = frozenset("-|#()^!⟨⟩ ")


class MarbleError(Exception):
    """The error that ``#`` stands for, unless a test passes another."""


class MarbleSource(Observable[Any]):
    """An Observable that records its subscriptions; ``Marbles.hot`` and ``Marbles.cold`` make it.

    ``subscriptions`` has a diagram for each subscription in the order in which they began:
    ``^--!`` is one that began with the run and ended at tick 3, ``-^`` one that never ended.
    """

    def __init__(self, scheduler: TestScheduler, frames: _Frames, *, hot: bool) -> None:
        super().__init__()
        self._ticks = scheduler
        self._frames = frames
        self._hot = hot
        self._observers: list[abc.ObserverBase[Any]] = []
        self._windows: list[list[tuple[float, str]]] = []

    @property
    def subscriptions(self) -> list[str]:
        """The windows of the subscriptions so far, as diagrams."""
        return [_draw(window) for window in self._windows]

    def _subscribe_core(
        self,
        observer: abc.ObserverBase[Any],
        scheduler: abc.SchedulerBase | None = None,  # noqa: ARG002 -- time is the test's
    ) -> abc.DisposableBase:
        window = [(_tick(self._ticks), "^")]
        self._windows.append(window)
        self._observers.append(observer)

        def leave() -> None:
            window.append((_tick(self._ticks), "!"))
            self._observers.remove(observer)

        if not self._hot:
            self._play(lambda: [observer] if observer in self._observers else [])
        return Disposable(leave)

    def _play(self, to: Callable[[], list[abc.ObserverBase[Any]]]) -> None:
        """Schedule all frames from now on; ``to()`` chooses the observers when a frame is due."""

        def at(notifications: list[Notification[Any]]) -> abc.ScheduledAction[Any]:
            def send(_: abc.SchedulerBase, __: object = None) -> None:
                for notification in notifications:
                    for observer in to():
                        notification.accept(observer)

            return send

        for tick, notifications in self._frames:
            self._ticks.schedule_relative(float(tick), at(notifications))

    def _start(self) -> None:
        if self._hot:
            self._play(lambda: list(self._observers))


class Recording:
    """The notifications that a subscriber received; ``str()`` of it is the diagram."""

    def __init__(self, marbles: Marbles, observable: Observable[Any], window: str) -> None:
        self.values: list[Any] = []
        """The values, in order."""
        self.error: Exception | None = None
        """The error that ended it, if one did."""
        self._marbles = marbles
        self._observable = observable
        self._seen: list[tuple[float, str]] = []
        self._subscription: abc.DisposableBase = Disposable()
        self._from, self._to = _window(window)

    def __str__(self) -> str:
        return _draw(self._seen) or "-"

    def _see(self, symbol: str) -> None:
        self._seen.append((_tick(self._marbles.scheduler), symbol))

    def _next(self, value: Any) -> None:  # noqa: ANN401 -- the test's
        self.values.append(value)
        self._see(self._marbles.letter(value))

    def _error(self, error: Exception) -> None:
        self.error = error
        self._marbles.errors.append(error)
        self._see("#")

    def _subscribe(self, scheduler: abc.SchedulerBase, _: object = None) -> None:
        self._subscription = self._observable.subscribe(
            self._next, self._error, lambda: self._see("|"), scheduler=scheduler
        )

    def _dispose(self, _: abc.SchedulerBase, __: object = None) -> None:
        self._subscription.dispose()


class Marbles:
    """One test in virtual time: its letters, its sources, its scheduler and its errors.

    The letters are passed by keyword and stand for the values, in sources and results alike; any
    other character stands for itself. ``#`` in a source emits ``error``; the errors that
    subscribers received are in ``errors``, and any of them is drawn as ``#``. ``scheduler`` is for
    operators that wait; its clock shows the tick.

    Example::

        marbles = Marbles(a=1, b=2, A=10, B=20)
        source = marbles.cold(               "a--b|")
        result = marbles.run(source.pipe(ops.map(lambda x: x * 10)))
        assert result ==                     "A--B|"
        assert source.subscriptions ==      ["^---!"]
    """

    def __init__(self, error: Exception | None = None, **values: Any) -> None:
        for letter in values:
            if len(letter) != 1 or letter in _RESERVED:
                msg = f"a value is named by one letter, not by {letter!r}"
                raise ValueError(msg)
        self.error: Exception = error or MarbleError("#")
        self.errors: list[Exception] = []
        self.scheduler: TestScheduler = TestScheduler()
        self._values = values
        self._sources: list[MarbleSource] = []
        self._recordings: list[Recording] = []
        self._started = False

    def hot(self, diagram: str) -> MarbleSource:
        """A source that emits at the ticks of the run, with or without subscribers.

        A subscriber misses the items of the very tick at which it subscribes, and a run subscribes
        at tick 0: the first column must be ``-``.
        """
        self._must_not_have_started()
        frames = _parse(diagram, self._notification)
        if frames and not frames[0][0]:
            msg = f"the first column of a hot source is missed by everybody, write '-': {diagram!r}"
            raise ValueError(msg)
        return self._source(frames, hot=True)

    def cold(self, diagram: str) -> MarbleSource:
        """A source that begins anew for each subscriber, at its subscription."""
        return self._source(_parse(diagram, self._notification), hot=False)

    def run(self, observable: Observable[Any], window: str = "^") -> str:
        """Subscribe, let the time pass, and return the notifications as a diagram.

        ``window`` says when to subscribe and when to dispose, such as ``--^--!``; without a ``^``
        it begins at tick 0, so ``----!`` disposes at tick 4. A notification that is due at the tick
        of the ``!`` does not arrive any more.
        """
        recording = self.watch(observable, window)
        self.start()
        return str(recording)

    def watch(self, observable: Observable[Any], window: str = "^") -> Recording:
        """Subscribe when the time starts: for tests with several subscribers."""
        self._must_not_have_started()
        recording = Recording(self, observable, window)
        self._recordings.append(recording)
        return recording

    def start(self) -> None:
        """Let the time pass, for all that is watched, up to ``END_OF_TIME``."""
        self._must_not_have_started()
        self._started = True
        # Actions of one tick run in the order in which they are scheduled.
        for recording in self._recordings:
            if recording._to is not None:
                self.scheduler.schedule_absolute(float(recording._to), recording._dispose)
        for source in self._sources:
            source._start()
        for recording in self._recordings:
            self.scheduler.schedule_absolute(float(recording._from), recording._subscribe)
        self.scheduler.advance_to(float(END_OF_TIME))

    def letter(self, value: Any) -> str:  # noqa: ANN401 -- the test's
        """Draw a value: as its letter, as itself if it is one character, or in ``⟨ ⟩``."""
        for letter, known in self._values.items():
            if known is value or (known == value and _is_bool(known) == _is_bool(value)):
                return letter
        if isinstance(value, str) and len(value) == 1 and value.isprintable():
            return value if value not in self._values and value not in _RESERVED else f"⟨{value!r}⟩"
        return f"⟨{value!r}⟩"

    def _source(self, frames: _Frames, *, hot: bool) -> MarbleSource:
        source = MarbleSource(self.scheduler, frames, hot=hot)
        self._sources.append(source)
        return source

    def _notification(self, symbol: str) -> Notification[Any]:
        if symbol == "|":
            return OnCompleted()
        if symbol == "#":
            return OnError(self.error)
        return OnNext(self._values.get(symbol, symbol))

    def _must_not_have_started(self) -> None:
        if self._started:
            msg = "the time of these marbles has passed; make new Marbles for another run"
            raise RuntimeError(msg)


_Frames = list[tuple[int, list[Notification[Any]]]]


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)  # 1 == True, but a diagram should distinguish them


def _tick(scheduler: TestScheduler) -> float:
    return round(scheduler.to_seconds(scheduler.now), 6)


def _columns(diagram: str) -> Iterator[tuple[int, str]]:
    """The symbols of a diagram and their ticks."""
    group: int | None = None
    for column, symbol in enumerate(diagram.replace(" ", "")):
        if symbol == "(" and group is None:
            group = column
        elif symbol == ")" and group is not None:
            group = None
        elif symbol in "()⟨⟩":
            msg = f"{symbol!r} cannot stand at column {column} of {diagram!r}"
            raise ValueError(msg)
        elif symbol != "-":
            yield column if group is None else group, symbol
    if group is not None:
        msg = f"a '(' is never closed in {diagram!r}"
        raise ValueError(msg)


def _parse(diagram: str, notification: Callable[[str], Notification[Any]]) -> _Frames:
    frames: _Frames = []
    ended = False
    for tick, symbol in _columns(diagram):
        if ended or symbol in "^!":
            msg = f"{symbol!r} cannot stand there in a source: {diagram!r}"
            raise ValueError(msg)
        ended = symbol in "|#"
        if not frames or frames[-1][0] != tick:
            frames.append((tick, []))
        frames[-1][1].append(notification(symbol))
    return frames


def _window(diagram: str) -> tuple[int, int | None]:
    marks = {symbol: tick for tick, symbol in _columns(diagram)}
    begin, end = marks.get("^", 0), marks.get("!")
    if marks.keys() - {"^", "!"} or (end is not None and end <= begin):
        msg = f"a window is drawn as '--^---!', '----!' or '^', not as {diagram!r}"
        raise ValueError(msg)
    return begin, end


def _draw(seen: Iterable[tuple[float, str]]) -> str:
    """The diagram of some symbols and their ticks."""
    frames: dict[float, list[str]] = {}
    for tick, symbol in seen:
        frames.setdefault(tick, []).append(symbol)
    diagram, column = "", 0
    for tick, symbols in frames.items():
        whole = floor(tick)
        diagram += "-" * (whole - column) if whole == tick >= column else f"⟨@{tick:g}⟩"
        diagram += symbols[0] if len(symbols) == 1 else f"({''.join(symbols)})"
        column = whole + (1 if len(symbols) == 1 else len(symbols) + 2)
    return diagram


__all__ = ["END_OF_TIME", "MarbleError", "MarbleSource", "Marbles", "Recording"]
