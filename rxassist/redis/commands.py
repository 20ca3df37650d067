"""Short commands to Redis, from one event loop, within a bound of time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any, TypeVar

from rxassist.errors import StoreUnavailable
from rxassist.reactive.checks import needing
from rxassist.reactive.logger import logger
from rxassist.redis.patience import answer_in, in_time

try:
    from redis.asyncio import ConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import (
        AuthenticationError,
        AuthorizationError,
        ClusterDownError,
        DataError,
        OutOfMemoryError,
        ReadOnlyError,
        RedisError,
        ResponseError,
        TryAgainError,
    )
except ModuleNotFoundError as _missing:  # pragma: no cover -- with the message
    _message = needing("Budget(redis=…)", "redis", "redis")
    raise ModuleNotFoundError(_message, name=_missing.name) from _missing

_T = TypeVar("_T")

_TIMEOUT = 5.0  # seconds for one command, at most
_CONNECTIONS = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.5  # seconds between two attempts


class Commands:
    """Commands that are tried again while Redis is out of reach, ``patience`` seconds in all.

    All commands count together: when one of them has been tried for so long, others fail after one
    attempt, until Redis answers again. The error of such an attempt stands for others for as long
    as it took, so that the commands of a long queue do not fail one after the other. Doing a
    command twice must do no harm. No connection is opened before the first command.
    """

    def __init__(self, url: str, patience: float) -> None:
        self._timeout = min(_TIMEOUT, patience)
        options: dict[str, Any] = {
            "socket_connect_timeout": self._timeout,
            "socket_timeout": None,  # see ``in_time``
            "retry": Retry(NoBackoff(), 0),  # they are tried again here, within a bound
            "protocol": 2,
        }
        self._redis = _client_of(url, **options)
        self._hearing = _client_of(url, **options)
        self._places = asyncio.Semaphore(_CONNECTIONS)
        self._scripts: dict[str, Any] = {}
        self._patience = patience
        self._away_since: float | None = None
        self._last: tuple[float, str] | None = None  # until when an error stands for others

    async def send(self, command: Callable[[Any], Awaitable[_T]]) -> _T:
        """Send a command, which gets the client of redis-py, and return its answer.

        Raises ``StoreUnavailable`` when Redis was out of reach for too long, and at once for an
        answer that refuses the command.
        """
        pause = _FIRST_PAUSE
        while True:
            began = monotonic()
            if self._last is not None and began < self._last[0]:
                raise StoreUnavailable(self._last[1])
            try:
                async with self._places, in_time(self._timeout):
                    answer = await command(self._redis)
            except (RedisError, OSError) as error:
                self._failed(answer_in(error, RedisError), began)
            else:
                self._away_since = self._last = None
                return answer
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def script(self, text: str, keys: list[str], arguments: list[Any]) -> Any:  # noqa: ANN401
        """Run a script, by its hash where Redis has it."""
        script = self._scripts.get(text)
        if script is None:
            script = self._scripts[text] = self._redis.register_script(text)
        return await self.send(lambda _: script(keys=keys, args=arguments))

    async def heard(self, channel: str) -> AsyncGenerator[str | None]:
        """Yield the messages of a channel, ``None`` before the first, on a connection of its own.

        Raises ``RedisError`` or ``OSError`` when that breaks.
        """
        async with self._hearing.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(channel)
            yield None
            async for message in subscription.listen():
                yield message["data"].decode()

    async def close(self) -> None:
        """Close the connections."""
        for client in (self._redis, self._hearing):
            with suppress(RedisError, OSError):
                await client.aclose()
                await client.connection_pool.disconnect()

    def _failed(self, error: Exception, began: float) -> None:
        """Count a failure. Raises ``StoreUnavailable`` unless the command may be tried again."""
        now = monotonic()
        if self._away_since is None:
            self._away_since = now
            logger.warning("Redis cannot be used (%s); trying again", _in_words(error))
        away = now - self._away_since
        if away < self._patience and not _is_refusal(error):
            return
        msg = f"Redis cannot be used ({_in_words(error)}); it was tried for {away:.1f} s"
        self._last = 2 * now - began, msg
        raise StoreUnavailable(msg) from None


def _client_of(url: str, **options: Any) -> Any:  # noqa: ANN401 -- redis-py's types are not strict
    pool: Any = ConnectionPool
    return Redis(connection_pool=pool.from_url(url, **options))


_REFUSALS = (AuthenticationError, AuthorizationError, DataError, ResponseError)
_FOR_NOW = (ClusterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError)


def _is_refusal(error: Exception) -> bool:
    """Whether the same command would be refused again."""
    return isinstance(error, _REFUSALS) and not isinstance(error, _FOR_NOW)


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


__all__ = ["Commands", "RedisError"]
