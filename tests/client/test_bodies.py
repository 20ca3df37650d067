"""Bodies of answers that are broken, packed, silent or endless, over each HTTP library."""

import asyncio
import gc
import gzip
import time
import tracemalloc
import zlib
from contextlib import aclosing, contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxassist import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AsyncClient,
    Client,
    RxAssistError,
)
from rxassist.wire.body import Body
from rxassist.wire.transport import Request

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


def meet(over, answer, call, within=SOON, **options):
    """What becomes of a call: ``answer(writer)`` is called after the head of each request."""

    async def main():
        writers = set()

        async def serve(reader, writer):
            writers.add(writer)
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
                await reader.readexactly(int(length or 0))
                await answer(writer)
                await reader.read()  # until the client hangs up
            except (OSError, EOFError):  # which it may do at any time
                pass
            finally:
                writer.transport.abort()
                writers.discard(writer)

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            options.setdefault("max_retries", 0)
            async with (
                asyncio.timeout(within),
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


# --- bodies that are left ------------------------------------------------------------------


RUN_DATA = b'{"id": "run_1", "object": "thread.run", "status": "completed"}'
WHOLE_RUN = (
    RUN + b"event: thread.run.completed\ndata: " + RUN_DATA + b"\n\nevent: done\ndata: [DONE]\n\n"
)


@over_each
def test_two_thousand_streams_leave_nothing_behind(over):
    async def answer(writer):
        writer.write(STREAM + CHUNKED + chunk(WHOLE_RUN))

    async def main(client):
        async def objects_after(count):
            for _ in range(count):
                await new_stream(client).until_done()
            gc.collect()
            return len(gc.get_objects())

        before = await objects_after(200)
        return await objects_after(1_800) - before

    assert meet(over, answer, main, within=60.0) < 1_000


# --- bodies that say nothing ---------------------------------------------------------------


class Endless(httpx.AsyncByteStream):
    """A body of another HTTP library, which knows no bound: chunks, and then nothing."""

    def __init__(self, *chunks):
        self.chunks = chunks

    async def __aiter__(self):
        for each in self.chunks:
            yield each
        await asyncio.Event().wait()


def in_memory(body, **headers):
    """A client that is answered with a body, over an HTTP library of the user's own."""

    def answer(_):
        return httpx.Response(
            200, headers={"content-type": "text/event-stream"} | headers, stream=body
        )

    return AsyncClient(
        base_url="http://memory/v1",
        http_client=httpx.AsyncClient(transport=httpx.MockTransport(answer)),
        max_retries=0,
    )


@pytest.mark.parametrize("chunks", [(), (RUN,), (b": a\n", b": b\n", b"")])
def test_silence_has_an_end_whatever_the_library_does(chunks):
    async def main():
        async with asyncio.timeout(SOON), in_memory(Endless(*chunks)) as client:
            await new_stream(client, idle_timeout=0.05).until_done()

    with pytest.raises(APIConnectionError, match="no answer in time"):
        asyncio.run(main())


def test_a_whole_answer_has_an_end_whatever_the_library_does():
    async def main():
        async with asyncio.timeout(SOON), in_memory(Endless(b"{")) as client:
            await client.threads.retrieve("t", timeout=0.05)

    with pytest.raises(APITimeoutError):
        asyncio.run(main())


def body_of(*chunks, silence=None, end=True, **headers):
    """A body, made of the response of a library."""

    async def given():
        for each in chunks:
            yield each
        if not end:
            await asyncio.Event().wait()

    class Stream(httpx.AsyncByteStream):
        def __aiter__(self):
            return given()

    return Body(httpx.Response(200, headers=headers, stream=Stream()), "GET /x", silence)


def test_only_the_wait_for_a_chunk_counts_as_silence():
    async def main():
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(SOON), aclosing(body_of(b"a", b"b", silence=0.02)) as body:
            assert await anext(body) == b"a"
            later = loop.create_future()
            loop.call_later(0.1, later.set_result, None)  # the reader takes its time
            await later
            assert [each async for each in body] == [b"b"]

    asyncio.run(main())


def test_a_reader_that_is_cancelled_is_not_told_of_silence():
    async def main():
        begun = asyncio.Event()

        async def read():
            async with aclosing(body_of(silence=0.02, end=False)) as body:
                asyncio.get_running_loop().call_soon(begun.set)
                async for _ in body:
                    pass

        async with asyncio.timeout(SOON):
            task = asyncio.create_task(read())
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(TimeoutError):
                await read()
            assert not asyncio.current_task().cancelling()

    asyncio.run(main())


class Closed(Endless):
    """Notes the task that closes it."""

    def __init__(self, *chunks):
        super().__init__(*chunks)
        self.began = self.ended = None

    async def __aiter__(self):
        self.began = asyncio.current_task()
        try:
            async with aclosing(super().__aiter__()) as body:
                async for each in body:
                    yield each
        finally:
            self.ended = asyncio.current_task()


DONE = b"event: done\ndata: [DONE]\n\n"
COMPLETED = (
    b'event: thread.run.completed\ndata: {"id": "run_1", "object": "thread.run", '
    b'"status": "completed"}\n\n'
)


def test_the_task_that_reads_a_body_closes_it_too():
    """Else its loop makes a task for each body that is left, which also costs time."""
    body = Closed(RUN, COMPLETED, DONE)

    async def main():
        async with asyncio.timeout(SOON), in_memory(body) as client:
            await new_stream(client).until_done()

    asyncio.run(main())
    assert body.began is body.ended is not None


# --- bodies that are packed ----------------------------------------------------------------


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKED = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZip", gzip.compress),
    "gzip in two members": ("gzip", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
    "gzip with padding": ("gzip", lambda data: gzip.compress(data) + bytes(300)),
    "deflate": ("deflate", zlib.compress),
    "deflate without its frame": ("deflate", raw_deflate),
    "nothing": ("identity", bytes),
    "no compression": ("utf-8", bytes),
}
STEP = 16 * 1024


@pytest.mark.parametrize(("encoding", "pack"), PACKED.values(), ids=PACKED)
@given(
    data=st.one_of(st.binary(max_size=100), st.binary(max_size=3).map(lambda data: data * 40_000)),
    cuts=st.lists(st.integers(0, 200)),
)
def test_what_is_packed_comes_out_as_it_was(encoding, pack, data, cuts):
    packed = pack(data)
    places = [0, *sorted(cuts), len(packed)]
    chunks = [packed[start:end] for start, end in pairwise(places)]

    async def main():
        return [each async for each in body_of(*chunks, **{"content-encoding": encoding})]

    pieces = asyncio.run(main())
    assert b"".join(pieces) == data
    if pack is not bytes:
        assert max(map(len, pieces), default=0) <= STEP


class Turns:
    """How long the event loop was kept by one of its tasks at most, in CPU seconds."""

    def __init__(self):
        self.longest = 0.0

    async def __aenter__(self):
        self.task = asyncio.create_task(self.count())
        return self

    async def count(self):
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest, last = max(self.longest, now - last), now

    async def __aexit__(self, *_):
        self.task.cancel()


@contextmanager
def bounded_memory():
    """Raise where more memory is taken inside than a few pieces of a body need."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


NOTHING = {
    "comments": b":\n",
    "long comments": b": " + b"x" * 10_000 + b"\n",
    "blank lines": b"\n",
    "fields of nobody": b"a\n",
    "names without data": b"event: a\n\n",
}


@pytest.mark.parametrize("nothing", NOTHING.values(), ids=NOTHING)
@over_each
def test_what_is_packed_small_keeps_nobody_waiting(over, nothing):
    import_module("httpx_aiohttp" if over == "aiohttp" else over)  # which takes a while, too
    packed = gzip.compress(nothing * (20_000_000 // len(nothing)))

    async def answer(writer):
        length = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
        writer.write(STREAM + length + packed)

    async def main(client):
        async with Turns() as turns:
            with suppress(TimeoutError, RxAssistError):  # it may come to the end of that
                async with asyncio.timeout(0.5):
                    await new_stream(client).until_done()
        assert turns.longest < 0.3

    with bounded_memory():
        meet(over, answer, main)


@over_each
def test_a_whole_answer_is_bounded_after_it_is_unpacked(over):
    packed = gzip.compress(bytes(50_000_000))

    async def answer(writer):
        length = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
        writer.write(JSON + length + packed)

    async def main(client):
        with pytest.raises(APIError, match="larger than 1000000 bytes"):
            await client._transport.send(Request("GET", "/threads/t", max_bytes=1_000_000))

    with bounded_memory():
        meet(over, answer, main)


@over_each
def test_only_what_can_be_unpacked_in_steps_is_asked_for(over, raw):
    server = raw(JSON + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
    with Client(base_url=server.url, http_client=over, max_retries=0) as client:
        for call in (client.threads.retrieve("t"), new_stream(client)):
            with pytest.raises(RxAssistError):
                call.run()
    whole, stream = server.heads
    assert b"\r\naccept-encoding: gzip, deflate\r\n" in whole
    assert b"\r\naccept-encoding: identity\r\n" in stream


def packed_as(encoding, *chunks):
    return in_memory(Endless(*chunks), **{"content-encoding": encoding})


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, br", "gzip, gzip"])
def test_another_compression_is_named(encoding):
    async def main():
        async with asyncio.timeout(SOON), packed_as(encoding, b"\xff" * 9) as client:
            await new_stream(client).until_done()

    with pytest.raises(APIError, match="compressed") as caught:
        asyncio.run(main())
    assert encoding in str(caught.value)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_is_not_packed_as_it_says_is_a_broken_connection(encoding):
    async def main():
        async with asyncio.timeout(SOON), packed_as(encoding, b"\xff" * 9) as client:
            await client.threads.retrieve("t")

    with pytest.raises(
        APIConnectionError, match=f"GET /threads/t at memory: .* unpacked as {encoding}"
    ):
        asyncio.run(main())


# --- answers that are none -----------------------------------------------------------------


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308, 399])
@over_each
def test_a_redirect_to_nowhere_is_no_success(over, status):
    async def answer(writer):
        head = b"HTTP/1.1 %d Moved\r\nContent-Type: text/event-stream\r\n" % status
        if status == 304:
            writer.write(head + b"\r\n")
        else:
            writer.write(head + CHUNKED + chunk(WHOLE_RUN) + b"0\r\n\r\n")

    for call in (
        lambda client: new_stream(client).until_done(),
        lambda client: client.threads.retrieve("t"),
    ):
        with pytest.raises(APIError, match=f"HTTP {status} .*Location"):
            meet(over, answer, call)
