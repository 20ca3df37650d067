"""One run, many views: the stream of a run as people use it."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Literal, Self, TypeVar

import reactivex
from reactivex import Observable
from reactivex import operators as ops

from rxassist import operators
from rxassist.consumers import LoopObservable, iterate
from rxassist.errors import APIError, StreamClosed, StreamTruncated
from rxassist.events import Event
from rxassist.log import READ_AHEAD, Log
from rxassist.loop import Home
from rxassist.models import FINISHED, Message, Run, RunStep, ToolCall
from rxassist.operators._kernel import choose_each
from rxassist.snapshots import Snapshot, fold

_T = TypeVar("_T")

OnDispose = Literal["detach", "cancel"]
"""What happens to the run on the server when the last subscriber leaves before its end."""

_logger = logging.getLogger("rxassist")


class RunObservable(LoopObservable[Event]):
    """An Observable of the events of one run: the base of both kinds of stream.

    Nothing happens before the first subscription; then the run is created, once, whatever the
    number of subscribers. Each of them begins at the first event that is kept, also after the end.
    Completes after the event that ended the run (``requires_action`` included) and ``done``; a
    failed run is data. Sends to ``on_error``: ``APIError`` after an ``error`` event,
    ``StreamTruncated`` if the stream stops before it said how the run ended, both with the
    snapshot so far; ``APIStatusError`` for a refused request; ``StreamClosed`` after ``close()``.
    """

    def __init__(
        self,
        home: Home,
        source: Observable[Event],
        *,
        replay: bool = True,
        read_ahead: int | None = READ_AHEAD,
        on_dispose: OnDispose = "detach",
        cancel: Callable[[Run], Observable[Run]] | None = None,
    ) -> None:
        if on_dispose not in {"detach", "cancel"}:
            msg = f'on_dispose must be "detach" or "cancel", got {on_dispose!r}'
            raise ValueError(msg)
        self._cancel = cancel if on_dispose == "cancel" else None
        self._fold_lock = threading.Lock()  # the thread that iterates folds, and the loop's too
        self._folded = (0, Snapshot())
        self._log: Log[Event] = Log(
            source.pipe(operators.check_ending(), ops.catch(self._with_snapshot)),
            post=home.post,
            report=home.report,
            replay=replay,
            read_ahead=read_ahead,
            on_abandon=self._abandoned,
            on_drop=lambda items: self._snapshot_at(self._log.dropped + len(items)),
        )
        super().__init__(home, self._log)

    # --- views ---

    @property
    def text_deltas(self) -> LoopObservable[str]:
        """The assistant's text as it grows. See ``operators.text_deltas``."""
        return self._view(self.pipe(operators.text_deltas()))

    @property
    def snapshots(self) -> LoopObservable[Snapshot]:
        """The run as it stands after each event. See ``operators.accumulate_snapshots``."""
        return self._view(self.pipe(operators.accumulate_snapshots()))

    @property
    def tool_calls(self) -> LoopObservable[ToolCall]:
        """Each tool call, when it is whole. See ``operators.tool_calls``."""
        return self._view(self.pipe(operators.tool_calls()))

    @property
    def messages(self) -> LoopObservable[Message]:
        """Each message, when it is finished. See ``operators.messages``."""
        return self._view(self.pipe(operators.messages()))

    @property
    def run_steps(self) -> LoopObservable[RunStep]:
        """Each step, when it is finished. See ``operators.run_steps``."""
        return self._view(self.pipe(operators.run_steps()))

    def _view(self, view: Observable[_T]) -> LoopObservable[_T]:
        return view if isinstance(view, LoopObservable) else LoopObservable(self._home, view)

    # --- where the stream stands ---

    @property
    def current_event(self) -> Event | None:
        """The event that a subscriber was sent last, ``None`` before the first."""
        place = self._log.position - self._log.dropped - 1
        return self._log.items[place] if 0 <= place < len(self._log.items) else self.snapshot.event

    @property
    def snapshot(self) -> Snapshot:
        """The run as it stands after the current event."""
        return self._snapshot_at(self._log.position)

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

    def _snapshot_at(self, position: int) -> Snapshot:
        """The snapshot after so many events, folded on from the last one that was asked for."""
        with self._fold_lock:
            log = self._log
            count, snapshot = self._folded
            if position < count and not log.dropped:
                count, snapshot = 0, Snapshot()
            for event in log.items[max(count - log.dropped, 0) : position - log.dropped]:
                snapshot = fold(snapshot, event)
            self._folded = (max(count, position), snapshot)
            return snapshot

    def _snapshot_at_end(self) -> Snapshot:
        return self._snapshot_at(self._log.dropped + len(self._log.items))

    def _with_snapshot(self, error: Exception, _: Observable[Event]) -> Observable[Event]:
        if isinstance(error, APIError | StreamTruncated):
            error.snapshot = self._snapshot_at_end()
        return reactivex.throw(error)

    # --- the end ---

    @property
    def final_snapshot(self) -> LoopObservable[Snapshot]:
        """The run as it stands at the end: emitted once, when the stream has completed."""
        at_end = choose_each(lambda: (_ignore, lambda: (self._snapshot_at_end(),)))
        return self._view(self.pipe(at_end))

    def _close(self) -> None:
        error = StreamClosed("the stream was closed before its end")
        self._home.post(lambda: self._log.close(error))

    def _abandoned(self) -> None:
        run = self._snapshot_at_end().run
        if self._cancel is None or run is None or run.status in FINISHED:
            return

        def could_not(error: Exception) -> None:
            _logger.warning("run %s could not be cancelled: %s", run.id, error)

        self._cancel(run).subscribe(on_error=could_not)


def _ignore(_: Event) -> tuple[()]:
    return ()


def _final_run(snapshot: Snapshot) -> Run:
    if snapshot.run is None:
        msg = "the stream ended without an event that carries a run"
        raise RuntimeError(msg)
    return snapshot.run


def _final_messages(snapshot: Snapshot) -> list[Message]:
    if not snapshot.messages:
        msg = "the stream ended without a message"
        raise RuntimeError(msg)
    return list(snapshot.messages)


def _final_run_steps(snapshot: Snapshot) -> list[RunStep]:
    if not snapshot.run_steps:
        msg = "the stream ended without a run step"
        raise RuntimeError(msg)
    return list(snapshot.run_steps)


class RunStream(RunObservable):
    """The stream of a run of a ``Client``: its sugar blocks the caller.

    An Observable of the run's events (see ``RunObservable``), and iterable: ``for event in
    stream``. As a context manager it is closed when the block is left.
    """

    def __iter__(self) -> Iterator[Event]:
        """The events, for a blocking ``for``; ``current_event`` goes along."""
        for position, event in enumerate(iterate(self), self._log.dropped + 1):
            self._log.position = position
            yield event

    def __enter__(self) -> Self:
        """Nothing happens yet: the run is created with the first subscription."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the stream."""
        self.close()

    def close(self) -> None:
        """Leave: close the connection, if the run has not ended. Who listens is told."""
        self._close()

    def until_done(self) -> None:
        """Wait until the stream has ended. Raises what it fails with."""
        self.final_snapshot.run()

    def get_final_run(self) -> Run:
        """Wait for the end and return the run as it ended."""
        return _final_run(self.final_snapshot.run())

    def get_final_messages(self) -> list[Message]:
        """Wait for the end and return the messages of the run."""
        return _final_messages(self.final_snapshot.run())

    def get_final_run_steps(self) -> list[RunStep]:
        """Wait for the end and return the steps of the run."""
        return _final_run_steps(self.final_snapshot.run())


class AsyncRunStream(RunObservable):
    """The stream of a run of an ``AsyncClient``: its sugar is awaited.

    An Observable of the run's events (see ``RunObservable``), and iterable: ``async for event in
    stream``. As an async context manager it is closed when the block is left.
    """

    async def __aiter__(self) -> AsyncIterator[Event]:
        """The events, for an ``async for``; ``current_event`` goes along."""
        position = self._log.dropped
        async for event in iterate(self):
            position += 1
            self._log.position = position
            yield event

    async def __aenter__(self) -> Self:
        """Nothing happens yet: the run is created with the first subscription."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the stream."""
        await self.close()

    async def close(self) -> None:
        """Leave: close the connection, if the run has not ended. Who listens is told."""
        self._close()

    async def until_done(self) -> None:
        """Wait until the stream has ended. Raises what it fails with."""
        await self.final_snapshot

    async def get_final_run(self) -> Run:
        """Wait for the end and return the run as it ended."""
        return _final_run(await self.final_snapshot)

    async def get_final_messages(self) -> list[Message]:
        """Wait for the end and return the messages of the run."""
        return _final_messages(await self.final_snapshot)

    async def get_final_run_steps(self) -> list[RunStep]:
        """Wait for the end and return the steps of the run."""
        return _final_run_steps(await self.final_snapshot)


__all__ = ["AsyncRunStream", "OnDispose", "RunObservable", "RunStream"]
