"""Three runs side by side in a browser, as Server-Sent Events; the page is web.html.

Needs a server, as the others do, and is one: open http://127.0.0.1:8000 in a browser.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, StreamingResponse
from starlette.routing import Route

from rxassist import AsyncClient, to_sse
from rxassist.operators import smooth

PAGE = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
client = AsyncClient()


async def ask(request: Request) -> StreamingResponse:
    assistant = await client.assistants.create(model="scripted")
    thread = {"messages": [{"role": "user", "content": request.query_params["question"]}]}
    stream = client.threads.create_and_run_stream(
        assistant_id=assistant.id, thread=thread, on_dispose="cancel"
    )
    body = stream.text_deltas.pipe(smooth(0.02), to_sse())  # a browser that leaves cancels the run
    return StreamingResponse(body, media_type="text/event-stream")


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncGenerator[None]:
    async with client:
        yield


app = Starlette(routes=[Route("/", HTMLResponse(PAGE)), Route("/ask", ask)], lifespan=lifespan)

if __name__ == "__main__":
    uvicorn.run(app, port=8000)
