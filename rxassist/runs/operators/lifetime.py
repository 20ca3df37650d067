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
    APITimeoutError,
    RunFailed,
    RunOutcomeUnknown,
    StreamTruncated,
)
from rxassist.reactive.kernel import Finish, Step, choose_each, linked, take_through
from rxassist.reactive.links import Link, link
from rxassist.reactive.typing import Operator
from rxassist.runs.events import AnyEvent, AnyEventT, check_event
from rxassist.runs.operators.snapshots import folded
from rxassist.runs.state import FINISHED, SETTLED, AnyRun

_T = TypeVar("_T")
_Item = TypeVar("_Item", bound="AnyEvent | AnyRun")

_NOBODY: Observer[Any] = Observer(on_error=lambda _: None)


def is_done(event: AnyEvent) -> bool:
    """Whether an event is the last one of a stream."""
    return event.is_done


class _Course:
    """What a stream has told of its run: which one it is, and whether it has ended or waits."""

    __slots__ = ("ended", "run_id")

    def __init__(self) -> None:
        self.ended = False
        self.run_id = ""

    def follow(self, event: AnyEvent) -> bool:
        """Whether the run has ended after this event.

        Its status is the truth; the name of the event counts where there is none. The first run
        that is told of is the one: events of another run say nothing of it.
        """
        run = event.run()
        if run is None:
            return self.ended
        if not self.run_id or run.id in (self.run_id, ""):
            self.run_id = self.run_id or run.id
            self.ended = event.run_status() in SETTLED
        return self.ended


def _truncated(last: AnyEvent | None, cause: str = "the body ended") -> StreamTruncated:
    after = "before its first event" if last is None else f"after {last.name!r}"
    return StreamTruncated(f"{cause} {after}, and nothing said how the run ended")


def until_done() -> Operator[AnyEventT, AnyEventT]:
    """Complete right after the event that ends a run.

    A run that waits for you (``requires_action``) ends its stream too. The source is freed at
    once. Fails as ``check_ending`` does.

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


def check_ending() -> Operator[AnyEventT, AnyEventT]:
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


class Ending(Link[AnyEventT, AnyEventT]):
    """What one subscription of ``check_ending`` knows of how its run ended."""

    __slots__ = ("_course", "_last")

    def __init__(self, observer: abc.ObserverBase[AnyEventT]) -> None:
        super().__init__(observer)
        self._last: AnyEvent | None = None
        self._course = _Course()

    def on_next(self, value: AnyEventT) -> None:
        """Pass an event on, and fail behind one that is an error, or in place of a false end."""
        try:
            failure = self._failure(value)
        except Exception as error:  # noqa: BLE001 -- the subscriber is told
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
        if event.is_delta:
            return None
        self._course.follow(event)
        if event.is_done and not self._course.ended:
            return _truncated(self._last, "the stream said that it is done")
        return event.error()

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
