"""Lines of tickets in Redis: the first ones have places, the others wait, whatever their process.

A ticket is kept by a lease that its process renews, so that what a dead process had comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import aclosing, suppress
from itertools import islice
from math import ceil
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

from rxassist.errors import ClientClosed, StoreUnavailable
from rxassist.reactive.budget import Place
from rxassist.redis.commands import Commands, RedisError

_LOOK = """
local line, leases, numbers, lease = KEYS[1], KEYS[2], KEYS[3], tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local dead = redis.call('ZRANGEBYSCORE', leases, '-inf', now)
for _, ticket in ipairs(dead) do
  redis.call('ZREM', line, ticket)
  redis.call('ZREM', leases, ticket)
end
local last = tonumber(redis.call('GET', numbers) or '0')
local places = {}
for i = 3, #ARGV, 2 do
  local ticket, place = ARGV[i], ARGV[i + 1]
  if place == 'last' or place == 'first' then
    local known = redis.call('ZSCORE', line, ticket)
    place = known and tonumber(known) or (place == 'last' and last + 1 or -last - 1)
  else
    place = tonumber(place)
  end
  last = math.max(last, math.abs(place))
  redis.call('ZADD', line, place, ticket)
  redis.call('ZADD', leases, now + lease, ticket)
  places[#places + 1] = place
end
redis.call('SET', numbers, last, 'PX', 100 * lease)
redis.call('PEXPIRE', line, 100 * lease)
redis.call('PEXPIRE', leases, 100 * lease)
local said = {}
for i = 1, #places do
  said[#said + 1] = places[i]
  said[#said + 1] = redis.call('ZRANK', line, ARGV[2 * i + 1])
end
local next = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')
said[#said + 1] = next[2] and next[2] - now or lease
if #dead > 0 then redis.call('PUBLISH', ARGV[2], line) end
return said
"""
"""Enter tickets into a line, or renew their leases, and let those go that were not renewed.

Returns the place and the rank of each, and the milliseconds until the next lease runs out. A ticket
that was let go gets its old place again.
"""

_MOST = 500  # tickets of one command
_FIRST_ONES = 16  # of those that wait, at one look
_FAREWELL_TIMEOUT = 2.0  # seconds for the last commands of a client
_PAUSE = 0.5  # seconds between two attempts to listen


class Ticket(Place):
    """One place in a line, or the wait for one. Its methods are for the loop of its line."""

    def __init__(self, line: Line) -> None:
        self.name: str = uuid4().hex
        self.place: str = "last"  # its score in Redis, when it is there
        self._line = line

    def wait(self) -> asyncio.Future[None]:
        """Wait for a place: the future is done when it is taken."""
        return self._line.wait(self)

    async def enter(self) -> None:
        """Wait for a place and take it. Raises ``StoreUnavailable`` if Redis is away too long."""
        granted = self.wait()
        try:
            await granted
        except asyncio.CancelledError:
            self.leave()
            raise

    def enter_at_once(self) -> None:
        """Take a place, even if none is free: the next ticket waits the longer."""
        self.place = "first"
        self._line.hold(self)

    def leave(self) -> None:
        """Give the place back, or leave the line."""
        self._line.leave(self)


class Line:
    """The tickets of this process in one line, of which the first ``count`` have places."""

    def __init__(self, lines: Lines, key: str, count: int) -> None:
        self._lines = lines
        self._key = key
        self._count = count
        self._waiting: dict[Ticket, asyncio.Future[None]] = {}
        self._holding: set[Ticket] = set()
        self._changed = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    def __bool__(self) -> bool:
        """Whether it has any tickets."""
        return bool(self._waiting or self._holding)

    def has_key(self, key: str) -> bool:
        """Whether it is the line of a key."""
        return self._key == key

    def wait(self, ticket: Ticket) -> asyncio.Future[None]:
        """Let a ticket wait; the future is done when it has a place."""
        self._lines.use(self)
        granted = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        self._changed.set()
        if self._serving is None:
            self._serving = self._lines.spawn(self._serve())
        return granted

    def hold(self, ticket: Ticket) -> None:
        """Add a ticket that has a place whatever its rank."""
        self._lines.use(self)
        self._holding.add(ticket)

        async def enter() -> None:
            with suppress(StoreUnavailable):  # the next renewal tries again
                await self._look([ticket])

        self._lines.spawn(enter())

    def leave(self, ticket: Ticket) -> None:
        """Remove a ticket."""
        granted = self._waiting.pop(ticket, None)
        if granted is None and ticket not in self._holding:
            return
        if granted is not None:
            granted.cancel()
        self._holding.discard(ticket)
        self._lines.spawn(self._left(ticket))

    def close(self) -> None:
        """Remove all tickets; those that wait fail with ``ClientClosed``."""
        for granted in self._waiting.values():
            if not granted.done():
                granted.set_exception(ClientClosed())
        names = [each.name for each in (*self._holding, *self._waiting)]
        self._waiting.clear()
        self._holding.clear()
        self._changed.set()

        async def leave() -> None:
            with suppress(StoreUnavailable):
                await self._lines.remove(self._key, names)

        if names:
            self._lines.spawn(leave())

    def changed(self) -> None:
        """Look again whether a ticket that waits has a place."""
        self._changed.set()

    async def renew(self) -> None:
        """Renew the leases of all tickets."""
        tickets = iter([*self._holding, *self._waiting])
        while some := list(islice(tickets, _MOST)):
            await self._look(some)

    async def _serve(self) -> None:
        """Look after the tickets that wait, until none does."""
        try:
            self._lines.listen(self)
            while self._waiting:
                self._changed.clear()
                new = [each for each in self._waiting if each.place == "last"]
                first = list(islice(self._waiting, _FIRST_ONES))
                pause = await self._look(list(dict.fromkeys([*first, *new[:_MOST]])))
                if any(each not in self._waiting for each in first) or len(new) > _MOST:
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(pause, self._lines.lease / 3)):
                        await self._changed.wait()
        except Exception as error:  # noqa: BLE001 -- reported to those that wait
            waiting, self._waiting = self._waiting, {}
            for granted in waiting.values():
                if not granted.done():
                    granted.set_exception(error)
        finally:
            self._serving = None
            self._lines.listen_no_more(self)

    async def _look(self, tickets: list[Ticket]) -> float:
        """Enter or renew tickets, and grant their places. The seconds until a lease runs out."""
        names = [each for ticket in tickets for each in (ticket.name, ticket.place)]
        *said, left = await self._lines.look(self._key, names)
        for ticket, place, rank in zip(tickets, said[::2], said[1::2], strict=True):
            ticket.place = str(int(place))
            granted = self._waiting.get(ticket)
            if granted is None and ticket not in self._holding:
                self._lines.spawn(self._left(ticket))  # it left meanwhile
            elif granted is not None and int(rank) < self._count:
                del self._waiting[ticket]
                if not granted.done():
                    self._holding.add(ticket)
                    granted.set_result(None)
        return max(float(left), 1.0) / 1000

    async def _left(self, ticket: Ticket) -> None:
        with suppress(StoreUnavailable):  # its lease runs out
            await self._lines.remove(self._key, [ticket.name])
        self.changed()
        self._lines.let_go(self)


class Lines:
    """All lines of a client, on its event loop."""

    def __init__(self, commands: Commands, prefix: str, lease: float) -> None:
        self.lease: float = lease
        self._commands = commands
        self._prefix = prefix
        self._channel = f"{prefix}:changed"
        self._lines: WeakValueDictionary[str, Line] = WeakValueDictionary()
        self._busy: set[Line] = set()  # those with tickets
        self._heard: set[Line] = set()  # those in which tickets wait
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewing: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._closed = False

    def line(self, name: str, count: int) -> Line:
        """The line of a name, of which the first ``count`` tickets have places."""
        key = f"{self._prefix}:{name}"
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = Line(self, key, count)
        return line

    def use(self, line: Line) -> None:
        """Renew the tickets of a line as long as it has any. Raises after the client was closed."""
        if self._closed:
            raise ClientClosed
        self._busy.add(line)
        if self._renewing is None:
            self._renewing = self.spawn(self._renew())

    def listen(self, line: Line) -> None:
        """Hear of changes of a line, as long as tickets wait there."""
        self._heard.add(line)
        if self._listening is None:
            self._listening = self.spawn(self._listen())

    def listen_no_more(self, line: Line) -> None:
        """Close the connection on which changes are heard, if no ticket waits."""
        self._heard.discard(line)
        if not self._heard and self._listening is not None:
            self._listening.cancel()
            self._listening = None

    def let_go(self, line: Line) -> None:
        """Forget a line that has no tickets."""
        if not line:
            self._busy.discard(line)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task, which the end waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def look(self, key: str, tickets: list[str]) -> list[Any]:
        """Enter or renew tickets, given as names and places; what the script says."""
        keys = [f"{key}:line", f"{key}:leases", f"{key}:numbers"]
        given = [ceil(self.lease * 1000), self._channel, *tickets]
        said: list[Any] = await self._commands.script(_LOOK, keys, given)
        return said

    async def remove(self, key: str, names: Iterable[str]) -> None:
        """Remove tickets, and let those look that wait."""
        removed = list(names)

        async def command(redis: Any) -> None:  # noqa: ANN401 -- not typed strictly
            pipe = redis.pipeline()
            for each in ("line", "leases"):
                pipe.zrem(f"{key}:{each}", *removed)
            pipe.publish(self._channel, key)
            await pipe.execute()

        await self._commands.send(command)

    async def close(self) -> None:
        """Leave all lines, and end all tasks: a Redis that is away does not hold that up."""
        self._closed = True
        daemons = {each for each in (self._renewing, self._listening) if each is not None}
        for task in daemons:
            task.cancel()
        for line in list(self._busy):
            line.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_FAREWELL_TIMEOUT)
        while self._tasks:  # perhaps again: a timeout below may take a cancellation for its own
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.wait(self._tasks, timeout=_PAUSE)

    async def _renew(self) -> None:
        """Renew all leases, often enough, until there are none."""
        while self._busy:
            await asyncio.sleep(self.lease / 3)
            for line in tuple(self._busy):
                with suppress(StoreUnavailable):  # logged; those that wait are told
                    await line.renew()
        self._renewing = None

    async def _listen(self) -> None:
        """Hear of lines that changed, on one connection after the other."""
        while True:
            messages = self._commands.heard(self._channel)
            with suppress(RedisError, OSError):
                async with aclosing(messages):
                    async for key in messages:  # at first none: any line may have changed before
                        for line in tuple(self._heard):
                            if key is None or line.has_key(key.removesuffix(":line")):
                                line.changed()
            await asyncio.sleep(_PAUSE)


__all__ = ["Line", "Lines", "Ticket"]
