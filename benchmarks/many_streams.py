"""Many streams at once over real sockets, from a server in another process.

Each client makes all requests at once and reads the text of each stream: ours by subscribing to
``text_deltas``, openai by iterating its own, and httpx reads the bytes, with nothing behind it.
``how`` is what the program does about Python's garbage collector after its first streams
(``collector.py``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from benchmarks import bodies, clients, collector, servers
from benchmarks.delivery import checksum

_WARM_UP = 20


def _place(server: str, name: str) -> dict[str, Any]:
    if server == "local":
        return {"thread": {"messages": [{"role": "user", "content": name}]}}
    return {"thread_id": name}


async def _ours(client: Any, server: str, assistant: str, name: str) -> str:
    threads = client.threads
    begin = threads.create_and_run_stream if server == "local" else threads.runs.stream
    return await _subscribed(begin(assistant_id=assistant, **_place(server, name)))


async def _our_response(client: Any, server: str, _: str, name: str) -> str:
    del server
    return await _subscribed(client.responses.stream(model="m", input=name))


async def _subscribed(stream: Any) -> str:
    ended, texts = asyncio.get_running_loop().create_future(), list[str]()
    stream.text_deltas.subscribe(texts.append, ended.set_exception, lambda: ended.set_result(None))
    await ended
    return "".join(texts)


async def _theirs(client: Any, server: str, assistant: str, name: str) -> str:
    threads = client.beta.threads
    begin = threads.create_and_run_stream if server == "local" else threads.runs.stream
    async with begin(assistant_id=assistant, **_place(server, name)) as stream:
        return "".join([text async for text in stream.text_deltas])


async def _their_response(client: Any, server: str, _: str, name: str) -> str:
    del server
    async with client.responses.stream(model="m", input=name) as stream:
        deltas = [e.delta async for e in stream if e.type == "response.output_text.delta"]
    return "".join(deltas)


async def _their_raw_response(client: Any, server: str, _: str, name: str) -> str:
    del server
    stream = await client.responses.create(model="m", input=name, stream=True)
    deltas = [e.delta async for e in stream if e.type == "response.output_text.delta"]
    return "".join(deltas)


async def _bytes(client: Any, server: str, assistant: str, name: str) -> str:
    body = {"assistant_id": assistant, "stream": True}
    del server
    size = 0
    async with client.stream("POST", f"/threads/{name}/runs", json=body) as answer:
        async for chunk in answer.aiter_bytes():
            size += len(chunk)
    return str(size)


_READERS: dict[str, Callable[..., Any]] = {
    "rxassist": _ours,
    "rxassist-aiohttp": _ours,
    "openai": _theirs,
    "httpx": _bytes,
    "httpx-aiohttp": _bytes,
}
_READERS_OF_RESPONSES: dict[str, Callable[..., Any]] = {
    "rxassist": _our_response,
    "rxassist-aiohttp": _our_response,
    "openai": _their_response,
    "openai-raw": _their_raw_response,
}


async def _measure(side: str, streams: int, deltas: int, server: str, how: str) -> dict[str, Any]:
    readers = _READERS_OF_RESPONSES if server.endswith("responses") else _READERS
    read = readers[side]
    with servers.serving(server, deltas) as base_url:
        client = clients.over_sockets(side, base_url)
        assistant = await _assistant(side, client) if server == "local" else "asst_1"
        await asyncio.gather(
            *(read(client, server, assistant, f"w{number}") for number in range(_WARM_UP))
        )
        names = [f"r{number}" for number in range(streams)]
        collector.prepare(how)
        pauses = collector.Pauses()
        cpu, wall = time.process_time(), time.perf_counter()
        texts = await asyncio.gather(*(read(client, server, assistant, name) for name in names))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        paused = pauses.end(cpu)
        await (client.aclose() if read is _bytes else client.close())
    if read is not _bytes:
        _check(server, names, texts, deltas)
    return {
        "cpu": cpu / (streams * deltas),
        "wall": wall,
        **paused,
        "delivered": checksum(texts),
    }


async def _assistant(side: str, client: Any) -> str:
    assistants = client.assistants if side.startswith("rxassist") else client.beta.assistants
    return str((await assistants.create(model="m")).id)


def _check(server: str, names: list[str], texts: list[str], deltas: int) -> None:
    """Every stream was told its own text, whole. Raises ``ValueError``."""
    for name, text in zip(names, texts, strict=True):
        is_local = server.startswith("local")
        said = servers.local_text(name, deltas) if is_local else bodies.words(deltas)
        if text != "".join(said):
            msg = f"{name}: expected {''.join(said)!r:.80}, delivered {text!r:.80}"
            raise ValueError(msg)


def measure(
    side: str, *, streams: int, deltas: int, server: str, how: str = "as it is"
) -> dict[str, Any]:
    """CPU seconds of this process per delta, seconds to the end of the last stream, and pauses."""
    return asyncio.run(_measure(side, streams, deltas, server, how))
