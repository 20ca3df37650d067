"""An asyncio program: await calls, iterate with backpressure, map to a coroutine.

Needs a server: `rxassist serve`, then `RXASSIST_BASE_URL=http://127.0.0.1:8765/v1`.
"""

import asyncio

from rxassist import AsyncClient, map_async


async def store(text: str) -> int:
    """Stands for a slow database: while it works, the stream is paused."""
    await asyncio.sleep(0.001)
    return len(text)


async def main() -> None:
    async with AsyncClient() as client:
        assistant = await client.assistants.create(model="scripted")
        thread = await client.threads.create()
        await client.threads.messages.create(thread.id, role="user", content="Good evening!")

        stream = client.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id)
        async for text in stream.text_deltas:
            print(text, end="", flush=True)
        print()

        stored = await stream.text_deltas.pipe(map_async(store)).sum()
        print(f"{stored} characters stored")


if __name__ == "__main__":
    asyncio.run(main())
