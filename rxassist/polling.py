"""Polling: a state that is asked for again and again, until it is the last one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import CompositeDisposable, SerialDisposable, SingleAssignmentDisposable
from reactivex.scheduler import TimeoutScheduler

from rxassist.errors import PollTimeout

_T = TypeVar("_T")


def poll(
    fetch: Callable[[], Observable[_T]],
    *,
    until: Callable[[_T], bool],
    interval: float | Callable[[_T], float] = 1.0,
    deadline: float | None = None,
    scheduler: abc.SchedulerBase | None = None,
) -> Observable[_T]:
    """Ask for a state at once and then again and again, and emit it each time it has changed.

    ``fetch`` gives an Observable of one state. After each, ``interval`` seconds pass before the
    next is asked for (a function of the state says how many), so there are never two requests at a
    time. Completes with the first state for which ``until`` is true, which is emitted in any case.
    After ``deadline`` seconds without one, sends ``PollTimeout``, with the last state, to
    ``on_error``; an error of ``fetch`` goes there at once. To dispose frees the request and the
    timers. Waits on ``scheduler``, else on the one of the subscription.

    Where each fetch takes no time, every interval is two ticks, and ``c`` is the last state::

        states  a-a-b-c
        result  a---b-(c|)
    """
    if not callable(interval) and interval < 0:
        msg = f"interval must not be negative, got {interval}"
        raise ValueError(msg)
    if deadline is not None and deadline <= 0:
        msg = f"deadline must be above 0, or None for none, got {deadline}"
        raise ValueError(msg)
    pause = interval if callable(interval) else _always(interval)

    def subscribe(
        observer: abc.ObserverBase[_T], given: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        clock = scheduler or given or TimeoutScheduler.singleton()
        polling = _Polling(fetch, until, pause, clock, observer)
        if deadline is not None:
            polling.held.add(clock.schedule_relative(deadline, polling.give_up, deadline))
        polling.ask()
        return polling.held

    return Observable(subscribe)


def _always(seconds: float) -> Callable[[object], float]:
    return lambda _: seconds


class _Polling(Generic[_T]):
    """One subscription: the request or the timer that is under way, and the last state."""

    def __init__(
        self,
        fetch: Callable[[], Observable[_T]],
        until: Callable[[_T], bool],
        pause: Callable[[_T], float],
        clock: abc.SchedulerBase,
        observer: abc.ObserverBase[_T],
    ) -> None:
        self._fetch = fetch
        self._until = until
        self._pause = pause
        self._clock = clock
        self._observer = observer
        self._under_way = SerialDisposable()
        self._states: list[_T] = []  # the last one, if there was one
        self.held = CompositeDisposable(self._under_way)

    def ask(self, *_: object) -> None:
        try:
            request = self._fetch()
        except Exception as error:  # noqa: BLE001 -- the subscriber is told
            self._observer.on_error(error)
            return
        held = SingleAssignmentDisposable()  # in place before a state comes and sets the timer
        self._under_way.disposable = held
        held.disposable = request.pipe(ops.first()).subscribe(
            self._state, self._observer.on_error, scheduler=self._clock
        )

    def give_up(self, _: abc.SchedulerBase, deadline: float | None) -> None:
        last = self._states[0] if self._states else None
        self.held.dispose()
        self._observer.on_error(PollTimeout(deadline or 0.0, last))

    def _state(self, state: _T) -> None:
        try:
            last = self._until(state)
            pause = 0.0 if last else self._pause(state)
        except Exception as error:  # noqa: BLE001 -- the subscriber is told
            self._observer.on_error(error)
            return
        changed = self._states != [state]
        self._states = [state]
        if changed or last:
            self._observer.on_next(state)
        if last:
            self._observer.on_completed()
        elif not self.held.is_disposed:
            self._under_way.disposable = self._clock.schedule_relative(pause, self.ask)


__all__ = ["poll"]
