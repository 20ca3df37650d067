"""Consumers that wait: for what an Observable gives, and for coroutines."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from reactivex import Notification, Observable, abc
from reactivex import operators as ops
from reactivex.disposable import Disposable, SingleAssignmentDisposable
from reactivex.internal import SequenceContainsNoElementsError

from rxassist.backpressure import Demand, current_demand, demanding
from rxassist.errors import StreamClosed
from rxassist.events import Event
from rxassist.handler import (
    AssistantEventHandler,
    AsyncAssistantEventHandler,
    AsyncTelling,
    SyncTelling,
    telling_of,
)
from rxassist.links import link
from rxassist.loop import Home
from rxassist.operators import choose
from rxassist.typing import Operator

_A = TypeVar("_A")
_B = TypeVar("_B")
_T = TypeVar("_T")

BUFFER = 16
"""How many items an iteration holds before it pauses the source, by default."""


# --- iteration -----------------------------------------------------------------------------


class _Buffer(Generic[_T]):
    """What arrived and was not taken yet; it closes the demand when it is full."""

    def __init__(self, size: int, demand: Demand, notify: Callable[[], object]) -> None:
        self._size = size
        self._demand = demand
        self._notify = notify
        self.items: deque[_T] = deque()
        self.ended = False
        self.error: Exception | None = None

    def subscribe_to(self, source: Observable[_T]) -> abc.DisposableBase:
        with demanding(self._demand):
            return source.subscribe(self._on_next, self._on_error, self._on_completed)

    def _on_next(self, item: _T) -> None:
        self.items.append(item)
        if len(self.items) >= self._size:
            self._demand.close()
        self._notify()

    def _on_error(self, error: Exception) -> None:
        self.error = error
        self._on_completed()

    def _on_completed(self) -> None:
        self.ended = True
        self._notify()

    def take(self) -> Iterator[_T]:
        """Give what is there; want more when all of it was taken."""
        while self.items:
            yield self.items.popleft()
        if not self._demand.is_open:
            self._demand.open()


def _blocking_demand() -> Demand:
    """The demand of a consumer that blocks this thread until it has something."""
    thread = threading.get_ident()
    return Demand(current_demand(), blocked_thread=thread, owner=thread)


class Items(Generic[_T]):
    """The items of an Observable, for ``for`` and for ``async for``. See ``iterate``."""

    def __init__(self, source: Observable[_T], buffer: int) -> None:
        self._source = source
        self._size = buffer

    def __iter__(self) -> Iterator[_T]:
        ready = threading.Event()
        demand = _blocking_demand()
        buffer: _Buffer[_T] = _Buffer(self._size, demand, ready.set)
        subscription = buffer.subscribe_to(self._source)
        try:
            while True:
                ready.wait()
                ready.clear()
                ended = buffer.ended
                yield from buffer.take()
                if ended:
                    break
        finally:
            subscription.dispose()
        if buffer.error is not None:
            raise buffer.error

    async def __aiter__(self) -> AsyncIterator[_T]:
        loop, thread, ready = asyncio.get_running_loop(), threading.get_ident(), asyncio.Event()

        def notify() -> None:
            if threading.get_ident() == thread:
                ready.set()
            elif not loop.is_closed():
                loop.call_soon_threadsafe(ready.set)

        demand = Demand(current_demand(), owner=asyncio.current_task())
        buffer: _Buffer[_T] = _Buffer(self._size, demand, notify)
        subscription = buffer.subscribe_to(self._source)
        try:
            while True:
                await ready.wait()
                ready.clear()
                ended = buffer.ended
                for item in buffer.take():
                    yield item
                if ended:
                    break
        finally:
            subscription.dispose()
        if buffer.error is not None:
            raise buffer.error


def iterate(source: Observable[_T], *, buffer: int = BUFFER) -> Items[_T]:
    """The items of any Observable, for ``for`` and for ``async for``, with backpressure.

    At most ``buffer`` items wait to be taken: then the source is paused, if it is one that can
    wait. An error of the source is raised after the items before it. To leave the loop disposes
    the subscription. A ``for`` on the thread that emits raises ``BlockingCallError``. A source that
    emits for ever inside ``subscribe`` (``rx.repeat_value(1)``) never comes back from there.
    """
    if isinstance(buffer, bool) or not isinstance(buffer, int):
        msg = f"buffer must be a whole number, got {buffer!r}"
        raise TypeError(msg)
    if buffer < 1:
        msg = f"buffer must be at least 1, got {buffer}"
        raise ValueError(msg)
    return Items(source, buffer)


# --- coroutines ----------------------------------------------------------------------------


class _Calls(Generic[_A, _B]):
    """One subscription of ``map_async``: the calls that run, in order, and what waits."""

    def __init__(
        self,
        fn: Callable[[_A], Coroutine[Any, Any, _B]],
        most: int,
        observer: abc.ObserverBase[_B],
    ) -> None:
        self._fn = fn
        self._most = most
        self._observer = observer
        self._running: deque[asyncio.Task[_B]] = deque()
        self._waiting: deque[_A] = deque()
        self._completed = False
        self._error: Exception | None = None
        self._disposed = False
        self.source = SingleAssignmentDisposable()
        self.demand = Demand(current_demand())

    def on_next(self, item: _A) -> None:
        self._waiting.append(item)
        self._begin()

    def on_error(self, error: Exception) -> None:
        self._error = error
        self.on_completed()

    def on_completed(self) -> None:
        self._completed = True
        self._settle()

    def dispose(self) -> None:
        self._disposed = True
        self.source.dispose()
        running, self._running = self._running, deque()
        for task in running:
            task.get_loop().call_soon_threadsafe(task.cancel)

    def _begin(self) -> None:
        while self._waiting and len(self._running) < self._most and not self._disposed:
            try:
                loop = asyncio.get_running_loop()  # before there is a coroutine to be awaited
                with demanding(None):  # what it awaits must not wait for this demand
                    task = loop.create_task(self._fn(self._waiting.popleft()))
            except Exception as error:  # noqa: BLE001 -- the subscriber is told
                self._observer.on_error(error)
                return
            self._running.append(task)
            task.add_done_callback(self._done)
        if len(self._running) >= self._most:
            self.demand.close()

    def _done(self, _: asyncio.Task[_B]) -> None:
        while self._running and self._running[0].done() and not self._disposed:
            task = self._running.popleft()
            if task.cancelled():
                self._observer.on_error(StreamClosed("a coroutine of map_async was cancelled"))
                return
            error = task.exception()
            if isinstance(error, Exception):
                self._observer.on_error(error)
                return
            try:
                self._observer.on_next(task.result())
            except Exception:
                self.dispose()
                raise  # to the loop's exception handler
        if not self._disposed:
            self._settle()

    def _settle(self) -> None:
        self._begin()
        if len(self._running) < self._most and not self.demand.is_open:
            self.demand.open()
        if not self._completed or self._running or self._waiting:
            return
        if self._error is not None:
            self._observer.on_error(self._error)
        else:
            self._observer.on_completed()


def map_async(
    fn: Callable[[_A], Coroutine[Any, Any, _B]], *, max_concurrent: int = 1
) -> Operator[_A, _B]:
    """Await a coroutine for each item and emit what it returns, in the order of the items.

    At most ``max_concurrent`` coroutines run at a time; while they do, the source is paused. An
    exception of one goes to ``on_error``; the end of the source is told when all have ended. To
    dispose cancels those that run. The source must emit on the thread of an event loop: everything
    that comes from a client does.

    Where the coroutine for ``a`` takes two ticks and the one for ``b`` none::

        source  -a-b---|
        result  ---(ab)|
    """
    if max_concurrent < 1:
        msg = f"max_concurrent must be at least 1, got {max_concurrent}"
        raise ValueError(msg)
    if not callable(fn):
        msg = f"map_async takes a function that returns a coroutine, got {fn!r}"
        raise TypeError(msg)

    def operator(source: Observable[_A]) -> Observable[_B]:
        def subscribe(
            observer: abc.ObserverBase[_B], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            calls = _Calls(fn, max_concurrent, observer)
            with demanding(calls.demand):
                calls.source.disposable = source.subscribe(
                    calls.on_next, calls.on_error, calls.on_completed, scheduler=scheduler
                )
            return Disposable(calls.dispose)

        return Observable(subscribe)

    return operator


# --- event handlers ------------------------------------------------------------------------


def tell(telling: SyncTelling | AsyncTelling, home: Home) -> Operator[Event, Event]:
    """Tell a handler of each event, and of the end, before it goes on.

    What a callback raises goes to ``on_error``. A handler whose subscription is disposed before
    the end is told ``on_end`` on the home's loop.
    """
    told: Operator[Notification[Event], Notification[Event]]
    told = map_async(telling.tell) if isinstance(telling, AsyncTelling) else choose(telling.tell)

    def operator(source: Observable[Event]) -> Observable[Event]:
        telling.begun = True
        events = source.pipe(ops.materialize(), told, ops.dematerialize())
        return events.pipe(ops.finally_action(dispose))

    def dispose() -> None:
        if not telling.over:
            home.post(leave)

    def leave() -> None:
        if isinstance(telling, AsyncTelling):
            task = asyncio.get_running_loop().create_task(telling.leave())
            _leaving.add(task)
            task.add_done_callback(left)
        else:
            telling.leave()

    def left(task: asyncio.Task[None]) -> None:
        _leaving.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            home.report(error)

    return operator


_leaving: set[asyncio.Task[None]] = set()  # an event loop holds its tasks only weakly


# --- what a client gives -------------------------------------------------------------------


def _is_async(callback: object) -> bool:
    """Whether a callback is an ``async def``, also in disguise."""
    if callback is None or isinstance(callback, BuiltinFunctionType):
        return False
    if isinstance(callback, FunctionType | MethodType) or inspect.iscoroutinefunction(callback):
        return inspect.iscoroutinefunction(callback)
    return inspect.iscoroutinefunction(getattr(callback, "__call__", None))  # noqa: B004


class LoopObservable(Observable[_T]):
    """An Observable whose items come from a client's event loop.

    All of RxPY works on it; besides, it is iterable (``for``, ``async for``, with backpressure),
    can be awaited on an ``AsyncClient``, frees its source when a blocked ``run()`` is interrupted,
    and refuses what would hang or be lost: blocking calls on the loop's own thread, an ``async
    def`` passed to ``subscribe``. What is piped from it is one again.
    """

    def __init__(self, home: Home, source: Observable[_T]) -> None:
        super().__init__()
        self._home = home
        self._source = source

    def _subscribe_core(
        self,
        observer: abc.ObserverBase[_T],
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        if not self._home.closed:  # what a closed client still gives, its sources know
            self._home.enter()
            self._home.refuse_blocking(scheduler)
            scheduler = scheduler or self._home.scheduler_from_anywhere  # who waits, waits there
        return link(self._source, observer, scheduler)

    def subscribe(
        self,
        on_next: abc.ObserverBase[_T] | abc.OnNext[_T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Subscribe an observer or callbacks, which are called on the client's event loop.

        Returns a Disposable. Raises ``TypeError`` for an ``async def``: see ``subscribe_async``. An
        event handler is an observer too; the callbacks of an asynchronous one are awaited, and the
        source is paused meanwhile.
        """
        if isinstance(on_next, AssistantEventHandler | AsyncAssistantEventHandler):
            return self._subscribe_handler(on_next)
        for callback in (on_next, getattr(on_next, "on_next", None), on_error, on_completed):
            if _is_async(callback):
                name = getattr(callback, "__qualname__", None) or repr(callback)
                msg = (
                    f"{name} is an async def, which subscribe would never await; "
                    "use subscribe_async(…), or pipe(map_async(…))"
                )
                raise TypeError(msg)
        return super().subscribe(on_next, on_error, on_completed, scheduler=scheduler)

    def _subscribe_handler(
        self, handler: AssistantEventHandler | AsyncAssistantEventHandler
    ) -> abc.DisposableBase:
        telling = telling_of(handler, self)

        def on_error(error: Exception) -> None:
            if error is telling.failure:
                self._handler_failed(error)

        events = cast("LoopObservable[Event]", self)
        return events.pipe(tell(telling, self._home)).subscribe(on_error=on_error)

    def _handler_failed(self, error: Exception) -> None:
        raise error  # as any subscriber's: it is reported

    def subscribe_async(
        self,
        on_next: Callable[[_T], Coroutine[Any, Any, object]],
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        max_concurrent: int = 1,
    ) -> abc.DisposableBase:
        """Subscribe a coroutine function, which is awaited for each item, in order.

        While ``max_concurrent`` calls run the source is paused. An exception of one goes to
        ``on_error``. Returns a Disposable, which cancels those that run.
        """
        awaited = map_async(on_next, max_concurrent=max_concurrent)
        return self.pipe(awaited).subscribe(None, on_error, on_completed)

    if not TYPE_CHECKING:  # the types are those of Observable.pipe

        def pipe(self, *operators):  # noqa: ANN002, ANN201, D102 -- as Observable.pipe
            result = super().pipe(*operators)
            if type(result) is Observable:
                return LoopObservable(self._home, result)
            return result

    def run(self, scheduler: abc.SchedulerBase | None = None) -> _T:
        """Subscribe, wait for the end, and return the last item.

        Raises what the Observable fails with, and ``SequenceContainsNoElementsError`` if it
        completes without an item. An exception while it waits, such as Ctrl-C, disposes the
        subscription. Raises ``BlockingCallError`` on the thread of the client's event loop.
        """
        last: list[_T] = []
        ended: Future[None] = Future()

        def keep(item: _T) -> None:
            last[:] = [item]

        with demanding(_blocking_demand()):
            subscription = self.subscribe(
                keep, ended.set_exception, lambda: ended.set_result(None), scheduler=scheduler
            )
        try:
            ended.result()
        finally:
            subscription.dispose()
        if not last:
            raise SequenceContainsNoElementsError
        return last[0]

    def __await__(self) -> Generator[Any, None, _T]:
        """Await the last item, on the event loop of an ``AsyncClient``."""
        if not self._home.closed:
            self._home.enter()
            if not self._home.is_here:
                msg = "what a Client gives is not awaited but run(); await belongs to AsyncClient"
                raise TypeError(msg)
        with demanding(Demand(current_demand(), owner=asyncio.current_task())):
            return super().__await__()

    def __iter__(self) -> Iterator[_T]:
        """The items, for a blocking ``for``. See ``iterate``."""
        return iter(iterate(self))

    def __aiter__(self) -> AsyncIterator[_T]:
        """The items, for an ``async for``. See ``iterate``."""
        return aiter(iterate(self))


__all__ = ["BUFFER", "Items", "LoopObservable", "iterate", "map_async", "tell"]
