"""Producers that die, stand still or close: another worker goes on, and followers miss nothing."""

import asyncio
import json
import os
import random
import select
import signal
import subprocess
import sys
import time

import pytest
from reactivex import operators as ops

from rxassist import AsyncClient, Client
from rxassist.errors import Fenced, RunOutcomeUnknown
from rxassist.local import LocalService, call, say, wait
from rxassist.operators import text_deltas
from rxassist.redis import BlockingRunLog, InMemoryStore, RunLog

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="signals of POSIX")

LEASE = 0.3
BUSY_LEASE = 1.0  # that a worker on a busy machine renews in time, also at its first event
WORDS = [f"{number} " for number in range(60)]

WORKER = """
import asyncio, sys, time
from rxassist import AsyncClient
from rxassist.redis import RunLog
base_url, url, key, what, calls, lease = sys.argv[1:]
def double(number: int) -> int:
    with open(calls, "a") as file:
        file.write(f"{number} ")
    if number == 2 and what != "take":
        time.sleep(60)
    return 2 * number
async def publish(client, runs):
    kind, _, protocol = what.partition("-")
    if protocol == "responses":
        stream = client.responses.stream(model="m", input="Hello", background=True, tools=[double])
    else:
        assistant = await client.assistants.create(model="m")
        thread = await client.threads.create()
        stream = client.threads.runs.stream(
            thread_id=thread.id, assistant_id=assistant.id, on_dispose="cancel", tools=[double]
        )
    await runs.publish(stream, key)
async def take(client, runs):
    while True:
        async for orphan in runs.orphans():
            if orphan == key and await runs.take_over(key, client, tools=[double]):
                return
        await asyncio.sleep(0.02)
async def main():
    async with AsyncClient(base_url=base_url) as client, RunLog(url, lease=float(lease)) as runs:
        await (take if what == "take" else publish)(client, runs)
        print("has it", flush=True)
        async for _ in runs.follow(key):
            pass
        print("ended", flush=True)
asyncio.run(main())
"""


class Worker:
    """A worker in a process of its own."""

    def __init__(self, service, url, key, what, calls="/dev/null", lease=LEASE):
        given = [service.base_url, url, key, what, str(calls), str(lease)]
        command = [sys.executable, "-c", WORKER, *given]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.says = self.process.stdout.readline

    def send(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def work():
    """Start workers: ``work(service, url, key, what)``. They end with the test."""
    workers = []

    def start(*arguments, **options):
        workers.append(Worker(*arguments, **options))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()
        worker.process.stdout.close()


@pytest.fixture
def fresh():
    """A key that no other test has."""
    return f"run-{time.time_ns()}"


def talk(pause):
    """A service whose runs say sixty words, one after the other."""

    def script(_):
        for word in WORDS:
            yield say(word)
            yield wait(pause)

    return LocalService(script)


@pytest.fixture
def talking():
    """One whose runs take a while, for processes that must start meanwhile."""
    with talk(0.02) as service:
        yield service


@pytest.fixture
def slow():
    """One whose runs outlast two leases of a busy machine."""
    with talk(0.06) as service:
        yield service


@pytest.fixture
def quick():
    """One whose runs have soon ended."""
    with talk(0.003) as service:
        yield service


async def until(true, seconds=15):
    """Wait until something is true, which happens on this loop."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 -- followers fill a list
            await asyncio.sleep(0.001)


async def text_of(events):
    return "".join([text async for text in events.pipe(text_deltas())])


def followed(work, service, url, key, what, place):
    """What six followers get of a run whose producers are killed: one after so many events.

    Its successor is killed as soon as it has the run. The last follower comes late.
    """

    async def main():
        async with RunLog(url, grace=20) as first, RunLog(url, grace=20) as second:
            worker = work(service, url, key, what, lease=BUSY_LEASE)
            assert worker.says() == "has it\n"
            successors = [work(service, url, key, "take", lease=BUSY_LEASE) for _ in range(2)]
            got = [[] for _ in range(5)]
            followers = [
                asyncio.ensure_future(
                    asyncio.wait_for(log.follow(key).pipe(ops.do_action(each.append)), 30)
                )
                for log, each in zip((first, second, first, second, first), got, strict=True)
            ]
            await until(lambda: len(got[0]) >= place)
            worker.kill()
            ready, _, _ = select.select([each.process.stdout for each in successors], [], [], 20)
            next(each for each in successors if each.process.stdout is ready[0]).kill()
            await asyncio.gather(*followers)
            return [*got, [event async for event in second.follow(key)]]

    return asyncio.run(main())


@pytest.mark.parametrize(("protocol", "seed"), [("assistants", 1), ("responses", 2)])
def test_followers_of_producers_that_are_killed_miss_nothing(
    protocol, seed, work, slow, redis_server, fresh
):
    place = random.Random(seed).randrange(1, 30)
    got = followed(work, slow, redis_server.url, fresh, f"publish-{protocol}", place)
    assert all(each == got[0] for each in got)
    text = "".join(piece[2] or "" for event in got[0] for piece in event.pieces())
    assert text == "".join(WORDS)
    assert [event.run().status for event in got[0] if event.run()][-1] == "completed"
    log = redis_server.ask("XRANGE", f"rxassist:{{{fresh}}}:log", "-", "+")
    assert {int(at.partition(b"-")[0]) for at, _ in log} == {1, 2, 3}
    numbers = [getattr(event, "sequence_number", None) for event in got[0]]
    told = [number for number in numbers if number is not None]
    assert told == sorted(set(told))


def test_the_result_of_a_tool_is_reused_by_a_successor(work, redis_server, tmp_path, fresh):
    calls = tmp_path / "calls"

    def script(_):
        yield say("Look: ")
        both = yield [call("double", {"number": 1}), call("double", {"number": 2})]
        yield say(str(both))

    def results():
        found = redis_server.ask("XRANGE", f"rxassist:{{{fresh}}}:log", "-", "+")
        return [fields[b"d"] for _, fields in found if fields[b"k"] == b"result"]

    with LocalService(script) as service:
        worker = work(service, redis_server.url, fresh, "publish", calls=calls)
        assert worker.says() == "has it\n"
        until = time.monotonic() + 10
        while len(results()) < 1 or len(calls.read_text().split()) < 2:
            assert time.monotonic() < until
        worker.kill()
        successor = work(service, redis_server.url, fresh, "take", calls=calls)
        assert successor.says() == "has it\n"
        assert successor.says() == "ended\n"
        with BlockingRunLog(redis_server.url) as runs:
            text = "".join(runs.follow(fresh).pipe(text_deltas()))
    assert text == "Look: ['2', '4']"
    assert sorted(calls.read_text().split()) == ["1", "2", "2"]
    assert sorted(json.loads(each)["output"] for each in results()) == ["2", "4"]


def test_a_zombie_writes_nothing_and_cancels_nothing(work, talking, redis_server, fresh):
    url = redis_server.url
    worker = work(talking, url, fresh, "publish")
    assert worker.says() == "has it\n"
    with BlockingRunLog(url) as runs:
        events = iter(runs.follow(fresh))
        got = [next(events) for _ in range(10)]
        worker.send(signal.SIGSTOP)
        successor = work(talking, url, fresh, "take")
        assert successor.says() == "has it\n"
        worker.send(signal.SIGCONT)
        got += events
        assert "".join(runs.follow(fresh).pipe(text_deltas())) == "".join(WORDS)
        assert list(runs.follow(fresh)) == got
    assert got[-1].is_done
    assert [event.run().status for event in got if event.run()][-1] == "completed"
    log = redis_server.ask("XRANGE", f"rxassist:{{{fresh}}}:log", "-", "+")
    epochs = [int(place.partition(b"-")[0]) for place, _ in log]
    assert epochs == sorted(epochs)
    assert worker.says() == "ended\n"
    assert successor.says() == "ended\n"


def test_two_producers_that_pause_at_random_write_one_log(work, talking, redis_server, fresh):
    url, chance = redis_server.url, random.Random(7)
    workers = [work(talking, url, fresh, "publish"), work(talking, url, fresh, "take")]
    assert workers[0].says() == "has it\n"
    with BlockingRunLog(url, grace=20) as runs:
        got = []
        followed = runs.follow(fresh).subscribe(got.append, print)
        until = time.monotonic() + 15
        while not (got and got[-1].is_done):
            assert time.monotonic() < until
            paused = chance.choice(workers)
            paused.send(signal.SIGSTOP)
            time.sleep(chance.choice([0.05, 1.5 * LEASE]))
            paused.send(signal.SIGCONT)
            time.sleep(0.05)
        followed.dispose()
        assert list(runs.follow(fresh)) == got
        assert "".join(runs.follow(fresh).pipe(text_deltas())) == "".join(WORDS)


# --- in one process ---------------------------------------------------------------------------


class Deaf(InMemoryStore):
    """A store that takes no event: its producer is cut off after the run has begun."""

    def __init__(self, logs):
        super().__init__()
        self._logs = logs._logs

    async def append(self, claim, entry=None):
        raise Fenced(claim.key)


async def cut_off(store, client, lease=0.1, **options):
    """Publish a run whose log stays empty, and wait until it is an orphan."""
    assistant = await client.assistants.create(model="m")
    thread = await client.threads.create()
    stream = client.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, **options)
    async with RunLog(Deaf(store), lease=lease) as runs:
        key = await runs.publish(stream)
        await asyncio.sleep(0.1)
    await asyncio.sleep(lease)
    assert key in [each async for each in store.orphans()]
    return thread.id, key


def test_a_run_that_only_its_mark_tells_of_is_found(run, quick):
    async def main():
        store = InMemoryStore()
        async with AsyncClient(base_url=quick.base_url) as client, RunLog(store) as runs:
            thread_id, key = await cut_off(store, client, idempotent=True)
            assert await runs.take_over(key, client)
            assert await text_of(runs.follow(key)) == "".join(WORDS)
            started = [each async for each in client.threads.runs.list(thread_id)]
            assert len(started) == 1

    run(main)


def test_a_run_that_nothing_tells_of_ends_in_an_error(run, quick):
    async def main():
        store = InMemoryStore()
        async with AsyncClient(base_url=quick.base_url) as client, RunLog(store) as runs:
            thread_id, key = await cut_off(store, client)
            assert await runs.take_over(key, client)
            with pytest.raises(RunOutcomeUnknown, match="its producer was lost") as caught:
                await runs.follow(key)
            assert caught.value.thread_id == thread_id

    run(main)


def test_a_run_is_taken_over_once(run, quick, logs):
    async def main():
        async with AsyncClient(base_url=quick.base_url) as client, logs() as runs:
            async with logs() as gone:
                assistant = await client.assistants.create(model="m")
                stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
                key = await gone.publish(stream)
                await runs.follow(key).pipe(ops.first(lambda event: event.is_delta))
                assert not await runs.take_over(key, client)
            assert key in [each async for each in runs.orphans()]
            taken = await asyncio.gather(*[runs.take_over(key, client) for _ in range(3)])
            assert sorted(taken) == [False, False, True]
            assert await text_of(runs.follow(key)) == "".join(WORDS)
            assert not await runs.take_over(key, client)
            assert not await runs.take_over("nobody", client)
            assert key not in [each async for each in runs.orphans()]

    run(main)


def test_an_orphan_that_was_to_stop_is_stopped_by_its_successor(run, quick, logs):
    async def main():
        async with AsyncClient(base_url=quick.base_url) as client, logs() as runs:
            async with logs() as gone:
                assistant = await client.assistants.create(model="m")
                stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
                key = await gone.publish(stream)
                await runs.follow(key).pipe(ops.first(lambda event: event.is_delta))
            await runs.stop(key)
            assert await runs.take_over(key, client)
            statuses = [e.run().status async for e in runs.follow(key) if e.run()]
            assert statuses[-1] == "cancelled"

    run(main)


def test_threads_take_over(quick, store_of):
    with Client(base_url=quick.base_url) as client, BlockingRunLog(store_of()) as runs:
        with BlockingRunLog(store_of()) as gone:
            assistant = client.assistants.create(model="m").run()
            key = gone.publish(client.threads.create_and_run_stream(assistant_id=assistant.id))
            assert next(iter(gone.follow(key).pipe(text_deltas())))  # so the log knows the run
        for orphan in runs.orphans():
            if orphan == key:
                assert runs.take_over(key, client)
        assert "".join(runs.follow(key).pipe(text_deltas())) == "".join(WORDS)
        with pytest.raises(TypeError, match="must be a Client"):
            runs.take_over(key, AsyncClient(base_url=quick.base_url))
