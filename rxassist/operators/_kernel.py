"""The two operators that touch an observer by hand: the others are made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from reactivex import Observable, abc

from rxassist.typing import Operator

_A = TypeVar("_A")
_B = TypeVar("_B")

Step = Callable[[_A], Iterable[_B]]
Finish = Callable[[], Iterable[_B]]


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

            return source.subscribe(
                on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )

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
                _emit(lambda: step(item), observer)

            def on_completed() -> None:
                if _emit(finish, observer):
                    observer.on_completed()

            return source.subscribe(on_next, observer.on_error, on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return operator


def _emit(produce: Finish[_B], observer: abc.ObserverBase[_B]) -> bool:
    """Send what is produced. An exception of it is an error; one of the subscriber is not."""
    try:
        produced = iter(produce())
    except Exception as error:  # noqa: BLE001 -- the subscriber is told
        observer.on_error(error)
        return False
    while True:
        try:
            item = next(produced)
        except StopIteration:
            return True
        except Exception as error:  # noqa: BLE001 -- the subscriber is told
            observer.on_error(error)
            return False
        observer.on_next(item)


def nothing() -> tuple[()]:
    """A ``finish`` that emits nothing."""
    return ()
