"""The pipe of a run: what it is made of, and the order in which it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import frozen
from reactivex import Observable, abc

from rxassist.errors import APITimeoutError, RxAssistError
from rxassist.reactive.checks import check_not_negative, check_positive
from rxassist.reactive.kernel import take_through
from rxassist.reactive.log import READ_AHEAD, Log
from rxassist.reactive.loop import Home, scheduled
from rxassist.reactive.polling import PATIENCE
from rxassist.reactive.queues import Waiting
from rxassist.reactive.typing import Operator
from rxassist.runs import operators
from rxassist.runs.events import AnyEventT, run_of
from rxassist.runs.operators.lifetime import is_done
from rxassist.runs.operators.resets import OnReset, check_on_reset
from rxassist.runs.protocol import Protocol
from rxassist.runs.state import AnyRun
from rxassist.runs.streams.leaving import Farewell, OnDispose, cancel_when_left, check_on_dispose
from rxassist.runs.streams.results import Results
from rxassist.runs.streams.telling import AsyncTelling, SyncTelling, tell
from rxassist.runs.tools.calls import OnResult

_T = TypeVar("_T")

_Folded: TypeAlias = tuple[int, Any]
"""How many events were folded, and the snapshot after them, which is of the protocol."""


def unchanged(source: Observable[_T]) -> Observable[_T]:
    """The operator that does nothing."""
    return source


@frozen
class FollowOptions:
    """How a run is followed on this side, as ``StreamOptions`` says. Raises for a wrong value."""

    recover: bool = True
    recovery_timeout: float = PATIENCE
    idle_timeout: float | None = None
    deadline: float | None = None
    replay: bool = True
    read_ahead: int | None = READ_AHEAD
    on_dispose: OnDispose = "detach"
    linger: float = 0.0
    event_handler: object = None
    on_reset: OnReset = "raise"

    def __attrs_post_init__(self) -> None:
        check_on_dispose(self.on_dispose)
        check_on_reset(self.on_reset)
        check_not_negative("linger", self.linger)
        check_positive("recovery_timeout", self.recovery_timeout)
        if self.idle_timeout is not None:
            check_positive("idle_timeout", self.idle_timeout)


@frozen(kw_only=True)
class Plan(Generic[AnyEventT]):
    """What the pipe of a run is made of: each protocol fills it in, for each stream.

    - ``answers``: sends the request when it is subscribed, and emits what the service answers.
    - ``once``: keeps a run from being created, or resumed, twice.
    - ``slot``: waits for a slot in the client's budget.
    - ``ending``: makes sure that the stream ends as its run did; it may recover lost events.
    - ``tools``: calls functions and resumes the run; ``None`` if the run has none to call.
    - ``cancel``: cancels a run, and completes when it has ended.
    - ``waiting``: what the run waits for before it begins.
    - ``rest``: the events of the run after those that are known, made of what is stored.
    - ``thread_id`` and ``run``: what is known before the first event.
    - ``mark``: what finds the run again if its answer is lost: the mark in its metadata, or the id
      that a response is to have.
    """

    protocol: Protocol
    options: FollowOptions
    answers: Observable[AnyEventT]
    ending: Operator[AnyEventT, AnyEventT]
    cancel: Callable[[Any], Observable[AnyRun]]
    rest: Callable[[Sequence[AnyEventT]], Observable[AnyEventT]] | None = None
    once: Operator[AnyEventT, AnyEventT] = unchanged
    slot: Operator[AnyEventT, AnyEventT] = unchanged
    tools: Callable[[OnResult], Operator[AnyEventT, AnyEventT]] | None = None
    waiting: Waiting
    thread_id: str | None = None
    run: AnyRun | None = None
    mark: str | None = None


def then(
    tools: Callable[[OnResult], Operator[_T, _T]] | None, last: Operator[_T, _T]
) -> Callable[[OnResult], Operator[_T, _T]]:
    """The tools of a stream, if it has any, and another operator on all that they emit."""

    def both(on_result: OnResult) -> Operator[_T, _T]:
        if tools is None:
            return last
        operator = tools(on_result)
        return lambda source: source.pipe(operator, last)

    return both


class Pipe(Generic[AnyEventT]):
    """The pipe of a run, and where the run stands: snapshots, folded from the log on demand."""

    results: Results | None = None
    farewell: Farewell | None = None

    def __init__(
        self, plan: Plan[AnyEventT], home: Home, telling: SyncTelling | AsyncTelling | None
    ) -> None:
        """Build the pipe: its steps in the order in which an event passes through them."""
        options = plan.options
        self.thread_id: str | None = plan.thread_id
        self.mark: str | None = plan.mark
        events = plan.once(plan.answers)  # creation
        events = events.pipe(take_through(is_done), plan.ending)  # recovery
        if plan.tools is not None:
            self.results = Results(home)
            events = events.pipe(self.results.told_by(plan.tools))
        if options.on_dispose == "cancel" or (plan.tools is not None and options.deadline):
            self.farewell = Farewell(plan.cancel, home, plan.run)
            if options.on_dispose == "cancel":
                events = events.pipe(cancel_when_left(self.farewell, home, run_of))
        if options.deadline is not None:
            late = partial(self._late, options.deadline, plan.waiting)
            events = events.pipe(operators.deadline(options.deadline, late=late))
        events = scheduled(home, plan.slot(events))  # taken before the steps above begin
        with_snapshot = partial(self._with_snapshot, plan.thread_id, plan.run)
        if telling is not None:
            calls_handler: Operator[Any, Any] = tell(telling, home, with_snapshot)
            events = events.pipe(calls_handler)
        self.log: Log[AnyEventT] = Log(
            events,
            post=home.post,
            report=home.report,
            replay=options.replay,
            read_ahead=options.read_ahead,
            on_drop=None if options.replay else self._keep,
            linger=partial(_after, home, options.linger) if options.linger else None,
            change_error=with_snapshot if telling is None else None,
        )
        self._telling = telling
        self._lock = threading.Lock()  # a thread that iterates folds, and so does the loop
        self._fold = plan.protocol.fold
        self._kept: _Folded = (0, plan.protocol.nothing)  # after the events that were dropped
        self._ended = self._kept

    def snapshot(self) -> Any:  # noqa: ANN401 -- of the protocol
        """The snapshot after the event that the caller read last."""
        reading = self.log.reading
        with self._lock:
            folded = reading.memo = self._fold_on(reading.memo or self._kept, reading.cursor)
            return folded[1]

    def snapshot_at_end(self) -> Any:  # noqa: ANN401 -- of the protocol
        """The snapshot after the newest event."""
        if self._telling is not None and self._telling.snapshot.event is not None:
            return self._telling.snapshot
        with self._lock:
            self._ended = self._fold_on(self._ended, self.log.dropped + len(self.log.items))
            return self._ended[1]

    def _keep(self, dropped: list[AnyEventT]) -> None:
        """Fold events before the log drops them."""
        with self._lock:
            self._kept = self._fold_on(self._kept, self.log.dropped + len(dropped))

    def _fold_on(self, folded: _Folded, end: int) -> _Folded:
        """Fold up to an end, beginning with what was folded before."""
        log = self.log
        count, snapshot = folded if log.dropped <= folded[0] <= end else self._kept
        if count > end:  # dropped already: nothing older is kept
            return count, snapshot
        for event in log.items[count - log.dropped : end - log.dropped]:
            snapshot = self._fold(snapshot, event)
        return end, snapshot

    def _late(self, deadline: float, waiting: Waiting) -> Exception:
        """The error of a run that is late; a run that waits for tools is cancelled."""
        run = self.snapshot_at_end().run
        if self.farewell is not None and run is not None:
            self.farewell.told(run)
            if self.farewell.waits:
                self.farewell.leave()
        why = str(waiting)
        ids = [("run", run and run.id), ("thread", getattr(run, "thread_id", None))]
        which = ", ".join(f"{name} {each}" for name, each in ids if each)
        begun = f"{which}: " if which else ""
        msg = f"{begun}no end within the deadline of {deadline:g} s{'; ' if why else ''}{why}"
        error = APITimeoutError(msg, sent=not why)
        error.__cause__ = waiting.in_the_way
        return error

    def _with_snapshot(
        self, thread_id: str | None, run: AnyRun | None, error: Exception
    ) -> Exception:
        """Add to an error the run that it is about, and how that run stood."""
        if isinstance(error, RxAssistError):
            error.thread_id = error.thread_id or thread_id
            error.run_id = error.run_id or (None if run is None else run.id)
            error.ended_after(self.snapshot_at_end())
        return error


def _after(home: Home, seconds: float, action: Callable[[], None]) -> abc.DisposableBase:
    """Run an action some seconds later on the loop."""

    def act(_: abc.SchedulerBase, __: object = None) -> None:
        action()

    return home.scheduler.schedule_relative(seconds, act)


__all__ = ["FollowOptions", "Pipe", "Plan", "then", "unchanged"]
