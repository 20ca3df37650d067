"""Functions of yours in one stream with the response: each round is a response of its own.

Needs a server: `rxassist serve`, then `RXASSIST_BASE_URL=http://127.0.0.1:8765/v1`.
"""

import asyncio
from typing import Annotated

from rxassist import AsyncClient, AsyncResponseEventHandler
from rxassist.responses import ToolCall


async def get_weather(city: Annotated[str, "Such as Lima, Peru."]) -> str:
    """The weather of a city, as it is now."""
    return f"foggy and 19 degrees in {city}"


class Printer(AsyncResponseEventHandler):
    """Prints the calls that the model makes."""

    async def on_tool_call_done(self, tool_call: ToolCall) -> None:
        print(f"call: {tool_call.type}")


async def main() -> None:
    async with AsyncClient() as client:
        question = "How is the weather in Lima?"
        stream = client.responses.stream(
            model="scripted", input=question, tools=[get_weather], event_handler=Printer()
        )
        async for result in stream.tool_results:
            print(f"{result.call.id}: {result.output}")
        print(await stream.responses.map(lambda response: response.status).to_list())
        print(await stream.get_final_text())


if __name__ == "__main__":
    asyncio.run(main())
