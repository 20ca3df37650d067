"""Coroutines in a pipe: awaited in order, while their source is paused."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Self, TypeVar

from reactivex import Observable, abc

from rxassist.errors import StreamClosed
from rxassist.reactive.backpressure import Demand, current_demand, demanding
from rxassist.reactive.checks import check_positive
from rxassist.reactive.kernel import linked
from rxassist.reactive.links import Hold
from rxassist.reactive.loop import _raise
from rxassist.reactive.typing import Operator

_A = TypeVar("_A")
_B = TypeVar("_B")


class _Calls(Hold[_A, _B]):
    """One subscription of ``map_async``: the calls that run, in order, and the items that wait."""

    def __init__(
        self,
        observer: abc.ObserverBase[_B],
        fn: Callable[[_A], Coroutine[Any, Any, _B]],
        most: int,
    ) -> None:
        super().__init__(observer)
        self._fn = fn
        self._most = most
        self._running: deque[asyncio.Task[Callable[[], _B]]] = deque()
        self._waiting: deque[_A] = deque()
        self._completed = False
        self._error: Exception | None = None
        self._demand = Demand(current_demand())

    def follow(self, source: Observable[_A], scheduler: abc.SchedulerBase | None) -> Self:
        with demanding(self._demand):
            return self.hold(source.subscribe(self, scheduler=scheduler))

    def on_next(self, value: _A) -> None:
        self._waiting.append(value)
        self._begin()

    def on_error(self, error: Exception) -> None:
        self._error = error
        self.on_completed()

    def on_completed(self) -> None:
        self._completed = True
        self._go_on()

    def dispose(self) -> None:
        super().dispose()
        running, self._running = self._running, deque()
        for task in running:
            task.get_loop().call_soon_threadsafe(task.cancel)

    def _begin(self) -> None:
        while self._waiting and len(self._running) < self._most and not self.is_disposed:
            try:
                loop = asyncio.get_running_loop()  # before there is a coroutine to be awaited
                with demanding(None):  # the coroutine's own sources must not wait for this demand
                    task = loop.create_task(_outcome(self._fn(self._waiting.popleft())))
            except Exception as error:  # noqa: BLE001 -- reported to the subscriber
                self.observer.on_error(error)
                return
            self._running.append(task)
            task.add_done_callback(self._task_ended)
        if len(self._running) >= self._most:
            self._demand.close()

    def _task_ended(self, _: asyncio.Task[Callable[[], _B]]) -> None:
        try:
            self._emit()
        except BaseException as error:
            self.dispose()
            if not self._demand.fail(error):
                raise  # to the loop's exception handler

    def _emit(self) -> None:
        while self._running and self._running[0].done() and not self.is_disposed:
            task = self._running.popleft()
            if task.cancelled():
                self.observer.on_error(StreamClosed("a coroutine of map_async was cancelled"))
                return
            try:
                returned = task.result()()
            except Exception as error:  # noqa: BLE001 -- reported to the subscriber
                self.observer.on_error(error)
                return
            self.observer.on_next(returned)
        if not self.is_disposed:
            self._go_on()

    def _go_on(self) -> None:
        self._begin()
        if len(self._running) < self._most and not self._demand.is_open:
            self._demand.open()
        if not self._completed or self._running or self._waiting:
            return
        if self._error is not None:
            self.observer.on_error(self._error)
        else:
            self.observer.on_completed()


async def _outcome(coroutine: Coroutine[Any, Any, _B]) -> Callable[[], _B]:
    """A function that returns the result of a coroutine, or raises its exception.

    A task must not raise ``SystemExit`` itself: that would stop the event loop.
    """
    try:
        returned = await coroutine
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 -- raised by the function
        return partial(_raise, error)
    return partial(_give, returned)


def _give(returned: _B) -> _B:
    return returned


def map_async(
    fn: Callable[[_A], Coroutine[Any, Any, _B]], *, max_concurrent: int = 1
) -> Operator[_A, _B]:
    """Await a coroutine for each item and emit what it returns, in the order of the items.

    At most ``max_concurrent`` coroutines run at a time; while they do, the source is paused. An
    exception of one goes to ``on_error``; the end of the source is passed on when all have ended.
    Disposing cancels those that run. The source must emit on the thread of an event loop:
    everything that comes from a client does.

    Where the coroutine for ``a`` takes two ticks and the one for ``b`` none::

        source  -a-b---|
        result  ---(ab)|
    """
    check_positive("max_concurrent", max_concurrent, whole=True)
    if not callable(fn):
        msg = f"map_async takes a function that returns a coroutine, got {fn!r}"
        raise TypeError(msg)

    return linked(lambda observer, _: _Calls(observer, fn, max_concurrent))


__all__ = ["map_async"]
