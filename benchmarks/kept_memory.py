"""What a finished run keeps in memory, per event, as tracemalloc counts it.

Ours is a ``RunStream`` with replay whose ``text_deltas`` were subscribed; openai's is a list of
the events that its stream gave. What the text itself takes is freed before it is counted.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import Any

from benchmarks import bodies, clients
from benchmarks.delivery import Delivered, checksum

_RUN = {"thread_id": "thread_1", "assistant_id": "asst_1"}
_WARM_UP = 50


async def _ours(client: Any) -> tuple[object, Delivered]:
    stream = client.threads.runs.stream(**_RUN)
    ended, texts = asyncio.get_running_loop().create_future(), list[str]()
    stream.text_deltas.subscribe(texts.append, ended.set_exception, lambda: ended.set_result(None))
    await ended
    return stream, {"text": "".join(texts)}


async def _theirs(client: Any) -> tuple[object, Delivered]:
    events, texts = list[Any](), list[str]()
    async with client.beta.threads.runs.stream(**_RUN) as stream:
        async for event in stream:
            events.append(event)
            if event.event == "thread.message.delta":
                texts += [part.text.value for part in event.data.delta.content]
    return events, {"text": "".join(texts)}


async def _measure(side: str, deltas: int) -> dict[str, Any]:
    client, transport = clients.in_memory(side, "async")
    read = _ours if side == "rxassist" else _theirs
    (small,), (body,) = bodies.make("text", _WARM_UP), bodies.make("text", deltas)
    transport.chunks = small.chunks("event")
    await read(client)
    transport.chunks = body.chunks("event")
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    held, delivered = await read(client)
    if delivered["text"] != body.text:
        msg = "the text that was delivered is not the body's"
        raise ValueError(msg)
    given = checksum(delivered)
    del delivered
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del held
    await client.close()
    return {"kept": (after - before) / len(body.events), "delivered": given}


def measure(side: str, *, deltas: int) -> dict[str, Any]:
    """Bytes per event."""
    return asyncio.run(_measure(side, deltas))
