"""CPU and time of short runs, with all that is not an event: a client's start, a stream's start.

A run has twenty deltas, whose text is iterated on both sides. ``fresh`` makes a new client for each
run and closes it; ``hundred`` makes one client, has a hundred runs with it, one after the other,
and closes it. Both are over a transport in memory (``clients.py``). ``usual`` is ``fresh`` over a
socket, with nothing but a base URL and a key: each side makes its HTTP client itself.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

from benchmarks import bodies, clients, in_memory, servers
from benchmarks.delivery import Delivered, checksum

_DELTAS = 20
_IN_ONE_CLIENT = {"fresh": 1, "usual": 1, "hundred": 100}
_WARM_UP = 10


async def _done(given: Awaitable[Any] | Any) -> Any:
    return await given if inspect.isawaitable(given) else given


async def _measure(side: str, mode: str, kind: str, view: str, runs: int) -> dict[str, Any]:
    shape = "response" if view.startswith("responses-") else "text"
    (body,) = bodies.make(shape, _DELTAS)
    read = in_memory.reader(side, mode, view)
    with _making(side, mode, kind, shape, body.chunks("event")) as make:
        await _clients(make, read, [1] * _WARM_UP)
        each = min(_IN_ONE_CLIENT[kind], runs)
        cpu, wall = time.process_time(), time.perf_counter()
        delivered = await _clients(make, read, [each] * (runs // each))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    for one in delivered:
        in_memory.check(body, one)
    return {
        "cpu": cpu / len(delivered),
        "wall": wall / len(delivered),
        "delivered": checksum(delivered),
    }


@contextmanager
def _making(
    side: str, mode: str, kind: str, shape: str, chunks: list[bytes]
) -> Generator[Callable[[], Any]]:
    """A function that makes a client whose streams are ``chunks``."""

    def make() -> Any:
        client, transport = clients.in_memory(side, mode)
        transport.chunks = chunks
        return client

    if kind != "usual":
        yield make
        return
    server = "canned" if shape == "text" else "canned-responses"
    with servers.serving(server, _DELTAS) as base_url:
        yield partial(clients.usual, side, mode, base_url)


async def _clients(
    make: Callable[[], Any], read: Callable[[Any], Any], counts: list[int]
) -> list[Delivered]:
    """What the runs of several clients delivered, one client after the other."""
    delivered = list[Delivered]()
    for count in counts:
        client = make()
        for _ in range(count):
            delivered.append(await _done(read(client)))
        await _done(client.close())
    return delivered


def measure(
    side: str, *, mode: str, kind: str, view: str = "iterated", runs: int = 500
) -> dict[str, Any]:
    """CPU and wall seconds per run, with its share of a client's start and end."""
    return asyncio.run(_measure(side, mode, kind, view, runs))
