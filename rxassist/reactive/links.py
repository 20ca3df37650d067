"""The parts of an operator in one subscription: the observer of its source, and disposables."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import (
    CompositeDisposable,
    Disposable,
    SerialDisposable,
    SingleAssignmentDisposable,
)
from reactivex.scheduler import CurrentThreadScheduler, TimeoutScheduler

_A = TypeVar("_A")
_B = TypeVar("_B")


def link(
    source: Observable[_A], observer: abc.ObserverBase[_A], scheduler: abc.SchedulerBase | None
) -> abc.DisposableBase:
    """Subscribe to a source within an operator.

    ``subscribe`` puts a guard in front of each observer, which frees the source at the end and
    where the observer raises. In a chain only the guard at its end is needed: it disposes the whole
    chain. Ten guards cost as much as all that this library does with an event.
    """
    held: Any = source._subscribe_core(observer, scheduler)
    if hasattr(held, "dispose"):  # isinstance is slow for a class of abc
        disposable: abc.DisposableBase = held
        return disposable
    return Disposable(held)  # a function that frees, or nothing


def link_first(
    source: Observable[_A],
    observer: abc.ObserverBase[_A],
    scheduler: abc.SchedulerBase | None,
    hold: Callable[[abc.DisposableBase], object],
) -> None:
    """Subscribe to a source outside of any chain, and pass the disposable to ``hold``.

    It runs on the trampoline of this thread, as ``subscribe`` does: actions that the source
    schedules there run after ``hold``, so that an endless source can be freed.
    """

    def begin(_: object = None, __: object = None) -> None:
        hold(link(source, observer, scheduler))

    trampoline = CurrentThreadScheduler.singleton()
    if trampoline.schedule_required():
        trampoline.schedule(begin)
    else:
        begin()


def schedule_held(
    held: SerialDisposable,
    clock: abc.SchedulerBase,
    seconds: float,
    action: abc.ScheduledAction[Any],
) -> None:
    """Schedule an action, and hold its timer instead of what is held.

    The action may run before the scheduler has returned, on another thread or at once, and replace
    the timer in ``held``. Its replacement stays.
    """
    timer = SingleAssignmentDisposable()
    held.disposable = timer
    timer.disposable = clock.schedule_relative(seconds, action)


def subscribe_held(
    held: SerialDisposable,
    source: Observable[_A],
    observer: abc.ObserverBase[_A],
    scheduler: abc.SchedulerBase | None,
) -> None:
    """Subscribe to a source instead of what is held.

    The observer receives nothing more of this source once ``held`` holds something else, or is
    disposed: also not from a source that emits while it is being subscribed.
    """
    current = _Current(observer)
    held.disposable = current
    current.hold(source.subscribe(current, scheduler=scheduler))


def clock_of(
    chosen: abc.SchedulerBase | None, given: abc.SchedulerBase | None
) -> abc.SchedulerBase:
    """The scheduler that an operator waits on: its own, else the one of the subscription."""
    return chosen or given or TimeoutScheduler.singleton()


class Link(abc.ObserverBase[_A], Generic[_A, _B]):
    """An operator's part in one subscription: the observer of its source.

    Passes on each item and the end; an operator overrides the methods that do something else. It
    is one object instead of a dozen closures: an open stream holds several, and there may be
    thousands of streams.
    """

    __slots__ = ("observer",)

    def __init__(self, observer: abc.ObserverBase[_B]) -> None:
        self.observer: abc.ObserverBase[_B] = observer

    def on_next(self, value: _A) -> None:
        """Pass an item on."""
        passed: Any = value  # of the other type, in an operator that changes none
        self.observer.on_next(passed)

    def on_error(self, error: Exception) -> None:
        """Pass an error on."""
        self.observer.on_error(error)

    def on_completed(self) -> None:
        """Pass the end on."""
        self.observer.on_completed()

    def follow(
        self, source: Observable[_A], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        """Subscribe to the source. Returns what the subscriber disposes."""
        return link(source, self, scheduler)


class Hold(Link[_A, _B], abc.DisposableBase):
    """A link that can free its source itself, and whatever else it holds, such as a timer.

    It has no lock: if ``dispose`` and ``hold`` run on two threads, the second of them frees.
    """

    __slots__ = ("_held", "is_disposed")

    def __init__(self, observer: abc.ObserverBase[_B]) -> None:
        super().__init__(observer)
        self._held: abc.DisposableBase | None = None
        self.is_disposed: bool = False

    def follow(self, source: Observable[_A], scheduler: abc.SchedulerBase | None) -> Self:
        """Subscribe to the source, and hold it."""
        return self.hold(link(source, self, scheduler))

    def hold(self, held: abc.DisposableBase) -> Self:
        """Free this, too, when disposed; now, if that was before."""
        before = self._held
        self._held = held if before is None else CompositeDisposable(before, held)
        if self.is_disposed:
            self.dispose()
        return self

    def dispose(self) -> None:
        """Free what is held, now and later."""
        self.is_disposed = True
        self.free()

    def free(self) -> None:
        """Free what is held, and forget it: it refers to its observer, which makes a circle."""
        held, self._held = self._held, None
        if held is not None:
            held.dispose()


class _Current(Hold[_A, _A]):
    """A link that passes nothing on once it is disposed."""

    __slots__ = ()

    def on_next(self, value: _A) -> None:
        if not self.is_disposed:
            self.observer.on_next(value)

    def on_error(self, error: Exception) -> None:
        if not self.is_disposed:
            self.observer.on_error(error)

    def on_completed(self) -> None:
        if not self.is_disposed:
            self.observer.on_completed()


class Rescue(Hold[_A, _A]):
    """A link that goes on with another Observable after an error."""

    __slots__ = ("_rescued", "scheduler")

    def __init__(self, observer: abc.ObserverBase[_A], scheduler: abc.SchedulerBase | None) -> None:
        super().__init__(observer)
        self.scheduler: abc.SchedulerBase | None = scheduler
        self._rescued = False

    @abstractmethod
    def instead(self, error: Exception) -> Observable[_A]:
        """The Observable that follows. An exception goes to ``on_error``."""

    def follow(self, source: Observable[_A], scheduler: abc.SchedulerBase | None) -> Self:
        """Subscribe to the source, and hold it or what follows it."""
        return self.hold_source(link(source, self, scheduler))

    def hold_source(self, held: abc.DisposableBase) -> Self:
        """Hold the source, unless it failed while it was being subscribed."""
        if self._rescued:
            held.dispose()
            return self
        return self.hold(held)

    def on_error(self, error: Exception) -> None:
        """Go on with what follows."""
        self._rescued = True
        try:
            following = self.instead(error)
        except Exception as raised:  # noqa: BLE001 -- reported to the subscriber
            self.observer.on_error(raised)
            return
        self.free()
        self.hold(following.subscribe(self.observer, scheduler=self.scheduler))


__all__ = [
    "Hold",
    "Link",
    "Rescue",
    "clock_of",
    "link",
    "link_first",
    "schedule_held",
    "subscribe_held",
]
