"""Resident memory per open stream that waits for its next event.

So many streams are opened beside twenty that were open before; each has had its first text. Ours
are subscribed, openai's are iterated, each in a task of its own, and of httpx the bytes are read.
"""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

from benchmarks import clients, servers
from benchmarks.delivery import checksum

_WARM_UP = 20


def _resident() -> int:
    """Resident memory in bytes; Linux only."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    msg = "no VmRSS in /proc/self/status"
    raise RuntimeError(msg)


class _Open:
    """Streams that are open: they say when the first text of each has come."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._held = list[Any]()
        self.texts = list[str]()
        self._more = asyncio.Event()

    async def wait_for(self, count: int) -> None:
        while len(self.texts) < count:
            self._more.clear()
            await self._more.wait()

    def _came(self, text: str) -> None:
        self.texts.append(text)
        self._more.set()

    def ours(self) -> None:
        stream = self._client.threads.runs.stream(thread_id="t", assistant_id="a")
        stream.text_deltas.subscribe(self._came, lambda _: None)  # ended when the client closes
        self._held.append(stream)

    def iterated(self) -> None:
        self._held.append(asyncio.create_task(self._iterate()))

    async def _iterate(self) -> None:
        runs = self._client.beta.threads.runs
        async with runs.stream(thread_id="t", assistant_id="a") as stream:
            async for text in stream.text_deltas:
                self._came(text)

    def bytes(self) -> None:
        self._held.append(asyncio.create_task(self._read()))

    async def _read(self) -> None:
        body = {"assistant_id": "a", "stream": True}
        async with self._client.stream("POST", "/threads/t/runs", json=body) as answer:
            async for chunk in answer.aiter_bytes():
                if b'"value":"0 "' in chunk:
                    self._came("0 ")

    async def close(self) -> None:
        tasks = [held for held in self._held if isinstance(held, asyncio.Task)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _measure(side: str, streams: int) -> dict[str, Any]:
    with servers.serving("silent", 0) as base_url:
        client = clients.over_sockets(side, base_url)
        opened = _Open(client)
        begins = {"httpx": opened.bytes, "openai": opened.iterated}
        begin = begins.get(side, opened.ours)
        for _ in range(_WARM_UP):
            begin()
        await opened.wait_for(_WARM_UP)
        gc.collect()
        before = _resident()
        for _ in range(streams):
            begin()
        await opened.wait_for(_WARM_UP + streams)
        gc.collect()
        after = _resident()
        texts = opened.texts
        await opened.close()
        await (client.aclose() if side == "httpx" else client.close())
    return {"resident": (after - before) / streams, "delivered": checksum(texts)}


def measure(side: str, *, streams: int) -> dict[str, Any]:
    """Bytes of resident memory per stream."""
    return asyncio.run(_measure(side, streams))
