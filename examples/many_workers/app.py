"""One page, several workers: any of them serves any answer, also after the one that ran it died.

Needs two servers, each in a terminal of its own, and then the workers in a third one:

    redis-server
    rxassist serve --token-delay 0.2
    RXASSIST_BASE_URL=http://127.0.0.1:8765/v1 uvicorn app:app --app-dir examples/many_workers \
        --workers 2 --timeout-graceful-shutdown 2

Open http://127.0.0.1:8000 in a browser, ask, and end the process that the page names: `kill -9`,
or `kill`. The page goes on with the next worker. Its address holds the key of the answer: open it
in a second browser, too.
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from rxassist import AsyncClient
from rxassist.errors import RxAssistError
from rxassist.redis import RunLog

PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
client = AsyncClient()  # each worker imports this module, so each has its own
runs = RunLog(os.environ.get("REDIS_URL", "redis://localhost"), lease=2)


async def ask(request: Request) -> JSONResponse:
    """Begin a run. It goes on when this request has ended."""
    question = (await request.body()).decode()
    assistant = await client.assistants.create(model="scripted")
    thread = await client.threads.create(messages=[{"role": "user", "content": question}])
    stream = client.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, idempotent=True
    )
    key = await runs.publish(stream)
    return JSONResponse({"key": key, "worker": os.getpid()})


async def events(request: Request) -> StreamingResponse:
    """Follow a run, from the beginning or after the last event that the browser has."""
    key, after = request.path_params["key"], request.headers.get("last-event-id", "")
    return StreamingResponse(body(key, after), media_type="text/event-stream")


async def body(key: str, after: str) -> AsyncGenerator[bytes]:
    """Say which worker this is, and that a browser may come back soon; then the run."""
    # With the id, or this event would make the browser forget it.
    yield f"retry: 300\nid: {after}\nevent: worker\ndata: {os.getpid()}\n\n".encode()
    async with aclosing(runs.sse(key, after)) as chunks:
        async for chunk in chunks:
            yield chunk


async def stop(request: Request) -> Response:
    """Cancel a run, whichever worker has it."""
    await runs.stop(request.path_params["key"])
    return Response(status_code=204)


async def take_over_orphans() -> None:
    """Go on with the runs of workers that died."""
    while True:
        await asyncio.sleep(0.5)
        try:
            async for key in runs.orphans():
                await runs.take_over(key, client)
        except RxAssistError as error:  # Redis is away: look again
            logging.getLogger("uvicorn.error").warning("no look for orphans: %s", error)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncGenerator[None]:
    async with client, runs:
        watching = asyncio.create_task(take_over_orphans())
        yield
        watching.cancel()


routes = [
    Route("/", HTMLResponse(PAGE)),
    Route("/runs", ask, methods=["POST"]),
    Route("/runs/{key}", events),
    Route("/runs/{key}/stop", stop, methods=["POST"]),
]
app = Starlette(routes=routes, lifespan=lifespan)
