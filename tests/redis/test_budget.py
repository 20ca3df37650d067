"""A budget of many processes: places, requests and pauses in Redis, and a Redis that is away."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import chain
from random import Random

import pytest

from rxassist import APITimeoutError, AsyncClient, Budget, Client
from rxassist.errors import StoreUnavailable
from rxassist.local import LocalService, refuse, say, wait
from rxassist.redis.budget import RedisShare
from rxassist.redis.lines import Ticket


@asynccontextmanager
async def shares_of(*budgets):
    """The parts of clients in some budgets."""
    async with AsyncExitStack() as stack:
        shares = [RedisShare(each, each.redis()) for each in budgets]
        for share in shares:
            stack.push_async_callback(share.close)
        yield shares


async def later(condition, seconds=5.0):
    """Wait until a condition holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        await asyncio.sleep(0.005)


# --- requests ------------------------------------------------------------------------------


def test_the_requests_of_all_processes_are_counted_together(budget, run, monkeypatch):
    monkeypatch.setattr("rxassist.redis.budget.MINUTE", 0.4)

    async def main():
        sent = []

        async def send(share):
            await share.request()
            sent.append(time.monotonic())

        budgets = [budget(requests_per_minute=5) for _ in range(3)]
        async with shares_of(*budgets) as shares, asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(send(shares[number % 3]))
        assert all(b - a >= 0.39 for a, b in zip(sent, sent[5:], strict=False))
        assert sent[-1] - sent[0] < 3

    run(main)


def test_one_request_that_is_free_is_one_command(budget, run, redis_server):
    def commands():
        info = redis_server.ask("INFO", "stats")
        return info["total_commands_processed"]

    async def main():
        async with shares_of(budget(requests_per_minute=1000)) as (share,):
            await share.request()  # loads the script
            before = commands()
            for _ in range(10):
                await share.request()
            # each script, and the four commands in it; and INFO itself, with its connection
            assert commands() - before <= 10 * 7 + 5

    run(main)


def test_a_pause_holds_all_processes_back(budget, run):
    async def main():
        async with shares_of(budget(), budget()) as (one, other):
            await other.request()
            one.pause(0.4)
            began = time.monotonic()
            await one.request()
            assert 0.35 < time.monotonic() - began < 2
            one.pause(0.6)
            await asyncio.sleep(0.1)
            began = time.monotonic()
            with pytest.raises(APITimeoutError, match="to wait") as caught:
                await other.request(0.1)
            assert not caught.value.sent
            await other.request(5)
            assert 0.3 < time.monotonic() - began < 2

    run(main)


def test_an_answer_429_of_one_client_holds_back_another(budget, run):
    refused = []

    def faults(asked):
        if not refused:
            refused.append(asked)
            return refuse(429, {"retry-after": "1"})
        return None

    async def main():
        with LocalService(faults=faults) as service:
            one = AsyncClient(base_url=service.base_url, budget=budget())
            other = AsyncClient(base_url=service.base_url, budget=budget())
            async with one, other:
                first = asyncio.ensure_future(one.threads.create())
                await later(lambda: refused and one._connection.budget._pause.left > 0)
                await asyncio.sleep(0.1)
                began = time.monotonic()
                await other.threads.create()
                assert time.monotonic() - began > 0.5
                await first

    run(main)


# --- places --------------------------------------------------------------------------------


def word(_):
    yield say("word")
    yield wait(0.05)


def endless(_):
    yield say("word")
    yield wait(600)


def test_at_most_so_many_runs_of_all_clients(budget, run):
    async def main():
        running = most = 0

        async def follow(client, assistant):
            nonlocal running, most
            stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
            async for event in stream:
                if event.event == "thread.run.created":
                    running += 1
                    most = max(most, running)
                if event.event == "thread.run.completed":
                    running -= 1

        with LocalService(word) as service:
            async with AsyncExitStack() as stack:
                clients = [
                    await stack.enter_async_context(
                        AsyncClient(base_url=service.base_url, budget=budget(max_runs=3))
                    )
                    for _ in range(3)
                ]
                assistant = await clients[0].assistants.create(model="m")
                async with asyncio.TaskGroup() as group:
                    for number in range(24):
                        group.create_task(follow(clients[number % 3], assistant))
        assert most == 3
        assert running == 0

    run(main)


def test_places_are_taken_in_the_order_of_asking(budget, run):
    async def main():
        order = []

        async def hold(ticket, number):
            await ticket.enter()
            order.append(number)
            ticket.leave()

        async with shares_of(*(budget(max_runs=1) for _ in range(3))) as shares:
            lines = [share._lines.line("runs", 1) for share in shares]
            first = Ticket(lines[0])
            await first.enter()
            tasks = []
            for number in range(9):
                ticket = Ticket(lines[number % 3])
                tasks.append(asyncio.ensure_future(hold(ticket, number)))
                await later(lambda ticket=ticket: ticket.place != "last")
            first.leave()
            await asyncio.gather(*tasks)
        assert order == list(range(9))

    run(main)


def test_a_run_that_exists_takes_a_place_at_once_and_the_next_waits_the_longer(budget, run):
    async def main():
        async with shares_of(budget(max_runs=1), budget(max_runs=1)) as (one, other):
            first, resumed = (Ticket(one._lines.line("runs", 1)) for _ in range(2))
            await first.enter()
            resumed.enter_at_once()
            await later(lambda: resumed.place != "first")
            waits = Ticket(other._lines.line("runs", 1))
            waiting = asyncio.ensure_future(waits.enter())
            first.leave()
            await asyncio.sleep(0.2)
            assert not waiting.done()
            resumed.leave()
            await waiting
            waits.leave()

    run(main)


def test_what_a_closed_client_had_is_free_at_once(budget, run):
    async def main():
        with LocalService(endless) as service:
            options = {"base_url": service.base_url}
            async with AsyncClient(**options, budget=budget(max_runs=1, lease=60)) as other:
                async with AsyncClient(**options, budget=budget(max_runs=1, lease=60)) as one:
                    assistant = await one.assistants.create(model="m")
                    stream = one.threads.create_and_run_stream(assistant_id=assistant.id)
                    subscription = stream.subscribe(on_error=lambda _: None)
                    await anext(aiter(stream.text_deltas))
                    waits = other.threads.create_and_run_stream(assistant_id=assistant.id)
                    text = asyncio.ensure_future(anext(aiter(waits.text_deltas)))
                    await asyncio.sleep(0.1)
                    assert not text.done()
                assert await text == "word"
                subscription.dispose()

    run(main)


@pytest.mark.parametrize("seed", range(3))
def test_tickets_that_leave_at_any_moment_leave_nothing_behind(redis_server, budget, run, seed):
    async def main():
        random = Random(seed)
        holding = most = entered = 0
        given = [budget(max_runs=2, lease=60) for _ in range(3)]

        async def use(share):
            nonlocal holding, most, entered
            ticket = Ticket(share._lines.line("runs", 2))
            await asyncio.sleep(random.random() * 0.2)
            await ticket.enter()
            holding, entered = holding + 1, entered + 1
            most = max(most, holding)
            try:
                await asyncio.sleep(random.random() * 0.01)
            finally:
                holding -= 1
                ticket.leave()

        async with shares_of(*given) as shares:
            tasks = [asyncio.ensure_future(use(random.choice(shares))) for _ in range(150)]
            for task in random.sample(tasks, 60):
                await asyncio.sleep(random.random() * 0.01)
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert (most, holding) == (2, 0)
            assert entered >= 90
            assert not any(line for share in shares for line in share._lines._busy)
        for kind in ("line", "leases"):
            key = f"rxassist:budget:{{{given[0].name}}}:runs:{kind}"
            assert redis_server.ask("ZCARD", key) == 0

    run(main)


@pytest.mark.parametrize("how", ["dispose", "close", "break", "exit"])
def test_a_place_is_given_back_by_any_thread(redis_server, how, name):
    given = {"redis": redis_server.url, "name": name, "lease": 60, "max_runs": 1}
    with (
        LocalService(endless) as service,
        Client(base_url=service.base_url, budget=Budget(**given)) as client,
        Client(base_url=service.base_url, budget=Budget(**given)) as other,
    ):
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
        waits = other.threads.create_and_run_stream(assistant_id=assistant.id)
        begun = threading.Event()
        subscription = stream.text_deltas.subscribe(lambda _: begun.set(), on_error=lambda _: None)
        assert begun.wait(10)
        words = []
        other_subscription = waits.text_deltas.subscribe(words.append, on_error=lambda _: None)
        if how == "dispose":
            subscription.dispose()
        elif how == "close":
            stream.close()
        elif how == "break":
            for _ in stream.text_deltas:
                subscription.dispose()
                break
        else:
            client.close()
        assert next(iter(waits.text_deltas)) == "word"
        other_subscription.dispose()


WORKER = """
import sys
from rxassist import Budget, Client
base_url, redis, name, assistant_id = sys.argv[1:]
budget = Budget(redis=redis, name=name, lease=1, max_runs=1)
with Client(base_url=base_url, budget=budget) as client:
    stream = client.threads.create_and_run_stream(assistant_id=assistant_id)
    for text in stream.text_deltas:
        print(text, flush=True)
"""


def test_the_place_of_a_worker_that_was_killed_comes_back(redis_server, name):
    with LocalService(endless) as service, Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        command = [sys.executable, "-c", WORKER, service.base_url, redis_server.url, name]
        with subprocess.Popen([*command, assistant.id], stdout=subprocess.PIPE) as worker:
            assert worker.stdout.readline() == b"word\n"
            budget = Budget(redis=redis_server.url, name=name, lease=1, max_runs=1)
            with Client(base_url=service.base_url, budget=budget) as other:
                stream = other.threads.create_and_run_stream(assistant_id=assistant.id)
                texts = []
                stream.text_deltas.subscribe(texts.append, on_error=lambda _: None)
                time.sleep(1.5)  # longer than the lease, which the worker renews
                assert texts == []
                worker.send_signal(signal.SIGKILL)
                killed = time.monotonic()
                assert next(iter(stream.text_deltas)) == "word"
                assert time.monotonic() - killed < 3


def test_a_loop_that_was_paused_has_its_place_again(budget, run):
    async def pausing(given, paused):
        async with shares_of(given) as (share,):
            ticket = Ticket(share._lines.line("runs", 1))
            await ticket.enter()
            place = ticket.place
            time.sleep(0.8)  # noqa: ASYNC251 -- the loop stands still, and renews nothing
            paused.set()
            await asyncio.sleep(0.6)
            assert ticket.place == place
            ticket.leave()
            return time.monotonic()

    async def main():
        paused = threading.Event()
        given = budget(max_runs=1, lease=0.3)
        first = asyncio.to_thread(asyncio.run, pausing(given, paused))
        first = asyncio.ensure_future(first)
        async with shares_of(budget(max_runs=1)) as (share,):
            await asyncio.sleep(0.1)
            second, third = (Ticket(share._lines.line("runs", 1)) for _ in range(2))
            await second.enter()  # the lease of the first one has run out
            assert not paused.is_set()
            waiting = asyncio.ensure_future(third.enter())
            await asyncio.to_thread(paused.wait)
            await asyncio.sleep(0.3)
            second.leave()
            await waiting
            begun = time.monotonic()
            assert begun >= await first  # which counted again, in its place
            third.leave()

    run(main)


# --- Redis is away -------------------------------------------------------------------------


def test_a_redis_that_is_not_there_is_a_clear_error(tmp_path):
    url = f"unix://{tmp_path}/none"
    budget = Budget(redis=url, patience=0.3, max_runs=2, requests_per_minute=9)
    began = time.monotonic()
    with (
        LocalService(word) as service,
        Client(base_url=service.base_url, budget=budget) as client,
        pytest.raises(StoreUnavailable, match="Redis cannot be used"),
    ):
        client.assistants.create(model="m").run()
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("password", ["", ":wrong@"])
def test_a_redis_that_refuses_is_not_asked_again(run, own_server, password):
    server = own_server("--requirepass", "secretsecret", start="Authentication")

    async def main():
        url = server.url.replace("//", f"//{password}")
        given = Budget(redis=url, patience=60, requests_per_minute=1)
        async with shares_of(given) as (share,):
            with pytest.raises(StoreUnavailable, match="Authentication"):
                await share.request()

    run(main)


def test_a_place_that_is_left_while_redis_only_reads_is_given_back_after_that(
    run, own_server, caplog
):
    server = own_server()

    async def main():
        given = Budget(redis=server.url, patience=60, lease=600, max_runs=1)
        async with shares_of(given) as (share,):
            ticket = Ticket(share._lines.line("runs", 1))
            await ticket.enter()
            assert server.ask("REPLICAOF", "127.0.0.1", "1")  # as in a failover
            ticket.leave()
            await later(lambda: "ReadOnlyError" in caplog.text)
            assert server.ask("REPLICAOF", "NO", "ONE")
            await later(lambda: server.ask("ZCARD", f"{share._lines._prefix}:runs:line") == 0)

    run(main)


def test_many_requests_to_a_redis_that_is_away_all_fail_soon(run, own_server):
    server = own_server()

    async def main():
        given = Budget(redis=server.url, patience=0.3, requests_per_minute=1)
        async with shares_of(given) as (share,):
            await share.request()
            waiting = [asyncio.ensure_future(share.request()) for _ in range(200)]
            await asyncio.sleep(0.1)
            server.pause()
            began = time.monotonic()
            more = [asyncio.ensure_future(share._seconds_to_wait(None)) for _ in range(50)]
            said = await asyncio.gather(*more, return_exceptions=True)
            assert {type(each) for each in said} == {StoreUnavailable}
            assert time.monotonic() - began < 10  # 15, if one after the other
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            server.go_on()

    run(main)


def test_runs_go_on_without_redis_and_those_that_wait_are_told(run, own_server):
    server = own_server()

    def some(_):
        for number in range(10):
            yield say(f"{number} ")
            yield wait(0.1)

    async def main():
        given = {"redis": server.url, "patience": 0.4, "lease": 0.9, "max_runs": 1}
        with LocalService(some) as service:
            async with AsyncClient(base_url=service.base_url) as free:
                assistant = await free.assistants.create(model="m")
            async with AsyncClient(base_url=service.base_url, budget=Budget(**given)) as client:
                first = client.threads.create_and_run_stream(assistant_id=assistant.id)
                begun = asyncio.ensure_future(first.get_final_run())
                await anext(aiter(first.text_deltas))
                second = client.threads.create_and_run_stream(assistant_id=assistant.id)
                waits = asyncio.ensure_future(second.get_final_run())
                await asyncio.sleep(0.05)
                server.end()
                with pytest.raises(StoreUnavailable):
                    await waits
                assert (await begun).status == "completed"
                server.start()
                third = client.threads.create_and_run_stream(assistant_id=assistant.id)
                assert (await third.get_final_run()).status == "completed"

    run(main)


def test_a_redis_that_forgets_everything_is_told_again(budget, run, own_server):
    server = own_server()

    async def main():
        given = {"redis": server.url, "lease": 0.6, "max_runs": 1}
        async with shares_of(Budget(**given), Budget(**given)) as (one, other):
            first, second = Ticket(one._lines.line("runs", 1)), Ticket(other._lines.line("runs", 1))
            await first.enter()
            waiting = asyncio.ensure_future(second.enter())
            await later(lambda: second.place != "last")
            server.ask("FLUSHALL")
            await asyncio.sleep(0.5)  # all have renewed
            third = Ticket(one._lines.line("runs", 1))
            last = asyncio.ensure_future(third.enter())
            first.leave()
            await waiting
            assert not last.done()
            second.leave()
            await last
            third.leave()

    run(main)


def test_a_client_closes_in_time_though_redis_hangs(run, own_server):
    server = own_server()

    async def main():
        given = Budget(redis=server.url, max_runs=1, patience=60)
        with LocalService(endless) as service:
            client = AsyncClient(base_url=service.base_url, budget=given)
            assistant = await client.assistants.create(model="m")
            streams = [
                client.threads.create_and_run_stream(assistant_id=assistant.id) for _ in range(3)
            ]
            errors = []
            for stream in streams:
                stream.subscribe(on_error=errors.append)
            await anext(aiter(streams[0].text_deltas))
            server.pause()
            began = time.monotonic()
            await client.close()
            assert time.monotonic() - began < 4
            assert len(errors) == 3
            server.go_on()

    run(main)


# --- processes -----------------------------------------------------------------------------

COUNTING = """
import asyncio, sys, time
from rxassist import Budget
from rxassist.redis import budget as module
from rxassist.redis.budget import RedisShare
module.MINUTE = 0.5
async def main():
    budget = Budget(redis=sys.argv[1], name=sys.argv[2], requests_per_minute=10)
    share = RedisShare(budget, sys.argv[1])
    async def send():
        await share.request()
        print(time.monotonic(), flush=True)
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(send())
    await share.close()
asyncio.run(main())
"""


def test_requests_of_two_processes_are_counted_together(redis_server, name):
    command = [sys.executable, "-c", COUNTING, redis_server.url, name]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as one,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other,
    ):
        times = [sorted(map(float, each.stdout)) for each in (one, other)]
    assert [len(each) for each in times] == [20, 20]
    both = sorted(chain(*times))
    late = 0.1  # seconds for which a process may be late to say when it was let through
    assert all(b - a > 0.5 - late for a, b in zip(both, both[10:], strict=False))
    assert both[-1] - both[0] < 6


FORKING = """
import os, sys
from rxassist import Budget, Client
base_url, redis, name = sys.argv[1:]
budget = Budget(redis=redis, name=name, max_runs=2, requests_per_minute=1000)
def use(client):
    assistant = client.assistants.create(model="m").run()
    stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
    return stream.get_final_run().status
fresh = Client(base_url=base_url, budget=budget)
with Client(base_url=base_url, budget=budget) as client:
    print(use(client), flush=True)
    child = os.fork()
    if not child:
        print(use(fresh), flush=True)
        fresh.close()
        os._exit(0)
    os.waitpid(child, 0)
    print(use(client), flush=True)
"""


def test_a_budget_after_a_fork(redis_server, name):
    with LocalService(word) as service:
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING]
        said = subprocess.run(
            [*command, service.base_url, redis_server.url, name],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    assert said.stdout.split() == ["completed"] * 3
    assert said.stderr == ""


DROPPED = """
import gc, os, sys, threading, time
from rxassist import Budget, Client
base_url, redis, name = sys.argv[1:]
budget = Budget(redis=redis, name=name, max_runs=2, requests_per_minute=1000)
def count():
    return threading.active_count(), len(os.listdir("/proc/self/fd"))
def use():
    client = Client(base_url=base_url, budget=budget)
    assistant = client.assistants.create(model="m").run()
    stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
    del client
    stream.until_done()
def settled(wanted):
    until = time.monotonic() + 10
    while count() != wanted and time.monotonic() < until:
        gc.collect()
        threading.Event().wait(0.01)
    return count() == wanted or (wanted, count())
with Client(base_url=base_url, budget=budget) as client:
    client.assistants.create(model="m").run()
settled((1, count()[1]))
before = count()
for _ in range(5):
    use()
print(settled(before))
"""


def test_a_client_that_is_dropped_leaves_no_thread_and_no_file(redis_server, name):
    with LocalService(word) as service:
        said = subprocess.run(
            [
                *(sys.executable, "-W", "error", "-c", DROPPED),
                *(service.base_url, redis_server.url, name),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=40,
        )
    assert said.stdout == "True\n"
    assert said.stderr == ""


# --- what is refused, shown, and imported --------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"redis": 7}, TypeError),
        ({"redis": "localhost"}, ValueError),
        ({"redis": "http://secret@h"}, ValueError),
        ({"redis": "redis://h", "name": "a b"}, ValueError),
        ({"redis": "redis://h", "name": "{a}"}, ValueError),
        ({"redis": "redis://h", "name": 7}, TypeError),
        ({"redis": "redis://h", "lease": 0}, ValueError),
        ({"redis": "redis://h", "patience": None}, TypeError),
    ],
)
def test_wrong_arguments(wrong, error):
    with pytest.raises(error, match=list(wrong)[-1]) as caught:
        Budget(**wrong)
    assert "secret" not in str(caught.value)


def test_a_password_is_shown_nowhere():
    budget = Budget(redis="redis://:secret@localhost", name="n")
    assert "secret" not in repr(budget)
    assert "'n'" in repr(budget)
    assert "secret" not in str(vars(budget))


def test_without_redis_its_package_is_not_imported():
    code = """
import sys
from rxassist import Budget, Client
from rxassist.local import LocalService
with LocalService() as service:
    with Client(base_url=service.base_url, budget=Budget(max_runs=1)) as client:
        client.assistants.create(model="m").run()
print("redis" in sys.modules, "rxassist.redis" in sys.modules)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False False\n"


def test_without_its_package_a_client_says_what_to_install():
    code = """
import sys
sys.modules["redis"] = None
from rxassist import Budget, Client
try:
    Client(base_url="http://127.0.0.1:1/v1", budget=Budget(redis="redis://localhost"))
except ModuleNotFoundError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == (
        'Budget(redis=…) needs packages: pip install redis (the extra "redis")\n'
    )
