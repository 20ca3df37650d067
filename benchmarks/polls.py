"""Many polls at once, a second apart, until each run has ended.

Each fetch is late by what the server sees beyond a second between its answer and the next one.
At first all come at once, and are answered before the client gets to read that; with each second
they are spread better over it, so those from the sixth on are counted by themselves, too.

``how`` is what the program does about Python's garbage collector after its first request
(``collector.py``).
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from statistics import quantiles
from typing import Any

from benchmarks import clients, collector, servers
from benchmarks.delivery import checksum

_INTERVAL = 1.0  # seconds
_HUNDREDTHS = 100
_SETTLED = 5  # fetches behind which the herd of the beginning is spread
_IN_A_POOL = 4  # connections, as of ours


async def _ours(client: Any, name: str, _: int) -> str:
    run = await client.threads.runs.poll(name, thread_id="t", poll_interval_ms=1_000)
    return str(run.status)


async def _theirs(client: Any, name: str, _: int) -> str:
    run = await client.beta.threads.runs.poll(name, thread_id="t", poll_interval_ms=1_000)
    return str(run.status)


async def _plain(client: Any, name: str, fetches: int) -> str:
    status = ""
    for number in range(fetches):
        await asyncio.sleep(_INTERVAL if number else 0)
        answer = await client.get(f"/threads/t/runs/{name}")
        status = answer.json()["status"]
    return status


async def _warm_up(side: str, client: Any) -> None:
    if side.startswith("httpx"):
        await client.get("/threads/t/runs/warm-up")
        return
    runs = client.beta.threads.runs if side == "openai" else client.threads.runs
    await runs.retrieve("warm-up", thread_id="t")


async def _measure(side: str, polls: int, fetches: int, how: str) -> dict[str, Any]:
    import httpx

    by_side: dict[str, Callable[..., Any]] = {
        "openai": _theirs,
        "httpx": _plain,
        "httpx-aiohttp": _plain,
    }
    poll: Callable[..., Any] = by_side.get(side, _ours)
    with servers.serving("polled", fetches) as base_url:
        pools = polls // _IN_A_POOL if side == "httpx" else 1
        many = [clients.over_sockets(side, base_url) for _ in range(pools)]
        for client in many:
            await _warm_up(side, client)
        collector.prepare(how)
        pauses = collector.Pauses()
        cpu, wall = time.process_time(), time.perf_counter()
        statuses = await asyncio.gather(
            *(poll(many[n % pools], f"run_{n}", fetches) for n in range(polls))
        )
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        paused = pauses.end(cpu)
        for client in many:
            await (client.aclose() if poll is _plain else client.close())
        async with httpx.AsyncClient(timeout=60) as plain:
            stamps = (await plain.get(f"{base_url}/stamps")).json()
    noted = [each for path, each in stamps.items() if not path.endswith("warm-up")]
    late = [_lateness(each) for each in noted]
    counts = sorted(len(each) for each in noted)
    hundredths = quantiles(itertools.chain.from_iterable(late), n=_HUNDREDTHS)
    settled = list(itertools.chain.from_iterable(each[_SETTLED:] for each in late))
    return {
        "cpu": cpu / (polls * fetches),
        "wall": wall,
        **paused,
        "late_p50": hundredths[49],
        "late_p99": hundredths[98],
        "settled_p99": quantiles(settled, n=_HUNDREDTHS)[98] if settled else hundredths[98],
        "delivered": checksum([statuses, counts]),
    }


def _lateness(noted: list[tuple[float, float]]) -> list[float]:
    """How late each fetch of a run was but the first, in percent of the interval."""
    return [
        100 * (came - answered - _INTERVAL) / _INTERVAL
        for (_, answered), (came, _) in itertools.pairwise(noted)
    ]


def measure(side: str, *, polls: int, fetches: int, how: str = "as it is") -> dict[str, Any]:
    """CPU seconds per fetch, how late fetches were, in percent of the interval, and pauses."""
    return asyncio.run(_measure(side, polls, fetches, how))
