"""Where the time of one event goes, from the socket to the callback: a table, and a picture of it.

``python -m benchmarks.stages`` reads one stream from a socket with raw httpx, and runs more and
more of what stands behind it over the same bytes in memory, an event a chunk. All of it happens in
this process, each stage in turns, and the least of the rounds counts. It draws
``docs/performance.svg``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from reactivex import Observable

from benchmarks import bodies, clients, servers

_DELTAS, _ROUNDS = 5_000, 9
_PICTURE = Path(__file__).parent.parent / "docs" / "performance.svg"
_RUN = {"thread_id": "thread_1", "assistant_id": "asst_1"}
_SOCKET = "socket → chunks (httpx)"
_WIDTH, _ROW, _LABEL = 760, 30, 250

Stage = Callable[[], Awaitable[object]]


async def _ended(observable: Observable[Any]) -> None:
    ended = asyncio.get_running_loop().create_future()
    observable.subscribe(lambda _: None, ended.set_exception, lambda: ended.set_result(None))
    await ended


def _stages(client: Any, plain: Any, chunks: list[bytes]) -> Iterator[tuple[str, Stage]]:
    """Each stage with all those before it, but for the first."""
    from rxassist.protocols.assistants.codec import EventDecoder
    from rxassist.reactive.loop import from_batches
    from rxassist.wire.transport import Request

    transport, home = client._transport, client._home
    request = Request("POST", "/threads/thread_1/runs", body={})

    async def read() -> None:
        body = {"assistant_id": "asst_1", "stream": True}
        async with plain.stream("POST", "/threads/thread_1/runs", json=body) as answer:
            async for _ in answer.aiter_bytes():
                pass

    async def decoded() -> None:
        decoder = EventDecoder()
        for chunk in chunks:
            for _ in decoder.feed(chunk):
                pass

    async def received() -> None:
        async for batch in transport.stream(request, EventDecoder):
            for _ in batch:
                pass

    yield _SOCKET, read
    yield "+ bytes → typed events", decoded
    yield "+ the transport", received
    yield (
        "+ the task on the loop",
        lambda: _ended(from_batches(home, lambda: transport.stream(request, EventDecoder))),
    )
    yield "+ endings, recovery, the log", lambda: _ended(client.threads.runs.stream(**_RUN))
    yield "+ text_deltas", lambda: _ended(client.threads.runs.stream(**_RUN).text_deltas)


async def _measure() -> dict[str, float]:
    body = bodies.make("text", _DELTAS)[0]
    client, transport = clients.in_memory("rxassist", "async")
    transport.chunks = chunks = body.chunks("event")
    await _ended(client.threads.runs.stream(**_RUN))
    least: dict[str, float] = {}
    with servers.serving("canned", _DELTAS) as base_url:
        plain = clients.over_sockets("httpx", base_url)
        for _ in range(_ROUNDS):
            for name, stage in _stages(client, plain, chunks):
                begun = time.process_time()
                await stage()
                spent = (time.process_time() - begun) / len(body.events) * 1e6
                least[name] = min(spent, least.get(name, spent))
        await plain.aclose()
    await client.close()
    socket = least.pop(_SOCKET)
    return {_SOCKET: socket, **{name: socket + spent for name, spent in least.items()}}


def _draw(least: dict[str, float]) -> str:
    """Bars below each other, each beginning where the one before ends."""
    scale = (_WIDTH - _LABEL - 70) / max(least.values())
    height = _ROW * len(least) + 10
    size = f'width="{_WIDTH}" height="{height}"'
    font = 'font-family="sans-serif" font-size="14"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>']
    before = 0.0
    for row, (name, total) in enumerate(least.items()):
        top, left = row * _ROW + 5, _LABEL + before * scale
        width = max(1.0, (total - before) * scale)
        share, right = total - before, left + width + 6
        lines += [
            f'<text x="0" y="{top + 17}" fill="#888">{name}</text>',
            f'<rect x="{left:.0f}" y="{top}" width="{width:.0f}" height="22" fill="#3b82c4"/>',
            f'<text x="{right:.0f}" y="{top + 17}" fill="#888">{share:.1f} µs</text>',
        ]
        before = max(before, total)
    return "\n".join([*lines, "</svg>", ""])


def main() -> None:
    """Measure, print, draw."""
    least = asyncio.run(_measure())
    for name, spent in least.items():
        print(f"{spent:6.2f} µs  {name}")
    _PICTURE.write_text(_draw(least), encoding="utf-8")


if __name__ == "__main__":
    main()
