"""Event handlers: the callbacks of the official SDK, as Rx observers.

Each protocol says which callbacks an event causes; the handlers only call or await them. Here is
what the handlers of all protocols have.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from inspect import isasyncgenfunction, iscoroutinefunction, isfunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from reactivex import abc

from rxassist.runs.events import AnyEvent
from rxassist.runs.protocol import CALLBACKS
from rxassist.runs.state import AnyRun, AnySnapshot
from rxassist.runs.streams.telling import (
    AsyncTelling,
    EventHandler,
    SyncTelling,
    _is_async,
    _is_plain,
    with_article,
)

if TYPE_CHECKING:
    from rxassist.reactive.loop import RunningLoop, ThreadLoop
    from rxassist.reactive.observable import LoopObservable

EventT = TypeVar("EventT", bound=AnyEvent)
RunT = TypeVar("RunT", bound=AnyRun)
MessageT = TypeVar("MessageT")
MessageDeltaT = TypeVar("MessageDeltaT")
TextT = TypeVar("TextT")
TextDeltaT = TypeVar("TextDeltaT")
CallT = TypeVar("CallT")
CallDeltaT = TypeVar("CallDeltaT")

# --- the handlers --------------------------------------------------------------------------


class Handler(EventHandler[EventT], Generic[EventT, RunT, MessageT]):
    """The common part of both handlers: the current state of their stream."""

    _nothing = AnySnapshot()

    def __init_subclass__(cls, *, base: bool = False, **options: Any) -> None:
        """Raise ``TypeError`` for a callback that would not be called, or not awaited.

        A ``base`` is the handler of a protocol, from which users inherit.
        """
        super().__init_subclass__(**options)
        if base:
            cls._base = cls
            Handler._kinds = (*Handler._kinds, cls)
        elif cls._base is not None:
            _check_callbacks(cls, cls._base)

    @property
    def current_event(self) -> EventT | None:
        """The event of the current callback, or of the last one.

        In a callback, this and the next three properties describe the callback's stream, even if
        the handler follows several at once; outside, the stream of the last callback.
        """
        event: EventT | None = self._snapshot.event
        return event

    @property
    def current_run(self) -> RunT | None:
        """The run, as the stream last sent it."""
        run: RunT | None = self._snapshot.run
        return run

    @property
    def current_message_snapshot(self) -> MessageT | None:
        """The message of the latest event about one, as far as it has come."""
        message: MessageT | None = self._snapshot.message
        return message


class BlockingHandler(
    Handler[EventT, RunT, MessageT],
    Generic[EventT, RunT, MessageT, MessageDeltaT, TextT, TextDeltaT, CallT, CallDeltaT],
):
    """Callbacks for the events of a run: override those that you need.

    An Rx observer of events, ``stream.subscribe(MyHandler())``, and the argument of
    ``event_handler=`` on a ``Client``. It may follow several streams, one after the other or at
    once: each has a state of its own. (Plain Observables only one after the other: see
    ``observer``.)

    A class with a method that is meant as a callback but is none (``on_text_dleta``, an ``async
    def``, a ``yield``) raises ``TypeError`` when it is defined.

    An exception in a callback goes to ``on_exception``, closes the stream, and is raised in code
    that waits for the stream. ``on_end`` is always the last callback, even if the stream is left
    early.
    """

    _telling = SyncTelling

    def on_event(self, event: EventT) -> None:
        """Called for every event, before the other callbacks of that event."""

    def on_message_created(self, message: MessageT) -> None:
        """Called once when a message begins."""

    def on_message_delta(self, delta: MessageDeltaT, snapshot: MessageT) -> None:
        """Called when a message grows: with the addition, and the message as far as it has come."""

    def on_message_done(self, message: MessageT) -> None:
        """Called once when a message ends, ``completed`` or ``incomplete``."""

    def on_text_created(self, text: TextT) -> None:
        """Called once when a text of a message begins, with its beginning."""

    def on_text_delta(self, delta: TextDeltaT, snapshot: TextT) -> None:
        """Called for each piece of a text: with it, and the text as far as it has come."""

    def on_text_done(self, text: TextT) -> None:
        """Called once when the next part of the message begins, or the message ends."""

    def on_tool_call_created(self, tool_call: CallT) -> None:
        """Called once when a tool call begins, with its beginning."""

    def on_tool_call_delta(self, delta: CallDeltaT, snapshot: CallT) -> None:
        """Called for each piece of a tool call: with it, and the call as far as it has come."""

    def on_tool_call_done(self, tool_call: CallT) -> None:
        """Called once when a tool call can no longer change.

        That is when the next call of its step begins, its step ends, or the run waits or ends.
        """

    # --- the end ---

    def on_timeout(self) -> None:
        """Called before ``on_exception`` when the service did not answer in time."""

    def on_exception(self, exception: Exception) -> None:
        """Called when the stream fails, or a callback raises."""

    def on_end(self) -> None:
        """Called last, once, in whatever way the stream ends."""

    # --- the stream, as the official SDK's handlers have it ---

    def close(self) -> None:
        """Close the stream whose ``event_handler`` this is; the methods below use it, too."""
        self._stream_heard().close()

    def until_done(self) -> None:
        """Wait until the stream has ended. Raises the error of the stream."""
        self._stream_heard().until_done()

    def get_final_run(self) -> RunT:
        """Wait for the end and return the run as it ended."""
        run: RunT = self._stream_heard().get_final_run()
        return run

    def get_final_messages(self) -> list[MessageT]:
        """Wait for the end and return the messages of the run."""
        messages: list[MessageT] = self._stream_heard().get_final_messages()
        return messages

    @property
    def text_deltas(self) -> LoopObservable[str, ThreadLoop]:
        """The assistant's text as it grows."""
        deltas: LoopObservable[str, ThreadLoop] = self._stream_heard().text_deltas
        return deltas

    def __iter__(self) -> Iterator[EventT]:
        """The events of the stream, for a blocking ``for``."""
        events: Iterator[EventT] = iter(self._stream_heard())
        return events

    # --- as an observer ---

    _own: _Observer | None = None

    def observer(self) -> abc.ObserverBase[EventT]:
        """A new observer for one subscription, with a state of its own.

        ``subscribe(handler)`` is enough on everything that a client returns. Use this to subscribe
        one handler to several plain Observables of events at once.
        """
        return _Observer(self)

    def on_next(self, value: EventT) -> None:
        """Handle an event of a plain Observable."""
        if self._own is None or self._own.telling.over:
            self._own = _Observer(self)
        self._own.on_next(value)

    def on_error(self, error: Exception) -> None:
        """Handle the error of a plain Observable."""
        own, self._own = self._own or _Observer(self), None
        own.on_error(error)

    def on_completed(self) -> None:
        """Handle the completion of a plain Observable."""
        own, self._own = self._own or _Observer(self), None
        own.on_completed()


class _Observer(abc.ObserverBase[AnyEvent]):
    """Calls a handler for one stream, which may be any Observable."""

    def __init__(self, handler: EventHandler[Any]) -> None:
        self.telling = SyncTelling(handler)

    def on_next(self, value: AnyEvent) -> None:
        self.telling.tell(value)

    def on_error(self, error: Exception) -> None:
        if error is self.telling.failure:  # RxPY also reports exceptions raised inside subscribe
            raise error
        self.telling.end(error)

    def on_completed(self) -> None:
        self.telling.end()


def _not_awaited(cls: type[EventHandler[Any]]) -> TypeError:
    blocking, awaited = cls._names
    msg = (
        f"an {awaited} must be awaited, which this Observable cannot do: subscribe it to the "
        "stream of a client, or to what is piped from it, or pass it as event_handler= of an "
        f"AsyncClient; elsewhere use {with_article(blocking)}"
    )
    return TypeError(msg)


class AwaitedHandler(
    Handler[EventT, RunT, MessageT],
    Generic[EventT, RunT, MessageT, MessageDeltaT, TextT, TextDeltaT, CallT, CallDeltaT],
):
    """As ``BlockingHandler``, with callbacks that are awaited, one after the other.

    One task awaits all callbacks of a stream; while one runs, the stream waits, and its source is
    paused when a few events wait. Subscribe it to streams of a client and to Observables piped from
    them, ``stream.subscribe(MyHandler())``, or pass it as ``event_handler=`` on an ``AsyncClient``.
    If the stream is left early, a running callback is cancelled, but not ``on_exception`` and
    ``on_end``.
    """

    _telling = AsyncTelling

    async def on_event(self, event: EventT) -> None:
        """Called for every event, before the other callbacks of that event."""

    async def on_message_created(self, message: MessageT) -> None:
        """Called once when a message begins."""

    async def on_message_delta(self, delta: MessageDeltaT, snapshot: MessageT) -> None:
        """Called when a message grows: with the addition, and the message as far as it has come."""

    async def on_message_done(self, message: MessageT) -> None:
        """Called once when a message ends, ``completed`` or ``incomplete``."""

    async def on_text_created(self, text: TextT) -> None:
        """Called once when a text of a message begins, with its beginning."""

    async def on_text_delta(self, delta: TextDeltaT, snapshot: TextT) -> None:
        """Called for each piece of a text: with it, and the text as far as it has come."""

    async def on_text_done(self, text: TextT) -> None:
        """Called once when the next part of the message begins, or the message ends."""

    async def on_tool_call_created(self, tool_call: CallT) -> None:
        """Called once when a tool call begins, with its beginning."""

    async def on_tool_call_delta(self, delta: CallDeltaT, snapshot: CallT) -> None:
        """Called for each piece of a tool call: with it, and the call as far as it has come."""

    async def on_tool_call_done(self, tool_call: CallT) -> None:
        """Called once when a tool call can no longer change.

        That is when the next call of its step begins, its step ends, or the run waits or ends.
        """

    # --- the end ---

    async def on_timeout(self) -> None:
        """Called before ``on_exception`` when the service did not answer in time."""

    async def on_exception(self, exception: Exception) -> None:
        """Called when the stream fails, or a callback raises."""

    async def on_end(self) -> None:
        """Called last, once, in whatever way the stream ends."""

    # --- the stream, as the official SDK's handlers have it ---

    async def close(self) -> None:
        """Close the stream whose ``event_handler`` this is; the methods below use it, too."""
        await self._stream_heard().close()

    async def until_done(self) -> None:
        """Wait until the stream has ended. Raises the error of the stream."""
        await self._stream_heard().until_done()

    async def get_final_run(self) -> RunT:
        """Wait for the end and return the run as it ended."""
        run: RunT = await self._stream_heard().get_final_run()
        return run

    async def get_final_messages(self) -> list[MessageT]:
        """Wait for the end and return the messages of the run."""
        messages: list[MessageT] = await self._stream_heard().get_final_messages()
        return messages

    @property
    def text_deltas(self) -> LoopObservable[str, RunningLoop]:
        """The assistant's text as it grows."""
        deltas: LoopObservable[str, RunningLoop] = self._stream_heard().text_deltas
        return deltas

    def __aiter__(self) -> AsyncIterator[EventT]:
        """The events of the stream, for an ``async for``."""
        events: AsyncIterator[EventT] = aiter(self._stream_heard())
        return events

    # --- as an observer ---

    def on_next(self, value: EventT) -> NoReturn:  # noqa: ARG002 -- refused
        """Raise: the caller cannot await callbacks."""
        raise _not_awaited(type(self))

    def on_error(self, error: Exception) -> NoReturn:
        """Raise: the caller cannot await callbacks."""
        raise _not_awaited(type(self)) from error

    def on_completed(self) -> NoReturn:
        """Raise: the caller cannot await callbacks."""
        raise _not_awaited(type(self))


# --- handlers that people write ------------------------------------------------------------

_OF_OBSERVERS = {"on_next", "on_error", "on_completed"}


_NEARLY = 0.8  # of 1: on_text_dleta is, on_click is not


def _check_callbacks(cls: type[Handler[Any, Any, Any]], base: type[object]) -> None:
    """Raise ``TypeError`` if a method of a class is meant as a callback but is none."""
    awaited = cls._telling is AsyncTelling
    callbacks = [name for name in dir(base) if name.startswith("on_")]
    for name, given in vars(cls).items():
        method: object = getattr(given, "__func__", given)  # of a static or class method
        if not name.startswith("on_") or not callable(method):
            continue
        if name in callbacks and name not in _OF_OBSERVERS:
            _check_kind(cls, name, method, awaited=awaited)
        elif name in CALLBACKS:
            msg = (
                f"{cls.__qualname__}.{name} would never be called: {with_article(base.__name__)} "
                "has no such callback, because no event of its protocol causes it"
            )
            raise TypeError(msg)
        elif not any(name in vars(base) for base in cls.__mro__[1:]):
            _check_name(cls, name, [each for each in callbacks if each not in _OF_OBSERVERS])


def _check_kind(
    cls: type[EventHandler[Any]], name: str, method: Callable[..., object], *, awaited: bool
) -> None:
    """Raise ``TypeError`` if a callback is not of the kind that its handler calls."""
    if isgeneratorfunction(method) or isasyncgenfunction(method):
        msg = f"{cls.__qualname__}.{name} has a yield in it, so its body would never run"
        raise TypeError(msg)
    if not awaited and iscoroutinefunction(method):
        raise TypeError(_is_async(cls, name))
    is_wrapped = hasattr(method, "__wrapped__")  # only a call shows what it returns
    if awaited and isfunction(method) and not is_wrapped and not iscoroutinefunction(method):
        raise TypeError(_is_plain(cls, name))


def _check_name(cls: type[EventHandler[Any]], name: str, callbacks: list[str]) -> None:
    """Raise ``TypeError`` for a name that is nearly that of a callback."""
    from difflib import get_close_matches  # noqa: PLC0415 -- for mistakes alone

    for nearest in get_close_matches(name, callbacks, n=1, cutoff=_NEARLY):
        msg = (
            f"{cls.__qualname__}.{name} is no callback, so nothing would call it; did you mean "
            f"{nearest}? A method of your own needs a name that is less like it"
        )
        raise TypeError(msg)


__all__ = ["AwaitedHandler", "BlockingHandler", "Handler"]
