"""Wait for a conversation on which another response works: it takes one at a time."""

from __future__ import annotations

from typing import TypeVar

from reactivex import Observable, abc
from reactivex.disposable import SerialDisposable

from rxassist.errors import APIStatusError
from rxassist.reactive.kernel import linked
from rxassist.reactive.links import Link, clock_of, schedule_held, subscribe_held
from rxassist.reactive.typing import Operator

_T = TypeVar("_T")

_LOCKED = "conversation_locked"
_FIRST_PAUSE = 1.0  # seconds
_LONGEST_PAUSE = 8.0


def when_unlocked(scheduler: abc.SchedulerBase | None = None) -> Operator[_T, _T]:
    """Subscribe the source again, after a pause, while its conversation is locked.

    The service refused the request then, so nothing is done twice. Everything else passes.
    """
    return linked(lambda observer, given: _Attempts(observer, clock_of(scheduler, given)))


class _Attempts(Link[_T, _T]):
    """One subscription: the attempt that is under way, or the pause before the next."""

    _source: Observable[_T]
    _scheduler: abc.SchedulerBase | None

    def __init__(self, observer: abc.ObserverBase[_T], clock: abc.SchedulerBase) -> None:
        super().__init__(observer)
        self._clock = clock
        self._pause = _FIRST_PAUSE
        self._held = SerialDisposable()

    def follow(
        self, source: Observable[_T], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        self._source = source
        self._scheduler = scheduler
        self._begin()
        return self._held

    def _begin(self, *_: object) -> None:
        subscribe_held(self._held, self._source, self, self._scheduler)

    def on_error(self, error: Exception) -> None:
        if isinstance(error, APIStatusError) and error.code == _LOCKED:
            pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
            schedule_held(self._held, self._clock, pause, self._begin)
        else:
            self.observer.on_error(error)


__all__ = ["when_unlocked"]
