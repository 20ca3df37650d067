"""How a stream ends: at the right place, and honestly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar, cast

import reactivex as rx
from reactivex import Observable, Observer, abc
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
    check_event,
)
from rxassist.links import Link, link
from rxassist.models import FINISHED, SETTLED, Run
from rxassist.operators._kernel import Finish, Step, choose_each, linked, take_through
from rxassist.operators._snapshots import folded
from rxassist.snapshots import Snapshot
from rxassist.typing import Operator

_T = TypeVar("_T")
_Item = TypeVar("_Item", Event, Run)

_DELTAS = (ThreadMessageDelta, ThreadRunStepDelta)
_NOBODY: Observer[Event] = Observer(on_error=lambda _: None)


def is_done(event: Event) -> bool:
    """Whether an event is the last one of a stream."""
    return isinstance(event, DoneEvent)


class _Course:
    """What a stream has told of its run: which one it is, and whether it has ended or waits."""

    __slots__ = ("ended", "run_id")

    def __init__(self) -> None:
        self.ended = False
        self.run_id = ""

    def follow(self, event: Event) -> bool:
        """Whether the run has ended after this event.

        Its status is the truth; the name of the event counts where there is none. The first run
        that is told of is the one: events of another run say nothing of it.
        """
        if not isinstance(event, RunEvent):
            return self.ended
        run = event.data
        if not self.run_id or run.id in (self.run_id, ""):
            self.run_id = self.run_id or run.id
            status = run.status or event.event.removeprefix("thread.run.")
            self.ended = status in SETTLED
        return self.ended


def _truncated(last: Event | None, cause: str = "the body ended") -> StreamTruncated:
    after = "before its first event" if last is None else f"after {last.name!r}"
    return StreamTruncated(f"{cause} {after}, and nothing said how the run ended")


def until_done() -> Operator[Event, Event]:
    """Complete right after the event that ends a run.

    A run that waits for you (``requires_action``) ends its stream too. The source is freed at
    once. Fails as ``check_ending`` does.

    Where ``c`` is ``thread.run.completed`` and ``d`` is ``done``::

        source  -p-t-c-d-|
        result  -p-t-(c|)
    """

    def operator(source: Observable[Event]) -> Observable[Event]:
        def begin(_: abc.SchedulerBase) -> Observable[Event]:
            return source.pipe(check_ending(), take_through(_Course().follow))

        return rx.defer(begin)

    return operator


def check_ending() -> Operator[Event, Event]:
    """Emit every event, and make sure that the stream ends as its run did.

    Completes with its source if a terminal run event or ``thread.run.requires_action`` came; also
    if the connection broke after it. The first run that the source tells of is the one: how another
    run ended does not count. Sends to ``on_error``: ``APIError`` right after an ``error`` event;
    ``StreamTruncated`` for a source that completes, or whose connection breaks, with nothing said
    of how the run ended, and in place of a ``done`` that comes so. Other errors pass, such as
    ``APITimeoutError`` after a silence.

    Where ``t`` is a delta, after which the body just ends::

        source  -p-t-|
        result  -p-t-#
    """
    return linked(Ending)


class Ending(Link[Event, Event]):
    """What one subscription of ``check_ending`` knows of how its run ended."""

    __slots__ = ("_course", "_last")

    def __init__(self, observer: abc.ObserverBase[Event]) -> None:
        super().__init__(observer)
        self._last: Event | None = None
        self._course = _Course()

    def on_next(self, value: Event) -> None:
        """Pass an event on, and fail behind one that is an error, or in place of a false end."""
        try:
            failure = None if isinstance(value, _DELTAS) else self._failure(value)
        except Exception as error:  # noqa: BLE001 -- the subscriber is told
            self._fail(error)
            return
        self._last = value
        if failure is None:
            self.observer.on_next(value)
            return
        if isinstance(value, ErrorEvent):
            self.observer.on_next(value)
        self._fail(failure)

    def _failure(self, event: Event) -> Exception | None:
        if isinstance(event, RunEvent):
            self._course.follow(event)
        elif isinstance(event, DoneEvent) and not self._course.ended:
            return _truncated(self._last, "the stream said that it is done")
        elif isinstance(event, ErrorEvent):
            said = event.data
            return APIError(said.message, code=said.code, type=said.type, param=said.param)
        check_event(event, "check_ending")
        return None

    def _fail(self, error: Exception) -> None:
        """Fail, once: nothing that the source still says is heard, as something may follow."""
        observer, self.observer = self.observer, _NOBODY
        observer.on_error(error)

    def on_completed(self) -> None:
        """Complete where something said how the run ended."""
        if self._course.ended:
            self.observer.on_completed()
        else:
            self._fail(_truncated(self._last))

    def on_error(self, error: Exception) -> None:
        """Complete where the connection breaks after the end, and say so where it does before."""
        lost = isinstance(error, StreamTruncated | APIConnectionError)
        lost = lost and not isinstance(error, RunOutcomeUnknown)
        if lost and self._course.ended:
            self.observer.on_completed()
        elif lost and self._last is not None and not isinstance(error, APITimeoutError):
            told = _truncated(self._last, f"the connection was lost ({error})")
            told.__cause__ = error
            self._fail(told)
        else:
            self._fail(error)


def deadline(
    seconds: float,
    *,
    late: Callable[[], Exception] | None = None,
    scheduler: abc.SchedulerBase | None = None,
) -> Operator[_T, _T]:
    """Fail if the source has not ended in time, counted from the subscription.

    Emits every item. After ``seconds`` without an end asks ``late()`` for an error, by default an
    ``APITimeoutError``, frees the source and sends the error to ``on_error``. Waits on
    ``scheduler``, else on that of the subscription.

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
                try:
                    error = _too_late(seconds) if late is None else late()
                finally:
                    held.dispose()
                observer.on_error(error)

            held.add(clock.schedule_relative(seconds, too_late))
            held.add(link(source, observer, given))
            return held

        return Observable(subscribe)

    return operator


def _too_late(seconds: float) -> Exception:
    return APITimeoutError(f"no end within the deadline of {seconds:g} s")


class StatusOperator(Protocol):
    """An operator on events or on runs: mypy infers more with this than with a generic type."""

    def __call__(self, source: Observable[_Item], /) -> Observable[_Item]:
        """The same items."""
        ...


def raise_for_status() -> StatusOperator:
    """Fail at the end if the run did: without it, a failed run is data.

    Takes the events of a run, or a run at each of its changes, as polls emit it, and emits every
    item. When the source has completed and a run ended as ``failed``, ``incomplete``, ``expired``
    or ``cancelled``, sends ``RunFailed``, with the run and the last snapshot, to ``on_error``. An
    item that is neither an event nor a run is a ``TypeError`` there.

    Where ``f`` is ``thread.run.failed``::

        source  -p-f-d|
        result  -p-f-d#
    """

    def begin() -> tuple[Step[Any, Any], Finish[Any]]:
        fold = folded()
        failed: Run | None = None
        snapshot: Snapshot | None = None

        def step(item: object) -> tuple[object]:
            nonlocal failed, snapshot
            run = item if isinstance(item, Run) else None
            if run is None:
                snapshot = fold(_event(item))
                run = item.data if isinstance(item, RunEvent) else None
            if run is not None and run.status in FINISHED - {"completed"}:
                failed = run
            return (item,)

        def finish() -> Iterator[object]:
            if failed is not None:
                raise RunFailed(failed, snapshot)
            return iter(())

        return step, finish

    return choose_each(begin)


def _event(item: object) -> Event:
    check_event(item, "raise_for_status", takes="the events of a run, or runs")
    return cast("Event", item)
