"""``if_busy="wait"`` in turn across processes: one line for each thread and conversation."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from contextlib import AsyncExitStack

import pytest

from rxassist import APITimeoutError, AsyncClient, Budget, Client
from rxassist.errors import StoreUnavailable, StreamClosed, ThreadBusyError
from rxassist.local import LocalService, say, wait


def brief(turn):
    yield say(turn.text)
    yield wait(0.05)


def brief_but_for_zero(turn):
    if turn.text == "zero":
        yield wait(600)
    yield from brief(turn)


def behind(gate):
    """A script of runs that end when a gate is open."""

    def script(turn):
        while not gate.is_set():
            yield wait(0.01)
        yield say(turn.text)

    return script


class Workers:
    """Clients as of several processes, and a thread that they share."""

    def __init__(self, service, clients, thread_id, assistant_id):
        self.service = service
        self.clients = clients
        self._place = {"thread_id": thread_id, "assistant_id": assistant_id}

    def start(self, worker, text, **options):
        """Begin a run that says a text, and waits for its turn."""
        stream = self.clients[worker].threads.runs.stream(
            **self._place,
            additional_messages=[{"role": "user", "content": text}],
            **{"if_busy": "wait", **options},
        )
        return stream, asyncio.ensure_future(stream.get_final_run())

    async def cancel(self, run_id):
        thread_id = self._place["thread_id"]
        await self.clients[0].threads.runs.cancel(run_id, thread_id=thread_id)

    async def in_line(self, worker, number):
        """Wait until so many calls of a worker have a place in the line."""
        tickets = self.clients[worker]._connection.queues._tickets
        await later(lambda: sum(each.place != "last" for each in tickets.values()) >= number)


async def later(condition, seconds=5.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        await asyncio.sleep(0.005)


async def workers_of(stack, budget, number, script=brief, **options):
    service = stack.enter_context(LocalService(script, **options))
    clients = [
        await stack.enter_async_context(
            AsyncClient(base_url=service.base_url, budget=budget(lease=10))
        )
        for _ in range(number)
    ]
    assistant = await clients[0].assistants.create(model="m")
    thread = await clients[0].threads.create()
    return Workers(service, clients, thread.id, assistant.id)


def test_runs_on_one_thread_begin_in_the_order_of_all_workers(budget, run):
    async def main():
        async with AsyncExitStack() as stack:
            gate = threading.Event()
            workers = await workers_of(stack, budget, 3, behind(gate))
            begun = [0, 0, 0]
            stream, first = workers.start(0, "zero")
            ends = [first]
            await anext(aiter(stream))  # its turn is over
            for number in range(1, 10):
                worker = (number * 2) % 3
                _, end = workers.start(worker, f"number {number}")
                ends.append(end)
                begun[worker] += 1
                await workers.in_line(worker, begun[worker])
            gate.set()
            finished = [await end for end in ends]
            assert {each.status for each in finished} == {"completed"}
            assert [each.id for each in finished] == workers.service.runs

    run(main)


def test_only_the_first_in_the_line_asks_the_service(budget, run):
    refused = []

    def faults(asked):
        if asked.method == "POST" and asked.path.endswith("/runs"):
            refused.append(asked)

    async def main():
        async with AsyncExitStack() as stack:
            workers = await workers_of(stack, budget, 2, faults=faults)
            ends = [workers.start(number % 2, f"{number}")[1] for number in range(8)]
            for end in ends:
                assert (await end).status == "completed"
            assert len(refused) <= 2 * 8  # each is refused once at most, by the run before it

    run(main)


def test_a_turn_that_is_left_lets_the_next_one_begin(budget, run):
    async def main():
        async with AsyncExitStack() as stack:
            workers = await workers_of(stack, budget, 2, brief_but_for_zero)
            _, first = workers.start(0, "zero")
            await later(lambda: workers.service.runs)
            left, leaving = workers.start(1, "left")
            await workers.in_line(1, 1)
            _, last = workers.start(0, "last")
            await workers.in_line(0, 1)
            await left.close()
            with pytest.raises(StreamClosed):
                await leaving
            await workers.cancel(workers.service.runs[0])
            assert (await last).id == workers.service.runs[-1]
            assert (await first).status == "cancelled"
            assert len(workers.service.runs) == 2

    run(main)


WORKER = """
import sys, time
from rxassist import Budget, Client
base_url, redis, name, thread_id, assistant_id, count = sys.argv[1:]
budget = Budget(redis=redis, name=name, lease=1)
with Client(base_url=base_url, budget=budget) as client:
    streams = [
        client.threads.runs.stream(
            thread_id=thread_id, assistant_id=assistant_id, if_busy="wait", on_dispose="detach",
            additional_messages=[{"role": "user", "content": f"{number}"}],
        )
        for number in range(int(count))
    ]
    for stream in streams:
        stream.subscribe(on_error=lambda error: print(error, flush=True))
    print("begun", flush=True)
    ended = [stream.get_final_run() for stream in streams]
    print(*(run.id for run in ended), flush=True)
"""


def started(service, redis, name, thread, assistant, number):
    arguments = [service.base_url, redis, name, thread.id, assistant.id, str(number)]
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout.readline() == "begun\n"
    return worker


def test_two_processes_take_turns(redis_server, name):
    with LocalService(brief) as service, Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        thread = client.threads.create().run()
        place = (service, redis_server.url, name, thread, assistant, 6)
        with started(*place) as one, started(*place) as other:
            of_one, of_other = one.stdout.read().split(), other.stdout.read().split()
        ran = service.runs
        assert sorted([*of_one, *of_other]) == sorted(ran)
        assert [run for run in ran if run in of_one] == of_one
        assert [run for run in ran if run in of_other] == of_other


def test_the_turn_of_a_worker_that_was_killed_is_the_next_ones(redis_server, name):
    def script(turn):
        if turn.text == "mine":
            yield say("here")
        else:
            yield wait(600)

    budget = Budget(redis=redis_server.url, name=name, lease=1)
    with (
        LocalService(script) as service,
        Client(base_url=service.base_url) as client,
        Client(base_url=service.base_url, budget=budget) as other,
    ):
        assistant = client.assistants.create(model="m").run()
        thread = client.threads.create().run()
        blocking = client.threads.runs.create(thread.id, assistant_id=assistant.id).run()
        place = (service, redis_server.url, name, thread, assistant, 3)
        with started(*place) as worker:  # its three calls wait for the run
            time.sleep(0.5)
            stream = other.threads.runs.stream(
                thread_id=thread.id,
                assistant_id=assistant.id,
                additional_messages=[{"role": "user", "content": "mine"}],
                if_busy="wait",
            )
            texts = []
            stream.text_deltas.subscribe(texts.append)
            worker.send_signal(signal.SIGKILL)
            killed = time.monotonic()
            client.threads.runs.cancel(blocking.id, thread_id=thread.id).run()
            assert stream.get_final_run().status == "completed"
            assert time.monotonic() - killed < 4
        assert texts == ["here"]
        assert len(service.runs) == 2


def test_a_deadline_says_that_others_came_first(budget, run):
    def endless(_):
        yield say("word")
        yield wait(600)

    async def main():
        async with AsyncExitStack() as stack:
            workers = await workers_of(stack, budget, 2, endless)
            _, first = workers.start(0, "zero")
            await later(lambda: workers.service.runs)
            _, second = workers.start(0, "first in the line")
            await workers.in_line(0, 1)
            _, third = workers.start(1, "late", deadline=0.3)
            with pytest.raises(APITimeoutError, match="never began: others came first"):
                await third
            second.cancel()
            first.cancel()
            await asyncio.gather(first, second, return_exceptions=True)

    run(main)


def test_conversations_have_lines_too(budget, run):
    async def main():
        async with AsyncExitStack() as stack:
            gate = threading.Event()
            workers = await workers_of(stack, budget, 2, behind(gate))
            conversation = await workers.clients[0].conversations.create()
            ends = []
            for number in range(4):
                stream = workers.clients[number % 2].responses.stream(
                    model="m", input=f"{number}", conversation=conversation.id, if_busy="wait"
                )
                ends.append(asyncio.ensure_future(stream.get_final_run()))
                if number:
                    await workers.in_line(number % 2, (number + 1) // 2)
                else:
                    await anext(aiter(stream))  # its turn is over
            gate.set()
            texts = [(await end).output_text for end in ends]
            assert texts == [str(number) for number in range(4)]
            items = workers.clients[0].conversations.items.list(conversation.id, order="asc")
            said = [item.text async for item in items if item.type == "message"]
            assert said == [text for text in texts for _ in range(2)]

    run(main)


async def _of(call):
    return await call


def test_messages_wait_in_the_line(budget, run):
    async def main():
        async with AsyncExitStack() as stack:
            workers = await workers_of(stack, budget, 2, brief_but_for_zero)
            _, first = workers.start(0, "zero")
            await later(lambda: workers.service.runs)
            thread_id = workers._place["thread_id"]
            create = workers.clients[1].threads.messages.create
            with pytest.raises(ThreadBusyError):
                await create(thread_id, role="user", content="now")
            message = asyncio.ensure_future(
                _of(create(thread_id, role="user", content="later", if_busy="wait"))
            )
            await workers.in_line(1, 1)
            await workers.cancel(workers.service.runs[0])
            assert (await message).content[0].text.value == "later"
            assert (await first).status == "cancelled"

    run(main)


def test_without_redis_a_call_that_would_wait_fails(run, own_server):
    server = own_server()

    async def main():
        def budget(**_):
            return Budget(redis=server.url, lease=1, patience=0.3)

        async with AsyncExitStack() as stack:
            workers = await workers_of(stack, budget, 1)
            server.end()
            _, end = workers.start(0, "zero")
            with pytest.raises(StoreUnavailable, match="Redis cannot be used"):
                await end
            server.start()
            _, end = workers.start(0, "one")
            assert (await end).status == "completed"

    run(main)
