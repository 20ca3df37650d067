"""Where a client lives: one event loop, the caller's own or one in a background thread."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import Any, Generic, TypeVar
from weakref import finalize

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable
from reactivex.run import run
from reactivex.scheduler import NewThreadScheduler
from reactivex.scheduler.eventloop import AsyncIOScheduler, AsyncIOThreadSafeScheduler

from rxassist.backpressure import Demand, current_demand
from rxassist.errors import BlockingCallError, ClientClosed, WrongLoopError
from rxassist.links import link

_T = TypeVar("_T")


_RUN = run.__code__
_FAREWELL_TIMEOUT = 5.0  # seconds

_parting: ContextVar[bool] = ContextVar("rxassist_parting", default=False)


@contextmanager
def parting() -> Generator[None]:
    """What is subscribed inside is a farewell: a closing client lets it finish, for a while."""
    token = _parting.set(True)
    try:
        yield
    finally:
        _parting.reset(token)


class Home(ABC):
    """The event loop on which a client does all its I/O and calls its subscribers."""

    def __init__(self) -> None:
        self._process: int | None = None  # the one that first used it
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scheduler: AsyncIOScheduler | None = None
        self._scheduler_from_anywhere: AsyncIOThreadSafeScheduler | None = None
        self._thread_id: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._farewells: set[asyncio.Task[None]] = set()
        self._gate = threading.RLock()  # nothing is posted after the last look at what was
        self._gone = False
        self._closers: set[asyncio.Task[Any] | None] = set()  # tasks that wait for the closing
        self._waiting: set[Callable[[], object]] = set()
        self._told = False
        self.closed: bool = False
        self.closing: set[Callable[[], object]] = set()  # who is called, on the loop, as it closes

    @abstractmethod
    def _bind(self) -> asyncio.AbstractEventLoop:
        """Find or make the loop at its first use, and refuse a wrong one later."""

    @property
    def is_here(self) -> bool:
        """Whether the caller runs on the thread of this loop."""
        return self._thread_id == threading.get_ident()

    @property
    def bound(self) -> bool:
        """Whether the loop was used, and so found or made."""
        return self._loop is not None

    def enter(self) -> asyncio.AbstractEventLoop:
        """The loop, made if need be. Raises where it cannot be used from here."""
        if self.closed and not _parting.get():
            raise ClientClosed
        if self._process is None:  # before any lock is taken: a fork may copy one that is held
            self._process = os.getpid()
        if self.is_of_another_process:
            msg = "this client was used before a fork; make a new one in the child process"
            raise WrongLoopError(msg)
        return self._bind()

    @property
    def is_of_another_process(self) -> bool:
        """Whether it was used before a fork, by the parent: here it can only be left alone."""
        return self._process is not None and self._process != os.getpid()

    def refuse_blocking(self, scheduler: abc.SchedulerBase | None) -> None:
        """Raise ``BlockingCallError`` if the loop's thread waits, or is about to, for itself.

        RxPY's ``run()`` subscribes with a ``NewThreadScheduler`` and then blocks, and some sources
        subscribe others on the new thread; our own blocking calls say so in their demand.
        """
        if self.is_here:
            demand = current_demand()
            blocks = demand is not None and demand.blocked_thread == self._thread_id
            if blocks or isinstance(scheduler, NewThreadScheduler):
                raise BlockingCallError
        elif self._thread_id is not None:
            frame = sys._current_frames().get(self._thread_id)
            while frame is not None:
                if frame.f_code is _RUN:
                    raise BlockingCallError
                frame = frame.f_back

    def post(self, action: Callable[[], object]) -> bool:
        """Run an action soon on the loop, in order; ``False`` if the loop is gone."""
        loop = self._loop or self.enter()
        if self.is_here and not loop.is_closed():
            loop.call_soon(action)
            return True
        if self.is_of_another_process:
            return False
        with self._gate:
            if self._gone or loop.is_closed():
                return False
            loop.call_soon_threadsafe(action)
            return True

    def report(self, error: BaseException) -> None:
        """Tell the loop's exception handler of an exception that a subscriber raised.

        One that is to end the program (``SystemExit``, Ctrl-C) goes on its way, out of the loop.
        """
        if self._loop is None:
            return
        if not isinstance(error, Exception):
            self._loop.call_soon(_raise, error)
        else:
            message = "a subscriber raised; its subscription was closed"
            self._loop.call_exception_handler({"message": message, "exception": error})

    @property
    def scheduler(self) -> AsyncIOScheduler:
        """The loop as a scheduler, for who schedules on its thread."""
        if self._scheduler is None:
            self._scheduler = AsyncIOScheduler(self.enter())
        return self._scheduler

    @property
    def scheduler_from_anywhere(self) -> AsyncIOThreadSafeScheduler:
        """The loop as a scheduler, for who may schedule on any thread."""
        if self._scheduler_from_anywhere is None:
            self._scheduler_from_anywhere = AsyncIOThreadSafeScheduler(self.enter())
        return self._scheduler_from_anywhere

    def spawn(
        self, coroutine: Coroutine[Any, Any, None], context: Context | None = None
    ) -> asyncio.Task[None]:
        """Start a task on the loop, from its thread; it is cancelled when the home closes.

        In this context, or a copy of the current one.
        """
        context = copy_context() if context is None else context
        task = context.run(self.enter).create_task(coroutine, context=context)
        parts = context.get(_parting, False)
        for group in (self._tasks, self._farewells) if parts else (self._tasks,):
            group.add(task)
            task.add_done_callback(group.discard, context=context)
        return task

    def shut(self) -> None:
        """Refuse everything new from now on."""
        self.closed = True

    def when_closed(self, tell: Callable[[], object]) -> Callable[[], None]:
        """Call ``tell`` once when the client has closed, on any thread; gives what takes it back.

        For those who wait for something that the loop is to do, a timer included: by then every
        task has told its subscribers, and the loop does nothing more for them. It is called at
        once where that was before.
        """
        with self._gate:
            if not self._told:
                self._waiting.add(tell)
                return partial(self._waiting.discard, tell)
        tell()
        return partial(self._waiting.discard, tell)

    def _tell_waiting(self) -> None:
        with self._gate:
            self._told = True
            waiting, self._waiting = self._waiting, set()
        for tell in waiting:
            tell()

    async def end_tasks(self) -> None:
        """Cancel every task, tell who waits, and wait until all have ended, farewells too."""
        for action in tuple(self.closing):
            action()
        while tasks := self._others() - self._farewells:
            await _cancelled(tasks)
        self._tell_waiting()
        while tasks := self._others():
            for task in tasks - self._farewells:
                task.cancel()
            _, late = await asyncio.wait(tasks, timeout=_FAREWELL_TIMEOUT)
            await _cancelled(late)
            await asyncio.sleep(0)  # whoever was told may have said farewell

    def _others(self) -> set[asyncio.Task[Any]]:
        """The tasks that still run, without those that close."""
        return {task for task in self._tasks if task not in self._closers}


async def _cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)


def _raise(error: BaseException) -> None:
    raise error


class RunningLoop(Home):
    """The event loop in which it is first used."""

    def __init__(self) -> None:
        super().__init__()
        self._ending: asyncio.Task[None] | None = None

    def _bind(self) -> asyncio.AbstractEventLoop:
        try:
            running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if self._loop is None:
            if running is None:
                msg = (
                    "AsyncClient needs a running event loop of asyncio, and none runs here (that "
                    "of trio is another); use Client in synchronous code"
                )
                raise WrongLoopError(msg)
            self._loop = running
            self._thread_id = threading.get_ident()
        elif self._loop.is_closed() or (running is not None and running is not self._loop):
            msg = "this AsyncClient belongs to another event loop; make one client for each loop"
            raise WrongLoopError(msg)
        return self._loop

    async def close(self, last_words: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """End all tasks, and await ``last_words``.

        It goes on to the end where who waits for it is cancelled, and only then says so: else
        connections stay open. Does nothing where the loop is dead, and everything ended with it,
        or where it was used before a fork. Raises ``WrongLoopError`` on another loop.
        """
        loop = self._loop
        if loop is None or loop.is_closed() or self.is_of_another_process:
            self.shut()
            self._tell_waiting()
            return
        if asyncio.get_running_loop() is not loop:
            msg = "close this AsyncClient on the event loop that it belongs to"
            raise WrongLoopError(msg)
        self.shut()
        self._closers.add(asyncio.current_task())
        if self._ending is None:
            self._ending = loop.create_task(self._end(last_words))
        await _to_its_end(self._ending)

    async def _end(self, last_words: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await self.end_tasks()
        await last_words()


async def _to_its_end(task: asyncio.Task[None]) -> None:
    """Wait for a task, also where who waits is cancelled, again and again; say so at the end."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    await task


class ThreadLoop(Home):
    """An event loop of its own in a background thread, which never keeps a program from ending.

    The thread knows nothing of it: where nobody has it any more, and no task runs, the thread
    awaits ``last_words`` and ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()  # reentrant, as the gate
        self._thread: _LoopThread | None = None
        self._ending = False
        self._last_words: Callable[[], Coroutine[Any, Any, None]] | None = None

    def leave_with(self, last_words: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """What is awaited last on the loop; it must not hold this home."""
        self._last_words = last_words

    def _bind(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            with self._lock:
                if self._loop is None:
                    self._begin()
        return self._loop or self._begin()

    def _begin(self) -> asyncio.AbstractEventLoop:
        thread = _LoopThread(self._tasks)
        self._loop, self._thread = thread.loop, thread
        try:
            thread.start()
        except BaseException as error:
            self._loop = self._thread = None
            thread.loop.close()
            if not isinstance(error, RuntimeError):
                raise
            msg = f"the thread of this client cannot start: {error}; use it before the program ends"
            raise RuntimeError(msg) from error
        self._thread_id = thread.ident
        last_words = self._last_words or _nothing
        finalize(self, _let_go_of, thread, last_words, os.getpid()).atexit = False
        return thread.loop

    def close(self) -> None:
        """End all tasks, await the last words, and end the thread.

        Returns when that is done; called on the loop's own thread, it returns at once and the
        rest happens after it.
        """
        self.shut()
        if self.is_of_another_process:  # the thread stayed behind in the parent
            return
        with self._lock:
            thread, begun, self._ending = self._thread, self._ending, True
            if thread is None:
                self._tell_waiting()
                return
        if not begun:
            self.post(lambda: thread.end(self._end()))
        if not self.is_here:
            thread.join()
            self._thread_id = None

    async def _end(self) -> None:
        await self.end_tasks()
        await (self._last_words or _nothing)()
        await _end_others()
        with self._gate:
            self._gone = True
        for _ in range(2):  # what was posted until now is still told that the client is closed
            await asyncio.sleep(0)


class _LoopThread:
    """A thread that runs an event loop until it is ended on purpose. It holds the loop's tasks."""

    def __init__(self, tasks: set[asyncio.Task[None]]) -> None:
        self._thread = threading.Thread(target=self._run, name="rxassist", daemon=True)
        self.start: Callable[[], None] = self._thread.start
        self.join: Callable[[], None] = self._thread.join
        self.loop = asyncio.new_event_loop()
        self._tasks = tasks
        self._over = False
        self._end: asyncio.Task[None] | None = None

    @property
    def ident(self) -> int | None:
        """The id of the thread, once it has started."""
        return self._thread.ident

    def _run(self) -> None:
        """Run the loop: no ``SystemExit`` of a subscriber ends it."""
        loop = self.loop
        asyncio.set_event_loop(loop)
        while not self._over:
            try:
                loop.run_forever()
            except BaseException as error:  # noqa: BLE001 -- it is told, and ends only a thread
                message = "a subscriber wanted to end the program, on the thread of a client"
                loop.call_exception_handler({"message": message, "exception": error})
        loop.close()

    def end(self, last: Coroutine[Any, Any, None]) -> None:
        """Await what is to be done last, however it ends, and end the thread: on the loop."""
        self._end = self.loop.create_task(last)
        self._end.add_done_callback(self._stop)

    def _stop(self, ended: asyncio.Task[None]) -> None:
        error = None if ended.cancelled() else ended.exception()
        if error is not None:
            message = "a client could not close all that it had open"
            self.loop.call_exception_handler({"message": message, "exception": error})
        self._over = True
        self.loop.stop()


def _let_go_of(
    thread: _LoopThread, last_words: Callable[[], Coroutine[Any, Any, None]], process: int
) -> None:
    """End the thread of a client that nobody has any more; the collector comes in any thread."""

    async def end() -> None:
        await last_words()
        await _end_others()

    if os.getpid() == process:
        with suppress(RuntimeError):  # the client was closed
            thread.loop.call_soon_threadsafe(lambda: thread.end(end()))


async def _end_others() -> None:
    """End all else that lives on a loop that ends: coroutines of subscribers, for the most part."""
    loop = asyncio.get_running_loop()
    await _cancelled(asyncio.all_tasks() - {asyncio.current_task()})
    await loop.shutdown_asyncgens()
    with suppress(RuntimeError):  # no thread starts any more at the end of the interpreter
        await loop.shutdown_default_executor()


async def _nothing() -> None:
    """No last words."""


def scheduled(home: Home, source: Observable[_T]) -> Observable[_T]:
    """The source with the loop as its scheduler, for who subscribes on the loop's thread."""

    def subscribe(
        observer: abc.ObserverBase[_T], _: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        home.enter()
        return link(source, observer, home.scheduler)

    return Observable(subscribe)


def on_loop(home: Home, source: Observable[_T]) -> Observable[_T]:
    """The source, subscribed on the loop's thread, with the loop as its scheduler."""

    def subscribe(
        observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        home.enter()
        home.refuse_blocking(scheduler)
        held = SingleAssignmentDisposable()
        context = copy_context()

        def begin() -> None:
            if held.is_disposed:
                return
            try:
                held.disposable = scheduled(home, source).subscribe(observer)
            except Exception as error:  # noqa: BLE001 -- the subscriber is told
                observer.on_error(error)

        if not home.post(lambda: context.run(begin)):
            raise ClientClosed
        return Disposable(partial(_let_go, home, held))

    return Observable(subscribe)


def _let_go(home: Home, held: abc.DisposableBase) -> None:
    home.post(held.dispose)


class _Left(Exception):  # noqa: N818 -- it is no error
    """The subscriber has left, or raised: no matter of the source."""


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
        if not home.post(pump.start):
            raise ClientClosed
        return pump

    return Observable(subscribe)


class _Pump(abc.DisposableBase, Generic[_T]):
    """One subscription: the task that draws from the iterator and sends to the observer."""

    __slots__ = (
        "_begin",
        "_context",
        "_demand",
        "_disposed",
        "_home",
        "_leaves",
        "_observer",
        "_task",
    )

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
        self._leaves = False  # and closes what it holds: that must not be cancelled

    def start(self) -> None:
        if self._disposed:
            return
        running = self._run()
        try:
            self._task = self._home.spawn(running, self._context)
        except ClientClosed as closed:
            running.close()
            self._tell(partial(self._observer.on_error, closed))
        else:
            self._task.add_done_callback(self._ended, context=self._context)

    def dispose(self) -> None:
        """Cancel the task, once: what it closes on that is closed in peace."""
        if not self._disposed:
            self._disposed = True
            self._home.post(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None and not self._leaves:
            self._task.cancel()

    async def _run(self) -> None:
        observer, demand = self._observer, self._demand
        try:
            batches = self._begin()
            try:
                async for batch in batches:
                    for item in batch:
                        if demand is not None and not demand.is_open:
                            await opened(demand)
                        self._send(item)
            finally:
                await batches.aclose()
        except _Left:
            pass
        except Exception as error:  # noqa: BLE001 -- the subscriber is told
            self._tell(partial(observer.on_error, error))
        else:
            self._tell(observer.on_completed)

    def _send(self, item: _T) -> None:
        """Send an item, and leave where nobody listens: what is held is closed in peace then."""
        if not self._disposed:
            try:
                self._observer.on_next(item)
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001 -- it is reported
                self._disposed = True
                self._home.report(error)
        if self._disposed:
            self._leaves = True
            raise _Left

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task that is cancelled may never have begun: its subscriber is told here."""
        self._task = None
        if task.cancelled():
            self._tell(partial(self._observer.on_error, ClientClosed()))

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


__all__ = [
    "Home",
    "RunningLoop",
    "ThreadLoop",
    "from_batches",
    "on_loop",
    "opened",
    "parting",
    "scheduled",
]
