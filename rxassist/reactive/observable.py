"""Observables of a client: they can be waited for, iterated and awaited."""

from __future__ import annotations

import inspect
import sys
import warnings
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from reactivex import Observable, abc
from reactivex.run import run

from rxassist.errors import StreamClosed
from rxassist.reactive.backpressure import Demand, current_demand, demanding
from rxassist.reactive.coroutines import map_async
from rxassist.reactive.iteration import iterate
from rxassist.reactive.links import link
from rxassist.reactive.logger import logger
from rxassist.reactive.loop import HomeT, RunningLoop, ThreadLoop, is_ours
from rxassist.reactive.piping import PipedObservable

_T = TypeVar("_T")


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
"""The scheduler of RxPY's ``run()``: code that subscribes with it waits for the end."""


def _fail(observer: abc.ObserverBase[Any], error: BaseException) -> bool:
    observer.on_error(cast("Exception", error))
    return True


class SelfSubscribing(abc.ObserverBase[_T]):
    """An observer that subscribes itself, with its own state for each subscription."""

    @abstractmethod
    def subscribe_to(self, source: LoopObservable[_T, Any]) -> abc.DisposableBase:
        """Subscribe to an Observable of a client. Returns what disposes the subscription."""


class LoopObservable(PipedObservable[_T, HomeT], Generic[_T, HomeT]):
    """An Observable whose items come from a client's event loop.

    All of RxPY works on it; besides, it is iterable (``for``, ``async for``, with backpressure),
    can be awaited on an ``AsyncClient``, frees its source when a blocked ``run()`` is interrupted,
    and refuses calls that would hang or be lost: blocking calls on the loop's own thread, an
    ``async def`` passed to ``subscribe``. Its pipes are ``LoopObservable`` again.

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
        if self._home.refuses:  # its sources decide what a closed client still gives
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
        source is paused if events wait for them.
        """
        if isinstance(on_next, SelfSubscribing):
            return on_next.subscribe_to(self)  # pyright: ignore[reportUnknownMemberType]
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

    if not TYPE_CHECKING:  # type checkers report missing attributes themselves

        def __getattr__(self, name):  # noqa: ANN001, ANN204
            """Raise ``AttributeError``, and say how to get what the call gives."""
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            if not name.startswith("_"):
                msg += "; to use an attribute of its result, call .run() or await it first"
            raise AttributeError(msg, name=name, obj=self)

    def _iterable(self, piped: Observable[Any]) -> Observable[Any]:
        made = LoopObservable(self._home, piped)
        made._buffer = self._buffer
        return made

    def __iter__(self: LoopObservable[_T, ThreadLoop]) -> Iterator[_T]:
        """The items, for a blocking ``for``. See ``iterate``."""
        return iter(iterate(self))

    def __aiter__(self: LoopObservable[_T, RunningLoop]) -> AsyncIterator[_T]:
        """The items, for an ``async for``. See ``iterate``."""
        return aiter(iterate(self))

    def _run(self) -> None:
        """Note that it is being run."""

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
    """One request of a client, or a few: they are sent when the call is run.

    A call that is collected without being subscribed warns, with the file and the line where it was
    made, as asyncio does for a coroutine: nothing was sent.
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
        """Warn if it was never run."""
        if self.made is not None:
            name, file, line = self.made
            message = f"{name}(…) was never run, and nothing was sent: call .run() or await it"
            warnings.warn_explicit(message, RuntimeWarning, file, line)


def note_call(given: object, name: str) -> None:
    """Note where user code made a call: for the method that makes it.

    A call that the library makes within another is not noted; the outer one is.
    """
    frame = sys._getframe(2)
    if isinstance(given, Call) and not is_ours(frame):
        given.made = (name, frame.f_code.co_filename, frame.f_lineno)


__all__ = ["Call", "LoopObservable", "SelfSubscribing", "note_call"]
