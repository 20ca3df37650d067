"""Where a client lives: one event loop, the caller's own or one in a background thread."""

from __future__ import annotations

import asyncio
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from contextlib import aclosing
from contextvars import copy_context
from functools import partial
from typing import Any, Generic, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.scheduler import NewThreadScheduler

from rxassist.backpressure import Demand, current_demand
from rxassist.errors import BlockingCallError, ClientClosed, WrongLoopError

_T = TypeVar("_T")


class Home(ABC):
    """The event loop on which a client does all its I/O and calls its subscribers."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_id: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.closed: bool = False

    @abstractmethod
    def _bind(self) -> asyncio.AbstractEventLoop:
        """Find or make the loop at its first use, and refuse a wrong one later."""

    @property
    def is_here(self) -> bool:
        """Whether the caller runs on the thread of this loop."""
        return self._thread_id == threading.get_ident()

    def enter(self) -> asyncio.AbstractEventLoop:
        """The loop, made if need be. Raises where it cannot be used from here."""
        if self.closed:
            raise ClientClosed
        if os.getpid() != self._process:
            msg = "this client was made before a fork; make a new one in the child process"
            raise WrongLoopError(msg)
        return self._bind()

    def refuse_blocking(self, scheduler: abc.SchedulerBase | None) -> None:
        """Raise ``BlockingCallError`` if this thread is about to wait for itself.

        RxPY's ``run()`` subscribes with a ``NewThreadScheduler`` and then blocks; our own blocking
        calls say so in their demand.
        """
        demand = current_demand()
        blocks = demand is not None and demand.blocked_thread == self._thread_id
        if self.is_here and (blocks or isinstance(scheduler, NewThreadScheduler)):
            raise BlockingCallError

    def post(self, action: Callable[[], object]) -> None:
        """Run an action soon on the loop, in order; nothing happens if the loop is gone."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        if self.is_here:
            loop.call_soon(action)
            return
        try:
            loop.call_soon_threadsafe(action)
        except RuntimeError:
            if not loop.is_closed():
                raise

    def report(self, error: Exception) -> None:
        """Tell the loop's exception handler of an exception that a subscriber raised."""
        if self._loop is not None:
            message = "a subscriber raised; its subscription was closed"
            self._loop.call_exception_handler({"message": message, "exception": error})

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task on the loop, from its thread; it is cancelled when the home closes."""
        task = self.enter().create_task(coroutine, context=copy_context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def end_tasks(self) -> None:
        """Cancel every task and wait until all have ended: the first half of closing."""
        self.closed = True
        tasks = tuple(self._tasks - {asyncio.current_task()})
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class RunningLoop(Home):
    """The event loop in which it is first used."""

    def _bind(self) -> asyncio.AbstractEventLoop:
        try:
            running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if self._loop is None:
            if running is None:
                msg = "AsyncClient needs a running event loop; use Client in synchronous code"
                raise WrongLoopError(msg)
            self._loop = running
            self._thread_id = threading.get_ident()
        elif self._loop.is_closed() or (running is not None and running is not self._loop):
            msg = "this AsyncClient belongs to another event loop; make one client for each loop"
            raise WrongLoopError(msg)
        return self._loop


class ThreadLoop(Home):
    """An event loop of its own in a background thread, which never keeps a program from ending."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def _bind(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="rxassist", daemon=True
                )
                self._thread.start()
                self._thread_id = self._thread.ident
            return self._loop

    def close(self, last_words: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """End all tasks, run ``last_words``, and end the thread.

        Returns when that is done; called on the loop's own thread, it returns at once and the
        rest happens behind it.
        """
        self.closed = True
        if self.is_here:
            threading.Thread(target=self.close, args=(last_words,), daemon=True).start()
            return
        with self._lock:  # who closes second waits for the first
            loop, thread = self._loop, self._thread
            if loop is None or thread is None or loop.is_closed():
                return
            if os.getpid() != self._process:  # the thread stayed behind in the parent
                return

            async def end() -> None:
                await self.end_tasks()
                await last_words()
                await loop.shutdown_asyncgens()

            asyncio.run_coroutine_threadsafe(end(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


class _SubscriberError(Exception):
    """Carries an exception of a subscriber past the handlers for those of the source."""


def from_batches(home: Home, begin: Callable[[], AsyncGenerator[Iterable[_T]]]) -> Observable[_T]:
    """A cold Observable of the items of the batches that an async iterator gives.

    Each subscription begins an iterator of its own, as a task on the home's loop: nothing is
    emitted inside ``subscribe``. Between two items it waits while the demand that was current at
    the subscription is closed. To dispose cancels the task, and with it what the iterator holds.
    An exception of the iterator goes to ``on_error``; one of the subscriber closes the
    subscription and goes to the loop's exception handler.
    """

    def subscribe(
        observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        home.enter()
        home.refuse_blocking(scheduler)
        pump = _Pump(home, begin, observer)
        home.post(pump.start)
        return Disposable(pump.dispose)

    return Observable(subscribe)


class _Pump(Generic[_T]):
    """One subscription: the task that draws from the iterator and sends to the observer."""

    def __init__(
        self,
        home: Home,
        begin: Callable[[], AsyncGenerator[Iterable[_T]]],
        observer: abc.ObserverBase[_T],
    ) -> None:
        self._home = home
        self._begin = begin
        self._observer = observer
        self._demand = current_demand()
        self._context = copy_context()
        self._task: asyncio.Task[None] | None = None
        self._disposed = False

    def start(self) -> None:
        if self._disposed:
            return
        run = self._run()
        try:
            self._task = self._context.run(self._home.spawn, run)
        except ClientClosed as closed:
            failure = closed
            run.close()
            self._tell(lambda: self._observer.on_error(failure))

    def dispose(self) -> None:
        self._disposed = True
        self._home.post(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        observer = self._observer
        try:
            await self._draw()
        except asyncio.CancelledError:
            if not self._disposed and self._home.closed:
                self._tell(lambda: observer.on_error(ClientClosed()))
            raise
        except _SubscriberError as raised:
            self._disposed = True
            if isinstance(raised.__cause__, Exception):
                self._home.report(raised.__cause__)
        except Exception as error:  # noqa: BLE001 -- the subscriber is told
            failure = error
            self._tell(lambda: observer.on_error(failure))
        else:
            self._tell(observer.on_completed)

    async def _draw(self) -> None:
        demand, on_next = self._demand, self._observer.on_next
        async with aclosing(self._begin()) as batches:
            async for batch in batches:
                for item in batch:
                    if demand is not None and not demand.is_open:
                        await opened(demand)
                    if self._disposed:
                        return
                    try:
                        on_next(item)
                    except Exception as error:
                        raise _SubscriberError from error

    def _tell(self, notify: Callable[[], None]) -> None:
        """Send an ending; what the subscriber raises on hearing it is reported."""
        if self._disposed:
            return
        try:
            notify()
        except Exception as error:  # noqa: BLE001 -- the loop's handler is told
            self._home.report(error)


def _set_soon(loop: asyncio.AbstractEventLoop, ready: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(ready.set)


async def opened(demand: Demand) -> None:
    """Wait until a demand is open, on whichever thread it opens."""
    loop = asyncio.get_running_loop()
    while not demand.is_open:
        ready = asyncio.Event()
        demand.when_open(partial(_set_soon, loop, ready))
        await ready.wait()


__all__ = ["Home", "RunningLoop", "ThreadLoop", "from_batches", "opened"]
