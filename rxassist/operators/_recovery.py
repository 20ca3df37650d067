"""A lost connection is not a lost run: what is missing of a stream, from what is stored."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import TypeVar

import reactivex as rx
from attrs import frozen
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.scheduler import TimeoutScheduler

from rxassist.errors import (
    APIConnectionError,
    APIStatusError,
    NotFoundError,
    PollTimeout,
    RunOutcomeUnknown,
    RxAssistError,
    StreamClosed,
    StreamDiverged,
    StreamTruncated,
)
from rxassist.events import Event
from rxassist.links import Rescue, link
from rxassist.models import SETTLED, Message, Run, RunStep
from rxassist.operators._kernel import choose, choose_each, nothing
from rxassist.operators._lifetime import Ending
from rxassist.operators._missing import Heard, Stored, missing_events, told_of
from rxassist.polling import poll
from rxassist.snapshots import NOTHING, Snapshot, fold
from rxassist.tally import count_recovery
from rxassist.typing import Operator

_T = TypeVar("_T")

FetchRun = Callable[[str, str], Observable[Run]]
ListSteps = Callable[[str, str], Observable[RunStep]]
ListMessages = Callable[[str, str], Observable[Message]]

INTERVAL = 1.0
"""Seconds between two looks at a run that is recovered, by default."""

PATIENCE = 60.0
"""Seconds for which the service may be out of reach before a recovery gives up, by default."""

_SERVER_ERROR = 500
_FOR_NOW = frozenset({408, 409, 429})

_logger = logging.getLogger("rxassist")


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

    Sends to ``on_error``: ``StreamDiverged`` if what is stored does not continue what was heard;
    the error of the source if the run is not known, if the service does not tell of it, or if it
    cannot be reached for ``patience`` seconds; all other errors at once.

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

    __slots__ = ("_clock", "_events", "_how", "_keeps_events", "_snapshot", "_told")

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
        where = _place(so_far.snapshot, how.thread_id, how.run_id)
        if where is None or not is_lost(error):
            return rx.throw(error)
        _logger.info("run %s: the stream was lost (%s); recovering", where[1], error)
        count_recovery()

        def missing(stored: Stored) -> list[Event]:
            return list(missing_events(so_far, stored, submitted=how.submitted))

        clock = self._clock or self.scheduler or TimeoutScheduler.singleton()
        look = _Look(how, where, clock)
        events = look.stored().pipe(choose_each(lambda: (missing, nothing)))
        return events.pipe(ops.catch(lambda why, _: rx.throw(_told(why, error))))

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


class _Look:
    """One look at what is stored, which lasts until the run has settled."""

    def __init__(self, how: Recovery, where: tuple[str, str], clock: abc.SchedulerBase) -> None:
        self._how = how
        self._where = where
        self._clock = clock

    def stored(self) -> Observable[Stored]:
        """What is stored of the run, when it has settled."""
        how = self._how
        run = self._patiently(lambda: how.fetch_run(*self._where))
        steps = self._patiently(lambda: _known(_listed(how.list_steps(*self._where))))
        messages = self._patiently(lambda: _listed(how.list_messages(*self._where)))
        settled = poll(lambda: run, until=has_settled, interval=how.interval, scheduler=self._clock)

        def with_lists(run: Run) -> Observable[Stored]:
            def with_steps(found: list[RunStep]) -> Observable[Stored]:
                def with_messages(written: list[Message]) -> Stored:
                    return Stored(run, found, written)

                return messages.pipe(ops.map(with_messages))

            return steps.pipe(ops.flat_map(with_steps))

        return settled.pipe(ops.last(), ops.flat_map(with_lists))

    def _patiently(self, ask: Callable[[], Observable[_T]]) -> Observable[_T]:
        """Ask again while the service is out of reach, but not for longer than is bearable."""

        def no_answer(error: Exception, _: object) -> Observable[_T | Exception]:
            return rx.of(error) if _passes(error) else rx.throw(error)

        def answer() -> Observable[_T | Exception]:
            asked: Observable[_T | Exception] = ask()
            return asked.pipe(ops.catch(no_answer))

        asked = poll(
            answer,
            until=_is_answer,
            interval=self._how.interval,
            deadline=self._how.patience,
            scheduler=self._clock,
        )
        return asked.pipe(choose(_answer))


def _is_answer(answer: object) -> bool:
    return not isinstance(answer, Exception)


def _answer(answer: _T | Exception) -> _T | None:
    return None if isinstance(answer, Exception) else answer


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


def has_settled(run: Run) -> bool:
    """Whether a run has ended, or waits."""
    return run.status in SETTLED


def is_lost(error: Exception) -> bool:
    """Whether an error says nothing of the run, only that nobody heard it."""
    if isinstance(error, RunOutcomeUnknown):
        return False
    return isinstance(error, StreamTruncated) or (
        isinstance(error, APIConnectionError) and error.sent
    )


def leaves_waiting(error: Exception) -> bool:
    """Whether a run that waited before this error still does, and nobody will go on with it."""
    return not is_lost(error) and not isinstance(error, StreamClosed)


def _passes(error: Exception) -> bool:
    """Whether an error of the service may be over soon."""
    if isinstance(error, APIStatusError):
        return error.status_code >= _SERVER_ERROR or error.status_code in _FOR_NOW
    return isinstance(error, APIConnectionError)


def _place(snapshot: Snapshot, thread_id: str | None, run_id: str | None) -> tuple[str, str] | None:
    """The ids of the thread and of the run, from wherever they were told."""
    told: list[tuple[str, str | None]] = [(thread_id or "", run_id)]
    if snapshot.run is not None:
        told.append((snapshot.run.thread_id, snapshot.run.id))
    told.extend((step.thread_id, step.run_id) for step in snapshot.run_steps)
    told.extend((message.thread_id, message.run_id) for message in snapshot.messages)
    return next(((thread, run) for thread, run in told if thread and run), None)


def _told(why: Exception, error: Exception) -> Exception:
    """What the subscriber is told where a recovery fails."""
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
    "has_settled",
    "is_lost",
    "leaves_waiting",
    "recover",
    "recovering",
]
