"""Call an event handler for the events of one stream."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from inspect import iscoroutine
from typing import Any, ClassVar, Generic, Self, TypeVar
from weakref import ref

from reactivex import Observable, abc

from rxassist.errors import APITimeoutError, StreamClosed
from rxassist.reactive.backpressure import Demand, current_demand, demanding
from rxassist.reactive.kernel import linked
from rxassist.reactive.links import Hold
from rxassist.reactive.loop import Home
from rxassist.reactive.observable import LoopObservable, SelfSubscribing
from rxassist.reactive.typing import Operator
from rxassist.runs.events import AnyEvent, AnyEventT, protocol_of
from rxassist.runs.protocol import CALLBACKS, Callback, Protocol

_TellingT = TypeVar("_TellingT", bound="Telling")


def _at_end(error: Exception | None) -> tuple[Callback, ...]:
    """The callbacks for the end of a stream, except ``on_end``, which comes after them."""
    if error is None:
        return ()
    late = isinstance(error, APITimeoutError) or isinstance(error.__cause__, APITimeoutError)
    timeout = (("on_timeout", ()),) if late else ()
    return (*timeout, ("on_exception", (error,)))


_ON_END = ("on_end", ())


class Telling:
    """One stream that a handler follows, and the current state of it.

    ``source`` is the Observable, ``failure`` the exception that a callback raised. ``begun`` is
    true from the subscription on, ``over`` when ``on_end`` has returned: no more callbacks come.
    """

    def __init__(self, handler: Any, source: object = None) -> None:  # noqa: ANN401 -- of its kind
        self.source: object = source
        self.snapshot: Any = handler._nothing
        self.failure: Exception | None = None
        self.begun: bool = False
        self.over: bool = False
        self._handler = handler
        self._class: type[EventHandler[Any]] = handler.__class__
        self._wanted = _wanted(handler)
        self._protocol: Protocol | None = None
        self._ended = False
        self._waiting: list[Callable[[], object]] = []

    def has_own(self, name: str) -> bool:
        """Whether its handler has an attribute that the base classes of handlers do not have."""
        handler = self._handler
        return hasattr(handler, name) and not any(hasattr(kind, name) for kind in handler._kinds)

    def own(self, name: str) -> object:
        """An attribute of its handler."""
        return getattr(self._handler, name)

    def when_over(self, call: Callable[[], object]) -> None:
        """Call a function when no more callbacks come, perhaps now; it may be called twice."""
        self._waiting.append(call)
        if self.over:
            call()

    def _fail(self, error: Exception) -> None:
        self.failure = error

    def _finish(self) -> None:
        self.over = True
        for call in tuple(self._waiting):
            call()

    def _calls(self, event: AnyEvent) -> Iterable[Callback]:
        protocol = self._protocol
        if protocol is None:
            protocol = self._protocol = protocol_of(event, "an event handler")
            self.snapshot = protocol.nothing
        before, self.snapshot = self.snapshot, protocol.fold(self.snapshot, event)
        return protocol.callbacks(event, before, self.snapshot, self._wanted)


_current: ContextVar[Telling | None] = ContextVar("rxassist_telling", default=None)


def current_telling() -> Telling | None:
    """The stream of the current callback of a handler; ``None`` outside of one."""
    return _current.get()


def _wanted(handler: EventHandler[Any]) -> frozenset[str]:
    """The callbacks that a handler has, and does not only inherit: the others would do nothing."""
    base: type[object] = handler._base or EventHandler
    own = {name: getattr(handler, name, None) for name in CALLBACKS}
    return frozenset(
        name
        for name, method in own.items()
        if method is not None
        and getattr(method, "__func__", method) is not getattr(base, name, None)
    )


class SyncTelling(Telling):
    """One stream that a handler follows which is called."""

    def tell(self, event: AnyEvent) -> None:
        """Call the callbacks for an event. Raises a callback's error."""
        if self._ended:
            return
        self._handler._told, token = self, _current.set(self)
        try:
            self._call(self._calls(event))
        except Exception as error:
            self._fail(error)
            self._end(error)
            raise
        finally:
            _current.reset(token)

    def end(self, error: Exception | None = None) -> None:
        """Call the callbacks for the end, with the error of a stream that fails."""
        if self._ended:
            return
        self._handler._told, token = self, _current.set(self)
        try:
            self._end(error)
        except Exception as raised:
            self._fail(raised)
            raise
        finally:
            _current.reset(token)

    def _end(self, error: Exception | None) -> None:
        self._ended = True
        try:
            self._call(_at_end(error))
        finally:
            try:
                self._call((_ON_END,))
            finally:
                self._finish()

    def _call(self, calls: Iterable[Callback]) -> None:
        for name, arguments in calls:
            returned = getattr(self._handler, name)(*arguments)
            if returned is not None and iscoroutine(returned):
                returned.close()
                raise TypeError(_is_async(self._class, name))


class AsyncTelling(Telling):
    """One stream that an ``AsyncAssistantEventHandler`` follows, told of by one task."""

    async def tell(self, event: AnyEvent) -> None:
        """Await the callbacks for an event. Raises a callback's error, after those for the end.

        If it is cancelled, it calls ``on_end`` at once: no code waits for later callbacks.
        """
        self._handler._told = self
        try:
            await self._await(self._calls(event))
        except BaseException as error:
            await self.end(error if isinstance(error, Exception) else None)
            if isinstance(error, Exception):
                self._fail(error)
            raise

    async def end(self, error: Exception | None = None) -> None:
        """Await the callbacks for the end, once, with the error of a stream that fails."""
        if self._ended:
            return
        self._ended = True
        self._handler._told = self
        try:
            try:
                await self._await(_at_end(error))
            finally:
                await self._await((_ON_END,))
        except Exception as raised:
            self._fail(raised)
            raise
        finally:
            self._finish()

    async def _await(self, calls: Iterable[Callback]) -> None:
        for name, arguments in calls:
            returned = getattr(self._handler, name)(*arguments)
            if returned is None:
                raise TypeError(_is_plain(self._class, name))
            await returned


def _is_async(cls: type[EventHandler[Any]], name: str) -> str:
    blocking, awaited = cls._names
    return (
        f"{cls.__qualname__}.{name} is an async def, which {with_article(blocking)} never awaits; "
        f"write def, or inherit from {awaited} and use an AsyncClient"
    )


def _is_plain(cls: type[EventHandler[Any]], name: str) -> str:
    return (
        f"{cls.__qualname__}.{name} is a plain def, and an {cls._names[1]} awaits its callbacks; "
        f"write async def {name}"
    )


def with_article(name: str) -> str:
    """A name behind "a" or "an"."""
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


class EventHandler(SelfSubscribing[AnyEventT]):
    """The common part of the handlers of both kinds: the stream that they follow."""

    _told: Telling | None = None  # on the class, so that a subclass need not call __init__
    _heard: Callable[[], object] | None = None  # a weak reference to the stream: it holds this
    _telling: ClassVar[type[SyncTelling | AsyncTelling]]
    _nothing: ClassVar[Any]  # the snapshot of a stream before its first event
    _kinds: ClassVar[tuple[type[EventHandler[Any]], ...]] = ()  # the bases; see ``has_own``
    _base: ClassVar[type[EventHandler[Any]] | None] = None  # the one of them that it inherits from
    _names: ClassVar[tuple[str, str]] = ("EventHandler", "AsyncEventHandler")  # of its protocol

    def telling(self, source: object) -> SyncTelling | AsyncTelling:
        """A new stream that this handler follows, with callbacks of its kind."""
        self._heard = ref(source)
        return self._telling(self, source)

    def subscribe_to(self, source: LoopObservable[AnyEventT, Any]) -> abc.DisposableBase:
        """Follow an Observable of a client, with a state of its own."""
        telling = self.telling(source)

        def on_error(error: Exception) -> None:
            if error is telling.failure:
                source._handler_failed(error)

        return source.pipe(tell(telling, source._home)).subscribe(on_error=on_error)

    def _stream_heard(self) -> Any:  # noqa: ANN401 -- of the kind that the handler is for
        stream = None if self._heard is None else self._heard()
        if stream is None:
            msg = "this handler has no stream: pass it as event_handler=, and keep that stream"
            raise RuntimeError(msg)
        return stream

    @property
    def _snapshot(self) -> Any:  # noqa: ANN401 -- of the protocol of its stream
        current = _current.get()
        told = current if current is not None and current._handler is self else self._told
        return self._nothing if told is None else told.snapshot


def _same(error: Exception) -> Exception:
    return error


def tell(
    telling: SyncTelling | AsyncTelling,
    home: Home,
    change_error: Callable[[Exception], Exception] = _same,
) -> Operator[AnyEvent, AnyEvent]:
    """Call a handler for each event, and for the end, before passing them on.

    ``change_error`` gives the error to tell of and to pass on, of that of the source. An exception
    in a callback goes to ``on_error``. If the subscription is disposed before the end, ``on_end``
    is called on the home's loop.
    """
    if isinstance(telling, AsyncTelling):
        return linked(lambda observer, _: _Awaiting(observer, telling, home, change_error))
    return linked(lambda observer, _: _Calling(observer, telling, home, change_error))


class _Tells(Hold[AnyEvent, AnyEvent], Generic[_TellingT]):
    """One subscription of ``tell``: what it has whatever the kind of its handler."""

    __slots__ = ("_change_error", "_home", "_telling")

    def __init__(
        self,
        observer: abc.ObserverBase[AnyEvent],
        telling: _TellingT,
        home: Home,
        change_error: Callable[[Exception], Exception],
    ) -> None:
        super().__init__(observer)
        self._change_error = change_error
        self._telling = telling
        self._home = home
        telling.begun = True


class _Calling(_Tells[SyncTelling]):
    """One subscription of ``tell``, whose handler is called."""

    __slots__ = ()

    def on_next(self, value: AnyEvent) -> None:
        try:
            self._telling.tell(value)
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self.observer.on_error(error)
            return
        self.observer.on_next(value)

    def on_error(self, error: Exception) -> None:
        try:
            error = self._change_error(error)
            self._telling.end(error)
        except Exception as raised:  # noqa: BLE001 -- reported to the subscriber
            error = raised
        self.observer.on_error(error)

    def on_completed(self) -> None:
        try:
            self._telling.end()
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self.observer.on_error(error)
            return
        self.observer.on_completed()

    def dispose(self) -> None:
        super().dispose()
        if not self._telling.over:
            self._home.post(self._telling.end)


class _Awaiting(_Tells[AsyncTelling]):
    """One subscription of ``tell``, whose handler is awaited: by one task, from its first event on.

    Events that arrive at once wait for it, and the source is paused while there are many.
    """

    __slots__ = (
        "_begun",
        "_cancelled",
        "_demand",
        "_ending",
        "_events",
        "_paused",
        "_task",
        "_waits",
    )

    def __init__(
        self,
        observer: abc.ObserverBase[AnyEvent],
        telling: AsyncTelling,
        home: Home,
        change_error: Callable[[Exception], Exception],
    ) -> None:
        super().__init__(observer, telling, home, change_error)
        self._events: deque[AnyEvent] = deque()
        self._ending: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._task: asyncio.Task[None] | None = None
        self._waits: asyncio.Future[None] | None = None  # the task, for more
        self._paused = False
        self._begun = False  # the task: one that is cancelled before does nothing at all
        self._cancelled = False  # before it began
        self._demand = Demand(current_demand())

    def follow(self, source: Observable[AnyEvent], scheduler: abc.SchedulerBase | None) -> Self:
        with demanding(self._demand):
            return super().follow(source, scheduler)

    def on_next(self, value: AnyEvent) -> None:
        self._events.append(value)
        if len(self._events) == _AHEAD:
            self._paused = True
            self._demand.close()
        self._wake()

    def on_error(self, error: Exception) -> None:
        self._ending = partial(self._fail, error)
        self._wake()

    def on_completed(self) -> None:
        self._ending = self._complete
        self._wake()

    def dispose(self) -> None:
        super().dispose()
        if not self._telling.over:
            self._home.post(self._leave)

    def _leave(self) -> None:
        """On the loop: call ``on_end`` now, and cancel the callback that runs."""
        if self._task is None:
            self._wake()
        elif self._begun and not self._telling._ended:  # the last callbacks are not cancelled
            self._task.cancel()

    def _wake(self) -> None:
        if not self._home.is_here:  # an operator before it changed the thread
            self._home.post(self._wake)
        elif self._task is None:
            loop = asyncio.get_running_loop()
            with demanding(None):  # what a callback subscribes to must not wait for this demand
                self._task = loop.create_task(self._run())
            _running.add(self._task)
            self._task.add_done_callback(self._task_ended)
        elif self._waits is not None and not self._waits.done():
            self._waits.set_result(None)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        _running.discard(task)
        if not self._begun:  # somebody cancelled it: another one tells of the end
            self._task = None
            self._cancelled = True
            self._wake()

    async def _run(self) -> None:
        self._begun = True
        _current.set(self._telling)
        try:
            try:
                await self._tell()
            except asyncio.CancelledError:
                await self._end_cancelled()
        except BaseException as error:
            if isinstance(error, GeneratorExit) and not self._is_running:
                raise  # by the collector, when the loop is gone
            self.dispose()
            if not self._demand.fail(error):
                self._home.report(error)

    @property
    def _is_running(self) -> bool:
        """Whether the caller is run by the task."""
        try:
            return asyncio.current_task() is self._task
        except RuntimeError:
            return False

    async def _end_cancelled(self) -> None:
        try:
            with suppress(asyncio.CancelledError):  # once more
                await self._telling.end()
        finally:
            if not self.is_disposed:
                self.observer.on_error(StreamClosed("the task of an event handler was cancelled"))

    async def _tell(self) -> None:
        """Call the callbacks for each event, and pass it on, until the end, or it is left."""
        events, telling = self._events, self._telling
        if self._cancelled:
            raise asyncio.CancelledError
        while not self.is_disposed:
            if events:
                event = events.popleft()
                try:
                    await telling.tell(event)
                except Exception as error:  # noqa: BLE001 -- reported to the subscriber
                    self.observer.on_error(error)
                    return
                self.observer.on_next(event)
            elif self._paused:
                self._paused = False
                self._demand.open()
            elif self._ending is not None:
                await self._ending()
                return
            else:
                self._waits = asyncio.get_running_loop().create_future()
                await self._waits
        await telling.end()

    async def _fail(self, error: Exception) -> None:
        try:
            error = self._change_error(error)
            await self._telling.end(error)
        except Exception as raised:  # noqa: BLE001 -- reported to the subscriber
            error = raised
        self.observer.on_error(error)

    async def _complete(self) -> None:
        try:
            await self._telling.end()
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self.observer.on_error(error)
            return
        self.observer.on_completed()


_AHEAD = 16  # events
_running: set[asyncio.Task[None]] = set()  # an event loop keeps only weak references to tasks


__all__ = [
    "AsyncTelling",
    "EventHandler",
    "SyncTelling",
    "Telling",
    "current_telling",
    "tell",
    "with_article",
]
