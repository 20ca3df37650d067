"""A lost connection is not a lost run: the missing events are made of the stored objects."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import reduce
from typing import Self, TypeVar

import reactivex as rx
from attrs import frozen
from reactivex import Observable, abc
from reactivex import operators as ops

from rxassist.errors import NotFoundError, PollTimeout, RxAssistError, StreamClosed, StreamDiverged
from rxassist.protocols.assistants.events import (
    DoneEvent,
    Event,
    RunEvent,
    ThreadRunRequiresAction,
)
from rxassist.protocols.assistants.known import Known, still_waits
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
from rxassist.reactive.kernel import choose_each, linked, nothing
from rxassist.reactive.links import Rescue, clock_of, link
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
    """Emit every event of a run, also the events that its connection lost.

    Checks the ending of the source as ``check_ending`` does. If that would be a
    ``StreamTruncated``, an ``APIConnectionError`` or an ``APITimeoutError``, it polls the run,
    every ``interval`` seconds, until it has ended or waits, lists its steps and messages, and emits
    the missing events, in the order of an uninterrupted stream, ``done`` included. The three
    functions take a thread's and a run's id; of objects of one second, the lists must have the
    older first.

    ``thread_id`` and ``run_id`` are known beforehand if the source goes on with a run, after
    outputs were ``submitted`` for calls of these ids; else they are taken from the source.
    ``keeps_events`` keeps the events until they are needed, which is cheaper than folding each, for
    sources whose events are kept in any case.

    A store may lag behind the stream: a run that is not found, another run than the requested one,
    and lists that have less than the stream are requested again, for ``patience`` seconds.

    Sends to ``on_error``: ``StreamDiverged`` if the stored objects do not continue the stream; the
    error of the source, with a note, if the run is not known, if the service does not have it, or
    if it cannot be reached for ``patience`` seconds; all other errors at once.

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
    """The arguments of ``recover``: the functions that read the store, and its times."""

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
    """``recover``, which calls ``how`` only after a loss: most streams lose nothing."""
    return linked(
        lambda observer, given: _Hearing(observer, given, how, scheduler, keeps_events=keeps_events)
    )


class _Hearing(Rescue[Event]):
    """One subscription: the events so far, and those that follow if the source is lost."""

    __slots__ = ("_clock", "_events", "_how", "_keeps_events", "_received", "_run", "_snapshot")

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
        self._run: Run | None = None  # the first one in the events
        self._snapshot = NOTHING
        self._received: list[tuple[str, str]] = []

    def follow(self, source: Observable[Event], scheduler: abc.SchedulerBase | None) -> Self:
        """Subscribe to the source, with its ending checked."""
        return self.hold_source(link(source, Ending(self), scheduler))

    def on_next(self, value: Event) -> None:
        """Keep an event, and pass it on."""
        if self._keeps_events:
            self._events.append(value)
        else:
            self._fold(value)
        self.observer.on_next(value)

    def instead(self, error: Exception) -> Observable[Event]:
        """The missing events if the connection was lost; else the error."""
        so_far, how = self._so_far(), self._how()
        where = _ids_of(so_far.snapshot, self._run, how.thread_id, how.run_id)
        if where is None or not is_lost(error):
            return rx.throw(error)
        logger.info("run %s: the stream was lost (%s); recovering", where[1], error)
        count_recovery()
        clock = clock_of(self._clock, self.scheduler)
        missing = _Look(how, where, so_far, clock).events()
        events = missing.pipe(choose_each(lambda: (_as_they_are, nothing)))
        return events.pipe(ops.catch(lambda why, _: rx.throw(unrecovered(why, error))))

    def _so_far(self) -> Heard:
        for event in self._events:
            self._fold(event)
        self._events.clear()
        return Heard(self._snapshot, frozenset(self._received))

    def _fold(self, event: Event) -> None:
        self._snapshot = fold(self._snapshot, event)
        received = told_of(event)
        if received is not None:
            self._received.append(received)
            if self._run is None and isinstance(event, RunEvent):
                self._run = event.data


def existing(
    how: Recovery,
    known: Known,
    scheduler: abc.SchedulerBase | None = None,
    *,
    resumed: bool = True,
) -> Observable[Event]:
    """The events of a run that exists, after those that are known, when it has ended or waits.

    A run that still waits, as is known, begins with that wait again: ``with_waits`` leaves it out,
    after the functions were called. With ``resumed=False`` the run did not go on after its last
    known wait. Sends the error of a request to ``on_error`` if the service
    cannot be reached for ``how.patience`` seconds; also ``NotFoundError``, at once if nothing is
    known of the run.
    """

    def begin(given: abc.SchedulerBase) -> Observable[Event]:
        where = (how.thread_id or "", known.id or "")
        events = known.since if resumed else known.events
        heard = reduce(fold, events, NOTHING)
        told = frozenset(each for event in events if (each := told_of(event)) is not None)
        look = _Look(how, where, Heard(heard, told), clock_of(scheduler, given), known)
        missing = look.events().pipe(ops.catch(_last_error))
        return missing.pipe(choose_each(lambda: (_as_they_are, nothing)))

    if known.is_over:
        return rx.empty()
    return rx.of(DoneEvent()) if known.has_finished else rx.defer(begin)


def _last_error(error: Exception, _: object) -> Observable[list[Event]]:
    """The last error of a poll that ran out of patience."""
    last = error.last if isinstance(error, PollTimeout) else None
    return rx.throw(last if isinstance(last, Exception) else error)


def _as_they_are(events: list[Event]) -> list[Event]:
    return events


class _Look:
    """One comparison with the stored objects, which lasts until the run has settled."""

    def __init__(
        self,
        how: Recovery,
        where: tuple[str, str],
        heard: Heard,
        clock: abc.SchedulerBase,
        known: Known | None = None,
    ) -> None:
        self._how = how
        self._where = where
        self._heard = heard
        self._clock = clock
        self._known = known

    def events(self) -> Observable[list[Event]]:
        """The missing events, when the run has settled."""
        run = self._patiently(self._run, self._may_be_found)
        settled = poll(
            lambda: run, until=has_settled, interval=self._how.interval, scheduler=self._clock
        )
        return settled.pipe(ops.last(), ops.flat_map(self._missing))

    def _may_be_found(self, error: Exception) -> bool:
        """Whether a run may be read later: one of which something came is stored, at last."""
        is_unheard = self._known is not None and not self._known.events
        return is_passing(error) and not (is_unheard and isinstance(error, NotFoundError))

    def _run(self) -> Observable[Run]:
        def ours(run: Run) -> Run:
            check_id("thread.run", run_id, run.id)
            return run

        _, run_id = self._where
        return self._how.fetch_run(*self._where).pipe(ops.map(ours))

    def _missing(self, run: Run) -> Observable[list[Event]]:
        if self._known is not None and still_waits(run, self._known):
            return rx.of([ThreadRunRequiresAction(run), DoneEvent()])

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
    """Whether lists may have more, or exist, when they are requested again."""
    if isinstance(error, StreamDiverged):
        return is_behind(error)
    return isinstance(error, _StillOpenError) or is_passing(error)


def _as_it_stands(error: Exception, _: object) -> Observable[list[Event]]:
    """The events or the error of lists that were not whole in time."""
    last = error.last if isinstance(error, PollTimeout) else None
    if isinstance(last, _StillOpenError):
        return rx.of(last.events)
    return rx.throw(last if isinstance(last, StreamDiverged) else error)


def _listed(items: Observable[_T]) -> Observable[list[_T]]:
    """All items, oldest first. Items of one second stay in their order."""
    return items.pipe(ops.to_list(), ops.map(_oldest_first))


def _known(listed: Observable[list[_T]]) -> Observable[list[_T]]:
    """No items if the server does not know such a list."""

    def unknown(error: Exception, _: Observable[list[_T]]) -> Observable[list[_T]]:
        nothing_known: list[_T] = []
        return rx.of(nothing_known) if isinstance(error, NotFoundError) else rx.throw(error)

    return listed.pipe(ops.catch(unknown))


def _oldest_first(items: list[_T]) -> list[_T]:
    return sorted(items, key=_age)


def _age(item: object) -> float:
    return getattr(item, "created_at", None) or 0


def _ids_of(
    snapshot: Snapshot, run: Run | None, thread_id: str | None, run_id: str | None
) -> tuple[str, str] | None:
    """The ids of the thread and of the run, from whatever names them."""
    known: list[tuple[str, str | None]] = [(thread_id or "", run_id)]
    if run is not None:
        known.append((run.thread_id, run.id))
    known.extend((step.thread_id, step.run_id) for step in snapshot.run_steps)
    known.extend((message.thread_id, message.run_id) for message in snapshot.messages)
    return next(((thread, run) for thread, run in known if thread and run), None)


def unrecovered(why: Exception, error: Exception) -> Exception:
    """The error for the subscriber if a recovery from an error fails, too."""
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
    "existing",
    "recover",
    "recovering",
    "unrecovered",
]
