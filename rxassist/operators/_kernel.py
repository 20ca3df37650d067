"""The few operators that touch an observer by hand: the others are made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar, cast

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SerialDisposable, SingleAssignmentDisposable

from rxassist.typing import Operator

_A = TypeVar("_A")
_B = TypeVar("_B")

Step = Callable[[_A], Iterable[_B]]
Finish = Callable[[], Iterable[_B]]


@abc.ObserverBase.register
class _Link(Generic[_A]):
    """The observer that a link of a chain is to the link before it."""

    __slots__ = ("on_completed", "on_error", "on_next")

    def __init__(
        self, on_next: abc.OnNext[_A], on_error: abc.OnError, on_completed: abc.OnCompleted
    ) -> None:
        self.on_next = on_next
        self.on_error = on_error
        self.on_completed = on_completed


def link(
    source: Observable[_A],
    on_next: abc.OnNext[_A],
    on_error: abc.OnError,
    on_completed: abc.OnCompleted,
    scheduler: abc.SchedulerBase | None,
) -> abc.DisposableBase:
    """Subscribe to a source within an operator.

    ``subscribe`` puts a guard in front of each observer, which frees the source at the end and
    where the observer raises. In a chain only the guard at its end is needed: what it disposes is
    the whole chain. Ten guards cost as much as all that this library does with an event.
    """
    observer = cast("abc.ObserverBase[_A]", _Link(on_next, on_error, on_completed))
    held: object = source._subscribe_core(observer, scheduler)
    if isinstance(held, abc.DisposableBase):
        return held
    return Disposable(cast("abc.OnCompleted | None", held))  # a function that frees, or nothing


def rescue(
    handler: Callable[[Exception], Observable[_A]],
) -> Operator[_A, _A]:
    """Go on with another Observable after an error: RxPY's ``catch``, as a link."""

    def operator(source: Observable[_A]) -> Observable[_A]:
        def subscribe(
            observer: abc.ObserverBase[_A], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            held = SerialDisposable()
            first = SingleAssignmentDisposable()
            held.disposable = first

            def on_error(error: Exception) -> None:
                try:
                    following = handler(error)
                except Exception as raised:  # noqa: BLE001 -- the subscriber is told
                    observer.on_error(raised)
                    return
                then = SingleAssignmentDisposable()
                held.disposable = then
                then.disposable = following.subscribe(observer, scheduler=scheduler)

            first.disposable = link(
                source, observer.on_next, on_error, observer.on_completed, scheduler
            )
            return held

        return Observable(subscribe)

    return operator


def take_through(is_last: Callable[[_A], bool]) -> Operator[_A, _A]:
    """Emit every item up to the first for which ``is_last`` is true, and complete behind it."""

    def operator(source: Observable[_A]) -> Observable[_A]:
        def subscribe(
            observer: abc.ObserverBase[_A], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            held = SingleAssignmentDisposable()

            def on_next(item: _A) -> None:
                if held.is_disposed:
                    return
                try:
                    last = is_last(item)
                except Exception as error:  # noqa: BLE001 -- the subscriber is told
                    observer.on_error(error)
                    return
                observer.on_next(item)
                if last:
                    held.dispose()
                    observer.on_completed()

            held.disposable = link(
                source, on_next, observer.on_error, observer.on_completed, scheduler
            )
            return held

        return Observable(subscribe)

    return operator


def choose(fn: Callable[[_A], _B | None]) -> Operator[_A, _B]:
    """Map and filter at once: emit what ``fn`` makes of each item, unless that is ``None``.

    Completes and fails with its source. An exception of ``fn`` goes to ``on_error`` and frees the
    source; one of a subscriber is not caught.

    With ``fn = {"a": "A", "c": "C"}.get``::

        source  -a-b-c-|
        result  -A---C-|
    """
    if not callable(fn):
        msg = f"choose takes a function, got {fn!r}"
        raise TypeError(msg)

    def operator(source: Observable[_A]) -> Observable[_B]:
        def subscribe(
            observer: abc.ObserverBase[_B], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            def on_next(item: _A) -> None:
                try:
                    chosen = fn(item)
                except Exception as error:  # noqa: BLE001 -- the subscriber is told
                    observer.on_error(error)
                    return
                if chosen is not None:
                    observer.on_next(chosen)

            return link(source, on_next, observer.on_error, observer.on_completed, scheduler)

        return Observable(subscribe)

    return operator


def choose_each(begin: Callable[[], tuple[Step[_A, _B], Finish[_B]]]) -> Operator[_A, _B]:
    """Emit any number of items for each item, and more at the end, with state.

    ``begin`` is called for each subscription and gives two functions, so that no two subscriptions
    share anything: ``step(item)`` is iterated for each item, ``finish()`` when the source has
    completed. An exception of either goes to ``on_error``, after what was emitted before it, and
    frees the source.

    With a ``begin`` whose step gives an item once and then again, and whose finish gives ``Z``::

        source  -a---b---|
        result  -(aa)(bb)(Z|)
    """

    def operator(source: Observable[_A]) -> Observable[_B]:
        def subscribe(
            observer: abc.ObserverBase[_B], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            step, finish = begin()

            def on_next(item: _A) -> None:
                _emit(step, (item,), observer)

            def on_completed() -> None:
                if _emit(finish, (), observer):
                    observer.on_completed()

            return link(source, on_next, observer.on_error, on_completed, scheduler)

        return Observable(subscribe)

    return operator


def _emit(
    produce: Callable[..., Iterable[_B]], given: tuple[object, ...], observer: abc.ObserverBase[_B]
) -> bool:
    """Send what is produced. An exception of it is an error; one of the subscriber is not."""
    sending = False
    try:
        for item in produce(*given):
            sending = True
            observer.on_next(item)
            sending = False
    except Exception as error:
        if sending:
            raise
        observer.on_error(error)
        return False
    return True


def nothing() -> tuple[()]:
    """A ``finish`` that emits nothing."""
    return ()
