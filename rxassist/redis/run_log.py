"""``RunLog``: runs in the logs of a store, for any number of workers and followers."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import (
    AsyncGenerator,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack
from uuid import uuid4

from rxassist.errors import (
    AlreadyProduced,
    BlockingCallError,
    ClientClosed,
    CursorUnavailable,
    excerpt,
)
from rxassist.protocols.responses.protocol import PROTOCOL as RESPONSES
from rxassist.reactive.checks import check_not_negative, check_positive
from rxassist.reactive.iteration import BUFFER, ClosableItems, Items
from rxassist.reactive.loop import HomeT, RunningLoop, ThreadLoop, from_batches
from rxassist.reactive.observable import LoopObservable
from rxassist.redis.following import After, Followed, Reader
from rxassist.redis.patience import Patience
from rxassist.redis.producing import AnyStream, Producer, Terms
from rxassist.redis.store import Store
from rxassist.redis.stories import Story
from rxassist.runs.streams.options import ToolOptions
from rxassist.runs.streams.run_stream import RunObservable
from rxassist.runs.streams.web import body_of, error_to_event, generate
from rxassist.runs.tools import Toolbox
from rxassist.wire.json import to_json

if TYPE_CHECKING:  # the clients are above this room
    from rxassist.client import AsyncClient, Client

_T = TypeVar("_T")

MAX_BYTES = 64 * 1024 * 1024
"""How large a log may grow, by default."""

_LONGEST_KEY = 200
_LONGEST_LOOK = 5.0  # seconds for which one read of the store waits
_FORBIDDEN = frozenset('{}"') | frozenset(map(chr, range(32)))


class Published(str):  # noqa: SLOT000 -- it has what is awaited
    """The key of a run that was published: text.

    Awaiting it waits until the store has the run, and raises what prevented that: for example
    ``AlreadyProduced``. A key that was generated needs not be awaited: followers wait for its log.
    """

    _producer: Producer | None = None

    @classmethod
    def of(cls, key: str, producer: Producer) -> Self:
        """The key of what a producer produces."""
        published = cls(key)
        published._producer = producer
        return published

    def __await__(self) -> Generator[Any, None, str]:
        """Wait until the run has its log. Returns the key."""
        producer = self._producer
        if producer is not None:
            yield from asyncio.wrap_future(producer.acquired).__await__()
        return str(self)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


class _RunLog(ABC, Generic[HomeT]):
    """What both kinds of ``RunLog`` have."""

    def __init__(
        self,
        store: str | Store,
        *,
        lease: float = 10.0,
        keep: float = 600.0,
        ttl: float = 3600.0,
        grace: float = 30.0,
        patience: float = 60.0,
        linger: float = 0.0,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._terms = _terms(lease, keep, ttl, grace, patience, linger, max_bytes)
        self._store = _store_of(store)
        self._home = self._new_home(self._store)
        self._followed = Followed(self._home, self._reader)

    @staticmethod
    @abstractmethod
    def _new_home(store: Store) -> HomeT:
        """The home of a log, on which it uses its store."""

    def _reader(self, key: str) -> Reader:
        return Reader(
            self._store,
            key,
            wait=min(_LONGEST_LOOK, self._terms.lease, self._terms.grace),
            grace=self._terms.grace,
            patience=self._terms.patience,
        )

    def follow(self, key: str, after: str | int | None = None) -> LoopObservable[Any, HomeT]:
        """The events of a run, wherever it is produced: typed, from the first one on.

        ``after`` is the id of the last event that is left out (``"1-17"``, as ``sse`` writes it),
        or how many events are left out. Any number of followers in this process share one reader.
        Completes and fails as the stream does that is published: an error of this library is one of
        the same class again, any other an ``RxAssistError`` with its text. Sends besides to
        ``on_error``: ``ProducerLost`` if nobody produces the run any more; ``CursorUnavailable`` if
        the log does not have the next event, or if there is no log; ``StoreUnavailable`` if the
        store cannot be reached for ``patience`` seconds.
        """
        events = self._followed.events(_checked(key), After.of(after, strict=True))
        return LoopObservable(self._home, events)

    def _chunks(
        self, key: str, after: str | int | None, keep_alive: float | None, buffer: int
    ) -> Items[bytes]:
        body = body_of(keep_alive, buffer, _error_event)
        chunks = self._followed.bytes(_checked(key), After.of(after, strict=False))
        return body(LoopObservable(self._home, chunks))

    def _publish(self, stream: AnyStream, key: str | None) -> tuple[str, Producer]:
        """Begin to produce a stream. Raises for wrong arguments, and if it is closed."""
        if not isinstance(stream, RunObservable):
            msg = (
                "publish takes the stream of a run, such as client.threads.runs.stream(…), got "
                f"{excerpt(stream)}"
            )
            raise TypeError(msg)
        if stream._home.closed and not stream._log.ended:
            raise ClientClosed
        name = uuid4().hex if key is None else _checked(key)
        producer = Producer(self._home, self._store, self._terms, name)
        self._home.enter()
        if not self._home.post(partial(producer.begin, stream, _meta_of(stream))):
            raise ClientClosed
        return name, producer

    def _take_over(
        self,
        key: str,
        client: Any,  # noqa: ANN401 -- of either kind, and its streams, too
        given: Mapping[str, object],
    ) -> Producer:
        """Begin to go on with a log that has no producer, with the runs of a client."""
        if not isinstance(getattr(client, "_home", None), type(self._home)):
            kind = "an AsyncClient" if isinstance(self._home, RunningLoop) else "a Client"
            msg = f"client must be {kind}, got {excerpt(client)}"
            raise TypeError(msg)

        def follow(story: Story) -> AnyStream:
            stream: AnyStream
            if story.is_of_responses:
                stream = client.responses._follow(story.response(), given)
            else:
                stream = client.threads.runs._follow(story.run(), story.thread_id, given)
            return stream

        producer = Producer(self._home, self._store, self._terms, _checked(key))
        self._home.enter()
        if not self._home.post(partial(producer.take_over, follow)):
            raise ClientClosed
        return producer

    def _call(self, call: Callable[[], Coroutine[Any, Any, _T]]) -> LoopObservable[_T, HomeT]:
        """What a coroutine function gives that speaks with the store, and waits for it if need be.

        It is called when it is subscribed.
        """

        async def calling() -> AsyncGenerator[tuple[_T]]:
            yield (await self._terms.patience.with_store(call),)

        return LoopObservable(self._home, from_batches(self._home, calling))

    def _stop(self, key: str) -> LoopObservable[None, HomeT]:
        return self._call(partial(self._store.end, _checked(key)))

    def _orphans(self) -> LoopObservable[list[str], HomeT]:
        async def listed() -> list[str]:
            return [key async for key in self._store.orphans()]

        return self._call(listed)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self._store).__name__})"


class RunLog(_RunLog[RunningLoop]):
    """Runs in Redis Streams, for asyncio code: any worker serves any run to any followers.

    ``publish`` writes the events of a stream to a log; ``follow`` and ``sse`` read it, in any
    process, from the beginning or after any event, without a gap and without a repetition. If the
    producer dies, another worker takes the run over: ``orphans`` and ``take_over``.

    ``store`` is the URL of a server, as redis-py takes it, or an ``InMemoryStore`` for tests. It
    belongs to the event loop in which it is first used. The times are in seconds:

    - ``lease``: how long after its producer was last seen a run is an orphan (10).
    - ``keep``: how long a log is kept after its end (600).
    - ``ttl``: how long a log without an end is kept after its producer was last seen (3,600).
    - ``grace``: how long followers wait for a successor before ``ProducerLost`` (30).
    - ``patience``: how long the store may be out of reach before ``StoreUnavailable`` (60).
    - ``linger``: how long a producer waits for more events to write at once (0): for processes
      with thousands of runs.
    - ``max_bytes``: how large a log may grow before its run fails with ``LogTooLarge`` (64 MiB).
    """

    @staticmethod
    def _new_home(store: Store) -> RunningLoop:  # noqa: ARG004 -- ``close`` closes it
        home = RunningLoop()
        home.owner, home.blocking = "RunLog", "BlockingRunLog"
        return home

    def publish(self, stream: AnyStream, key: str | None = None) -> Published:
        """Write the events of a stream to a log, from now on, and return the key of the run.

        The stream is subscribed as soon as the log is there; it goes on whoever follows, also when
        the request has ended in which it was published. Its key is generated, unless one is given:
        then ``await runs.publish(stream, key="…")`` raises ``AlreadyProduced``, and nothing is
        started, if there is a run with this key. The run is left as it is when its log cannot be
        written: ``on_dispose`` does not count here. Raises ``TypeError`` for anything else than the
        stream of a run.
        """
        name, producer = self._publish(stream, key)
        return Published.of(name, producer)

    def sse(
        self,
        key: str,
        after: str | int | None = None,
        *,
        keep_alive: float | None = 15.0,
        buffer: int = BUFFER,
    ) -> AsyncGenerator[bytes]:
        """The events of a run as the body of a ``text/event-stream`` response.

        An async generator of bytes, for a ``StreamingResponse``. ``after`` is the ``Last-Event-ID``
        of the browser, and every event has an ``id``; text that is no id means the beginning. The
        end, an error and ``keep_alive`` are as those of ``to_sse``. When this log is closed, the
        body just ends: the browser connects again, to another worker.
        """
        return generate(self._chunks(key, after, keep_alive, buffer))

    async def stop(self, key: str) -> None:
        """Ask the producer of a run, wherever it is, to cancel it; followers get its ending.

        Returns at once. A run without a producer is stopped by the worker that takes it over.
        """
        await self._stop(key)

    async def take_over(
        self,
        key: str,
        client: AsyncClient,
        *,
        tools: Iterable[Any] | Toolbox | None = None,
        **options: Unpack[ToolOptions[Any, Any]],
    ) -> bool:
        """Go on with a run whose producer is lost: return whether this worker has it now.

        ``False`` if another worker has it, if it has ended, or if its log is not kept any more.
        Followers get the rest of the events, nothing twice, made of what is stored if need be.
        ``tools`` are the functions that the run may require: results that the log has are submitted
        again, and these functions are not called again. A function that ran when its worker died
        has no result, and is called once more. A run of which nothing tells whether it was started
        ends in ``RunOutcomeUnknown``; ``idempotent=True`` lets a run be found by its mark.

        Keywords:

        - ``max_rounds``, ``max_concurrent_tools``, ``tool_timeout``, ``on_tool_error``,
          ``approve``: see ``ToolOptions``.
        """
        producer = self._take_over(key, client, {"tools": tools, **options})
        try:
            await asyncio.wrap_future(producer.acquired)
        except (AlreadyProduced, CursorUnavailable):
            return False
        return True

    async def orphans(self) -> AsyncGenerator[str]:
        """The keys of the runs whose producer is lost, for ``take_over``."""
        for key in await self._orphans():
            yield key

    async def __aenter__(self) -> Self:
        """The log itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """Give up the runs that are produced here, end the followers, close the connections.

        The runs themselves go on at the service, for another worker to take over. Followers here
        end with ``ClientClosed``. Close this before the clients of the streams.
        """
        await self._home.close(self._store.close)


class BlockingRunLog(_RunLog[ThreadLoop]):
    """``RunLog`` for synchronous code: its streams are those of a ``Client``.

    It has an event loop of its own in one background thread. The arguments are those of ``RunLog``.
    """

    @staticmethod
    def _new_home(store: Store) -> ThreadLoop:
        home = ThreadLoop()
        home.owner = "BlockingRunLog"
        home.leave_with(store.close)
        return home

    def publish(self, stream: AnyStream, key: str | None = None) -> str:
        """As ``RunLog.publish``; returns when the store has the run.

        Raises ``AlreadyProduced`` if there is a run with a key that is given, and
        ``StoreUnavailable`` if the store cannot be reached for ``patience`` seconds.
        """
        if isinstance(getattr(stream, "_home", None), RunningLoop):
            msg = "a BlockingRunLog takes the streams of a Client; a RunLog those of both clients"
            raise TypeError(msg)
        name, producer = self._publish(stream, key)
        self._wait(producer)
        return name

    def sse(
        self,
        key: str,
        after: str | int | None = None,
        *,
        keep_alive: float | None = 15.0,
        buffer: int = BUFFER,
    ) -> ClosableItems[bytes]:
        """As ``RunLog.sse``, but an iterator of bytes for a WSGI server, as ``to_sse_blocking``."""
        return ClosableItems(self._chunks(key, after, keep_alive, buffer))

    def stop(self, key: str) -> None:
        """As ``RunLog.stop``."""
        self._stop(key).run()

    def take_over(
        self,
        key: str,
        client: Client,
        *,
        tools: Iterable[Any] | Toolbox | None = None,
        **options: Unpack[ToolOptions[Any, Any]],
    ) -> bool:
        """As ``RunLog.take_over``."""
        producer = self._take_over(key, client, {"tools": tools, **options})
        try:
            self._wait(producer)
        except (AlreadyProduced, CursorUnavailable):
            return False
        return True

    def _wait(self, producer: Producer) -> None:
        """Wait until a producer has its log. Raises ``BlockingCallError`` on the log's thread."""
        if self._home.is_here:
            raise BlockingCallError
        producer.acquired.result()

    def orphans(self) -> Iterator[str]:
        """As ``RunLog.orphans``."""
        yield from self._orphans().run()

    def __enter__(self) -> Self:
        """The log itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """As ``RunLog.close``; ends the thread, too."""
        self._home.close()


def _terms(
    lease: float,
    keep: float,
    ttl: float,
    grace: float,
    patience: float,
    linger: float,
    max_bytes: int,
) -> Terms:
    """The checked options of a log."""
    times = {"lease": lease, "keep": keep, "ttl": ttl, "grace": grace, "patience": patience}
    for name, value in times.items():
        check_positive(name, value)
    check_not_negative("linger", linger)
    check_positive("max_bytes", max_bytes, whole=True)
    if ttl < lease:
        msg = f"ttl must not be shorter than lease, got {ttl} and {lease}"
        raise ValueError(msg)
    return Terms(
        lease=lease,
        keep=keep,
        ttl=ttl,
        grace=grace,
        patience=Patience(patience),
        linger=linger,
        max_bytes=max_bytes,
    )


def _error_event(error: Exception) -> bytes | None:
    """What a browser receives for an error: nothing if this worker leaves, as others do not."""
    return None if isinstance(error, ClientClosed) else error_to_event(error)


def _store_of(given: object) -> Store:
    if isinstance(given, Store):
        return given
    if not isinstance(given, str):
        msg = (
            'RunLog takes the URL of a Redis server, such as "redis://localhost", or a Store, got '
            f"{excerpt(given)}"
        )
        raise TypeError(msg)
    from rxassist.redis.in_redis import RedisStore  # noqa: PLC0415 -- redis is an extra

    return RedisStore(given)


def _checked(key: object) -> str:
    """The key, if it can be one: it becomes a part of the names of keys in Redis."""
    if not isinstance(key, str):
        msg = f"key must be text, got {excerpt(key)}"
        raise TypeError(msg)
    if not key or len(key) > _LONGEST_KEY or _FORBIDDEN & set(key):
        msg = (
            f"key must be text of 1 to {_LONGEST_KEY} characters, without braces and control "
            f"characters, got {excerpt(key)}"
        )
        raise ValueError(msg)
    return str(key)


def _meta_of(stream: AnyStream) -> bytes:
    """What a successor, or a follower, must know of a run before its first event."""
    run = stream._known_run
    return to_json(
        {
            "protocol": "responses" if stream._protocol is RESPONSES else "assistants",
            "thread_id": stream._pipe.thread_id,
            "mark": stream._pipe.mark,
            "run_id": None if run is None else run.id,
        }
    )


__all__ = ["BlockingRunLog", "Published", "RunLog"]
