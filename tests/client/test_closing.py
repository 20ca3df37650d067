"""A close that is cancelled: nothing stays open, and whoever cancelled it is answered."""

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from rxassist import AsyncClient
from rxassist.wire.http_client import _AIOHTTP, find_spec

LIBRARIES = ["httpx"] + ["aiohttp"] * (find_spec(_AIOHTTP) is not None)
RUN = {"id": "run_1", "object": "thread.run", "status": "queued"}
RUN |= {"thread_id": "thread_1", "assistant_id": "asst_1"}
BEGUN = b"event: thread.run.created\ndata: %s\n\n" % json.dumps(RUN).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n"


class Server:
    """Answers each request, streams for ever, and knows which connections are open."""

    def __init__(self):
        self.open = set()

    async def serve(self, reader, writer):
        self.open.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                if b'"stream"' in await reader.readexactly(length):
                    writer.write(HEAD % b"text/event-stream" + b"\r\n" + BEGUN)
                else:
                    answer = b'Content-Length: 18\r\n\r\n{"id": "thread_1"}'
                    writer.write(HEAD % b"application/json" + answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()

    async def until_open(self, number):
        """Wait until so many connections are open."""
        async with asyncio.timeout(5):
            while len(self.open) != number:  # noqa: ASYNC110 -- the server's own set
                await asyncio.sleep(0)


def descriptors():
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


KEPT = 6  # connections that answered and are kept, beside the one of a stream


@pytest.fixture(params=LIBRARIES)
def scene(request):
    """Run a coroutine function with a client that has connections of both kinds open.

    It is called with the client, its stream and the server. No connection, no task and no
    descriptor is left after it.
    """

    @asynccontextmanager
    async def open_client():
        server = Server()
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listener:
            url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
            client = AsyncClient(base_url=url, http_client=request.param)
            stream = client.threads.create_and_run_stream(assistant_id="asst_1")
            begun = asyncio.Event()
            stream.subscribe(lambda _: begun.set(), lambda _: None)
            await begun.wait()
            await asyncio.gather(*(client.threads.create() for _ in range(KEPT)))
            assert len(server.open) == KEPT + 1
            yield client, stream, server

    async def checked(main):
        async with asyncio.timeout(20):
            await open_and_close()  # what is imported late opens files
            before = descriptors()
            async with open_client() as (client, stream, server):
                await main(client, stream, server)
                await server.until_open(0)
            while asyncio.all_tasks() != {asyncio.current_task()}:  # noqa: ASYNC110 -- any task
                await asyncio.sleep(0)
            for _ in range(100):  # the server's side closes its sockets in the next turns
                if descriptors() <= before:
                    break
                await asyncio.sleep(0)
            assert descriptors() <= before

    async def open_and_close():
        async with open_client() as (client, _, server):
            await client.close()
            await server.until_open(0)

    return lambda main: asyncio.run(checked(main))


async def by_anyio(client):
    with anyio.move_on_after(0) as scope:
        await client.close()
    return scope.cancelled_caught


async def by_asyncio(client):
    try:
        async with asyncio.timeout(0):
            await client.close()
    except TimeoutError:
        return True


async def by_wait_for(client):
    try:
        await asyncio.wait_for(client.close(), 1e-9)
    except TimeoutError:
        return True


@pytest.mark.parametrize("cancelled", [by_anyio, by_asyncio, by_wait_for])
def test_a_close_that_is_out_of_time_closes_all_the_same(scene, cancelled):
    async def main(client, _, server):
        assert await cancelled(client)
        await server.until_open(0)
        await client.close()  # again, where nothing is open

    scene(main)


async def cancelled_often(task, times):
    """Cancel a task, again at each turn, and give whether it says so."""
    for _ in range(times):
        await asyncio.sleep(0)
        task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return True


@pytest.mark.parametrize("times", [1, 2, 3, 10])
def test_a_close_that_is_cancelled_again_while_it_closes(scene, times):
    async def main(client, _, server):
        assert await cancelled_often(asyncio.create_task(client.close()), times)
        await server.until_open(0)

    scene(main)


@pytest.mark.parametrize("times", [1, 2, 3, 10])
def test_a_block_that_is_left_by_cancellation(scene, times):
    async def main(client, _, server):
        inside = asyncio.Event()

        async def use():
            async with client:
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(use())
        await inside.wait()
        assert await cancelled_often(task, times)
        await server.until_open(0)

    scene(main)


def test_a_block_in_a_scope_of_anyio_that_is_cancelled(scene):
    async def main(client, _, server):
        with anyio.CancelScope() as scope:
            async with client:
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        await server.until_open(0)

    scene(main)


def test_two_that_close_and_one_is_cancelled(scene):
    async def main(client, _, server):
        one, other = (asyncio.create_task(client.close()) for _ in range(2))
        assert await cancelled_often(one, 2)
        await other
        await server.until_open(0)

    scene(main)


@pytest.mark.parametrize("times", [1, 2, 10])
def test_a_close_of_a_stream_that_is_cancelled(scene, times):
    async def main(client, stream, server):
        with anyio.move_on_after(0):
            await stream.close()
        await server.until_open(KEPT)
        await cancelled_often(asyncio.create_task(stream.close()), times)
        await client.close()

    scene(main)


@pytest.mark.parametrize("times", [1, 2, 10])
def test_an_iteration_that_is_cancelled_closes_its_connection(scene, times):
    async def main(client, _, server):
        begun = asyncio.Event()

        async def use():
            async with client.threads.create_and_run_stream(assistant_id="asst_1") as stream:
                async for _ in stream:
                    begun.set()

        task = asyncio.create_task(use())
        await begun.wait()
        assert len(server.open) == KEPT + 1
        assert await cancelled_often(task, times)
        await server.until_open(KEPT)  # the first stream goes on
        await client.close()

    scene(main)


def test_a_browser_that_leaves_a_streaming_response(scene):
    async def main(client, stream, server):
        left = asyncio.Event()

        async def page(_):
            async def text():
                try:
                    async with client:
                        async for event in stream:
                            yield event.event
                finally:
                    left.set()

            return StreamingResponse(text())

        shown = asyncio.Event()

        async def receive():
            await shown.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            if message.get("body"):
                shown.set()

        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
        await Starlette(routes=[Route("/", page)])(scope | {"asgi": {}}, receive, send)
        await left.wait()
        await server.until_open(0)

    scene(main)
