"""One run, many views: the stream of a run as people use it."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast

from reactivex import Observable, abc

from rxassist.errors import StreamClosed, excerpt
from rxassist.reactive.iteration import BUFFER, iterate
from rxassist.reactive.kernel import at_end
from rxassist.reactive.loop import HomeT, RunningLoop, ThreadLoop
from rxassist.reactive.observable import LoopObservable
from rxassist.reactive.typing import Operator
from rxassist.runs import operators
from rxassist.runs.events import AnyEvent
from rxassist.runs.operators.resets import OnReset
from rxassist.runs.operators.select import settled
from rxassist.runs.operators.snapshots import (
    OnceFolded,
    by_fold,
    each_snapshot,
    finished_messages,
)
from rxassist.runs.operators.tools import whole_calls
from rxassist.runs.protocol import Fold, Follow, Protocol
from rxassist.runs.state import AnyRun, AnySnapshot, AnyToolCall
from rxassist.runs.streams.pipeline import Pipe, Plan
from rxassist.runs.streams.telling import AsyncTelling, EventHandler, SyncTelling, current_telling
from rxassist.runs.tools import ToolResult

_T = TypeVar("_T")
EventT = TypeVar("EventT", bound=AnyEvent)
SnapshotT = TypeVar("SnapshotT", bound=AnySnapshot)
RunT = TypeVar("RunT", bound=AnyRun)
MessageT = TypeVar("MessageT")
CallT = TypeVar("CallT", bound=AnyToolCall)

_BUFFER = 128  # of an iteration: fewer changes between two threads, and the log keeps all anyway
_LOOK_AGAIN = 0.1
_CLOSE_TIMEOUT = 5.0  # seconds for which a close waits for a run to be cancelled
_CLOSED = (
    "the stream was closed before its end; read it inside its `with … as stream` block, or call "
    "again for another run"
)


class RunObservable(
    LoopObservable[EventT, HomeT], Generic[EventT, SnapshotT, RunT, MessageT, CallT, HomeT]
):
    """An Observable of the events of one run: the base of all kinds of stream.

    Each protocol fixes the types, and adds the views that only its runs have.

    Nothing happens before the first subscription; then the run is created, once, whatever the
    number of subscribers. Each of them begins at the first event that is kept, also after the end.
    Completes after the event that ended the run (``requires_action`` included) and ``done``; a
    failed run is data. Sends to ``on_error``: ``APIError`` after an ``error`` event,
    ``StreamTruncated`` if the stream stops before it said how the run ended, both with the
    snapshot so far; ``APIStatusError`` for a refused request; ``StreamClosed`` after ``close()``.

    An event handler is called once for each event, before any subscriber gets it; an exception of
    the handler ends the stream for all subscribers.
    """

    _handler_telling: ClassVar[type[SyncTelling | AsyncTelling]]

    def __init__(self, home: HomeT, plan: Plan[EventT]) -> None:
        self._protocol = plan.protocol
        self._on_reset: OnReset = plan.options.on_reset
        self._once_folded = OnceFolded(plan.protocol)
        self._cancel_run = plan.cancel
        self._rest = plan.rest
        self._known_run = plan.run
        self._telling: SyncTelling | AsyncTelling | None = None
        if plan.options.event_handler is not None:
            self._telling = self._checked(plan.options.event_handler).telling(self)
        self._pipe = Pipe(plan, home, self._telling)
        self._log = self._pipe.log
        self._buffer = max(BUFFER, min(plan.options.read_ahead or _BUFFER, _BUFFER))
        super().__init__(home, self._log)

    if not TYPE_CHECKING:  # code written for the official SDK uses the stream as the handler

        def __getattr__(self, name):  # noqa: ANN001, ANN204
            """Give an attribute that the user's class of handlers has added."""
            telling = vars(self).get("_telling")
            if telling is not None and not name.startswith("_") and telling.has_own(name):
                return telling.own(name)
            return super().__getattr__(name)

    def _subscribe_core(
        self,
        observer: abc.ObserverBase[EventT],
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        if self._home.closed and self._log.ended:
            return self._log.recorded().subscribe(observer)
        return super()._subscribe_core(observer, scheduler)

    # --- event handlers ---

    def _checked(self, given: object) -> EventHandler[EventT]:
        handler = cast("EventHandler[EventT]", given)
        awaited = self._handler_telling is AsyncTelling
        if not isinstance(given, EventHandler) or handler._telling is not self._handler_telling:
            of, kind = ("an AsyncClient", "Async") if awaited else ("a Client", "")
            hint = " (an instance, not the class)" if isinstance(given, type) else ""
            kinds = f"an {kind}AssistantEventHandler or {kind}ResponseEventHandler{hint}"
            msg = f"event_handler of {of} must be {kinds}, got {excerpt(handler)}"
            raise TypeError(msg)
        return handler

    def _handler_failed(self, error: Exception) -> None:
        self._log.close(error)
        raise error

    # --- views ---

    @property
    def text_deltas(self) -> LoopObservable[str, HomeT]:
        """The assistant's text as it grows. See ``operators.text_deltas``."""
        return self._view(self.pipe(operators.text_deltas(on_reset=self._on_reset)))

    @property
    def snapshots(self) -> LoopObservable[SnapshotT, HomeT]:
        """The run as it stands after each event. See ``operators.accumulate_snapshots``."""
        return self._view(self.pipe(each_snapshot(self._begin_fold)))

    @property
    def tool_calls(self) -> LoopObservable[CallT, HomeT]:
        """Each tool call, when it is whole. See ``operators.tool_calls``."""
        return self._view(self._followed(whole_calls))

    @property
    def tool_results(self) -> LoopObservable[ToolResult[CallT], HomeT]:
        """What became of each call of a function among ``tools``, as it ends.

        Completes and fails with the stream.
        """
        results = self._pipe.results
        if results is None:
            return self._view(self.pipe(operators.of_type(ToolResult)))  # no event is one
        return self._view(results.beside(self))

    @property
    def messages(self) -> LoopObservable[MessageT, HomeT]:
        """Each message, when it is finished. See ``operators.messages``."""
        return self._view(self._followed(finished_messages))

    def _followed(self, how: Callable[[Protocol], Follow]) -> Observable[Any]:
        """What one of the functions of the protocol finds in the snapshots."""
        return self.pipe(by_fold(how, self._begin_fold))

    def _begin_fold(self) -> Fold:
        """The fold of a view: views share one on the loop, elsewhere each has its own."""
        return self._protocol.fold if self._home.closed else self._once_folded

    def _view(self, view: Observable[_T]) -> LoopObservable[_T, HomeT]:
        if isinstance(view, LoopObservable):
            return cast("LoopObservable[_T, HomeT]", view)
        return LoopObservable(self._home, view)

    # --- where the stream stands ---

    @property
    def current_event(self) -> EventT | None:
        """The event that the caller received last, ``None`` before the first.

        In a callback of an event handler, this and the snapshots belong to the event of that
        callback.
        """
        telling = current_telling()
        if telling is None or telling.source is not self:
            index = self._log.reading.cursor - self._log.dropped - 1
            if 0 <= index < len(self._log.items):
                return self._log.items[index]
        event: EventT | None = self._here().event
        return event

    @property
    def snapshot(self) -> SnapshotT:
        """The run as it stands after the current event."""
        snapshot: SnapshotT = self._here()
        return snapshot

    @property
    def current_run(self) -> RunT | None:
        """The run as the service described it last."""
        run: RunT | None = self._here().run
        return run

    @property
    def current_message_snapshot(self) -> MessageT | None:
        """The message that the latest events belong to, as far as it has come."""
        message: MessageT | None = self._here().message
        return message

    def _here(self) -> Any:  # noqa: ANN401 -- the snapshot, as its protocol has it
        telling = current_telling()
        if telling is not None and telling.source is self:
            return telling.snapshot
        return self._pipe.snapshot()

    # --- the end ---

    @property
    def final_snapshot(self) -> LoopObservable[SnapshotT, HomeT]:
        """The run as it stands at the end: emitted once, when the stream has completed."""
        final: Operator[object, SnapshotT] = at_end(self._pipe.snapshot_at_end)
        return self._view(self.pipe(final))

    @property
    def _is_over(self) -> bool:
        """Whether nothing is left that could be closed."""
        return self._log.ended and self._telling is None and self._pipe.farewell is None

    def _close(
        self,
        handler_over: Callable[[], object] = lambda: None,
        cancel_over: Callable[[], object] = lambda: None,
    ) -> None:
        """Leave; call back when the handler has no more calls to come, and when a cancel is over.

        A run that is not cancelled calls ``cancel_over`` at once.
        """
        farewell = self._pipe.farewell

        def close() -> None:
            self._log.close(StreamClosed(_CLOSED))
            if self._telling is None or not self._telling.begun:
                handler_over()
            else:
                self._telling.when_over(handler_over)
            if farewell is None:
                cancel_over()
            else:
                farewell.when_over(cancel_over)

        elsewhere = self._home.bound and not self._home.is_here
        if not (elsewhere and self._home.post(close)):
            close()  # at once: in a callback, or where nothing was ever subscribed


def all_of(snapshot: Any, items: Iterable[_T], what: str) -> list[_T]:  # noqa: ANN401
    """The items of a run at its end. Raises an error that says how it ended if there are none."""
    found = list(items)
    if found:
        return found
    run = snapshot.run
    if run is None:
        msg = f"the stream ended without a {what}"
        raise RuntimeError(msg)
    error = run.last_error
    why = "" if error is None else f" ({error.code}: {error.message})"
    msg = f"run {run.id} ended as {run.status!r} without a {what}{why}"
    raise RuntimeError(msg)


def _final_messages(snapshot: Any) -> list[Any]:  # noqa: ANN401 -- of its protocol
    return all_of(snapshot, snapshot.messages, "message")


def _final_run(snapshot: Any) -> Any:  # noqa: ANN401 -- of its protocol
    return settled(snapshot.run)


def _joined(messages: Iterable[Any], separator: str) -> str:
    return separator.join(message.text for message in messages)


class BlockingRunStream(RunObservable[EventT, SnapshotT, RunT, MessageT, CallT, ThreadLoop]):
    """The stream of a run of a ``Client``: its sugar blocks the caller."""

    _handler_telling = SyncTelling
    _reading: Iterator[EventT] | None = None  # of next(stream)

    def __iter__(self) -> Iterator[EventT]:
        """The events, for a blocking ``for``; ``current_event`` is the latest of them."""
        reading = self._log.begin_reading()
        for event in iterate(self):
            reading.cursor += 1
            yield event

    def __next__(self) -> EventT:
        """The next event, for ``next(stream)``; a ``for`` begins anew, at the first event."""
        self._reading = self._reading or iter(self)
        return next(self._reading)

    def __enter__(self) -> Self:
        """Nothing happens yet: the run is created with the first subscription.

        Raises ``StreamClosed`` if the stream was closed before its end.
        """
        self._log.check_open()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the stream."""
        self.close()

    def close(self) -> None:
        """Leave: close the connection, if the run has not ended; subscribers get an error.

        Returns after the last callback of the event handler, and when a run that is cancelled
        (``on_dispose="cancel"``) has ended; it waits five seconds at most for that. In a callback
        on the client's own thread it does not wait.
        """
        if self._is_over:
            return
        handler_over, cancel_over = threading.Event(), threading.Event()
        self._close(handler_over.set, cancel_over.set)
        if self._home.is_here:
            return
        if self._telling is not None:
            self._wait(handler_over)
        if self._pipe.farewell is not None:
            self._wait(cancel_over, _CLOSE_TIMEOUT)

    def _wait(self, event: threading.Event, seconds: float = inf) -> None:
        """Wait for the loop to set an event, unless the client is closed meanwhile.

        The loop may be blocked, by a callback that waits for this thread; it does not run any more
        while the interpreter exits.
        """
        until = monotonic() + (0.0 if sys.is_finalizing() else seconds)
        while not (event.wait(_LOOK_AGAIN) or self._home.closed or monotonic() >= until):
            pass

    def until_done(self) -> None:
        """Wait until the stream has ended. Raises its error."""
        self.final_snapshot.run()

    def get_final_run(self) -> RunT:
        """Wait for the end and return the run as it ended."""
        run: RunT = _final_run(self.final_snapshot.run())
        return run

    def get_final_messages(self) -> list[MessageT]:
        """Wait for the end and return the messages of the run."""
        return _final_messages(self.final_snapshot.run())

    def get_final_text(self, separator: str = "") -> str:
        """Wait for the end and return the text of the run's messages, joined by ``separator``."""
        return _joined(self.get_final_messages(), separator)


class AwaitedRunStream(RunObservable[EventT, SnapshotT, RunT, MessageT, CallT, RunningLoop]):
    """The stream of a run of an ``AsyncClient``: its sugar is awaited."""

    _handler_telling = AsyncTelling
    _reading: AsyncIterator[EventT] | None = None  # of anext(stream)

    async def __aiter__(self) -> AsyncIterator[EventT]:
        """The events, for an ``async for``; ``current_event`` is the latest of them."""
        reading = self._log.begin_reading()
        async for event in iterate(self):
            reading.cursor += 1
            yield event

    async def __anext__(self) -> EventT:
        """The next event, for ``anext(stream)``; an ``async for`` begins at the first event."""
        self._reading = self._reading or aiter(self)
        return await anext(self._reading)

    async def __aenter__(self) -> Self:
        """Nothing happens yet: the run is created with the first subscription.

        Raises ``StreamClosed`` if the stream was closed before its end.
        """
        self._log.check_open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the stream."""
        await self.close()

    async def close(self) -> None:
        """Leave: close the connection, if the run has not ended; subscribers get an error.

        Returns after the last callback of the event handler, and when a run that is cancelled
        (``on_dispose="cancel"``) has ended; it waits five seconds at most for that. In a callback
        of the event handler it does not wait.
        """
        if self._is_over:
            return
        handler_over, cancel_over = asyncio.Event(), asyncio.Event()
        self._close(handler_over.set, cancel_over.set)
        if self._telling is not None:
            if current_telling() is self._telling:
                return
            await handler_over.wait()
        if self._pipe.farewell is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT):
                    await cancel_over.wait()

    async def until_done(self) -> None:
        """Wait until the stream has ended. Raises its error."""
        await self.final_snapshot

    async def get_final_run(self) -> RunT:
        """Wait for the end and return the run as it ended."""
        run: RunT = _final_run(await self.final_snapshot)
        return run

    async def get_final_messages(self) -> list[MessageT]:
        """Wait for the end and return the messages of the run."""
        return _final_messages(await self.final_snapshot)

    async def get_final_text(self, separator: str = "") -> str:
        """Wait for the end and return the text of the run's messages, joined by ``separator``."""
        return _joined(await self.get_final_messages(), separator)


StreamT = TypeVar("StreamT", bound=RunObservable[Any, Any, Any, Any, Any, Any])


__all__ = ["AwaitedRunStream", "BlockingRunStream", "RunObservable", "StreamT", "all_of"]
