"""The HTTP library below may be another one: what matters goes the same way over each."""

import asyncio
from importlib.util import find_spec

import httpx
import pytest

from rxassist import (
    APIConnectionError,
    APITimeoutError,
    AsyncClient,
    Client,
    DecodeError,
    RunOutcomeUnknown,
    RxAssistError,
)
from rxassist.local import call, cut, hang_up, refuse, say, stall, wait
from rxassist.wire import http_client as http_clients
from rxassist.wire.http_client import Network, Pools


def of_httpx():
    return httpx.AsyncClient(limits=httpx.Limits(max_connections=None))


def of_httpx2():
    httpx2 = pytest.importorskip("httpx2")
    return httpx2.AsyncClient(limits=httpx2.Limits(max_connections=None))


@pytest.fixture(params=[of_httpx, of_httpx2, "httpx", "aiohttp"])
def http_client(request):
    """What to pass, made anew at each call."""
    if request.param == "aiohttp" and find_spec("httpx_aiohttp") is None:
        pytest.skip("the extra aiohttp is not installed")
    return request.param if callable(request.param) else lambda: request.param


@pytest.fixture
def connect(http_client):
    """A client of a service, over the library."""
    return lambda service, **options: Client(
        base_url=service.base_url, http_client=http_client(), **options
    )


def script(_):
    yield say("Let me see. ")
    output = yield call("add", {"a": 1, "b": 2})
    yield say(f"It is {output}.")


def only(fault, word="/runs"):
    """The fault, for the first request that creates something."""

    def faults(asked):
        first = asked.method == "POST" and asked.attempt == 1
        return fault if first and asked.path.endswith(word) else None

    return faults


def new_stream(client, **options):
    assistant = client.assistants.create(model="m").run()
    thread = client.threads.create().run()
    return client.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, **options)


def test_a_run_with_tools_uploads_lists_and_polls(serve, connect, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_bytes(b"x" * 300_000)
    with connect(serve(script)) as client:
        stream = new_stream(client)
        run = stream.get_final_run()
        (asked,) = run.required_action.submit_tool_outputs.tool_calls
        done = client.threads.runs.submit_tool_outputs_stream(
            thread_id=run.thread_id,
            run_id=run.id,
            tool_outputs=[{"tool_call_id": asked.id, "output": "3"}],
        )
        assert "".join([*stream.text_deltas, *done.text_deltas]) == "Let me see. It is 3."
        file = client.files.create(file=path, purpose="assistants").run()
        assert client.files.content(file.id).run() == path.read_bytes()
        assert len(list(client.threads.messages.list(run.thread_id))) == 2
        assert client.threads.runs.poll(run.id, thread_id=run.thread_id).run().status == "completed"


@pytest.mark.parametrize("reset", [False, True])
def test_a_stream_that_is_cut_is_recovered(serve, connect, reset):
    service = serve(lambda _: [say("one ", "two ", "three")], faults=only(cut(2500, reset=reset)))
    with connect(service) as client:
        assert "".join(new_stream(client).text_deltas) == "one two three"


@pytest.mark.parametrize("handled", [False, True])
@pytest.mark.parametrize("reset", [False, True])
def test_a_run_is_never_created_twice(serve, connect, handled, reset):
    service = serve(faults=only(hang_up(handled=handled, reset=reset)))
    with connect(service) as client:
        with pytest.raises(RunOutcomeUnknown):
            new_stream(client).until_done()
        assert len(service.runs) == handled
    service = serve(faults=only(hang_up(handled=handled, reset=reset)))
    with connect(service) as client:
        stream = new_stream(client, idempotent=True, patience=30 if handled else 0.2)
        if handled:
            assert stream.get_final_run().status == "completed"
        else:
            with pytest.raises(RunOutcomeUnknown):
                stream.until_done()
        assert len(service.runs) == handled


def test_what_is_refused_for_now_is_tried_again(serve, connect):
    service = serve(faults=only(refuse(429, {"retry-after": "0"})))
    with connect(service) as client:
        assert new_stream(client).get_final_run().status == "completed"


def test_silence_and_slowness_have_their_bounds(serve, connect):
    service = serve(lambda _: [wait(60)])
    with connect(service, idle_timeout=0.2) as client, pytest.raises(APITimeoutError):
        new_stream(client, recover=False).until_done()
    service = serve(faults=only(stall(0), "/assistants"))
    with connect(service, timeout=0.2) as client, pytest.raises(APITimeoutError):
        client.assistants.create(model="m", max_retries=0).run()


def test_no_server(connect):
    class Nobody:
        base_url = "http://127.0.0.1:9/v1"

    with connect(Nobody, max_retries=0) as client, pytest.raises(APIConnectionError) as caught:
        client.threads.runs.create("t", assistant_id="a").run()
    assert not caught.value.sent


def test_leaving_closes_the_connection(serve, connect):
    service = serve(lambda _: [say("a "), wait(60)])
    with connect(service) as client:
        with new_stream(client) as stream:
            for _ in stream.text_deltas:
                break
        service.wait_for(lambda: service.open_streams == 0)


def test_a_full_client_says_its_number(serve, connect):
    service = serve(lambda _: [say("a "), wait(60)])
    with connect(service, max_connections=2, timeout=0.3) as client:
        streams = [new_stream(client) for _ in range(2)]
        held = [stream.subscribe() for stream in streams]
        service.wait_for(lambda: service.open_streams == 2)
        with pytest.raises(APITimeoutError, match="all 2 connections"):
            client.threads.create().run()
        for subscription in held:
            subscription.dispose()


def test_two_hundred_streams_at_once(serve, http_client):
    service = serve(lambda _: [say("a "), wait(0.2), say("b")])

    async def main():
        async with AsyncClient(base_url=service.base_url, http_client=http_client()) as client:
            assistant = await client.assistants.create(model="m")

            async def text():
                stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
                return "".join([piece async for piece in stream.text_deltas])

            return await asyncio.gather(*(text() for _ in range(200)))

    assert asyncio.run(main()) == ["a b"] * 200


@pytest.mark.parametrize("choice", ["requests", 5, httpx.Client, object()])
def test_what_is_no_asynchronous_client_is_refused(choice):
    with pytest.raises(TypeError, match="http_client"):
        Client(base_url="http://127.0.0.1:9/v1", http_client=choice)


def test_a_blocking_client_is_refused():
    with httpx.Client() as blocking, pytest.raises(TypeError, match="AsyncClient"):
        Client(base_url="http://127.0.0.1:9/v1", http_client=blocking)


@pytest.mark.skipif(find_spec("httpx_aiohttp") is not None, reason="aiohttp is installed")
def test_aiohttp_is_an_extra():
    with pytest.raises(ModuleNotFoundError, match="pip install httpx-aiohttp"):
        Client(base_url="http://127.0.0.1:9/v1", http_client="aiohttp")


class Body(httpx.AsyncByteStream):
    """A body that never ends, also when it is closed."""

    def __init__(self, *chunks):
        self.chunks = chunks

    async def __aiter__(self):
        for chunk in self.chunks:
            yield chunk
        await asyncio.Event().wait()


def read(*chunks):
    """How a stream ends whose body is given chunks and then nothing, and how long that took."""
    headers = {"content-type": "text/event-stream"}

    async def main():
        transport = httpx.MockTransport(
            lambda _: httpx.Response(200, headers=headers, stream=Body(*chunks))
        )
        own = httpx.AsyncClient(transport=transport)
        async with AsyncClient(base_url="http://memory/v1", http_client=own) as client:
            begun = asyncio.get_running_loop().time()
            stream = client.threads.runs.stream(thread_id="t", assistant_id="a", recover=False)
            with pytest.raises(RxAssistError) as caught:
                await stream.until_done()
            return caught.value, asyncio.get_running_loop().time() - begun

    return asyncio.run(main())


def test_a_body_that_does_not_end_when_it_is_closed_is_left():
    error, seconds = read(b"event: thread.run.created\ndata: []\n\n")
    assert isinstance(error, RunOutcomeUnknown)
    assert isinstance(error.__cause__, DecodeError)
    assert seconds < 0.9


def test_a_body_that_begins_with_nothing_is_looked_at_all_the_same():
    error, _ = read(b"", b"<html>Bad gateway</html>")
    assert "no event stream" in str(error)


def test_pools_that_nobody_needs_any_more_are_closed(monkeypatch):
    now, closed = [0.0], []

    class Fake:
        async def aclose(self):
            closed.append(self)

    monkeypatch.setattr(http_clients, "monotonic", lambda: now[0])
    monkeypatch.setattr(http_clients, "_maker", lambda _: (Fake, 4))

    async def use(pools, count, after=0.0):
        taken = [pools.take() for _ in range(count)]
        now[0] += after
        for pool in reversed(taken):
            await pools.give_back(pool)
        return {pool.client for pool in taken}

    async def main():
        pools = Pools(Network("httpx"))
        assert len(await use(pools, 10)) == 3
        await use(pools, 1)
        assert not closed
        await use(pools, 1, after=6)
        await use(pools, 1)
        assert len(closed) == 2
        (last,) = await use(pools, 1, after=60)
        assert last not in closed
        await pools.close()
        assert len(closed) == len(set(closed)) == 3

    asyncio.run(main())
