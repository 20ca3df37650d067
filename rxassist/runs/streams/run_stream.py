"""One run, many views: the stream of a run as people use it."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

from reactivex import Observable, abc

from rxassist.errors import APITimeoutError, RxAssistError, StreamClosed, excerpt
from rxassist.reactive.checks import check_not_negative
from rxassist.reactive.iteration import iterate
from rxassist.reactive.kernel import change_error, choose_each, take_through
from rxassist.reactive.log import READ_AHEAD, Log
from rxassist.reactive.loop import Home, HomeT, RunningLoop, ThreadLoop, scheduled
from rxassist.reactive.observable import LoopObservable
from rxassist.reactive.queues import Waiting
from rxassist.reactive.typing import Operator
from rxassist.runs import operators
from rxassist.runs.events import run_of
from rxassist.runs.operators.lifetime import is_done
from rxassist.runs.operators.select import settled
from rxassist.runs.operators.snapshots import (
    OnceFolded,
    by_fold,
    each_snapshot,
    finished_messages,
    finished_run_steps,
)
from rxassist.runs.operators.tools import whole_calls
from rxassist.runs.protocol import Fold, Follow, Protocol
from rxassist.runs.state import AnyRun
from rxassist.runs.streams.leaving import Farewell, OnDispose, cancel_when_left, check_on_dispose
from rxassist.runs.streams.results import OnResult, Results
from rxassist.runs.streams.telling import (
    AsyncTelling,
    EventHandler,
    SyncTelling,
    current_telling,
    tell,
)
from rxassist.runs.tools import ToolResult

if TYPE_CHECKING:  # as the Assistants protocol has them
    from rxassist.protocols.assistants.events import Event
    from rxassist.protocols.assistants.handler import (
        AssistantEventHandler,
        AsyncAssistantEventHandler,
    )
    from rxassist.protocols.assistants.models import Message, Run, RunStep, ToolCall
    from rxassist.protocols.assistants.snapshots import Snapshot

_T = TypeVar("_T")

_LOOK_AGAIN = 0.1
_CLOSE_TIMEOUT = 5.0  # seconds for which a close waits for a run to be cancelled
_CLOSED = (
    "the stream was closed before its end; read it inside its `with … as stream` block, or call "
    "again for another run"
)


class RunObservable(LoopObservable["Event", HomeT]):
    """An Observable of the events of one run: the base of both kinds of stream.

    Nothing happens before the first subscription; then the run is created, once, whatever the
    number of subscribers. Each of them begins at the first event that is kept, also after the end.
    Completes after the event that ended the run (``requires_action`` included) and ``done``; a
    failed run is data. Sends to ``on_error``: ``APIError`` after an ``error`` event,
    ``StreamTruncated`` if the stream stops before it said how the run ended, both with the
    snapshot so far; ``APIStatusError`` for a refused request; ``StreamClosed`` after ``close()``.

    An event handler is told of each event once, before any subscriber, whatever their number; an
    exception of it ends the stream for all of them.
    """

    _handler_telling: ClassVar[type[SyncTelling | AsyncTelling]]

    def __init__(
        self,
        home: HomeT,
        source: Observable[Event],
        protocol: Protocol,
        *,
        replay: bool = True,
        read_ahead: int | None = READ_AHEAD,
        linger: float = 0.0,
        deadline: float | None = None,
        place: Operator[Event, Event] | None = None,
        recovery: Operator[Event, Event] | None = None,
        tools: Callable[[OnResult], Operator[Event, Event]] | None = None,
        on_dispose: OnDispose = "detach",
        cancel: Callable[[Run], Observable[Run]] | None = None,
        waiting: Waiting | None = None,
        event_handler: AssistantEventHandler | AsyncAssistantEventHandler | None = None,
        thread_id: str | None = None,
        known: AnyRun | None = None,
    ) -> None:
        self._known = (thread_id, None if known is None else known.id)  # before the stream told
        check_on_dispose(on_dispose)
        check_not_negative("linger", linger)
        events = source.pipe(take_through(is_done), recovery or operators.check_ending())
        self._results: Results | None = None
        if tools is not None:
            self._results = Results(home)
            events = events.pipe(self._results.told_by(tools))
        self._farewell: Farewell | None = None
        if cancel is not None and (on_dispose == "cancel" or (tools and deadline)):
            self._farewell = Farewell(cancel, home, known)
            if on_dispose == "cancel":
                events = events.pipe(cancel_when_left(self._farewell, home, run_of))
        if deadline is not None:
            late = partial(self._late, deadline, waiting or Waiting())
            events = events.pipe(operators.deadline(deadline, late=late))
        if place is not None:
            events = events.pipe(place)
        events = scheduled(home, events).pipe(change_error(self._with_snapshot))
        self._fold_lock = threading.Lock()  # the thread that iterates folds, and the loop's too
        self._protocol = protocol
        self._folded: tuple[int, Any] = (0, protocol.nothing)
        self._at_end = self._folded
        self._once_folded = OnceFolded(protocol)
        self._telling = None
        if event_handler is not None:
            self._telling = self._checked(event_handler).telling(self)
            telling: Operator[Any, Any] = tell(self._telling, home)
            events = events.pipe(telling)
        self._log: Log[Event] = Log(
            events,
            post=home.post,
            report=home.report,
            replay=replay,
            read_ahead=read_ahead,
            on_drop=None if replay else self._keep_folded,
            linger=partial(_after, home, linger) if linger else None,
        )
        super().__init__(home, self._log)

    if not TYPE_CHECKING:  # in code that moves over, the stream is the handler

        def __getattr__(self, name):  # noqa: ANN001, ANN204
            """Give an attribute of one's own of the event handler."""
            telling = vars(self).get("_telling")
            if telling is not None and not name.startswith("_") and telling.has_own(name):
                return telling.own(name)
            return super().__getattr__(name)

    def _subscribe_core(
        self,
        observer: abc.ObserverBase[Event],
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        if self._home.closed and self._log.ended:
            return self._log.recorded().subscribe(observer)
        return super()._subscribe_core(observer, scheduler)

    # --- event handlers ---

    def _checked(
        self, handler: AssistantEventHandler | AsyncAssistantEventHandler
    ) -> AssistantEventHandler | AsyncAssistantEventHandler:
        given: object = handler
        awaited = self._handler_telling is AsyncTelling
        if not isinstance(given, EventHandler) or given._telling is not self._handler_telling:
            of, kind = ("an AsyncClient", "Async") if awaited else ("a Client", "")
            hint = " (an instance, not the class)" if isinstance(given, type) else ""
            msg = (
                f"event_handler of {of} must be an {kind}AssistantEventHandler{hint}, "
                f"got {excerpt(given)}"
            )
            raise TypeError(msg)
        return handler

    def _handler_failed(self, error: Exception) -> None:
        self._log.close(error)
        raise error

    # --- views ---

    @property
    def text_deltas(self) -> LoopObservable[str, HomeT]:
        """The assistant's text as it grows. See ``operators.text_deltas``."""
        return self._view(self.pipe(operators.text_deltas()))

    @property
    def snapshots(self) -> LoopObservable[Snapshot, HomeT]:
        """The run as it stands after each event. See ``operators.accumulate_snapshots``."""
        return self._view(self.pipe(each_snapshot(self._begin_fold)))

    @property
    def tool_calls(self) -> LoopObservable[ToolCall, HomeT]:
        """Each tool call, when it is whole. See ``operators.tool_calls``."""
        return self._view(self._followed(whole_calls))

    @property
    def tool_results(self) -> LoopObservable[ToolResult, HomeT]:
        """What became of each call of a function among ``tools``, as it ends.

        Completes and fails with the stream.
        """
        if self._results is None:
            return self._view(self.pipe(operators.of_type(ToolResult)))  # which events never are
        return self._view(self._results.beside(self))

    @property
    def messages(self) -> LoopObservable[Message, HomeT]:
        """Each message, when it is finished. See ``operators.messages``."""
        return self._view(self._followed(finished_messages))

    @property
    def run_steps(self) -> LoopObservable[RunStep, HomeT]:
        """Each step, when it is finished. See ``operators.run_steps``."""
        return self._view(self._followed(finished_run_steps))

    def _followed(self, how: Callable[[Protocol], Follow]) -> Observable[Any]:
        """The snapshots, followed in one of the ways of the protocol."""
        return self.pipe(by_fold(how, self._begin_fold))

    def _begin_fold(self) -> Fold:
        """What views fold with: on the loop one fold for all, elsewhere one for each."""
        return self._protocol.fold if self._home.closed else self._once_folded

    def _view(self, view: Observable[_T]) -> LoopObservable[_T, HomeT]:
        if isinstance(view, LoopObservable):
            return cast("LoopObservable[_T, HomeT]", view)
        return LoopObservable(self._home, view)

    # --- where the stream stands ---

    @property
    def current_event(self) -> Event | None:
        """The event that a subscriber was sent last, ``None`` before the first.

        In a callback of an event handler this and its kin speak of the event that it is told.
        """
        telling = current_telling()
        if telling is not None and telling.source is self:
            event: Event | None = telling.snapshot.event
            return event
        index = self._log.reading.cursor - self._log.dropped - 1
        return self._log.items[index] if 0 <= index < len(self._log.items) else self.snapshot.event

    @property
    def snapshot(self) -> Snapshot:
        """The run as it stands after the current event."""
        telling = current_telling()
        if telling is not None and telling.source is self:
            snapshot: Snapshot = telling.snapshot
            return snapshot
        reading = self._log.reading
        with self._fold_lock:
            folded = self._fold_on(reading.memo or self._folded, reading.cursor)
            reading.memo = folded
            return folded[1]

    @property
    def current_run(self) -> Run | None:
        """The run as it was last told."""
        return self.snapshot.run

    @property
    def current_message_snapshot(self) -> Message | None:
        """The message that was spoken of last, as far as it has come."""
        return self.snapshot.message

    @property
    def current_run_step_snapshot(self) -> RunStep | None:
        """The step that was spoken of last, as far as it has come."""
        return self.snapshot.run_step

    def _fold_on(self, folded: tuple[int, Snapshot], end: int) -> tuple[int, Snapshot]:
        """Go on folding to an end, from as many events as were folded already."""
        log = self._log
        count, snapshot = folded if log.dropped <= folded[0] <= end else self._folded
        if count > end:  # dropped already: nothing older is kept
            return count, snapshot
        for event in log.items[count - log.dropped : end - log.dropped]:
            snapshot = self._protocol.fold(snapshot, event)
        return end, snapshot

    def _keep_folded(self, dropped: list[Event]) -> None:
        """What is about to be dropped is folded first."""
        with self._fold_lock:
            self._folded = self._fold_on(self._folded, self._log.dropped + len(dropped))

    def _snapshot_at_end(self) -> Snapshot:
        with self._fold_lock:
            end = self._log.dropped + len(self._log.items)
            self._at_end = self._fold_on(self._at_end, end)
            return self._at_end[1]

    def _with_snapshot(self, error: Exception) -> Exception:
        if isinstance(error, RxAssistError):
            thread_id, run_id = self._known
            error.thread_id = error.thread_id or thread_id
            error.run_id = error.run_id or run_id
            error.ended_after(self._snapshot_at_end())
        return error

    # --- the end ---

    @property
    def final_snapshot(self) -> LoopObservable[Snapshot, HomeT]:
        """The run as it stands at the end: emitted once, when the stream has completed."""
        at_end = choose_each(lambda: (_ignore, lambda: (self._snapshot_at_end(),)))
        return self._view(self.pipe(at_end))

    def _late(self, deadline: float, waiting: Waiting) -> Exception:
        """The error of a run that has not ended in time. One that nobody goes on with is left."""
        run = self._snapshot_at_end().run
        if self._farewell is not None and self._results is not None and run is not None:
            self._farewell.told(run)
            if self._farewell.waits:
                self._farewell.leave()
        why = str(waiting)
        which = "" if run is None else f"run {run.id}, thread {run.thread_id}: "
        msg = f"{which}no end within the deadline of {deadline:g} s{'; ' if why else ''}{why}"
        error = APITimeoutError(msg, sent=not why)
        error.__cause__ = waiting.in_the_way
        return error

    def _close(
        self,
        told: Callable[[], object] = lambda: None,
        left: Callable[[], object] = lambda: None,
    ) -> None:
        """Leave, and call ``told`` when the event handler has no more to come.

        Call ``left`` when the run has ended, if it is cancelled.
        """

        def close() -> None:
            self._log.close(StreamClosed(_CLOSED))
            if self._telling is None or not self._telling.begun:
                told()
            else:
                self._telling.when_over(told)
            if self._farewell is None:
                left()
            else:
                self._farewell.when_over(left)

        elsewhere = self._home.bound and not self._home.is_here
        if not (elsewhere and self._home.post(close)):
            close()  # at once: in a callback, or where nothing was ever subscribed


def _after(home: Home, seconds: float, action: Callable[[], None]) -> abc.DisposableBase:
    """Run an action some seconds later on the loop."""

    def act(_: abc.SchedulerBase, __: object = None) -> None:
        action()

    return home.scheduler.schedule_relative(seconds, act)


def _ignore(_: Event) -> tuple[()]:
    return ()


def _final_messages(snapshot: Snapshot) -> list[Message]:
    if snapshot.messages:
        return list(snapshot.messages)
    what = "message"
    raise _without(what, snapshot)


def _final_run_steps(snapshot: Snapshot) -> list[RunStep]:
    if snapshot.run_steps:
        return list(snapshot.run_steps)
    what = "run step"
    raise _without(what, snapshot)


def _without(what: str, snapshot: Snapshot) -> RuntimeError:
    """The error of a stream that ended without something, which says how its run ended."""
    run = snapshot.run
    if run is None:
        return RuntimeError(f"the stream ended without a {what}")
    error = run.last_error
    why = "" if error is None else f" ({error.code}: {error.message})"
    return RuntimeError(f"run {run.id} ended as {run.status!r} without a {what}{why}")


class RunStream(RunObservable[ThreadLoop]):
    """The stream of a run of a ``Client``: its sugar blocks the caller.

    An Observable of the run's events (see ``RunObservable``), and iterable: ``for event in
    stream``. As a context manager it is closed when the block is left.
    """

    _handler_telling = SyncTelling
    _reading: Iterator[Event] | None = None  # of next(stream)

    def __iter__(self) -> Iterator[Event]:
        """The events, for a blocking ``for``; ``current_event`` goes along."""
        reading = self._log.begin_reading()
        for event in iterate(self):
            reading.cursor += 1
            yield event

    def __next__(self) -> Event:
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
        """Leave: close the connection, if the run has not ended. Who listens is told.

        Returns when the event handler has been told, and a run that is cancelled
        (``on_dispose="cancel"``) has ended; it waits five seconds at most for that. In a callback
        on the client's own thread it does not wait.
        """
        told, left = threading.Event(), threading.Event()
        self._close(told.set, left.set)
        if self._home.is_here:
            return
        if self._telling is not None:
            self._wait(told)
        if self._farewell is not None:
            self._wait(left, _CLOSE_TIMEOUT)

    def _wait(self, event: threading.Event, seconds: float = inf) -> None:
        """Wait for what the loop tells; a client that is closed meanwhile may have none any more.

        The loop may be blocked, by a callback that waits for this thread; it stands still where the
        interpreter is ending.
        """
        until = monotonic() + (0.0 if sys.is_finalizing() else seconds)
        while not (event.wait(_LOOK_AGAIN) or self._home.closed or monotonic() >= until):
            pass

    def until_done(self) -> None:
        """Wait until the stream has ended. Raises what it fails with."""
        self.final_snapshot.run()

    def get_final_run(self) -> Run:
        """Wait for the end and return the run as it ended."""
        return cast("Run", settled(self.final_snapshot.run().run))

    def get_final_messages(self) -> list[Message]:
        """Wait for the end and return the messages of the run."""
        return _final_messages(self.final_snapshot.run())

    def get_final_text(self, separator: str = "") -> str:
        """Wait for the end and return the text of the run's messages, joined by ``separator``."""
        return separator.join(message.text for message in self.get_final_messages())

    def get_final_run_steps(self) -> list[RunStep]:
        """Wait for the end and return the steps of the run."""
        return _final_run_steps(self.final_snapshot.run())


class AsyncRunStream(RunObservable[RunningLoop]):
    """The stream of a run of an ``AsyncClient``: its sugar is awaited.

    An Observable of the run's events (see ``RunObservable``), and iterable: ``async for event in
    stream``. As an async context manager it is closed when the block is left.
    """

    _handler_telling = AsyncTelling
    _reading: AsyncIterator[Event] | None = None  # of anext(stream)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """The events, for an ``async for``; ``current_event`` goes along."""
        reading = self._log.begin_reading()
        async for event in iterate(self):
            reading.cursor += 1
            yield event

    async def __anext__(self) -> Event:
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
        """Leave: close the connection, if the run has not ended. Who listens is told.

        Returns when the event handler has been told, and a run that is cancelled
        (``on_dispose="cancel"``) has ended; it waits five seconds at most for that. In a callback
        of the event handler it does not wait.
        """
        told, left = asyncio.Event(), asyncio.Event()
        self._close(told.set, left.set)
        if self._telling is not None:
            if current_telling() is self._telling:
                return
            await told.wait()
        if self._farewell is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT):
                    await left.wait()

    async def until_done(self) -> None:
        """Wait until the stream has ended. Raises what it fails with."""
        await self.final_snapshot

    async def get_final_run(self) -> Run:
        """Wait for the end and return the run as it ended."""
        return cast("Run", settled((await self.final_snapshot).run))

    async def get_final_messages(self) -> list[Message]:
        """Wait for the end and return the messages of the run."""
        return _final_messages(await self.final_snapshot)

    async def get_final_text(self, separator: str = "") -> str:
        """Wait for the end and return the text of the run's messages, joined by ``separator``."""
        return separator.join(message.text for message in await self.get_final_messages())

    async def get_final_run_steps(self) -> list[RunStep]:
        """Wait for the end and return the steps of the run."""
        return _final_run_steps(await self.final_snapshot)


StreamT = TypeVar("StreamT", bound=RunObservable[Any])


__all__ = [
    "AsyncRunStream",
    "OnDispose",
    "RunObservable",
    "RunStream",
    "StreamT",
]
