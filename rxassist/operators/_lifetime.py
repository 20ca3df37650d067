"""How a stream ends: at the right place, and honestly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable
from reactivex.scheduler import TimeoutScheduler

from rxassist.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    RunFailed,
    RunOutcomeUnknown,
    StreamTruncated,
)
from rxassist.events import (
    DoneEvent,
    ErrorEvent,
    Event,
    RunEvent,
    ThreadMessageDelta,
    ThreadRunStepDelta,
)
from rxassist.links import Link, link
from rxassist.models import FINISHED, SETTLED, Run
from rxassist.operators._kernel import Finish, Step, choose_each, linked, take_through
from rxassist.operators._snapshots import folded
from rxassist.snapshots import Snapshot
from rxassist.typing import Operator

_T = TypeVar("_T")

_DELTAS = (ThreadMessageDelta, ThreadRunStepDelta)


def is_done(event: Event) -> bool:
    """Whether an event is the last one of a stream."""
    return isinstance(event, DoneEvent)


def _ends(event: Event) -> bool:
    """Whether an event says how the run ended: its status is the truth, not the event's name."""
    if isinstance(event, RunEvent):
        return event.data.status in SETTLED
    return isinstance(event, DoneEvent)


def _truncated(last: Event | None, cause: str = "the body ended") -> StreamTruncated:
    after = "before its first event" if last is None else f"after {last.event!r}"
    return StreamTruncated(f"{cause} {after}, and nothing said how the run ended")


def until_done() -> Operator[Event, Event]:
    """Complete right after the event that ends a run: its terminal event, or ``done``.

    A run that waits for you (``requires_action``) ends its stream too. The source is freed at
    once. Fails as ``check_ending`` does.

    Where ``c`` is ``thread.run.completed`` and ``d`` is ``done``::

        source  -p-t-c-d-|
        result  -p-t-(c|)
    """

    def operator(source: Observable[Event]) -> Observable[Event]:
        return source.pipe(check_ending(), take_through(_ends))

    return operator


def check_ending() -> Operator[Event, Event]:
    """Emit every event, and make sure that the stream ends as its run did.

    Completes with its source if a terminal run event, ``thread.run.requires_action`` or ``done``
    came; also if the connection broke after the terminal event. Sends to ``on_error``:
    ``APIError`` right after an ``error`` event; ``StreamTruncated`` for a source that completes,
    or whose connection breaks, with nothing said of how the run ended. Other errors pass, such as
    ``APITimeoutError`` after a silence.

    Where ``t`` is a delta, after which the body just ends::

        source  -p-t-|
        result  -p-t-#
    """
    return linked(Ending)


class Ending(Link[Event, Event]):
    """What one subscription of ``check_ending`` knows of how its run ended."""

    __slots__ = ("_ended", "_last")

    def __init__(self, observer: abc.ObserverBase[Event]) -> None:
        super().__init__(observer)
        self._last: Event | None = None
        self._ended = False

    def on_next(self, value: Event) -> None:
        """Pass an event on, and fail behind one that is an error."""
        self._last = value
        failure: Exception | None = None
        try:
            if not isinstance(value, _DELTAS):  # which nearly all are
                failure = self._told(value)
        except Exception as error:  # noqa: BLE001 -- the subscriber is told
            self.observer.on_error(error)
            return
        self.observer.on_next(value)
        if failure is not None:
            self.observer.on_error(failure)

    def _told(self, event: Event) -> Exception | None:
        if isinstance(event, RunEvent | DoneEvent):
            self._ended = _ends(event)
        if not isinstance(event, ErrorEvent):
            return None
        said = event.data
        return APIError(said.message, code=said.code, type=said.type, param=said.param)

    def on_completed(self) -> None:
        """Complete where something said how the run ended."""
        if self._ended:
            self.observer.on_completed()
        else:
            self.observer.on_error(_truncated(self._last))

    def on_error(self, error: Exception) -> None:
        """Complete where the connection breaks after the end, and say so where it does before."""
        lost = isinstance(error, StreamTruncated | APIConnectionError)
        lost = lost and not isinstance(error, RunOutcomeUnknown)
        if lost and self._ended:
            self.observer.on_completed()
        elif lost and self._last is not None and not isinstance(error, APITimeoutError):
            told = _truncated(self._last, f"the connection was lost ({error})")
            told.__cause__ = error
            self.observer.on_error(told)
        else:
            self.observer.on_error(error)


def deadline(
    seconds: float,
    *,
    late: Callable[[], Exception] | None = None,
    scheduler: abc.SchedulerBase | None = None,
) -> Operator[_T, _T]:
    """Fail if the source has not ended in time, counted from the subscription.

    Emits every item. After ``seconds`` without an end frees the source and sends what ``late()``
    gives to ``on_error``, by default an ``APITimeoutError``. Waits on ``scheduler``, else on that
    of the subscription.

    Where five ticks are allowed::

        source  -a-b-c-d-|
        result  -a-b-#
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        msg = f"deadline must be a number of seconds, got {seconds!r}"
        raise TypeError(msg)
    if not seconds > 0:
        msg = f"deadline must be above 0, got {seconds}"
        raise ValueError(msg)

    def operator(source: Observable[_T]) -> Observable[_T]:
        def subscribe(
            observer: abc.ObserverBase[_T], given: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            clock = scheduler or given or TimeoutScheduler.singleton()
            held = CompositeDisposable()

            def too_late(_: abc.SchedulerBase, __: object) -> None:
                held.dispose()
                told = APITimeoutError(f"no end within the deadline of {seconds:g} s")
                observer.on_error(told if late is None else late())

            held.add(clock.schedule_relative(seconds, too_late))
            held.add(link(source, observer, given))
            return held

        return Observable(subscribe)

    return operator


def raise_for_status() -> Operator[Event, Event]:
    """Fail at the end if the run did: without it, a failed run is data.

    Emits every event. When the source has completed and a run ended as ``failed``, ``incomplete``,
    ``expired`` or ``cancelled``, sends ``RunFailed``, with the run and the last snapshot, to
    ``on_error``.

    Where ``f`` is ``thread.run.failed``::

        source  -p-f-d|
        result  -p-f-d#
    """

    def begin() -> tuple[Step[Event, Event], Finish[Event]]:
        fold = folded()
        failed: Run | None = None
        snapshot: Snapshot | None = None

        def step(event: Event) -> tuple[Event]:
            nonlocal failed, snapshot
            snapshot = fold(event)
            if isinstance(event, RunEvent) and event.data.status in FINISHED - {"completed"}:
                failed = event.data
            return (event,)

        def finish() -> Iterator[Event]:
            if failed is not None:
                raise RunFailed(failed, snapshot)
            return iter(())

        return step, finish

    return choose_each(begin)
