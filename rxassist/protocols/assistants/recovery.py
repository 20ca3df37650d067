"""A lost connection is not a lost run: what is missing of a stream, from what is stored."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

import reactivex as rx
from attrs import frozen
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.scheduler import TimeoutScheduler

from rxassist.errors import NotFoundError, PollTimeout, RxAssistError, StreamClosed, StreamDiverged
from rxassist.protocols.assistants.events import Event, RunEvent
from rxassist.protocols.assistants.missing import (
    Heard,
    Stored,
    is_behind,
    is_open,
    missing_events,
    told_of,
)
from rxassist.protocols.assistants.models import Message, Run, RunStep
from rxassist.protocols.assistants.snapshots import NOTHING, Snapshot, fold
from rxassist.reactive.kernel import choose_each, nothing
from rxassist.reactive.links import Rescue, link
from rxassist.reactive.logger import logger
from rxassist.reactive.polling import PATIENCE, check_id, is_passing, patiently, poll
from rxassist.reactive.tally import count_recovery
from rxassist.reactive.typing import Operator
from rxassist.runs.operators.lifetime import Ending
from rxassist.runs.state import has_settled, is_lost

_T = TypeVar("_T")

FetchRun = Callable[[str, str], Observable[Run]]
ListSteps = Callable[[str, str], Observable[RunStep]]
ListMessages = Callable[[str, str], Observable[Message]]

INTERVAL = 1.0
"""Seconds between two looks at a run that is recovered, by default."""


def recover(
    fetch_run: FetchRun,
    list_steps: ListSteps,
    list_messages: ListMessages,
    *,
    thread_id: str | None = None,
    run_id: str | None = None,
    submitted: Collection[str] | None = None,
    interval: float = INTERVAL,
    patience: float = PATIENCE,
    keeps_events: bool = False,
    scheduler: abc.SchedulerBase | None = None,
) -> Operator[Event, Event]:
    """Emit every event of a run, also those that its connection did not bring.

    Checks the ending of the source as ``check_ending`` does. Where that would be a
    ``StreamTruncated``, an ``APIConnectionError`` or an ``APITimeoutError``, it polls the run,
    every ``interval`` seconds, until it has ended or waits, lists its steps and messages, and emits
    what is missing, in the order of an uninterrupted stream, ``done`` included. The three functions
    take a thread's and a run's id; of one second, the lists give what is older first.

    ``thread_id`` and ``run_id`` are known beforehand where the source goes on with a run, after
    outputs were ``submitted`` for calls of these ids; else the source must have told them.
    ``keeps_events`` keeps the events until they are needed, which is cheaper than to fold each, for
    sources whose events are kept in any case.

    A store may lag behind the stream: a run that is not found, another run than the one that was
    asked for, and lists that have less than what was heard are asked for again, for ``patience``
    seconds.

    Sends to ``on_error``: ``StreamDiverged`` if what is stored does not continue what was heard;
    the error of the source, with a note, if the run is not known, if the service does not tell of
    it, or if it cannot be reached for ``patience`` seconds; all other errors at once.

    Where ``k`` is ``thread.run.created``, after which the connection breaks, and the run is found
    to have completed: ``q``, ``p`` and ``c`` are its other events, and ``d`` is ``done``::

        source  -k-#
        result  -k-(qpcd|)
    """
    if interval < 0 or patience <= 0:
        msg = f"interval must not be negative and patience above 0, got {interval} and {patience}"
        raise ValueError(msg)

    how = Recovery(
        fetch_run,
        list_steps,
        list_messages,
        thread_id=thread_id,
        run_id=run_id,
        submitted=submitted,
        interval=interval,
        patience=patience,
    )
    return recovering(lambda: how, keeps_events=keeps_events, scheduler=scheduler)


@frozen
class Recovery:
    """What ``recover`` was given: where what is missing is found, and how long it is looked for."""

    fetch_run: FetchRun
    list_steps: ListSteps
    list_messages: ListMessages
    thread_id: str | None = None
    run_id: str | None = None
    submitted: Collection[str] | None = None
    interval: float = INTERVAL
    patience: float = PATIENCE


def recovering(
    how: Callable[[], Recovery],
    *,
    keeps_events: bool,
    scheduler: abc.SchedulerBase | None = None,
) -> Operator[Event, Event]:
    """``recover``, which asks how only when something is lost: of most streams nothing is."""

    def operator(source: Observable[Event]) -> Observable[Event]:
        def subscribe(
            observer: abc.ObserverBase[Event], given: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            hearing = _Hearing(observer, given, how, scheduler, keeps_events=keeps_events)
            return hearing.hold_source(link(source, Ending(hearing), given))

        return Observable(subscribe)

    return operator


class _Hearing(Rescue[Event]):
    """What one subscription has heard so far, and what follows where its source is lost."""

    __slots__ = ("_clock", "_events", "_how", "_keeps_events", "_run", "_snapshot", "_told")

    def __init__(
        self,
        observer: abc.ObserverBase[Event],
        scheduler: abc.SchedulerBase | None,
        how: Callable[[], Recovery],
        clock: abc.SchedulerBase | None,
        *,
        keeps_events: bool,
    ) -> None:
        super().__init__(observer, scheduler)
        self._clock = clock
        self._how = how
        self._keeps_events = keeps_events
        self._events: list[Event] = []
        self._run: Run | None = None  # the first that was told of is the one
        self._snapshot = NOTHING
        self._told: list[tuple[str, str]] = []

    def on_next(self, value: Event) -> None:
        """Keep an event, and pass it on."""
        if self._keeps_events:
            self._events.append(value)
        else:
            self._fold(value)
        self.observer.on_next(value)

    def instead(self, error: Exception) -> Observable[Event]:
        """What is missing, where the connection was lost; else the error."""
        so_far, how = self._so_far(), self._how()
        where = _place(so_far.snapshot, self._run, how.thread_id, how.run_id)
        if where is None or not is_lost(error):
            return rx.throw(error)
        logger.info("run %s: the stream was lost (%s); recovering", where[1], error)
        count_recovery()
        clock = self._clock or self.scheduler or TimeoutScheduler.singleton()
        missing = _Look(how, where, so_far, clock).events()
        events = missing.pipe(choose_each(lambda: (_as_they_are, nothing)))
        return events.pipe(ops.catch(lambda why, _: rx.throw(unrecovered(why, error))))

    def _so_far(self) -> Heard:
        for event in self._events:
            self._fold(event)
        self._events.clear()
        return Heard(self._snapshot, frozenset(self._told))

    def _fold(self, event: Event) -> None:
        self._snapshot = fold(self._snapshot, event)
        told = told_of(event)
        if told is not None:
            self._told.append(told)
            if self._run is None and isinstance(event, RunEvent):
                self._run = event.data


def _as_they_are(events: list[Event]) -> list[Event]:
    return events


class _Look:
    """One look at what is stored, which lasts until the run has settled."""

    def __init__(
        self, how: Recovery, where: tuple[str, str], heard: Heard, clock: abc.SchedulerBase
    ) -> None:
        self._how = how
        self._where = where
        self._heard = heard
        self._clock = clock

    def events(self) -> Observable[list[Event]]:
        """What is missing, when the run has settled."""
        run = self._patiently(self._run, is_passing)
        settled = poll(
            lambda: run, until=has_settled, interval=self._how.interval, scheduler=self._clock
        )
        return settled.pipe(ops.last(), ops.flat_map(self._missing))

    def _run(self) -> Observable[Run]:
        def ours(run: Run) -> Run:
            check_id("thread.run", run_id, run.id)
            return run

        _, run_id = self._where
        return self._how.fetch_run(*self._where).pipe(ops.map(ours))

    def _missing(self, run: Run) -> Observable[list[Event]]:
        def with_steps(steps: list[RunStep]) -> Observable[list[Event]]:
            def with_messages(messages: list[Message]) -> list[Event]:
                return self._compared(Stored(run, steps, messages))

            listed = _listed(self._how.list_messages(*self._where))
            return listed.pipe(ops.map(with_messages))

        def compared() -> Observable[list[Event]]:
            steps = _known(_listed(self._how.list_steps(*self._where)))
            return steps.pipe(ops.flat_map(with_steps))

        return self._patiently(compared, _may_come).pipe(ops.catch(_as_it_stands))

    def _compared(self, stored: Stored) -> list[Event]:
        events = list(missing_events(self._heard, stored, submitted=self._how.submitted))
        if is_open(self._heard, stored):
            raise _StillOpenError(events)
        return events

    def _patiently(
        self, ask: Callable[[], Observable[_T]], passes: Callable[[Exception], bool]
    ) -> Observable[_T]:
        how = self._how
        return patiently(ask, passes, how.interval, how.patience, scheduler=self._clock)


class _StillOpenError(RxAssistError):
    """A message is stored as one that grows, though its run has ended."""

    def __init__(self, events: list[Event]) -> None:
        super().__init__("a message is stored as one that grows, though its run has ended")
        self.events = events


def _may_come(error: Exception) -> bool:
    """Whether lists may have more, or be there, when they are asked for again."""
    if isinstance(error, StreamDiverged):
        return is_behind(error)
    return isinstance(error, _StillOpenError) or is_passing(error)


def _as_it_stands(error: Exception, _: object) -> Observable[list[Event]]:
    """What becomes of lists that did not come to be whole in time."""
    last = error.last if isinstance(error, PollTimeout) else None
    if isinstance(last, _StillOpenError):
        return rx.of(last.events)
    return rx.throw(last if isinstance(last, StreamDiverged) else error)


def _listed(items: Observable[_T]) -> Observable[list[_T]]:
    """All items, oldest first. What was created in one second stays as it was listed."""
    return items.pipe(ops.to_list(), ops.map(_oldest_first))


def _known(listed: Observable[list[_T]]) -> Observable[list[_T]]:
    """No items where a server does not know such a list."""

    def unknown(error: Exception, _: Observable[list[_T]]) -> Observable[list[_T]]:
        nothing_known: list[_T] = []
        return rx.of(nothing_known) if isinstance(error, NotFoundError) else rx.throw(error)

    return listed.pipe(ops.catch(unknown))


def _oldest_first(items: list[_T]) -> list[_T]:
    return sorted(items, key=_age)


def _age(item: object) -> float:
    return getattr(item, "created_at", None) or 0


def _place(
    snapshot: Snapshot, run: Run | None, thread_id: str | None, run_id: str | None
) -> tuple[str, str] | None:
    """The ids of the thread and of the run, from wherever they were told."""
    told: list[tuple[str, str | None]] = [(thread_id or "", run_id)]
    if run is not None:
        told.append((run.thread_id, run.id))
    told.extend((step.thread_id, step.run_id) for step in snapshot.run_steps)
    told.extend((message.thread_id, message.run_id) for message in snapshot.messages)
    return next(((thread, run) for thread, run in told if thread and run), None)


def unrecovered(why: Exception, error: Exception) -> Exception:
    """What the subscriber is told where a recovery from an error fails, too."""
    if isinstance(why, StreamClosed | StreamDiverged) or not isinstance(why, RxAssistError):
        return why
    last = f" ({why.last})" if isinstance(why, PollTimeout) and why.last is not None else ""
    error.add_note(f"the recovery failed, too: {why}{last}")
    return error


__all__ = [
    "INTERVAL",
    "PATIENCE",
    "FetchRun",
    "ListMessages",
    "ListSteps",
    "Recovery",
    "recover",
    "recovering",
    "unrecovered",
]
