"""A store in Redis, or in what speaks its protocol, such as Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from math import ceil
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from rxassist.errors import AlreadyProduced, CursorUnavailable, Fenced, StoreUnavailable
from rxassist.errors.redaction import Secrets
from rxassist.reactive.checks import needing
from rxassist.redis.patience import answer_in, in_time
from rxassist.redis.store import Claim, Entry, Kind, Page, Store

try:
    from redis.asyncio import ConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import (
        AskError,
        AuthenticationError,
        ClusterDownError,
        MasterDownError,
        MovedError,
        OutOfMemoryError,
        ReadOnlyError,
        RedisError,
        ResponseError,
        TryAgainError,
    )
except ImportError as _missing:  # pragma: no cover -- with the message
    raise ImportError(needing("RunLog", "redis", "redis")) from _missing

TIMEOUT = 5.0
"""Seconds that a command may take, besides what it waits for."""

_PREFIX = "rxassist"
_RUNS = f"{_PREFIX}:runs"  # the keys of all runs that have not ended
_STOPS = f"{_PREFIX}:stops"  # the channel of the keys of runs that are to end
_PAGE = 256  # entries that are read at once
_STOP_KEPT = 3600.0  # seconds for which a stop waits for a producer
_STOP_KEPT_EARLY = 5.0  # seconds for which it waits for a log that is just being published
_PAUSE = 0.5  # seconds between two attempts to listen
_CONNECTIONS = 32  # for commands: a producer has one for the time of a command
_PASSING = ClusterDownError, MasterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError
_PASSING_WORDS = "LOADING", "BUSY", "MISCONF", "NOREPLICAS"
_REFUSED = "equal or smaller"  # of the answer to XADD with an id that is not above the last

_ACQUIRE = """
local producer, data, lease, ttl, first = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local epoch = 1
if last then
  local fields, said = last[2], {}
  for i = 1, #fields, 2 do said[fields[i]] = fields[i + 1] end
  epoch = tonumber(string.match(last[1], '^(%d+)'))
  if said['p'] == producer then return {'taken', epoch, 0} end
  if first or redis.call('EXISTS', KEYS[2]) == 1 then return {'held', epoch, 0} end
  if said['k'] == 'end' then return {'ended', epoch, 0} end
  epoch = epoch + 1
elseif not first then
  return {'missing', 0, 0}
end
redis.call('XADD', KEYS[1], epoch .. '-0', 'p', producer, 'k', 'take', 'd', data)
redis.call('PEXPIRE', KEYS[1], ttl)
redis.call('SET', KEYS[2], producer, 'PX', lease)
redis.call('SET', KEYS[3], data, 'PX', ttl)
return {'taken', epoch, redis.call('EXISTS', KEYS[4])}
"""
"""Take the next epoch, if nobody has the log: once for each producer, so a script costs little."""

_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"
"""Give a lease back, unless it is that of a successor."""


def _log(key: str) -> str:
    return f"{_PREFIX}:{{{key}}}:log"


def _lease(key: str) -> str:
    return f"{_PREFIX}:{{{key}}}:lease"


def _stop(key: str) -> str:
    return f"{_PREFIX}:{{{key}}}:stop"


def _meta(key: str) -> str:
    return f"{_PREFIX}:{{{key}}}:meta"


def _milliseconds(seconds: float) -> int:
    return max(1, ceil(seconds * 1000))


@contextmanager
def _translated() -> Generator[None]:
    """Raise ``StoreUnavailable`` for what Redis, or the way to it, raises."""
    try:
        yield
    except (MovedError, AskError):
        text = "this is a node of a Redis Cluster, which is not supported: use a single server"
        raise StoreUnavailable(text, passes=False) from None
    except (RedisError, OSError) as error:
        said = answer_in(error, RedisError)
        text = f"Redis cannot be used ({type(said).__name__}: {said})"
        raise StoreUnavailable(text, passes=_passes(said)) from None


def _passes(error: Exception) -> bool:
    """Whether another attempt may succeed: Redis is away, or busy with itself."""
    if isinstance(error, ResponseError):
        words = str(error)
        return isinstance(error, _PASSING) or words.startswith(_PASSING_WORDS)
    return not isinstance(error, AuthenticationError)


class RedisStore(Store):
    """The logs of runs in Redis Streams.

    The keys of a run are ``rxassist:{KEY}:log``, ``lease``, ``stop`` and ``meta``, in one hash
    slot; ``rxassist:runs`` is a set of the keys of all runs without an end, and ``rxassist:stops``
    a channel. ``url`` is one of redis-py: ``redis://``, ``rediss://`` or ``unix://``.

    It never trims a log. The connections for commands are shared; each ``read`` that waits has one
    of its own.
    """

    def __init__(self, url: str) -> None:
        options: dict[str, Any] = {
            "socket_connect_timeout": TIMEOUT,
            "retry": Retry(NoBackoff(), 0),  # its caller tries again, with a bound
            "protocol": 2,
            "max_connections": 2**31,  # else 100
            "socket_timeout": None,  # see ``in_time``
        }
        pool: Any = ConnectionPool  # its types are not strict
        self._commands: Any = Redis(connection_pool=pool.from_url(url, **options))
        self._waiting: Any = Redis(connection_pool=pool.from_url(url, **options))
        self._places = asyncio.Semaphore(_CONNECTIONS)  # its queue is fair, that of a pool is not
        self._secrets = Secrets(1)
        self._secrets.add(unquote(urlsplit(url).password or ""))
        self._claims: dict[str, Claim] = {}
        self._listening: asyncio.Task[None] | None = None

    async def acquire(self, claim: Claim, meta: bytes, *, first: bool) -> int:
        """As ``Store.acquire``."""
        key = claim.key
        keys = (_log(key), _lease(key), _meta(key), _stop(key))
        lease, ttl = _milliseconds(claim.lease), _milliseconds(claim.ttl)
        async with self._asking():
            await self._commands.sadd(_RUNS, key)  # before there is a log: none is forgotten
            said, epoch, is_to_end = await self._commands.eval(
                _ACQUIRE, len(keys), *keys, claim.producer, meta, lease, ttl, int(first)
            )
        if said == b"missing":
            raise CursorUnavailable(key, "there is no log to take over")
        if said != b"taken":
            raise AlreadyProduced(key, *(["has ended"] if said == b"ended" else []))
        self._listen(claim)
        if is_to_end:
            claim.asked_to_end()
        return int(epoch)

    async def append(self, claim: Claim, entry: Entry | None = None) -> None:
        """As ``Store.append``."""
        if entry is None:
            await self._renew(claim)
            return
        fields = "p", entry.producer, "k", _word(entry), "d", entry.data
        async with self._asking():
            try:
                added = await self._commands.execute_command(
                    "XADD", _log(claim.key), "NOMKSTREAM", entry.id, *fields
                )
            except ResponseError as error:
                if _REFUSED not in str(error):
                    raise
                added = await self._added_before(claim, entry)
        if added is None:
            raise CursorUnavailable(claim.key, "its log is gone: it was deleted, or Redis lost it")

    async def _added_before(self, claim: Claim, entry: Entry) -> bytes:
        """The id of an entry that was added, though the answer was lost. Else raises ``Fenced``."""
        found = await self._commands.xrange(_log(claim.key), entry.id, entry.id)
        if [_entry(*each) for each in found] != [entry]:
            raise Fenced(claim.key)
        return entry.id.encode()

    async def _renew(self, claim: Claim) -> None:
        key, ttl = claim.key, _milliseconds(claim.ttl)
        pipe = self._commands.pipeline(transaction=False)
        pipe.set(_lease(key), claim.producer, px=_milliseconds(claim.lease))
        pipe.pexpire(_log(key), ttl)
        pipe.pexpire(_meta(key), ttl)
        pipe.sadd(_RUNS, key)  # a look for orphans may have removed it before there was a log
        pipe.exists(_stop(key))
        pipe.xrevrange(_log(key), count=1)
        async with self._asking():
            *_, is_to_end, last = await pipe.execute()
        if not last:
            raise CursorUnavailable(key, "its log is gone: it was deleted, or Redis lost it")
        if _entry(*last[0]).producer != claim.producer:
            raise Fenced(key)
        if is_to_end:
            claim.asked_to_end()

    async def read(self, key: str, after: str | None, wait: float) -> Page:
        """As ``Store.read``."""
        if after is None:
            return await self._first_page(key)
        with _translated():
            async with asyncio.timeout(wait + TIMEOUT):
                block = _milliseconds(wait)
                said = await self._waiting.xread({_log(key): after}, count=_PAGE, block=block)
        if said:
            return Page(tuple(_entry(*each) for each in said[0][1]))
        pipe = self._commands.pipeline(transaction=False)
        pipe.exists(_log(key))
        pipe.exists(_lease(key))
        async with self._asking():
            exists, leased = await pipe.execute()
        return Page((), bool(exists), bool(leased))

    async def _first_page(self, key: str) -> Page:
        pipe = self._commands.pipeline(transaction=False)
        pipe.xrange(_log(key), count=_PAGE)
        pipe.exists(_log(key))
        pipe.exists(_lease(key))
        pipe.get(_meta(key))
        async with self._asking():
            found, exists, leased, meta = await pipe.execute()
        entries = tuple(_entry(*each) for each in found)
        return Page(entries, bool(exists), bool(leased), meta or b"{}")

    async def end(self, key: str, claim: Claim | None = None, keep: float | None = None) -> None:
        """As ``Store.end``."""
        if claim is None:
            await self._ask_to_end(key)
            return
        held = self._claims.get(key)
        if held is not None and held.producer == claim.producer:
            del self._claims[key]
        pipe = self._commands.pipeline(transaction=False)
        pipe.eval(_RELEASE, 1, _lease(key), claim.producer)
        if keep is not None:
            for name in (_log(key), _meta(key)):
                pipe.pexpire(name, _milliseconds(keep))
            pipe.delete(_stop(key))
            pipe.srem(_RUNS, key)
        async with self._asking():
            await pipe.execute()

    async def _ask_to_end(self, key: str) -> None:
        """Ask the producer of a run to end it, or one that may come, unless the run is over."""
        async with self._asking():
            last = await self._commands.xrevrange(_log(key), count=1)
        if last and _entry(*last[0]).kind == "end":
            return
        pipe = self._commands.pipeline(transaction=False)
        pipe.set(_stop(key), b"1", px=_milliseconds(_STOP_KEPT if last else _STOP_KEPT_EARLY))
        pipe.publish(_STOPS, key)
        async with self._asking():
            await pipe.execute()

    async def orphans(self) -> AsyncGenerator[str]:
        """As ``Store.orphans``."""
        async with self._asking():
            keys: list[bytes] = [each async for each in self._commands.sscan_iter(_RUNS)]
        for start in range(0, len(keys), _PAGE):
            part = [name.decode() for name in keys[start : start + _PAGE]]
            pipe = self._commands.pipeline(transaction=False)
            for key in part:
                pipe.exists(_lease(key))
            async with self._asking():
                leased: list[int] = await pipe.execute()
            for key, is_leased in zip(part, leased, strict=True):
                if not is_leased and await self._is_orphan(key):
                    yield key

    async def _is_orphan(self, key: str) -> bool:
        """Whether a log has neither an end nor a producer; one that is over is forgotten."""
        pipe = self._commands.pipeline(transaction=False)
        pipe.exists(_lease(key))
        pipe.xrevrange(_log(key), count=1)
        async with self._asking():
            leased, last = await pipe.execute()
            if leased:
                return False
            if last and _entry(*last[0]).kind != "end":
                return True
            await self._commands.srem(_RUNS, key)
        return False

    async def close(self) -> None:
        """Close the connections."""
        listening, self._listening = self._listening, None
        while listening is not None and not listening.done():
            listening.cancel()  # perhaps again: a timeout below it may take one for its own
            await asyncio.wait({listening}, timeout=_PAUSE)
        self._claims.clear()
        for client in (self._commands, self._waiting):
            with suppress(RedisError, OSError):
                await client.aclose()
                await client.connection_pool.disconnect()

    @asynccontextmanager
    async def _asking(self) -> AsyncGenerator[None]:
        """Have a connection for a command, as soon as one is free."""
        async with self._places:
            with _translated():
                async with in_time(TIMEOUT):
                    yield

    # --- stops: one connection for all the producers of this process ---

    def _listen(self, claim: Claim) -> None:
        self._claims[claim.key] = claim
        if self._listening is None:
            self._listening = asyncio.get_running_loop().create_task(self._listen_on())

    async def _listen_on(self) -> None:
        """Hear of stops, on one connection after the other; the renewals find what it misses."""
        while True:
            with suppress(StoreUnavailable), _translated():
                async with self._waiting.pubsub() as channel:
                    await channel.subscribe(_STOPS)
                    async for message in channel.listen():
                        await self._heard(message)
            await asyncio.sleep(_PAUSE)

    async def _heard(self, message: Any) -> None:  # noqa: ANN401 -- a dictionary of redis-py
        if message["type"] == "message":
            keys = {message["data"].decode()} & self._claims.keys()
        else:  # it listens since now: a stop may have come before
            keys = set(self._claims)
            async with self._asking():
                asked = [await self._commands.exists(_stop(key)) for key in keys]
            keys = {key for key, is_to_end in zip(keys, asked, strict=True) if is_to_end}
        for key in keys:
            claim = self._claims.get(key)
            if claim is not None:
                claim.asked_to_end()


def _word(entry: Entry) -> str:
    """What is written as the kind of an entry: of events their count."""
    return str(entry.count) if entry.kind == "events" else entry.kind


def _entry(place: bytes, fields: dict[bytes, bytes]) -> Entry:
    """An entry as Redis has it."""
    epoch, _, number = place.partition(b"-")
    word, producer = fields[b"k"].decode(), fields[b"p"].decode()
    at, data = (int(epoch), int(number)), fields[b"d"]
    if word.isdigit():
        return Entry(*at, "events", producer, data, int(word))
    return Entry(*at, cast("Kind", word), producer, data, 0 if word == "take" else 1)


__all__ = ["TIMEOUT", "RedisStore"]
