"""How a stream ends: at the right event, and honestly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, Protocol, Self, TypeVar, cast

import reactivex as rx
from reactivex import Observable, Observer, abc

from rxassist.errors import (
    APIConnectionError,
    APITimeoutError,
    RunFailed,
    RunOutcomeUnknown,
    StreamTruncated,
)
from rxassist.reactive.kernel import Finish, Step, choose_each, linked, take_through
from rxassist.reactive.links import Hold, Link, clock_of, link
from rxassist.reactive.typing import Operator
from rxassist.runs.events import AnyEvent, AnyEventT, check_event
from rxassist.runs.operators.snapshots import folded
from rxassist.runs.state import FINISHED, SETTLED, AnyRun

_T = TypeVar("_T")
_Item = TypeVar("_Item", bound="AnyEvent | AnyRun")

_NOBODY: Observer[Any] = Observer(on_error=lambda _: None)


is_done: Callable[[AnyEvent], bool] = attrgetter("is_done")
"""Whether an event is the last one of a stream."""


class _Course:
    """The run of a stream, as far as its events say: its id, and whether it has ended or waits.

    A run may be a chain of responses: each is followed by the next one.
    """

    __slots__ = ("_waits", "ended", "run_id")

    def __init__(self) -> None:
        self.ended = False
        self.run_id = ""
        self._waits = False

    def follow(self, event: AnyEvent) -> bool:
        """Whether the run has ended after this event.

        The status of the run decides, or the name of the event if there is no status. The stream's
        run is the first one in its events, and then each one that goes on with a run that waited,
        or that the protocol counts as the next of a chain. Events of another run do not count.
        """
        run = event.run()
        if run is None:
            return self.ended
        if run.id and (event.begins_run or self._waits):
            self.run_id = run.id
        if not self.run_id or run.id in (self.run_id, ""):
            self.run_id = self.run_id or run.id
            status = event.run_status()
            self.ended = status in SETTLED
            self._waits = status == "requires_action"
        return self.ended


def _truncated(last: AnyEvent | None, cause: str = "the body ended") -> StreamTruncated:
    after = "before its first event" if last is None else f"after {last.name!r}"
    return StreamTruncated(f"{cause} {after}, and nothing said how the run ended")


class EventOperator(Protocol):
    """An operator on the events of any protocol: mypy infers more with this than with a generic."""

    def __call__(self, source: Observable[AnyEventT], /) -> Observable[AnyEventT]:
        """Emit events of the same kind."""
        ...


def until_done() -> EventOperator:
    """Complete right after the event that ends a run.

    A run that waits for you (``requires_action``) ends its stream too: of a chain of responses,
    this emits the first one. The source is freed at once. Fails as ``check_ending`` does.

    Where ``c`` is ``thread.run.completed`` and ``d`` is ``done``::

        source  -p-t-c-d-|
        result  -p-t-(c|)
    """

    def operator(source: Observable[AnyEventT]) -> Observable[AnyEventT]:
        def begin(_: abc.SchedulerBase) -> Observable[AnyEventT]:
            checked: Observable[AnyEventT] = source.pipe(check_ending())
            return checked.pipe(take_through(_Course().follow))

        return rx.defer(begin)

    return operator


def check_ending() -> EventOperator:
    """Emit every event, and make sure that the stream ends as its run did.

    Completes with its source if a terminal run event or ``thread.run.requires_action`` came; also
    if the connection broke after it. The first run in the source counts, and the run that goes on
    with it after it waited, such as the next response; the end of another run does not. Sends to
    ``on_error``: ``APIError`` right after an ``error`` event; ``StreamTruncated`` if the source
    completes, or its connection breaks, before an event said how the run ended, and instead of a
    ``done`` that comes before it. Other errors pass, such as ``APITimeoutError`` after a silence.

    Where ``t`` is a delta, after which the body just ends::

        source  -p-t-|
        result  -p-t-#
    """

    def operator(source: Observable[AnyEventT]) -> Observable[AnyEventT]:
        ending: Operator[AnyEventT, AnyEventT] = linked(lambda observer, _: Ending(observer))
        return ending(source)

    return operator


class Ending(Link[AnyEventT, AnyEventT]):
    """One subscription of ``check_ending``: it knows whether its run has ended."""

    __slots__ = ("_course", "_last")

    def __init__(self, observer: abc.ObserverBase[AnyEventT]) -> None:
        super().__init__(observer)
        self._last: AnyEvent | None = None
        self._course = _Course()

    def on_next(self, value: AnyEventT) -> None:
        """Pass an event on, and fail after an error event, or instead of a false end."""
        item: object = value  # a source may emit anything
        try:
            is_delta = isinstance(item, AnyEvent) and item.is_delta
            failure = None if is_delta else self._failure(value)
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self._fail(error)
            return
        self._last = value
        if failure is None:
            self.observer.on_next(value)
            return
        if not value.is_done:
            self.observer.on_next(value)
        self._fail(failure)

    def _failure(self, event: AnyEvent) -> Exception | None:
        check_event(event, "check_ending")
        self._course.follow(event)
        if event.is_done and not self._course.ended:
            return _truncated(self._last, "the stream said that it is done")
        return event.error()

    def _fail(self, error: Exception) -> None:
        """Fail once, and ignore all that the source still emits: another source may follow."""
        observer: abc.ObserverBase[AnyEventT] = self.observer
        self.observer: abc.ObserverBase[AnyEventT] = _NOBODY
        observer.on_error(error)

    def on_completed(self) -> None:
        """Complete if an event said how the run ended; else fail."""
        if self._course.ended:
            self.observer.on_completed()
        else:
            self._fail(_truncated(self._last))

    def on_error(self, error: Exception) -> None:
        """Complete if the connection breaks after the end of the run; else fail."""
        lost = isinstance(error, StreamTruncated | APIConnectionError)
        lost = lost and not isinstance(error, RunOutcomeUnknown)
        if lost and self._course.ended:
            self.observer.on_completed()
        elif lost and self._last is not None and not isinstance(error, APITimeoutError):
            truncated = _truncated(self._last, f"the connection was lost ({error})")
            truncated.__cause__ = error
            self._fail(truncated)
        else:
            self._fail(error)


def deadline(
    seconds: float,
    *,
    late: Callable[[], Exception] | None = None,
    scheduler: abc.SchedulerBase | None = None,
) -> Callable[[Observable[_T]], Observable[_T]]:  # not Operator: see its docstring
    """Fail if the source has not ended in time, counted from the subscription.

    Emits every item. After ``seconds`` without an end frees the source, and sends the error that
    ``late()`` returns, by default an ``APITimeoutError``, to ``on_error``. Waits on ``scheduler``,
    else on that of the subscription.

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

    def too_late() -> Exception:
        return APITimeoutError(f"no end within the deadline of {seconds:g} s")

    return linked(lambda observer, _: _Deadline(observer, seconds, late or too_late, scheduler))


class _Deadline(Hold[_T, _T]):
    """One subscription: the source and the timer."""

    __slots__ = ("_late", "_scheduler", "_seconds")

    def __init__(
        self,
        observer: abc.ObserverBase[_T],
        seconds: float,
        late: Callable[[], Exception],
        scheduler: abc.SchedulerBase | None,
    ) -> None:
        super().__init__(observer)
        self._seconds = seconds
        self._late = late
        self._scheduler = scheduler

    def follow(self, source: Observable[_T], scheduler: abc.SchedulerBase | None) -> Self:
        clock = clock_of(self._scheduler, scheduler)
        self.hold(clock.schedule_relative(self._seconds, self._too_late))
        return self.hold(link(source, self.observer, scheduler))

    def _too_late(self, _: abc.SchedulerBase, __: object) -> None:
        try:
            error = self._late()
        finally:
            self.dispose()
        self.observer.on_error(error)


class StatusOperator(Protocol):
    """An operator on events or on runs: mypy infers more with this than with a generic type."""

    def __call__(self, source: Observable[_Item], /) -> Observable[_Item]:
        """Emit the same items."""
        ...


def raise_for_status() -> StatusOperator:
    """Fail at the end if the run failed: without this operator, a failed run is data.

    Takes the events of a run, or a run at each of its changes, as polls emit it, and emits every
    item. When the source has completed and a run ended as ``failed``, ``incomplete``, ``expired``
    or ``cancelled``, sends ``RunFailed``, with the run and the last snapshot, to ``on_error``. An
    item that is neither an event nor a run is a ``TypeError`` there.

    Where ``f`` is ``thread.run.failed``::

        source  -p-f-d|
        result  -p-f-d#
    """

    def begin() -> tuple[Step[Any, Any], Finish[Any]]:
        after = folded()
        failed: AnyRun | None = None
        snapshot: Any = None

        def step(item: object) -> tuple[object]:
            nonlocal failed, snapshot
            run = item if isinstance(item, AnyRun) else None
            if run is None:
                event = _event(item)
                snapshot = after(event)
                run = event.run()
            if run is not None and run.status in FINISHED - {"completed"}:
                failed = run
            return (item,)

        def finish() -> Iterator[object]:
            if failed is not None:
                raise RunFailed(cast("Any", failed), snapshot)
            return iter(())

        return step, finish

    return choose_each(begin)


def _event(item: object) -> AnyEvent:
    check_event(item, "raise_for_status", takes="the events of a run, or runs")
    return cast("AnyEvent", item)
