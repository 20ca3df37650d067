"""Starting a run anew after a failure that may pass."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context

from reactivex import Observable, abc
from reactivex.disposable import SerialDisposable

from rxassist.errors import excerpt
from rxassist.reactive.kernel import linked
from rxassist.reactive.links import Link, clock_of, schedule_held, subscribe_held
from rxassist.reactive.logger import logger
from rxassist.reactive.tally import count_retry
from rxassist.reactive.typing import Operator
from rxassist.runs.events import AnyEvent, check_event
from rxassist.runs.state import SETTLED, AnyRun

_RATE_LIMITED = "rate_limit_exceeded"


def rate_limited(run: AnyRun) -> bool:
    """Whether a run failed because a rate limit was exceeded."""
    error: object = getattr(run, "last_error", None)
    return run.status == "failed" and getattr(error, "code", None) == _RATE_LIMITED


def retry_run(
    times: int = 2,
    backoff: float | Callable[[int], float] = 1.0,
    when: Callable[[AnyRun], bool] = rate_limited,
    *,
    hold: bool = False,
    scheduler: abc.SchedulerBase | None = None,
) -> Operator[AnyEvent, AnyEvent]:
    """Start a run anew if its failure may pass: by default if a rate limit was exceeded.

    The source is subscribed again, so it must start another run each time:
    ``rx.defer(lambda _: client.threads.runs.stream(…))``; a source that emits the same run again
    ends in a ``ValueError``. That happens at most ``times`` times, ``backoff`` seconds after the
    first failure, twice as many after the next, and so on; or ``backoff`` is a function that
    returns the seconds for 1, 2, …. ``when`` returns whether to start a run anew that has ended, or
    waits.

    A text is never emitted twice: the events of an attempt are held back until its first delta, its
    first finished object or ``requires_action``, so an attempt that failed before emits nothing.
    From then on the run stays, and its failure is data as without this operator. With ``hold=True``
    all events of an attempt are held back until its stream ends: then every failure can be retried,
    and nothing is emitted before the end.

    Completes and fails with the last attempt. Waits on ``scheduler``, else on the one of the
    subscription.

    Where ``q`` and ``p`` say that the run is ``queued`` and ``in_progress``, ``t`` is a delta, and
    ``c`` is ``thread.run.completed``::

        source  -q-p-t----c-|
        result  -----(qpt)c-|
    """
    if times < 0:
        msg = f"times must not be negative, got {times}"
        raise ValueError(msg)
    if not callable(backoff) and backoff < 0:
        msg = f"backoff must not be negative, got {backoff}"
        raise ValueError(msg)
    pause = backoff if callable(backoff) else _doubled(backoff)

    return linked(
        lambda observer, given: _Attempts(
            observer, times, pause, when, clock_of(scheduler, given), hold=hold
        )
    )


def _doubled(seconds: float) -> Callable[[int], float]:
    return lambda attempt: seconds * 2.0 ** (attempt - 1)


class _Attempts(Link[AnyEvent, AnyEvent]):
    """One subscription: the attempt that is under way, and the events of it that are held back."""

    _source: Observable[AnyEvent]
    _scheduler: abc.SchedulerBase | None

    def __init__(
        self,
        observer: abc.ObserverBase[AnyEvent],
        times: int,
        pause: Callable[[int], float],
        when: Callable[[AnyRun], bool],
        clock: abc.SchedulerBase,
        *,
        hold: bool,
    ) -> None:
        super().__init__(observer)
        self._times = times
        self._pause = pause
        self._when = when
        self._clock = clock
        self._hold = hold
        self._context = copy_context()  # a timer may run on another thread
        self._count = 0
        self._failed: set[str] = set()
        self._held_back: list[AnyEvent] | None = []
        self._held = SerialDisposable()

    def follow(
        self, source: Observable[AnyEvent], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        self._source = source
        self._scheduler = scheduler
        self._begin()
        return self._held

    def _begin(self, *_: object) -> None:
        self._held_back = []
        self._context.copy().run(self._subscribe)

    def _subscribe(self) -> None:
        if self._count:
            count_retry()
        subscribe_held(self._held, self._source, self, self._scheduler)

    def on_error(self, error: Exception) -> None:
        self._let_go()
        self.observer.on_error(error)

    def on_completed(self) -> None:
        self._let_go()
        self.observer.on_completed()

    def on_next(self, value: AnyEvent) -> None:
        if self._held_back is None:
            self.observer.on_next(value)
            return
        try:
            again = self._asks_again(value)
            pause = self._pause(self._count + 1) if again else 0.0
            stays = not self._hold and not _only_begins(value)
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self.observer.on_error(error)
            return
        if again:
            self._count += 1
            schedule_held(self._held, self._clock, pause, self._begin)
            return
        self._held_back.append(value)
        if stays:
            self._let_go()

    def _asks_again(self, event: AnyEvent) -> bool:
        check_event(event, "retry_run")
        run = event.run()
        if run is None:
            return False
        if run.id in self._failed:
            msg = (
                f"retry_run subscribed its source again and was told of {excerpt(run.id)} again: "
                "give it one that starts a new run, "
                "rx.defer(lambda _: client.threads.runs.stream(…))"
            )
            raise ValueError(msg)
        if run.status not in SETTLED or self._count >= self._times or not self._when(run):
            return False
        self._failed.add(run.id)
        why: object = getattr(run, "last_error", None)
        logger.info("run %s: %s; starting it anew", run.id, why)
        return True

    def _let_go(self) -> None:
        """Emit the events that were held back, and every event from now on."""
        held_back, self._held_back = self._held_back, None
        for event in held_back or ():
            self.observer.on_next(event)


def _only_begins(event: AnyEvent) -> bool:
    """Whether an event has nothing that another run would repeat."""
    run = event.run()
    return event.begins if run is None else run.status not in SETTLED


__all__ = ["rate_limited", "retry_run"]
