"""From the bytes being in the socket to the callback: one stream, idle between two events.

The server notes the time when its ``send`` has returned, the client when its callback is called;
both read the same clock of the machine. Raw httpx is ``aiter_bytes`` with nothing behind it.
"""

from __future__ import annotations

import asyncio
import re
import time
from statistics import quantiles
from typing import Any

from benchmarks import clients, servers
from benchmarks.delivery import checksum

_NUMBER = re.compile(rb'"value":"(\d+) "')
_WARM_UP = 100  # events
_HUNDREDTHS = 100

Arrivals = list[tuple[int, str]]
"""When a piece of text came, in nanoseconds, and the piece."""


async def _ours(client: Any) -> Arrivals:
    arrivals = Arrivals()
    ended = asyncio.get_running_loop().create_future()

    def on_next(text: str) -> None:
        arrivals.append((time.perf_counter_ns(), text))

    stream = client.threads.runs.stream(thread_id="t", assistant_id="a")
    stream.text_deltas.subscribe(on_next, ended.set_exception, lambda: ended.set_result(None))
    await ended
    return arrivals


async def _theirs(client: Any) -> Arrivals:
    arrivals = Arrivals()
    async with client.beta.threads.runs.stream(thread_id="t", assistant_id="a") as stream:
        async for text in stream.text_deltas:
            arrivals.append((time.perf_counter_ns(), text))
    return arrivals


async def _bytes(client: Any) -> Arrivals:
    came = list[tuple[int, bytes]]()
    body = {"assistant_id": "a", "stream": True}
    async with client.stream("POST", "/threads/t/runs", json=body) as answer:
        async for chunk in answer.aiter_bytes():
            came.append((time.perf_counter_ns(), chunk))
    return [(at, f"{number.decode()} ") for at, chunk in came for number in _NUMBER.findall(chunk)]


async def _measure(side: str, events: int) -> dict[str, Any]:
    import httpx

    read = {"rxassist": _ours, "openai": _theirs, "httpx": _bytes}[side]
    with servers.serving("ticking", events + _WARM_UP) as base_url:
        client = clients.over_sockets(side, base_url)
        arrivals = await read(client)
        await (client.aclose() if side == "httpx" else client.close())
        async with httpx.AsyncClient() as plain:
            stamps = (await plain.get(f"{base_url}/stamps")).json()
    texts = [text for _, text in arrivals]
    if texts != [f"{number} " for number in range(events + _WARM_UP)]:
        msg = f"the text that was delivered is not the server's: {texts[:5]} …"
        raise ValueError(msg)
    ticks = stamps[: len(arrivals)]  # the last one is of the ending
    waits = [(at - sent) / 1e9 for (at, _), sent in zip(arrivals, ticks, strict=True)][_WARM_UP:]
    hundredths = quantiles(waits, n=_HUNDREDTHS)
    return {"p50": hundredths[49], "p99": hundredths[98], "delivered": checksum(texts)}


def measure(side: str, *, events: int) -> dict[str, Any]:
    """Seconds from the socket to the callback: the median and the 99th percentile."""
    return asyncio.run(_measure(side, events))
