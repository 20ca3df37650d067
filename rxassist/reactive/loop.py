"""The home of a client: one event loop, the caller's own or one in a background thread."""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from functools import partial
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar
from weakref import WeakSet, finalize

from reactivex import Observable, abc, typing
from reactivex.disposable import Disposable, SingleAssignmentDisposable
from reactivex.run import run
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxassist.errors import BlockingCallError, ClientClosed, WrongLoopError, closed_by
from rxassist.reactive.backpressure import Demand, current_demand
from rxassist.reactive.daemon_threads import DaemonThreads
from rxassist.reactive.links import link
from rxassist.reactive.logger import logger

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    HomeT = TypeVarWithDefault("HomeT", bound="Home", default=Any)
else:
    HomeT = TypeVar("HomeT", bound="Home")  # a class that needs the default has it in its own way
_S = TypeVar("_S")
_T = TypeVar("_T")


_RUN = run.__code__
_FAREWELL_TIMEOUT = 5.0  # seconds
_INTERRUPTING_TIMEOUT = 10.0  # seconds: of a close in a signal handler
_LOOK_AGAIN = 0.05  # seconds, between two looks at whether anything is open
_GRACE = 0.3  # seconds, for what is just ending when the program does
_IDLE_TURNS = 2  # of the loop, in a row: a task that ends may begin another in the next
_PACKAGE = __name__.partition(".")[0]

_parting: ContextVar[bool] = ContextVar("rxassist_parting", default=False)


@contextmanager
def parting() -> Generator[None]:
    """Subscriptions made inside may finish after the client begins to close, for a while."""
    token = _parting.set(True)
    try:
        yield
    finally:
        _parting.reset(token)


class Home(ABC):
    """The event loop on which a client does all its I/O and calls its subscribers."""

    owner: str = "client"
    """What errors call its owner."""

    def __init__(self) -> None:
        self._process: int | None = None  # the one that first used it
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scheduler: LoopScheduler | None = None
        self._demands: WeakSet[Demand] = WeakSet()  # of the consumers that may wait for this loop
        self._thread_id: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._farewells: set[asyncio.Task[None]] = set()
        self.timers: set[object] = set()  # those that are due later
        self._gate = threading.RLock()  # nothing may be posted after the final drain
        self._gone = False
        self._closers: set[asyncio.Task[Any] | None] = set()  # tasks that wait for the closing
        self.closed: bool = False
        self.closing: set[Callable[[], object]] = set()  # called on the loop when it closes

    @abstractmethod
    def _bind(self) -> asyncio.AbstractEventLoop:
        """Find or make the loop at its first use; raise later if it is another one."""

    @property
    def is_here(self) -> bool:
        """Whether the caller runs on the thread of this loop."""
        return self._thread_id == threading.get_ident()

    @property
    def refuses(self) -> bool:
        """Whether it is closed for the caller: a farewell may still use it."""
        return self.closed and not _parting.get()

    @property
    def bound(self) -> bool:
        """Whether the loop was used, and so found or made."""
        return self._loop is not None

    def enter(self) -> asyncio.AbstractEventLoop:
        """The loop, made if need be. Raises if the caller cannot use it."""
        if self.refuses:
            raise ClientClosed
        if self._process is None:  # before any lock is taken: a fork may copy one that is held
            self._process = os.getpid()
        if self.is_of_another_process:
            msg = f"this {self.owner} was used before a fork; make a new one in the child process"
            raise WrongLoopError(msg)
        return self._bind()

    @property
    def is_of_another_process(self) -> bool:
        """Whether the parent used it before a fork: then this process must not touch it."""
        return self._process is not None and self._process != os.getpid()

    def refuse_blocking(self) -> None:
        """Raise ``BlockingCallError`` if the loop's thread waits, or is about to, for itself.

        Our own blocking calls note that in their demand; RxPY's ``run()`` is found on the stack.
        """
        thread = self._thread_id
        if thread is None:
            return
        demand = current_demand()
        if demand is not None and demand.blocks(thread):
            raise BlockingCallError
        frame = sys._getframe() if self.is_here else sys._current_frames().get(thread)
        while frame is not None:
            if frame.f_code is _RUN:
                raise BlockingCallError
            frame = frame.f_back

    def enlist(self, demand: Demand | None) -> None:
        """End the wait of a consumer with ``ClientClosed`` if it still waits when this closes.

        A farewell may go on.
        """
        if demand is not None and not _parting.get():
            with self._gate:
                self._demands.add(demand)

    def _dismiss(self) -> None:
        """End the wait of the consumers: a timer of this loop would never wake them."""
        with self._gate:
            demands = tuple(self._demands)
        for demand in demands:
            demand.fail(ClientClosed())

    def post(self, action: Callable[[], object]) -> bool:
        """Run an action soon on the loop, in order; ``False`` if the loop is gone."""
        loop = self._loop or self.enter()
        if self.is_here and not loop.is_closed():
            loop.call_soon(action)
            return True
        if self.is_of_another_process or sys.is_finalizing():
            return False
        with self._gate:
            if self._gone or loop.is_closed():
                return False
            loop.call_soon_threadsafe(action)
            return True

    def report(self, error: BaseException) -> None:
        """Report an exception of a subscriber to the loop's exception handler.

        One that is to end the program (``SystemExit``, Ctrl-C) is raised out of the loop.
        """
        if self._loop is None:
            return
        if not isinstance(error, Exception):
            self._loop.call_soon(_raise, error)
        else:
            message = "a subscriber raised; its subscription was closed"
            self._loop.call_exception_handler({"message": message, "exception": error})

    @property
    def scheduler(self) -> LoopScheduler:
        """The loop as a scheduler, for code on any thread."""
        if self._scheduler is None:
            self._scheduler = LoopScheduler(self.enter(), self)
        return self._scheduler

    def spawn(
        self, coroutine: Coroutine[Any, Any, None], context: Context | None = None
    ) -> asyncio.Task[None]:
        """Start a task on the loop, from its thread; closing the home cancels it.

        It runs in ``context``, or in a copy of the current one.
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

    async def end_tasks(self) -> None:
        """Cancel every task, end the waits, and wait until all tasks have ended, farewells too."""
        for action in tuple(self.closing):
            action()
        while tasks := self._others() - self._farewells:
            await _cancelled(tasks)
        self._dismiss()
        while tasks := self._others():
            for task in tasks - self._farewells:
                task.cancel()
            _, late = await asyncio.wait(tasks, timeout=_FAREWELL_TIMEOUT)
            await _cancelled(late)
            await asyncio.sleep(0)  # a subscriber that got the error may have begun a farewell

    def _others(self) -> set[asyncio.Task[Any]]:
        """The tasks that still run, without those that close."""
        return {task for task in self._tasks if task not in self._closers}


async def _cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)


def _raise(error: BaseException) -> NoReturn:
    raise error


class RunningLoop(Home):
    """The event loop in which it is first used."""

    owner = "AsyncClient"
    blocking: str = "Client"
    """What to use in synchronous code instead of the owner."""

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
                    f"{self.owner} needs a running event loop of asyncio, and none runs here (that "
                    f"of trio is another); use {self.blocking} in synchronous code"
                )
                raise WrongLoopError(msg)
            self._loop = running
            self._thread_id = threading.get_ident()
        elif self._loop.is_closed() or (running is not None and running is not self._loop):
            msg = f"this {self.owner} belongs to another event loop; make one for each loop"
            raise WrongLoopError(msg)
        return self._loop

    async def close(self, last_words: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """End all tasks, and await ``last_words``.

        If its caller is cancelled, it still goes on to the end, and raises only then: else
        connections stay open. Does nothing if the loop is dead, and everything ended with it, or if
        it was used before a fork. Raises ``WrongLoopError`` on another loop.
        """
        loop = self._loop
        if loop is None or loop.is_closed() or self.is_of_another_process:
            self.shut()
            self._dismiss()
            return
        if asyncio.get_running_loop() is not loop:
            msg = f"close this {self.owner} on the event loop that it belongs to"
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
    """Wait for a task even if the caller is cancelled, also repeatedly; raise that at the end."""
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

    The thread holds no reference to it: when the home is collected, and no task runs, the thread
    awaits ``last_words`` and ends.
    """

    owner = "Client"

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()  # a signal handler may interrupt its own thread
        self._thread: _LoopThread | None = None
        self._last_words: Callable[[], Coroutine[Any, Any, None]] | None = None

    def leave_with(self, last_words: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """The coroutine function that is awaited last on the loop; it must not hold this home."""
        self._last_words = last_words

    def _bind(self) -> asyncio.AbstractEventLoop:
        if sys.is_finalizing():
            msg = (
                "the thread of this client stands still, as the interpreter is ending; use and "
                "close it before the program ends, in a with block or by atexit"
            )
            raise RuntimeError(msg)
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
            msg = (
                f"the thread of this client cannot start: {error}; use it before the program ends, "
                "or allow this process more threads"
            )
            raise RuntimeError(msg) from error
        self._thread_id = thread.ident
        _living.add(self)
        last_words = self._last_words or _nothing
        finalize(self, _let_go_of, thread, last_words, os.getpid()).atexit = False
        return thread.loop

    def close(self) -> None:
        """End all tasks, await the last words, and end the thread.

        Returns when that is done; called on the loop's own thread, it returns at once and the rest
        happens after it. A signal handler that interrupts this library waits ten seconds at most:
        the loop may need a lock of the interrupted call, and the rest happens after that. While the
        interpreter ends, its thread stands still, and ends with it.
        """
        self.shut()
        if self.is_of_another_process or sys.is_finalizing():  # it would be waited for for ever
            return
        with self._lock:
            thread = self._thread
            if thread is None:
                self._dismiss()
                return
        self.post(lambda: thread.end(self._end))
        if self.is_here:
            return
        if not _interrupts():
            thread.join()
        elif not thread.over.wait(_INTERRUPTING_TIMEOUT):
            return
        self._thread_id = None

    @property
    def open(self) -> int:
        """The number of streams and calls that are under way, or wait for their time."""
        return 0 if self.closed else len(self._tasks) + len(self.timers)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is open, ``timeout`` seconds at most; return whether nothing is."""
        if self.is_here:
            raise BlockingCallError
        if not self.bound:
            return True
        until = None if timeout is None else monotonic() + timeout
        pause = threading.Event()  # never set: Ctrl-C ends a wait for it
        idle = 0
        while idle < _IDLE_TURNS and not self.is_of_another_process:
            left = None if until is None else until - monotonic()
            if left is not None and left <= 0:
                return False
            looked = threading.Event()  # on the loop: then all that was posted before has begun
            if not self.post(looked.set):
                return True
            looked.wait(left)
            idle = 0 if self.open else idle + 1
            if self.open:
                pause.wait(_LOOK_AGAIN if left is None else min(_LOOK_AGAIN, left))
        return True

    async def _end(self) -> None:
        await self.end_tasks()
        await (self._last_words or _nothing)()
        await _end_others()
        with self._gate:
            self._gone = True
        for _ in range(2):  # whatever was posted until now still fails with ClientClosed
            await asyncio.sleep(0)


_living: WeakSet[ThreadLoop] = WeakSet()


def _tell_what_is_open() -> None:
    """Log at the end of the program the streams and calls that it did not wait for.

    A subscription that the program made last may not have begun on the loop: ``wait`` lets it.
    """
    left = [home for home in _living if not (home.closed or home.wait(_GRACE))]
    count = sum(home.open for home in left)
    if count:
        logger.warning(
            "the program ends while streams or calls of a Client are open (%d), and what they "
            "would emit is lost; client.wait() waits for them",
            count,
        )


atexit.register(_tell_what_is_open)


class _LoopThread:
    """A thread that runs an event loop until ``end`` is called. It holds the loop's tasks."""

    def __init__(self, tasks: set[asyncio.Task[None]]) -> None:
        self._thread = threading.Thread(target=self._run, name="rxassist", daemon=True)
        self.start: Callable[[], None] = self._thread.start
        self.join: Callable[[], None] = self._thread.join
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(DaemonThreads())
        self._tasks = tasks
        self.over = threading.Event()
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
            except BaseException as error:  # noqa: BLE001 -- reported, and ends only a thread
                message = "a subscriber wanted to end the program, on the thread of a client"
                loop.call_exception_handler({"message": message, "exception": error})
        loop.close()
        self.over.set()

    def end(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Await the last words once, however they end, and end the thread. For its own thread."""
        if self._end is None:
            self._end = self.loop.create_task(last())
            self._end.add_done_callback(self._stop)

    def _stop(self, ended: asyncio.Task[None]) -> None:
        error = None if ended.cancelled() else ended.exception()
        if error is not None:
            message = "a client could not close all that it had open"
            self.loop.call_exception_handler({"message": message, "exception": error})
        self._over = True
        self.loop.stop()


def _interrupts() -> bool:
    """Whether a call from outside this library was made, as by a signal handler, inside another."""
    frame, outside = sys._getframe().f_back, False
    while frame is not None:
        ours = is_ours(frame)
        if ours and outside:
            return True
        outside = outside or not ours
        frame = frame.f_back
    return False


def is_ours(frame: FrameType) -> bool:
    """Whether a frame is of this library."""
    return str(frame.f_globals.get("__name__")).partition(".")[0] == _PACKAGE


def _let_go_of(
    thread: _LoopThread, last_words: Callable[[], Coroutine[Any, Any, None]], process: int
) -> None:
    """End the thread of a collected client; the collector may run in any thread."""

    async def end() -> None:
        await last_words()
        await _end_others()

    if os.getpid() == process:
        with suppress(RuntimeError):  # the client was closed
            thread.loop.call_soon_threadsafe(lambda: thread.end(end))


async def _end_others() -> None:
    """End the other tasks of a loop that ends: mostly coroutines of subscribers."""
    loop = asyncio.get_running_loop()
    await _cancelled(asyncio.all_tasks() - {asyncio.current_task()})
    await loop.shutdown_asyncgens()


async def _nothing() -> None:
    """No last words."""


def scheduled(home: Home, source: Observable[_T]) -> Observable[_T]:
    """The source with the loop as its scheduler, for subscriptions on the loop's thread."""

    def subscribe(
        observer: abc.ObserverBase[_T], _: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        home.enter()
        return link(source, observer, home.scheduler)

    return Observable(subscribe)


def on_loop(home: Home, source: Observable[_T]) -> Observable[_T]:
    """The source, subscribed on the loop's thread, with the loop as its scheduler."""

    def subscribe(
        observer: abc.ObserverBase[_T], _: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        home.enter()
        home.refuse_blocking()
        held = SingleAssignmentDisposable()

        def begin() -> None:
            if held.is_disposed:
                return
            try:
                held.disposable = scheduled(home, source).subscribe(observer)
            except Exception as error:  # noqa: BLE001 -- reported to the subscriber
                observer.on_error(error)

        if not home.post(partial(copy_context().run, guarded(begin))):
            raise ClientClosed
        return Disposable(partial(_let_go, home, held))

    return Observable(subscribe)


def _let_go(home: Home, held: abc.DisposableBase) -> None:
    home.post(held.dispose)


def from_batches(home: Home, begin: Callable[[], AsyncGenerator[Iterable[_T]]]) -> Observable[_T]:
    """A cold Observable of the items of the batches that an async iterator gives.

    Each subscription begins an iterator of its own, as a task on the home's loop: nothing is
    emitted inside ``subscribe``. Between two items it waits while the demand that was current at
    the subscription is closed. Disposing cancels the task, and frees what the iterator holds. An
    exception of the iterator goes to ``on_error``. One that an operator or the subscriber raises
    closes the subscription; it goes to the consumer that waits, else to the loop's exception
    handler. So does an exception of the iterator that is no ``Exception``, such as ``SystemExit``.
    """

    def subscribe(
        observer: abc.ObserverBase[_T],
        _: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        home.enter()
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
        """Cancel the task once, so that its clean-up is not cancelled too."""
        if not self._disposed:
            self._disposed = True
            self._home.post(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None and not self._leaves:
            self._task.cancel()

    async def _run(self) -> None:
        observer = self._observer
        try:
            await self._draw()
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self._tell(partial(observer.on_error, error))
        except BaseException as error:
            if self._is_ended_by(error):
                raise
            if not self._fail(error):
                self._tell(partial(observer.on_error, closed_by(error)))
        else:
            self._tell(observer.on_completed)

    async def _draw(self) -> None:
        """Send each item, until the end, or until the subscriber has left, or has raised."""
        observer, demand = self._observer, self._demand
        batches = self._begin()
        try:
            async for batch in batches:
                for item in batch:
                    if demand is not None and not demand.is_open:
                        await opened(demand)
                    if not self._disposed:
                        try:
                            observer.on_next(item)
                        except BaseException as error:  # noqa: BLE001 -- it is reported
                            self._raised(error)
                    if self._disposed:
                        self._leaves = True  # from now on nothing cancels the clean-up
                        await batches.aclose()
                        return
        except BaseException as error:
            if self._running_task() is None:
                raise GeneratorExit from error
            await batches.aclose()
            raise

    def _raised(self, error: BaseException) -> None:
        """Close the subscription, after the subscriber or an operator in between has raised."""
        self._disposed = True
        self._fail(error)

    def _fail(self, error: BaseException) -> bool:
        """Give an exception to the consumer that waits; ``False`` if it had to be reported."""
        if self._demand is not None and self._demand.fail(error):
            return True
        self._home.report(error)
        return False

    def _is_ended_by(self, error: BaseException) -> bool:
        """Whether an exception ends this task from outside, and not from the code that it calls."""
        task = self._running_task()
        if task is None:
            return True
        return isinstance(error, asyncio.CancelledError) and task.cancelling() > 0

    def _running_task(self) -> asyncio.Task[None] | None:
        """The task of the subscription, unless its loop is gone.

        Then the collector closes the coroutine, on whichever thread it runs, and nothing can be
        awaited any more.
        """
        try:
            task = asyncio.current_task()
        except RuntimeError:
            return None
        return task if self._task in {None, task} else None

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Report to the subscriber of a cancelled task, which may never have begun."""
        self._task = None
        if task.cancelled():
            self._tell(partial(self._observer.on_error, ClientClosed()))

    def _tell(self, notify: Callable[[], None]) -> None:
        """Send an ending, and report an exception of the subscriber."""
        if self._disposed:
            return
        try:
            notify()
        except BaseException as error:  # noqa: BLE001 -- it is reported
            self._raised(error)


# --- time ----------------------------------------------------------------------------------


def guarded(action: Callable[[], _T]) -> Callable[[], _T | None]:
    """An action whose exception goes to the consumer that waits, if there is one."""

    def guard() -> _T | None:
        try:
            return action()
        except BaseException as error:
            demand = current_demand()
            if demand is None or not demand.fail(error):
                raise
            return None

    return guard


class LoopScheduler(AsyncIOScheduler):
    """The loop of a client as a scheduler, for code on any thread.

    Disposing never waits, even if the loop has ended. An exception of an action goes to the
    consumer that waited when the action was scheduled, else to the loop's exception handler.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, home: Home) -> None:
        super().__init__(loop)
        self._home = home

    def schedule(
        self, action: abc.ScheduledAction[_S], state: _S | None = None
    ) -> abc.DisposableBase:
        """Run an action soon. Raises ``ClientClosed`` if the loop is gone."""
        return self.schedule_relative(0.0, action, state)

    def schedule_relative(
        self,
        duetime: typing.RelativeTime,
        action: abc.ScheduledAction[_S],
        state: _S | None = None,
    ) -> abc.DisposableBase:
        """Run an action after ``duetime`` seconds. Raises ``ClientClosed`` if the loop is gone."""
        timer = _Timer(self._home, guarded(partial(self.invoke_action, action, state)))
        seconds = self.to_seconds(duetime)
        if seconds <= 0:
            posted = self._home.post(timer.run)
        elif self._home.is_here:
            posted = timer.start(self._loop, self._loop.time() + seconds)
        else:
            posted = self._home.post(partial(timer.start, self._loop, self._loop.time() + seconds))
        if not posted:
            raise ClientClosed
        return timer


class _Timer(abc.DisposableBase):
    """One scheduled action, and then the disposable that it returned."""

    __slots__ = ("_action", "_handle", "_held", "_home")

    def __init__(self, home: Home, action: Callable[[], abc.DisposableBase | None]) -> None:
        self._home = home
        self._action: Callable[[], abc.DisposableBase | None] | None = action
        self._handle: asyncio.TimerHandle | None = None
        self._held: abc.DisposableBase | None = None

    def start(self, loop: asyncio.AbstractEventLoop, due: float) -> bool:
        if self._action is not None:
            self._handle = loop.call_at(due, self.run)
            self._home.timers.add(self)
        return True

    def run(self) -> None:
        action, self._handle = self._action, None
        self._home.timers.discard(self)
        if action is None:
            return
        held = action()
        if self._action is None:  # disposed by the action itself, or meanwhile
            if held is not None:
                held.dispose()
        else:
            self._held = held

    def dispose(self) -> None:
        self._action = None
        held, self._held = self._held, None
        if held is not None:
            held.dispose()
        if self._handle is None:
            return
        if self._home.is_here:
            self._cancel()
        else:
            self._home.post(self._cancel)

    def _cancel(self) -> None:
        handle, self._handle = self._handle, None
        self._home.timers.discard(self)
        if handle is not None:
            handle.cancel()


def _set(loop: asyncio.AbstractEventLoop, ready: asyncio.Event) -> None:
    """Set an event of a loop on any thread; its own loop is not woken, which costs a write."""
    if asyncio._get_running_loop() is loop:
        ready.set()
    elif not loop.is_closed():
        loop.call_soon_threadsafe(ready.set)


async def opened(demand: Demand) -> None:
    """Wait until a demand is open, on whichever thread it opens."""
    loop = asyncio.get_running_loop()
    while not demand.is_open:
        ready = asyncio.Event()
        demand.when_open(partial(_set, loop, ready))
        await ready.wait()


__all__ = [
    "Home",
    "LoopScheduler",
    "RunningLoop",
    "ThreadLoop",
    "from_batches",
    "is_ours",
    "on_loop",
    "opened",
    "parting",
    "scheduled",
]
