"""What a client keeps of the runs that it has followed: nothing."""

import asyncio
import gc
import json
import tracemalloc

import pytest

from rxassist import AsyncClient, Client
from rxassist.wire.http_client import _AIOHTTP, find_spec

LIBRARIES = ["httpx"] + ["aiohttp"] * (find_spec(_AIOHTTP) is not None)
RUN = {"id": "run_1", "object": "thread.run", "thread_id": "thread_1", "assistant_id": "asst_1"}
RUNS = 2_000
MOST = 200  # bytes that a run may leave, on average: a response, or a traceback, is kilobytes


def answer():
    told = "".join(
        f"event: thread.run.{name}\ndata: {json.dumps(RUN | {'status': status})}\n\n"
        for name, status in (("created", "queued"), ("completed", "completed"))
    )
    body = (told + "event: done\ndata: [DONE]\n\n").encode()
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


async def serve(reader, writer):
    told = answer()
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            writer.write(told)
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        writer.close()  # also at the end of the test, where connections are still open


async def to_the_end(stream):
    await stream.final_snapshot


async def left_early(stream):
    async with stream:
        async for _ in stream:
            break


async def in_a_thread(stream):
    await asyncio.to_thread(stream.until_done)


def kept():
    """How many bytes are kept since the measuring began."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.parametrize("over", LIBRARIES)
@pytest.mark.parametrize(
    ("make", "follow", "runs"),
    [(AsyncClient, to_the_end, RUNS), (AsyncClient, left_early, 500), (Client, in_a_thread, 500)],
    ids=["to the end", "left early", "in a thread"],
)
def test_runs_leave_no_memory_behind(over, make, follow, runs):
    async def main():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            client = make(base_url=url, http_client=over)
            try:
                for number in range(100 + runs):
                    if number == 100:  # what is kept once is there
                        tracemalloc.start()
                    if number == 200:
                        before = kept()
                    stream = client.threads.create_and_run_stream(assistant_id="asst_1")
                    await follow(stream)
                del stream
                assert kept() - before < MOST * (runs - 100)
            finally:
                tracemalloc.stop()
                closing = client.close()
                if closing is not None:
                    await closing

    asyncio.run(main())
