"""A budget that many processes share: its counts are in Redis."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from math import ceil
from typing import Any, TypeVar
from uuid import uuid4

from reactivex import operators as ops

from rxassist.errors import StoreUnavailable
from rxassist.reactive.budget import MINUTE, Budget, Pause, Places, Share, in_place
from rxassist.reactive.loop import Home
from rxassist.reactive.queues import Queues, Turn
from rxassist.reactive.typing import Operator
from rxassist.redis.commands import Commands
from rxassist.redis.lines import Lines, Ticket

_T = TypeVar("_T")

_COUNT = """
local sent, pause, most, name = KEYS[1], KEYS[2], tonumber(ARGV[1]), ARGV[2]
local minute = tonumber(ARGV[3])
local paused = math.max(redis.call('PTTL', pause), 0)
if paused > 0 or most == 0 then return {paused, 0} end
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
redis.call('ZREMRANGEBYSCORE', sent, '-inf', now - minute)
if redis.call('ZCARD', sent) < most then
  redis.call('ZADD', sent, now, name)
  redis.call('PEXPIRE', sent, minute)
  return {0, 0}
end
local oldest = redis.call('ZRANGE', sent, -most, -most, 'WITHSCORES')
return {0, math.ceil(oldest[2] + minute - now)}
"""
"""Count a request, unless it must wait: the milliseconds of the pause, and until one leaves."""

_PAUSE = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
end
"""


class RedisShare(Share):
    """A client's part in a budget whose counts are in Redis. It belongs to one event loop."""

    def __init__(self, budget: Budget, url: str) -> None:
        prefix = f"rxassist:budget:{{{budget.name}}}"
        self._commands = Commands(url, budget.patience)
        self._lines = Lines(self._commands, prefix, budget.lease)
        self._keys = [f"{prefix}:sent", f"{prefix}:pause"]
        self._max_runs = budget.max_runs
        self._most = budget.requests_per_minute or 0
        self._pause = Pause(repr(budget))
        self._turn = Places(1)  # its holder alone waits for the time to come
        self._waiting = 0
        self.queues: Queues | None = SharedQueues(self._lines)

    async def request(self, longest_pause: float | None = None) -> None:
        """Wait until one more request may be sent, by any process, and count it.

        Raises ``APITimeoutError`` if a pause lasts for more than ``longest_pause`` seconds, and
        ``StoreUnavailable`` if Redis is out of reach for too long.
        """
        self._pause.check(longest_pause)
        if not self._waiting and await self._seconds_to_wait(longest_pause) <= 0:
            return
        self._waiting += 1
        try:
            await self._turn.enter()
            try:
                wait = await self._seconds_to_wait(longest_pause)
                while wait > 0:
                    await asyncio.sleep(wait)
                    wait = await self._seconds_to_wait(longest_pause)
            finally:
                self._turn.leave()
        finally:
            self._waiting -= 1

    async def _seconds_to_wait(self, longest_pause: float | None) -> float:
        """Count a request, or say for how long it must wait at least."""
        self._pause.check(longest_pause)
        if self._pause.left > 0:
            return self._pause.left
        given = [self._most, uuid4().hex, int(MINUTE * 1000)]
        said: tuple[int, int] = await self._commands.script(_COUNT, self._keys, given)
        paused, wait = said
        if paused > 0:
            self._pause.last(paused / 1000)
            self._pause.check(longest_pause)
        return max(paused, wait) / 1000

    def pause(self, seconds: float) -> None:
        """Hold back all requests of all processes for so long."""
        self._pause.last(seconds)

        async def say() -> None:
            with suppress(StoreUnavailable):  # this client pauses in any case
                await self._commands.script(_PAUSE, self._keys[1:], [ceil(seconds * 1000)])

        self._lines.spawn(say())

    def place(self, home: Home, *, waits: bool = True) -> Operator[_T, _T]:
        """As ``Budget.place``, for the runs of all processes."""
        if self._max_runs is None:
            return ops.as_observable()
        line = self._lines.line("runs", self._max_runs)
        return in_place(lambda: Ticket(line), home, waits)

    async def close(self) -> None:
        """Give all places back, and close the connections."""
        await self._lines.close()
        await self._commands.close()


class SharedQueues(Queues):
    """Queues of calls in their order over all processes: one line in Redis for each thread."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines
        self._tickets: dict[Turn[Any], Ticket] = {}

    def enter(self, thread_id: str, turn: Turn[Any]) -> None:
        """Add a turn at the end of the line, and begin it when it is the first one."""
        queue = self._queues.setdefault(thread_id, deque())
        queue.append(turn)
        turn.waiting.turns = queue
        turn.waiting.elsewhere = True
        ticket = self._tickets[turn] = Ticket(self._lines.line(f"turns:{thread_id}", 1))

        def begin(granted: asyncio.Future[None]) -> None:
            if granted.cancelled():
                return
            error = granted.exception()
            if isinstance(error, Exception):
                turn.on_error(error)
            elif turn in self._tickets:
                turn.waiting.elsewhere = False
                turn.begin()

        ticket.wait().add_done_callback(begin)

    def leave(self, thread_id: str, turn: Turn[Any]) -> None:
        """Remove a turn: the next one may begin, wherever it is."""
        queue = self._queues[thread_id]
        queue.remove(turn)
        turn.waiting.turns = deque()
        if not queue:
            del self._queues[thread_id]
        self._tickets.pop(turn).leave()


__all__ = ["RedisShare", "SharedQueues"]
