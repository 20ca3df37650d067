"""The processes of ``run_log.py``: one produces, one follows. Each speaks JSON in lines.

``produce SIDE URL KEY EVENTS PACE``, where the pace is a number of events a second, ``singly`` or
``batches``; ``follow SIDE URL KEY EVENTS HOW FOLLOWERS``; ``read SIDE URL KEY EVENTS HOW``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from array import array
from collections.abc import AsyncGenerator, Callable, Iterable
from statistics import quantiles
from typing import Any, NamedTuple

import reactivex as rx
from redis.asyncio import ConnectionPool, Redis

from benchmarks.bodies import make
from benchmarks.worker import raise_limits
from rxassist.protocols.assistants.codec import EventDecoder, encode_event
from rxassist.protocols.assistants.protocol import PROTOCOL
from rxassist.protocols.assistants.streams import AsyncRunStream
from rxassist.reactive.loop import RunningLoop, from_batches
from rxassist.reactive.queues import Waiting
from rxassist.redis import RunLog
from rxassist.redis.in_redis import RedisStore
from rxassist.redis.store import Claim, Entry
from rxassist.runs.streams.pipeline import FollowOptions, Plan, unchanged
from rxassist.wire.sse import encode

_AT_ONCE = 64
_PAGE = 256

Stamps = list[int]
"""Nanoseconds of a clock that all processes of a machine share."""


class _Took(NamedTuple):
    """How long something took, and how much of it this process worked: in seconds."""

    seconds: float
    cpu: float


class _Watch:
    """Measures from when it is made."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def took(self) -> _Took:
        """What has passed."""
        began, worked = self._began
        return _Took(time.perf_counter() - began, time.process_time() - worked)


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)


async def _hear() -> Any:
    return json.loads(await asyncio.to_thread(sys.stdin.readline))


def _bodies(count: int) -> list[bytes]:
    """So many events, as a log keeps them."""
    decoder = EventDecoder()
    sent = make("text", count)[0].events[:count]
    return [encode(encode_event(event)) for each in sent for event in decoder.feed(each)]


class _Noticing(RedisStore):
    """A store that notices when something was written, and when all was."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.appended = asyncio.Event()
        self.ended = asyncio.Event()

    async def append(self, claim: Claim, entry: Entry | None = None) -> None:
        await super().append(claim, entry)
        if entry is not None:
            self.appended.set()

    async def end(self, key: str, claim: Claim | None = None, keep: float | None = None) -> None:
        await super().end(key, claim, keep)
        self.ended.set()


async def _ticks(events: Iterable[Any], pace: int) -> AsyncGenerator[Any]:
    """One event after the other, at a pace that does not depend on who takes them."""
    began = time.perf_counter()
    for number, event in enumerate(events):
        await asyncio.sleep(max(0.0, began + number / pace - time.perf_counter()))
        yield event


async def _produce_ours(url: str, key: str, count: int, pace: str) -> tuple[Stamps, _Took]:
    bodies = _bodies(count)
    decoder = EventDecoder()
    events = [event for body in bodies for event in decoder.feed(body)]
    stamps = Stamps()
    go, home, store = asyncio.Event(), RunningLoop(), _Noticing(url)

    async def emitted() -> AsyncGenerator[list[Any]]:
        yield events[:1]
        await go.wait()
        if pace.isdigit():
            async for event in _ticks(events[1:], int(pace)):
                stamps.append(time.perf_counter_ns())
                yield [event]
        elif pace == "singly":
            for event in events[1:]:
                store.appended.clear()
                yield [event]
                await store.appended.wait()
        else:
            for start in range(1, count, _AT_ONCE):
                yield events[start : start + _AT_ONCE]

    async with RunLog(store) as runs:
        source = from_batches(home, emitted)
        plan: Any = Plan(
            protocol=PROTOCOL,
            options=FollowOptions(),
            answers=source,
            ending=unchanged,
            cancel=rx.of,
            waiting=Waiting(),
        )
        stream = AsyncRunStream(home, plan)
        await runs.publish(stream, key)
        _say("published")
        await _hear()
        watch = _Watch()
        go.set()
        await store.ended.wait()
        return stamps, watch.took()


async def _produce_bare(url: str, key: str, count: int, pace: str) -> tuple[Stamps, _Took]:
    bodies = _bodies(count)
    stamps = Stamps()
    async with Redis.from_url(url, protocol=2) as client:
        await client.xadd(key, {"d": bodies[0]})
        _say("published")
        await _hear()
        watch = _Watch()
        if pace.isdigit():
            async for body in _ticks(bodies[1:], int(pace)):
                stamps.append(time.perf_counter_ns())
                await client.xadd(key, {"d": body})
        else:
            at_once = 1 if pace == "singly" else _AT_ONCE
            for start in range(1, count, at_once):
                await client.xadd(key, {"d": b"".join(bodies[start : start + at_once])})
        return stamps, watch.took()


class _Arrivals:
    """When each event came, to each follower."""

    def __init__(self, count: int, followers: int) -> None:
        self._count = count
        self.of_each = [array("q") for _ in range(followers)]
        self.begun = asyncio.Event()
        self._to_begin = followers

    def came(self, follower: int) -> None:
        """Note the time."""
        arrivals = self.of_each[follower]
        arrivals.append(time.perf_counter_ns())
        if len(arrivals) == 1:
            self._to_begin -= 1
            if not self._to_begin:
                self.begun.set()

    def waits(self, stamps: Stamps) -> dict[str, float]:
        """Milliseconds from each stamp to each follower. Raises if something did not come."""
        waits: list[float] = []
        for arrivals in self.of_each:
            if len(arrivals) != self._count:
                msg = f"{len(arrivals)} of {self._count} events came"
                raise ValueError(msg)
            waits += [(at - sent) / 1e6 for at, sent in zip(arrivals[1:], stamps, strict=True)]
        hundredths = quantiles(waits, n=100)
        return {"p50": hundredths[49], "p99": hundredths[98]}


async def _follow_ours(runs: RunLog, key: str, how: str, came: Callable[[], None]) -> None:
    if how == "sse":
        async for chunk in runs.sse(key, keep_alive=None):
            if not chunk.startswith(b"event: end"):
                came()
        return
    ended = asyncio.get_running_loop().create_future()
    runs.follow(key).subscribe(
        lambda _: came(), ended.set_exception, lambda: ended.set_result(None)
    )
    await ended


async def _follow_bare(
    client: Any,  # the types of redis-py are not strict
    key: str,
    count: int,
    came: Callable[[], None],
) -> None:
    last, left = "0", count
    while left > 0:
        for _, entries in await client.xread({key: last}, count=_PAGE, block=5_000):
            for place, fields in entries:
                last = place
                for _ in range(fields[b"d"].count(b"\n\n")):
                    came()
                    left -= 1


async def _followed(
    side: str, url: str, key: str, count: int, how: str, arrivals: _Arrivals
) -> None:
    numbers = range(len(arrivals.of_each))

    def came(number: int) -> Callable[[], None]:
        return lambda: arrivals.came(number)

    if side == "rxassist":
        async with RunLog(url) as runs, asyncio.TaskGroup() as group:
            for number in numbers:
                group.create_task(_follow_ours(runs, key, how, came(number)))
        return
    pool: Any = ConnectionPool
    client = Redis(
        connection_pool=pool.from_url(url, protocol=2, max_connections=100_000, socket_timeout=None)
    )
    async with client, asyncio.TaskGroup() as group:
        for number in numbers:
            group.create_task(_follow_bare(client, key, count, came(number)))


async def produce(side: str, url: str, key: str, events: str, pace: str) -> None:
    """Write events when told to; print when each was sent, and how long it took."""
    act = _produce_ours if side == "rxassist" else _produce_bare
    stamps, took = await act(url, key, int(events), pace)
    _say({"stamps": stamps, **took._asdict()})


async def follow(side: str, url: str, key: str, events: str, how: str, followers: str) -> None:
    """Follow a log as it grows; print how long each event took to come."""
    arrivals = _Arrivals(int(events), int(followers))
    following = asyncio.create_task(_followed(side, url, key, int(events), how, arrivals))
    begun = asyncio.create_task(arrivals.begun.wait())
    await asyncio.wait({following, begun}, return_when=asyncio.FIRST_COMPLETED)
    if following.done():
        following.result()
    _say("begun")
    await following
    _say(arrivals.waits(await _hear()))


async def read(side: str, url: str, key: str, events: str, how: str) -> None:
    """Follow a log that is complete; print how long that took."""
    arrivals = _Arrivals(int(events), 1)
    watch = _Watch()
    await _followed(side, url, key, int(events), how, arrivals)
    _say(watch.took()._asdict())


if __name__ == "__main__":
    raise_limits()
    roles: dict[str, Any] = {"produce": produce, "follow": follow, "read": read}
    asyncio.run(roles[sys.argv[1]](*sys.argv[2:]))
