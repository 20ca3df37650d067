"""Event loops other than asyncio's own: uvloop, which web servers bring, and eager tasks."""

import asyncio
import sys

import pytest

from rxassist import AsyncAssistantEventHandler, AsyncClient
from rxassist.local import drop, say, stall
from tests.client.conftest import NUMBERS

MANY = 30  # streams at once


def _uvloop():
    return pytest.importorskip("uvloop").new_event_loop()


def _eager():
    if sys.version_info < (3, 12):
        pytest.skip("Python 3.12 has eager tasks")
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    return loop


@pytest.fixture(params=[_uvloop, _eager], ids=["uvloop", "eager"])
def run_with(request):
    """Run a coroutine function with an AsyncClient on such a loop; a task that is left fails."""

    def run(service, main, **options):
        async def checked():
            async with (
                asyncio.timeout(30),
                AsyncClient(base_url=service.base_url, **options) as client,
            ):
                result = await main(client)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, left
            return result

        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(checked())

    return run


async def begin(client, **options):
    assistant = await client.assistants.create(model="m")
    return client.threads.create_and_run_stream(assistant_id=assistant.id, **options)


def test_every_way_to_read_a_stream_gives_the_whole_text(run_with, service):
    class Handler(AsyncAssistantEventHandler):
        def __init__(self):
            super().__init__()
            self.texts = []

        async def on_text_delta(self, delta, snapshot):
            await asyncio.sleep(0)
            self.texts.append(delta.value)

    async def main(client):
        handler, told = Handler(), []
        stream = await begin(client, event_handler=handler)
        stream.text_deltas.subscribe(told.append)
        iterated = [text async for text in stream.text_deltas]
        await handler.until_done()
        return ["".join(texts) for texts in (iterated, told, handler.texts)]

    assert run_with(service, main) == [NUMBERS] * 3


def test_who_leaves_stops_the_run_and_the_connection(run_with, forever):
    async def main(client):
        stream = await begin(client)
        async for _ in stream.text_deltas:
            break
        await stream.close()
        await asyncio.to_thread(forever.wait_for, lambda: not forever.open_streams)
        waiting = asyncio.ensure_future((await begin(client)).get_final_text())
        await asyncio.to_thread(forever.wait_for, lambda: forever.open_streams)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.to_thread(forever.wait_for, lambda: not forever.open_streams)

    run_with(forever, main)


def test_connections_that_a_server_keeps_open_are_closed(run_with, serve):
    """A limit of ours does not interrupt the HTTP library's clean-up, for a limit due with it."""
    kept_open = drop("done") | stall(None)

    def script(_):
        yield say("word")

    def faults(asked):
        return kept_open if asked.path.endswith("/runs") else None

    service = serve(script, faults=faults)

    async def main(client):
        streams = [await begin(client) for _ in range(MANY)]
        texts = await asyncio.gather(*(stream.get_final_text() for stream in streams))
        await asyncio.to_thread(service.wait_for, lambda: not service.open_streams)
        return texts

    assert run_with(service, main, idle_timeout=0.5) == ["word"] * MANY
