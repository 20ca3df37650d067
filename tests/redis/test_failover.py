"""A real failover: a replica without the last entries takes the place of its primary.

What ``docs/many-workers.md`` says of it is tested here.
"""

import asyncio
import signal
import socket
import time

import pytest
from reactivex import Subject
from reactivex import operators as ops

from rxassist import AsyncClient
from rxassist.errors import CursorUnavailable
from rxassist.local import LocalService, say
from rxassist.operators import text_deltas
from rxassist.protocols.assistants.codec import EventDecoder
from rxassist.redis import RunLog

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="signals of POSIX")

WAIT = 10
WORDS = [f"{number} " for number in range(80)]


class Pair:
    """A primary, its replica, and the address of the one of them that is in service."""

    def __init__(self, folder, own_server):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        self._primary = own_server("--port", port, "--bind", "127.0.0.1")
        self._replica = own_server("--replicaof", "127.0.0.1", port)
        self._address = folder / "s"
        self._serve(self._primary)
        self.url = f"unix://{self._address}"
        self._until(lambda: b"connected" in self._replica.ask("ROLE"))

    def _serve(self, server):
        new = self._address.with_suffix(".new")
        new.symlink_to(server.url.removeprefix("unix://"))
        new.replace(self._address)

    def _until(self, true):
        until = time.monotonic() + WAIT
        while not true():
            assert time.monotonic() < until

    def length(self, key):
        """How many entries of a log the replica has."""
        return self._replica.ask("XLEN", f"rxassist:{{{key}}}:log")

    def lag(self, key):
        """How many entries of a log the replica lacks."""
        return self._primary.ask("XLEN", f"rxassist:{{{key}}}:log") - self.length(key)

    def cut_off(self):
        """From now on the replica gets nothing more: as when it lags behind."""
        assert self._replica.ask("REPLICAOF", "NO", "ONE")

    def fail_over(self):
        """The primary dies, and the replica serves."""
        self._primary.end(signal.SIGKILL)
        self._serve(self._replica)


@pytest.fixture
def pair(tmp_path, own_server):
    return Pair(tmp_path, own_server)


@pytest.fixture
def events(wire):
    """The events of a run of an assistant."""
    decoder = EventDecoder()
    return list(decoder.feed((wire / "assistants" / "oa4j-text.sse").read_bytes()))


async def until(true):
    """Wait until something is true, which happens elsewhere."""
    deadline = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def orphan(runs):
    """The first run that is listed as an orphan."""
    for _ in range(WAIT * 20):
        async for key in runs.orphans():
            return key
        await asyncio.sleep(0.05)
    return None


def test_a_worker_that_lives_writes_on_and_no_follower_misses_an_event_unknowingly(
    pair, run, stream_of, events
):
    async def main():
        source, had, late = Subject(), [], []
        async with RunLog(pair.url) as runs, RunLog(pair.url) as others:
            key = await runs.publish(stream_of(source))
            follower = others.follow(key).pipe(ops.do_action(had.append), ops.last())
            followed = asyncio.ensure_future(follower)
            for event in events[:5]:
                source.on_next(event)
            await until(lambda: len(had) == 5)
            await until(lambda: not pair.lag(key))
            pair.cut_off()
            for event in events[5:9]:
                source.on_next(event)
            await until(lambda: len(had) == 9)
            pair.fail_over()
            for event in events[9:]:
                source.on_next(event)
            source.on_completed()
            assert await followed == events[-1]
            assert had == events
            with pytest.raises(CursorUnavailable, match="follows number"):
                await runs.follow(key).pipe(ops.do_action(late.append))
            assert late == events[: len(late)]
            assert 0 < len(late) < 9

    run(main)


def counting(_):
    yield say(*WORDS)


@pytest.fixture
def service():
    with LocalService(counting, token_delay=0.03) as service:
        yield service


def test_a_successor_has_all_and_a_follower_with_lost_events_is_told(pair, run, service):
    async def main():
        async with AsyncClient(base_url=service.base_url) as client, RunLog(pair.url) as others:
            worker = RunLog(pair.url, lease=0.5)
            assistant = await client.assistants.create(model="m")
            thread = await client.threads.create()
            stream = client.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id)
            key = await worker.publish(stream)
            ids = []

            async def browse():
                async for chunk in others.sse(key):
                    first = chunk.decode().partition("\n")[0]
                    ids.append(first.removeprefix("id: "))

            browser = asyncio.create_task(browse())
            await until(lambda: len(ids) > 10)
            await until(lambda: pair.length(key) > 5)
            pair.cut_off()
            held = pair.length(key)
            await until(lambda: len(ids) > held + 10)
            browser.cancel()
            seen = ids[-1]
            pair.fail_over()
            await worker.close()

            async with RunLog(pair.url, lease=0.5) as successor:
                assert await orphan(successor) == key
                assert await successor.take_over(key, client)
                text = successor.follow(key).pipe(text_deltas(), ops.reduce(str.__add__))
                assert await text == "".join(WORDS)
                body = b"".join([chunk async for chunk in others.sse(key, seen)])
                assert body.startswith(f"id: {seen}\n\nevent: error\n".encode())
                assert b"CursorUnavailable" in body
                with pytest.raises(CursorUnavailable):
                    await others.follow(key, after=seen)

    run(main)
