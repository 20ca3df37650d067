"""Consumers that wait: coroutines, event handlers, and what a client gives."""

from __future__ import annotations

import asyncio
import inspect
import sys
import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from reactivex import Notification, Observable, abc
from reactivex import operators as ops
from reactivex.disposable import Disposable, SingleAssignmentDisposable
from reactivex.run import run

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
from rxassist.iteration import iterate
from rxassist.links import link
from rxassist.logger import logger
from rxassist.loop import Home, HomeT, RunningLoop, ThreadLoop, _raise, is_ours
from rxassist.operators import choose
from rxassist.piping import PipedObservable
from rxassist.typing import Operator

_A = TypeVar("_A")
_B = TypeVar("_B")
_T = TypeVar("_T")


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
        self._running: deque[asyncio.Task[Callable[[], _B]]] = deque()
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
                    task = loop.create_task(_outcome(self._fn(self._waiting.popleft())))
            except Exception as error:  # noqa: BLE001 -- the subscriber is told
                self._observer.on_error(error)
                return
            self._running.append(task)
            task.add_done_callback(self._done)
        if len(self._running) >= self._most:
            self.demand.close()

    def _done(self, _: asyncio.Task[Callable[[], _B]]) -> None:
        try:
            self._emit()
        except BaseException as error:
            self.dispose()
            if not self.demand.fail(error):
                raise  # to the loop's exception handler

    def _emit(self) -> None:
        while self._running and self._running[0].done() and not self._disposed:
            task = self._running.popleft()
            if task.cancelled():
                self._observer.on_error(StreamClosed("a coroutine of map_async was cancelled"))
                return
            try:
                returned = task.result()()
            except Exception as error:  # noqa: BLE001 -- the subscriber is told
                self._observer.on_error(error)
                return
            self._observer.on_next(returned)
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


async def _outcome(coroutine: Coroutine[Any, Any, _B]) -> Callable[[], _B]:
    """What gives the result of a coroutine, or raises: a task must not raise ``SystemExit``.

    The event loop would be stopped by it.
    """
    try:
        returned = await coroutine
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 -- it goes on
        return partial(_raise, error)
    return partial(_give, returned)


def _give(returned: _B) -> _B:
    return returned


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
        events = source.pipe(ops.materialize(), told, ops.dematerialize())
        left = events.pipe(ops.finally_action(dispose))

        def subscribe(
            observer: abc.ObserverBase[Event], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            telling.begun = True
            return link(left, observer, scheduler)

        return Observable(subscribe)

    def dispose() -> None:
        if not telling.over:
            home.post(leave)

    def leave() -> None:
        if isinstance(telling, AsyncTelling):
            task = asyncio.get_running_loop().create_task(telling.leave())
            _leaving.add(task)
            task.add_done_callback(ended)
        else:
            telling.leave()

    def ended(task: asyncio.Task[None]) -> None:
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


def _unheard(error: Exception) -> None:
    """Raise an error for which a subscriber has no ``on_error``; a closed client is one line."""
    if not isinstance(error, StreamClosed):
        raise error
    logger.warning("a subscriber without on_error was closed: %s", error)


_RUN_SCHEDULER = run.__globals__.get("_default_scheduler", object())
"""The scheduler that RxPY's ``run()`` lends: a subscription with it is of code that waits."""


def _fail(observer: abc.ObserverBase[Any], error: BaseException) -> bool:
    observer.on_error(cast("Exception", error))
    return True


class LoopObservable(PipedObservable[_T, HomeT], Generic[_T, HomeT]):
    """An Observable whose items come from a client's event loop.

    All of RxPY works on it; besides, it is iterable (``for``, ``async for``, with backpressure),
    can be awaited on an ``AsyncClient``, frees its source when a blocked ``run()`` is interrupted,
    and refuses what would hang or be lost: blocking calls on the loop's own thread, an ``async
    def`` passed to ``subscribe``. What is piped from it is one again.

    To type checkers ``for`` belongs to a ``Client``, whose home is a ``ThreadLoop``; ``async for``
    and ``await`` to an ``AsyncClient``, whose home is a ``RunningLoop``. ``LoopObservable[str]`` is
    one of any client.
    """

    def __init__(self, home: HomeT, source: Observable[_T]) -> None:
        super().__init__()
        self._home: HomeT = home
        self._source = source

    def _subscribe_core(
        self,
        observer: abc.ObserverBase[_T],
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        if self._home.refuses:  # what a closed client still gives, its sources know
            return link(self._source, observer, scheduler)
        self._home.enter()
        demand = current_demand()
        self._home.enlist(demand)
        self._home.refuse_blocking()
        if scheduler is not _RUN_SCHEDULER:
            return link(self._source, observer, scheduler or self._home.scheduler)
        with demanding(demand or Demand(failed=partial(_fail, observer))):
            return link(self._source, observer, self._home.scheduler)

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
        if on_error is None and not hasattr(on_next, "on_error"):
            on_error = _unheard
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

    if not TYPE_CHECKING:  # type checkers say by themselves what is not there

        def __getattr__(self, name):  # noqa: ANN001, ANN204
            """Raise ``AttributeError``, and say how to get what the call gives."""
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            if not name.startswith("_"):
                msg += "; to use an attribute of its result, call .run() or await it first"
            raise AttributeError(msg, name=name, obj=self)

    def _iterable(self, piped: Observable[Any]) -> Observable[Any]:
        return LoopObservable(self._home, piped)

    def __iter__(self: LoopObservable[_T, ThreadLoop]) -> Iterator[_T]:
        """The items, for a blocking ``for``. See ``iterate``."""
        return iter(iterate(self))

    def __aiter__(self: LoopObservable[_T, RunningLoop]) -> AsyncIterator[_T]:
        """The items, for an ``async for``. See ``iterate``."""
        return aiter(iterate(self))

    def _run(self) -> None:
        """Somebody runs it, or tries to."""

    def __await__(self: LoopObservable[_T, RunningLoop]) -> Generator[Any, None, _T]:
        """Await the last item, on the event loop of an ``AsyncClient``. Raises as ``run()``."""
        self._run()
        if not self._home.closed:
            self._home.enter()
            if not self._home.is_here:
                msg = "a call of a Client cannot be awaited: call .run(), or use an AsyncClient"
                raise TypeError(msg)
        return super().__await__()


class Call(LoopObservable[_T, HomeT]):
    """What a method of a client gives that is one request, or a few: it is sent when it is run.

    A call that is collected and was never subscribed warns of that, with the place where it was
    made, as asyncio does of a coroutine: nothing was sent.
    """

    made: tuple[str, str, int] | None = None
    """By which method, and in which file and line of user code; ``None`` once it was run."""

    def _subscribe_core(
        self,
        observer: abc.ObserverBase[_T],
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        self._run()
        return super()._subscribe_core(observer, scheduler)

    def _run(self) -> None:
        self.made = None

    def __del__(self) -> None:
        """Warn where nobody has run it."""
        if self.made is not None:
            name, file, line = self.made
            message = f"{name}(…) was never run, and nothing was sent: call .run() or await it"
            warnings.warn_explicit(message, RuntimeWarning, file, line)


def note_place(given: object, name: str) -> None:
    """Note where user code has made a call with a method: to be called by that method.

    A call that is made within another is not noted: the other one is.
    """
    frame = sys._getframe(2)
    if isinstance(given, Call) and not is_ours(frame):
        given.made = (name, frame.f_code.co_filename, frame.f_lineno)


__all__ = ["Call", "LoopObservable", "map_async", "note_place", "tell"]
