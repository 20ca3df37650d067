"""Call an event handler for the events of one stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextvars import ContextVar, Token
from inspect import iscoroutine
from typing import Any, ClassVar
from weakref import ref

from reactivex import Notification, Observable, abc
from reactivex import operators as ops
from reactivex.notification import OnError, OnNext

from rxassist.errors import APITimeoutError
from rxassist.reactive.coroutines import map_async
from rxassist.reactive.kernel import linked
from rxassist.reactive.links import Hold, link
from rxassist.reactive.loop import Home
from rxassist.reactive.observable import LoopObservable, SelfSubscribing
from rxassist.reactive.typing import Operator
from rxassist.runs.events import AnyEvent, AnyEventT, protocol_of
from rxassist.runs.protocol import CALLBACKS, Callback, Protocol


def _at_end(error: Exception | None) -> tuple[Callback, ...]:
    """The callbacks for the end of a stream, except ``on_end``, which comes after them."""
    if error is None:
        return ()
    late = isinstance(error, APITimeoutError) or isinstance(error.__cause__, APITimeoutError)
    timeout = (Callback("on_timeout"),) if late else ()
    return (*timeout, Callback("on_exception", (error,)))


_ON_END = Callback("on_end")


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
        self._busy = False
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

    def _enter(self) -> Token[Telling | None]:
        """Make this the handler's current stream, until ``_leave``."""
        self._handler._told = self
        self._busy = True
        return _current.set(self)

    def _leave(self, token: Token[Telling | None]) -> None:
        self._busy = False
        _current.reset(token)

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
        token = self._enter()
        try:
            self._call(self._calls(event))
        except Exception as error:
            self._fail(error)
            self._end(error)
            raise
        finally:
            self._leave(token)

    def end(self, error: Exception | None = None) -> None:
        """Call the callbacks for the end, with the error of a stream that fails."""
        if self._ended:
            return
        token = self._enter()
        try:
            self._end(error)
        except Exception as raised:
            self._fail(raised)
            raise
        finally:
            self._leave(token)

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
    """One stream that an ``AsyncAssistantEventHandler`` follows."""

    async def tell(self, told: Notification[AnyEvent]) -> Notification[AnyEvent]:
        """Await the callbacks for an event or the end, and return it. Raises a callback's error.

        If it is cancelled, it calls ``on_end`` at once.
        """
        if not self._ended:
            token = self._enter()
            try:
                await self._tell(told)
            except Exception as error:
                self._fail(error)
                raise
            finally:
                self._leave(token)
        return told

    async def leave(self) -> None:
        """Stop before the end: call ``on_end``, unless the stream has ended or is about to."""
        if not self._ended and not self._busy:
            token = self._enter()
            try:
                await self._end(None)
            finally:
                self._leave(token)

    async def _tell(self, told: Notification[AnyEvent]) -> None:
        if not isinstance(told, OnNext):
            await self._end(told.exception if isinstance(told, OnError) else None)
            return
        try:
            await self._await(self._calls(told.value))
        except BaseException as error:  # also if cancelled: no code waits for later callbacks
            await self._end(error if isinstance(error, Exception) else None)
            raise

    async def _end(self, error: Exception | None) -> None:
        self._ended = True
        try:
            await self._await(_at_end(error))
        finally:
            try:
                await self._await((_ON_END,))
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


def tell(telling: SyncTelling | AsyncTelling, home: Home) -> Operator[AnyEvent, AnyEvent]:
    """Call a handler for each event, and for the end, before passing them on.

    An exception in a callback goes to ``on_error``. If the subscription is disposed before the
    end, ``on_end`` is called on the home's loop.
    """
    if isinstance(telling, AsyncTelling):
        return _awaiting(telling, home)
    return linked(lambda observer, _: _Calling(observer, telling, home))


class _Calling(Hold[AnyEvent, AnyEvent]):
    """One subscription of ``tell``, whose handler is called."""

    __slots__ = ("_home", "_telling")

    def __init__(
        self, observer: abc.ObserverBase[AnyEvent], telling: SyncTelling, home: Home
    ) -> None:
        super().__init__(observer)
        self._telling = telling
        self._home = home
        telling.begun = True

    def on_next(self, value: AnyEvent) -> None:
        try:
            self._telling.tell(value)
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self.observer.on_error(error)
            return
        self.observer.on_next(value)

    def on_error(self, error: Exception) -> None:
        try:
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


def _awaiting(telling: AsyncTelling, home: Home) -> Operator[AnyEvent, AnyEvent]:
    told: Operator[Notification[AnyEvent], Notification[AnyEvent]] = map_async(telling.tell)

    def operator(source: Observable[AnyEvent]) -> Observable[AnyEvent]:
        events = source.pipe(ops.materialize(), told, ops.dematerialize())
        left = events.pipe(ops.finally_action(dispose))

        def subscribe(
            observer: abc.ObserverBase[AnyEvent], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            telling.begun = True
            return link(left, observer, scheduler)

        return Observable(subscribe)

    def dispose() -> None:
        if not telling.over:
            home.post(leave)

    def leave() -> None:
        task = asyncio.get_running_loop().create_task(telling.leave())
        _leaving.add(task)
        task.add_done_callback(ended)

    def ended(task: asyncio.Task[None]) -> None:
        _leaving.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            home.report(error)

    return operator


_leaving: set[asyncio.Task[None]] = set()  # an event loop keeps only weak references to tasks


__all__ = [
    "AsyncTelling",
    "EventHandler",
    "SyncTelling",
    "Telling",
    "current_telling",
    "tell",
    "with_article",
]
