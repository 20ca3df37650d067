"""The few operators that handle observers themselves: the others are made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from reactivex import Observable, abc

from rxassist.reactive.links import Hold, Link
from rxassist.reactive.typing import Operator

_A = TypeVar("_A")
_B = TypeVar("_B")

Step = Callable[[_A], Iterable[_B]]
Finish = Callable[[], Iterable[_B]]


def linked(
    begin: Callable[[abc.ObserverBase[_B], abc.SchedulerBase | None], Link[_A, _B]],
) -> Operator[_A, _B]:
    """An operator whose subscription is an object, such as ``_Taking`` below.

    ``begin(observer, scheduler)`` makes this object for each subscription, and the object follows
    the source. A ``Link`` passes all items and the end on; override the methods that do something
    else. Use a ``Hold`` if the object must also free the source itself, or hold a timer.
    """

    def operator(source: Observable[_A]) -> Observable[_B]:
        return Observable(
            lambda observer, scheduler: begin(observer, scheduler).follow(source, scheduler)
        )

    return operator


def change_error(change: Callable[[Exception], Exception]) -> Operator[_A, _A]:
    """Fail with ``change(error)`` instead of the error of the source."""
    return linked(lambda observer, _: _Changed(observer, change))


class _Changed(Link[_A, _A]):
    __slots__ = ("_change",)

    def __init__(
        self, observer: abc.ObserverBase[_A], change: Callable[[Exception], Exception]
    ) -> None:
        super().__init__(observer)
        self._change = change

    def on_error(self, error: Exception) -> None:
        try:
            error = self._change(error)
        except Exception as raised:  # noqa: BLE001 -- reported to the subscriber
            error = raised
        self.observer.on_error(error)


def take_through(is_last: Callable[[_A], bool]) -> Operator[_A, _A]:
    """Emit every item up to the first for which ``is_last`` is true, and complete after it."""
    return linked(lambda observer, _: _Taking(observer, is_last))


class _Taking(Hold[_A, _A]):
    __slots__ = ("_is_last",)

    def __init__(self, observer: abc.ObserverBase[_A], is_last: Callable[[_A], bool]) -> None:
        super().__init__(observer)
        self._is_last = is_last

    def on_next(self, value: _A) -> None:
        if self.is_disposed:
            return
        try:
            last = self._is_last(value)
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self.observer.on_error(error)
            return
        self.observer.on_next(value)
        if last:
            self.dispose()
            self.observer.on_completed()


def at_end(give: Callable[[], _B]) -> Operator[object, _B]:
    """Emit nothing but ``give()`` when the source has completed, and complete.

    A log that is its source leaves out the items.
    """
    return linked(lambda observer, _: AtEnd(observer, give))


class AtEnd(Link[object, _B]):
    """One subscription of ``at_end``."""

    __slots__ = ("_give",)

    def __init__(self, observer: abc.ObserverBase[_B], give: Callable[[], _B]) -> None:
        super().__init__(observer)
        self._give = give

    def on_next(self, value: object) -> None:
        """Wait for the end."""

    def on_completed(self) -> None:
        """Emit the only item, and complete."""
        try:
            item = self._give()
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self.observer.on_error(error)
            return
        self.observer.on_next(item)
        self.observer.on_completed()


def choose(fn: Callable[[_A], _B | None]) -> Operator[_A, _B]:
    """Map and filter at once: emit ``fn(item)`` for each item, unless that is ``None``.

    Completes and fails with its source. An exception of ``fn`` goes to ``on_error`` and frees the
    source; one of a subscriber is not caught.

    With ``fn = {"a": "A", "c": "C"}.get``::

        source  -a-b-c-|
        result  -A---C-|
    """
    if not callable(fn):
        msg = f"choose takes a function, got {fn!r}"
        raise TypeError(msg)

    return linked(lambda observer, _: _Choosing(observer, fn))


class _Choosing(Link[_A, _B]):
    __slots__ = ("_fn",)

    def __init__(self, observer: abc.ObserverBase[_B], fn: Callable[[_A], _B | None]) -> None:
        super().__init__(observer)
        self._fn = fn

    def on_next(self, value: _A) -> None:
        try:
            chosen = self._fn(value)
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self.observer.on_error(error)
            return
        if chosen is not None:
            self.observer.on_next(chosen)


def choose_each(begin: Callable[[], tuple[Step[_A, _B], Finish[_B]]]) -> Operator[_A, _B]:
    """Emit any number of items for each item, and more at the end, with state.

    ``begin`` is called for each subscription and returns two functions, so that no two
    subscriptions share anything: ``step(item)`` is iterated for each item, ``finish()`` when the
    source has completed. An exception of either goes to ``on_error``, after the items before it,
    and frees the source.

    With a ``begin`` whose step gives an item once and then again, and whose finish gives ``Z``::

        source  -a---b---|
        result  -(aa)(bb)(Z|)
    """
    if not callable(begin):
        msg = f"choose_each takes a function that gives two functions, got {begin!r}"
        raise TypeError(msg)
    return linked(lambda observer, _: Stepping(observer, *begin()))


class Stepping(Link[_A, _B]):
    """One subscription of ``choose_each``."""

    __slots__ = ("_finish", "_step")

    def __init__(
        self, observer: abc.ObserverBase[_B], step: Step[_A, _B], finish: Finish[_B]
    ) -> None:
        super().__init__(observer)
        self._step = step
        self._finish = finish

    def on_next(self, value: _A) -> None:
        """Emit what the step gives for an item."""
        self._emit(self._step, value)

    def on_completed(self) -> None:
        """Emit what is left, and complete."""
        if self._emit_rest(self._finish):
            self.observer.on_completed()

    def _emit_rest(self, finish: Finish[_B]) -> bool:
        """Send what there is at the end, as ``_emit`` does."""
        return self._emit(lambda _: finish(), None)

    def _emit(self, produce: Step[Any, _B], given: object) -> bool:
        """Send the produced items. Their exception is an error; one of the subscriber is not."""
        on_next = self.observer.on_next
        sending = False
        try:
            for item in produce(given):
                sending = True
                on_next(item)
                sending = False
        except Exception as error:
            if sending:
                raise
            self.observer.on_error(error)
            return False
        return True


def nothing() -> tuple[()]:
    """A ``finish`` that emits nothing."""
    return ()
