"""Producing the log of a run: its events are written in batches, by one producer at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from logging import ERROR, INFO
from secrets import token_urlsafe
from typing import Any, NamedTuple

from attrs import evolve, frozen
from reactivex import Observable, Subject, abc
from reactivex.disposable import Disposable

from rxassist.errors import (
    AlreadyProduced,
    APIError,
    ClientClosed,
    CursorUnavailable,
    Fenced,
    LogTooLarge,
    RxAssistError,
    StoreUnavailable,
    StreamClosed,
    closed_by,
)
from rxassist.reactive.backpressure import Demand, demanding
from rxassist.reactive.logger import logger
from rxassist.reactive.loop import Home, on_loop, parting, scheduled
from rxassist.redis import endings
from rxassist.redis.patience import Patience
from rxassist.redis.store import Claim, Entry, Kind, Store
from rxassist.redis.stories import Story, story_of
from rxassist.runs.events import protocol_of
from rxassist.runs.state import FINISHED, AnyRun
from rxassist.runs.streams.run_stream import RunObservable
from rxassist.runs.tools import ToolResult
from rxassist.wire.json import to_json
from rxassist.wire.sse import encode

BATCH = 64
"""How many events are written at once, at most."""

BATCH_BYTES = 64 * 1024
"""How many bytes of events are written at once, unless one event is larger."""

AHEAD = 4 * BATCH
"""How many events may wait here; the stream holds 1,024 more before its socket is paused."""

_RENEWALS = 3  # in the time of a lease
_LAST_EVENTS = 1.0  # seconds for the events of a run that was cancelled to arrive
_STOPPED = "the run was stopped by runs.stop, and its service told nothing of its end"

AnyStream = RunObservable[Any, Any, Any, Any, Any, Any]
"""A stream of a run, of any protocol and any client."""


@frozen(kw_only=True)
class Terms:
    """How logs are produced; ``RunLog`` says what each of them is."""

    lease: float
    ttl: float
    keep: float
    grace: float
    linger: float
    max_bytes: int
    patience: Patience


def _nothing() -> None:
    """Nobody waits for it."""


class Batch(NamedTuple):
    """What is written at once. ``written`` is called when it was."""

    kind: Kind
    size: int
    data: bytes
    written: Callable[[], object] = _nothing


class Inbox(abc.ObserverBase[Any]):
    """The events of a run that wait to be written: emitted on its thread, taken on the log's.

    ``arrived`` is called on the thread that emits.
    """

    def __init__(self, arrived: Callable[[], object]) -> None:
        self._arrived = arrived
        self._waiting: deque[Any] = deque()  # events, and whole batches
        self.demand: Demand = Demand(failed=self._failed)
        self.run: AnyRun | None = None
        """The run as the events last had it."""
        self.count: int = 0
        """How many events of the stream came."""
        self.has_ended: bool = False
        self.error: BaseException | None = None

    def on_next(self, value: Any) -> None:  # noqa: ANN401 -- an event of any protocol
        """Keep an event; want no more for now if too many wait."""
        if self.has_ended:
            return
        if not value.is_delta:
            self.run = value.run() or self.run
        self.count += 1
        self.add(value)
        if len(self._waiting) >= AHEAD:
            self.demand.close()

    def add(self, value: Any) -> None:  # noqa: ANN401 -- an event of any protocol, or a batch
        """Keep an event, or a batch of something else."""
        self._waiting.append(value)
        self._arrived()

    def on_error(self, error: Exception) -> None:
        """Keep the end."""
        self._failed(error)

    def on_completed(self) -> None:
        """Keep the end."""
        self.has_ended = True
        self._arrived()

    def _failed(self, error: BaseException) -> bool:
        if self.has_ended:
            return False
        self.error = error
        self.on_completed()
        return True

    def reopen(self) -> None:
        """Go on with another source, after the end of the first one."""
        self.has_ended, self.error = False, None

    @property
    def waiting(self) -> int:
        """How much waits."""
        return len(self._waiting)

    def take(self) -> Batch:
        """The next events, as bytes, or what else is next."""
        taken: list[bytes] = []
        size = 0
        while self._waiting and len(taken) < BATCH and size < BATCH_BYTES:
            first: object = self._waiting[0]
            if isinstance(first, Batch):
                if not taken:
                    self._waiting.popleft()
                    return first
                break
            event = self._waiting.popleft()
            chunk = encode(protocol_of(event, "publish").encode(event))
            taken.append(chunk)
            size += len(chunk)
        if not self.demand.is_open and len(self._waiting) <= AHEAD // 2:
            self.demand.open()
        return Batch("events", len(taken), b"".join(taken))


class Producer:
    """The producer of one log, on the event loop of its ``RunLog``."""

    def __init__(self, home: Home, store: Store, terms: Terms, key: str) -> None:
        self._home = home
        self._store = store
        self._terms = terms
        self._claim = Claim(key, token_urlsafe(6), terms.lease, terms.ttl, self._asked_to_end)
        self._inbox = Inbox(self._ring)
        self._rung = asyncio.Event()
        self._number = 0
        self._bytes = 0
        self._failure: Exception | None = None  # of the lease
        self._leaves = False
        self._stops = False
        self._cancels = False
        self._stopped = False
        self._asked_for_rest = False
        self._reopens = False
        self._told: Sequence[Any] = ()  # the events before this producer
        self._task: asyncio.Task[None] | None = None
        self._subscription: abc.DisposableBase = Disposable()
        self._is_rung = False
        self.acquired: Future[None] = Future()
        """Done when the log is there, nobody else has it, and a published stream is subscribed."""
        self.acquired.set_running_or_notify_cancel()  # a caller that is cancelled does not end it

    def begin(self, stream: AnyStream, meta: bytes) -> None:
        """Produce the log of a stream, from now on; to be called on the loop."""
        context = copy_context()

        async def produce() -> None:
            await self._acquire(meta, first=True)
            await self._follow(stream, context)

        self._begin(produce)

    def take_over(self, follow: Callable[[Story], AnyStream]) -> None:
        """Go on with a log that has no producer: with the stream of its run, after its story."""
        context = copy_context()

        async def produce() -> None:
            key, read = self._claim.key, self._terms.patience.with_store
            first = await read(partial(self._store.read, key, None, 0))
            await self._acquire(first.meta, first=False)
            self.acquired.set_result(None)
            try:
                story = await read(partial(story_of, self._store, self._claim))
                self._number, self._bytes, self._told = story.number, story.size, story.events
                self._inbox.run = story.last_run
                stream = follow(story)
            except StoreUnavailable:  # perhaps another worker can go on
                raise
            except Exception as error:  # noqa: BLE001 -- the run cannot go on, and followers hear it
                await self._end(error)
            else:
                await self._follow(stream, context)

        self._begin(produce)

    def _begin(self, produce: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._home.closed:
            self.acquired.set_exception(ClientClosed())
            return
        self._home.closing.add(self._leave)
        with parting():  # a client that closes lets it give the log up
            self._task = self._home.spawn(produce())
        self._task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._home.closing.discard(self._leave)
        error = None if task.cancelled() else task.exception()
        if not self.acquired.done():
            self.acquired.set_exception(error or ClientClosed())
        if error is not None:
            told = isinstance(error, AlreadyProduced | CursorUnavailable)  # the caller is
            level = INFO if told else ERROR
            logger.log(level, "run %s is not produced here: %s", self._claim.key, error)

    # --- what other threads call ---

    def _ring(self) -> None:
        """Wake the producer, once until it looks."""
        if not self._is_rung:
            self._is_rung = True
            self._home.post(self._rung.set)

    def _asked_to_end(self) -> None:
        self._stops = True
        self._ring()

    def _leave(self) -> None:
        self._leaves = True
        if self._task is not None and not self.acquired.done():
            self._task.cancel()
        self._ring()

    # --- producing ---

    async def _acquire(self, meta: bytes, *, first: bool) -> None:
        acquire = partial(self._store.acquire, self._claim, meta, first=first)
        epoch = await self._terms.patience.with_store(acquire)
        self._claim = evolve(self._claim, epoch=epoch)

    async def _follow(self, stream: AnyStream, context: Context) -> None:
        """Write what a stream emits, to its end, or until another producer has the log."""
        renewing = asyncio.create_task(self._renew())
        known = stream._known_run
        if self._inbox.run is None and known is not None and known.thread_id:
            self._inbox.run = known  # its id is all that it takes to cancel it
        if stream._pipe.results is not None:
            stream._pipe.results.keep = partial(self._keep, stream)
        self._subscription = context.run(self._subscribe, stream)
        if not self.acquired.done():  # the caller, who may make the stream emit, goes on after this
            self.acquired.set_result(None)
        try:
            await self._write(stream)
        except (Fenced, CursorUnavailable, StoreUnavailable) as error:
            logger.warning("run %s is not produced here any more: %s", self._claim.key, error)
        except Exception as error:  # noqa: BLE001 -- what cannot be written, and followers get it
            await self._end(error)
        finally:
            renewing.cancel()
            self._let_go(stream)

    def _subscribe(self, stream: AnyStream) -> abc.DisposableBase:
        try:
            with demanding(self._inbox.demand):
                return stream.subscribe(self._inbox)
        except RxAssistError as error:  # its client is closed, or of another loop
            self._inbox.on_error(error)
            return Disposable()

    def _keep(self, stream: AnyStream, result: ToolResult) -> Observable[Any]:
        """Write the result of a tool, before it is submitted: a successor does not call it again.

        It never completes if another producer has the log: that one goes on.
        """
        kept: Subject[Any] = Subject()
        call: Any = result.call
        call_id: str = getattr(call, "call_id", None) or call.id
        data = to_json({"call_id": call_id, "output": result.output})
        self._inbox.add(Batch("result", 1, data, partial(stream._home.post, kept.on_completed)))
        return kept

    async def _write(self, stream: AnyStream) -> None:
        inbox = self._inbox
        while True:
            await self._rung.wait()
            if self._terms.linger and inbox.waiting < BATCH and not inbox.has_ended:
                await asyncio.sleep(self._terms.linger)
            self._is_rung = False
            self._rung.clear()
            while inbox.waiting and self._failure is None and not self._leaves:
                await self._append(inbox.take())
                self._look_for_a_stop(stream)
            if self._failure is not None:
                raise self._failure
            if self._leaves:
                await self._give_up()
                return
            self._look_for_a_stop(stream)
            if self._reopens:
                continue
            if inbox.has_ended and self._cancels and isinstance(inbox.error, APIError):
                self._ask_for_rest(stream)
            elif inbox.has_ended:
                await self._end(inbox.error)
                return

    async def _append(self, batch: Batch) -> None:
        """Write an entry, however often that must be tried."""
        self._bytes += len(batch.data)
        if self._bytes > self._terms.max_bytes and batch.kind != "end":
            raise LogTooLarge(self._claim.key, self._terms.max_bytes)
        claim = self._claim
        number = self._number + batch.size
        entry = Entry(claim.epoch, number, batch.kind, claim.producer, batch.data, batch.size)
        await self._terms.patience.with_store(partial(self._store.append, claim, entry))
        self._number = number
        batch.written()

    async def _end(self, error: BaseException | None) -> None:
        """Write how the run ended; or leave it to a successor if only this side was closed."""
        if isinstance(error, StreamClosed) and not self._stopped:
            await self._give_up()
            return
        ending = closed_by(error) if not isinstance(error, Exception | None) else error
        await self._append(Batch("end", 1, endings.written(ending)))
        end = partial(self._store.end, self._claim.key, self._claim, self._terms.keep)
        await self._terms.patience.with_store(end)

    async def _give_up(self) -> None:
        with suppress(StoreUnavailable):  # the lease runs out, too
            await self._store.end(self._claim.key, self._claim)

    async def _renew(self) -> None:
        """Renew the lease for ever. Another producer, or a lost log, ends the writing."""
        while True:
            await asyncio.sleep(self._terms.lease / _RENEWALS)
            try:
                await self._store.append(self._claim)
            except StoreUnavailable:
                continue  # the next one may come through
            except (Fenced, CursorUnavailable) as error:
                self._failure = error
                self._ring()
                return

    # --- stopping ---

    def _look_for_a_stop(self, stream: AnyStream) -> None:
        """Cancel the run if it was asked for, once, as soon as the run is known."""
        run = self._inbox.run
        if self._stops and not self._cancels and run is not None and not self._inbox.has_ended:
            self._cancels = True
            self._cancel(stream, run)

    def _cancel(self, stream: AnyStream, run: AnyRun) -> None:
        """Cancel the run, and go on with its events: they say how it ended."""
        last: AnyRun | None = None

        def keep(now: AnyRun) -> None:
            nonlocal last
            last = now

        def failed(error: Exception) -> None:
            logger.warning("run %s could not be stopped: %s", self._claim.key, error)

        def cancelled() -> None:
            self._home.post(partial(self._when_cancelled, stream, last))

        on_loop(stream._home, stream._cancel_run(run)).subscribe(keep, failed, cancelled)

    def _when_cancelled(self, stream: AnyStream, run: AnyRun | None) -> None:
        """End the log if the stream does not: at once, if nothing more is known of the run."""
        if run is None or run.status not in FINISHED:
            self._stopped = True
            self._let_go(stream)
            self._inbox.on_error(StreamClosed(_STOPPED))
        else:
            loop = asyncio.get_running_loop()
            loop.call_later(_LAST_EVENTS, self._ask_for_rest, stream)

    def _ask_for_rest(self, stream: AnyStream) -> None:
        """Go on with what is stored of a run that was cancelled, as its stream does not end well.

        It does not if functions were running, whose outputs the run does not take any more.
        """
        over = self._task is None or self._task.done()
        if over or self._asked_for_rest or (self._inbox.has_ended and self._inbox.error is None):
            return
        self._asked_for_rest = self._reopens = True
        if not stream._home.post(partial(self._read_rest, stream)):
            self._reopens = False
            self._inbox.on_error(ClientClosed())

    def _read_rest(self, stream: AnyStream) -> None:
        """Read the rest on the thread of the stream: nothing else comes from there meanwhile."""
        self._let_go(stream)
        known = [*self._told, *stream._log.items[: self._inbox.count]]
        self._inbox.reopen()
        self._reopens = False
        if stream._rest is None or stream._log.dropped:
            self._stopped = True
            self._inbox.on_error(StreamClosed(_STOPPED))
        else:
            rest = scheduled(stream._home, stream._rest(known))
            self._subscription = rest.subscribe(self._inbox)

    def _let_go(self, stream: AnyStream) -> None:
        """Leave the stream, and the run as it is, also if it were cancelled when it is left."""
        farewell = stream._pipe.farewell
        if farewell is not None:
            farewell.stay()
        self._subscription.dispose()


__all__ = ["AnyStream", "Producer", "Terms"]
