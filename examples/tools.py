"""Functions of yours in one stream with the run: called when it asks, any number of times.

Needs a server: `rxassist serve`, then `RXASSIST_BASE_URL=http://127.0.0.1:8765/v1`.
"""

import asyncio
from typing import Annotated, Literal

from rxassist import AsyncClient, Toolbox, tool

Unit = Literal["celsius", "fahrenheit"]


def get_weather(city: Annotated[str, "Such as Lima, Peru."], unit: Unit = "celsius") -> str:
    """The weather of a city, as it is now."""
    return f"foggy and 19 degrees {unit} in {city}"


@tool(name="find_flights", strict=True)
async def flights(to: str, passengers: int = 1) -> dict[str, str | int]:
    """The next flight, and its price."""
    await asyncio.sleep(0.1)
    return {"flight": "LP 2021", "to": to, "price": 120 * passengers}


async def main() -> None:
    toolbox = Toolbox([get_weather, flights])
    async with AsyncClient() as client:
        assistant = await client.assistants.create(model="any", tools=toolbox.definitions)
        question = {"role": "user", "content": "How is the weather in Lima, and are there flights?"}
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, thread={"messages": [question]}, tools=toolbox
        )
        async for result in stream.tool_results:
            print(f"{result.call.id}: {result.output} ({result.duration:.1f} s)")
        print(stream.snapshot.text)


if __name__ == "__main__":
    asyncio.run(main())
