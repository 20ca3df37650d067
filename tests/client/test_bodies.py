"""Bodies of answers that are broken, packed, silent or endless, over each HTTP library."""

import asyncio
from importlib.util import find_spec

import pytest

from rxassist import AsyncClient, RxAssistError

RUN = b'event: thread.run.created\ndata: {"id": "run_1", "object": "thread.run"}\n\n'
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
SOON = 5.0  # seconds; without the bound each of these would wait for 600
TURNS = 50  # of the loop, after which a client has read what was written

over_each = pytest.mark.parametrize(
    "over",
    [
        "httpx",
        pytest.param(
            "aiohttp",
            marks=pytest.mark.skipif(
                find_spec("httpx_aiohttp") is None, reason="the extra aiohttp is not installed"
            ),
        ),
    ],
)


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def meet(over, answer, call, **options):
    """What becomes of a call: ``answer(writer)`` is called after the head of each request."""

    async def main():
        writers = []

        async def serve(reader, writer):
            writers.append(writer)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2][:6] or 0))
            await answer(writer)

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            options.setdefault("max_retries", 0)
            async with (
                asyncio.timeout(SOON),
                AsyncClient(base_url=base_url, http_client=over, **options) as client,
            ):
                try:
                    return await call(client)
                finally:
                    for writer in writers:
                        writer.transport.abort()

    return asyncio.run(main())


def new_stream(client, **options):
    return client.threads.runs.stream(thread_id="t", assistant_id="a", recover=False, **options)


# --- chunks that are none ------------------------------------------------------------------


NO_CHUNKS = {
    "a page": b"<html>502 Bad Gateway</html>",
    "a page with a line end": b"<html>502 Bad Gateway</html>\r\n",
    "no line end behind the data": b"2\r\n: 2\r\n: \r\n0\r\n\r\n",
    "LF only": b"3\n: a\n0\n\n",
    "CR only": b"3\r: a\r0\r\r",
    "a negative size": b"-3\r\n: a\r\n0\r\n\r\n",
    "a size with a plus": b"+3\r\n: a\r\n0\r\n\r\n",
    "a size with 0x": b"0x3\r\n: a\r\n0\r\n\r\n",
    "an empty size": b"\r\n: a\r\n0\r\n\r\n",
    "a size of 17 digits": b"fffffffffffffffff\r\n: a",
    "a size of 16 digits": b"ffffffffffffffff\r\n: a",
    "a size of 25 digits": b"0000000000000000000000003\r\n: a\r\n0\r\n\r\n",
    "a size that is a word": b"three\r\n: a\r\n0\r\n\r\n",
    "a size with a space before": b" 3\r\n: a\r\n0\r\n\r\n",
    "a size with a point": b"3.0\r\n: a\r\n0\r\n\r\n",
    "a size with an underscore": b"0_3\r\n: a\r\n0\r\n\r\n",
    "a size in other digits": "\u0663\r\n: a\r\n0\r\n\r\n".encode(),
    "a size that is too small": b"2\r\n: a\r\n0\r\n\r\n",
    "a size that is too large": b"ff\r\n: a\r\n0\r\n\r\n",
    "a size without a line": b"3",
    "NULs": b"\0\0\0\0\r\n",
    "an extension with a control character": b"3;\0\r\n: a\r\n0\r\n\r\n",
    "an endless extension": b"3;" + b"x" * 100_000,
    "another answer": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a trailer that is none": b"0\r\nno trailer\r\n\r\n",
    "an end that is cut": b"0\r\n",
}


@pytest.mark.parametrize("broken", NO_CHUNKS.values(), ids=NO_CHUNKS)
@over_each
def test_a_stream_whose_chunks_break_fails_at_once(over, broken):
    heard = []

    async def main(client):
        begun.append(asyncio.Event())
        stream = new_stream(client, idle_timeout=None)
        stream.subscribe(lambda event: (heard.append(event.event), begun[0].set()), lambda _: None)
        await stream.until_done()

    begun = []

    async def answer(writer):
        writer.write(STREAM + CHUNKED + chunk(RUN))
        await begun[0].wait()
        writer.write(broken)
        writer.close()

    with pytest.raises(RxAssistError):
        meet(over, answer, main)
    assert heard == ["thread.run.created"]


@pytest.mark.parametrize("broken", NO_CHUNKS.values(), ids=NO_CHUNKS)
@over_each
def test_a_whole_answer_whose_chunks_break_fails_at_once(over, broken):
    async def answer(writer):
        writer.write(JSON + CHUNKED + chunk(b'{"id": "thread_1",'))
        for _ in range(TURNS):
            await asyncio.sleep(0)
        writer.write(broken)
        writer.close()

    with pytest.raises(RxAssistError):
        meet(over, answer, lambda client: client.threads.retrieve("t"))
