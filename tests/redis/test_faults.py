"""What goes wrong with the store, and what followers and producers make of it."""

import asyncio
import os
import subprocess
import sys
import time
from itertools import count

import pytest
import reactivex as rx
from reactivex import Subject

from rxassist.errors import (
    CursorUnavailable,
    Fenced,
    StoreUnavailable,
    WrongLoopError,
)
from rxassist.protocols.assistants.codec import EventDecoder
from rxassist.redis import BlockingRunLog, RunLog
from rxassist.redis.store import Claim, Entry
from rxassist.wire.sse import encode


@pytest.fixture
def events(wire):
    """The events of a run of an assistant."""
    decoder = EventDecoder()
    return list(decoder.feed((wire / "assistants" / "oa4j-text.sse").read_bytes()))


async def heard(runs, key, after=None):
    return [event async for event in runs.follow(key, after)]


async def until(true, seconds=10):
    """Wait until something is true, which happens on this loop."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 -- followers fill a list
            await asyncio.sleep(0.002)


class Half:
    """A published run of which five events are out, and a follower that has them."""

    def __init__(self, runs, stream_of, events, **options):
        self.source, self.got, self.failed = Subject(), [], []
        self._runs, self._events = runs, events
        self.stream = stream_of(self.source, **options)

    async def begin(self):
        self.key = await self._runs.publish(self.stream)
        for event in self._events[:5]:
            self.source.on_next(event)
        self._runs.follow(self.key).subscribe(self.got.append, self.failed.append)
        await until(lambda: len(self.got) == 5)
        return self

    def finish(self):
        for event in self._events[5:]:
            self.source.on_next(event)
        self.source.on_completed()


# --- Redis away -------------------------------------------------------------------------------


def in_between(what, server):
    if what == "reload":
        assert server.ask("DEBUG", "RELOAD") == "OK"
    elif what == "restart":
        server.end()
        server.start()
    else:
        server.pause()
        time.sleep(0.3)
        server.go_on()


@pytest.mark.parametrize("what", ["reload", "restart", "pause"])
def test_nothing_is_lost_by(what, run, own_server, stream_of, events):
    server = own_server("--enable-debug-command", "yes", "--appendonly", "yes")

    async def main():
        async with RunLog(server.url) as runs, RunLog(server.url) as others:
            half = await Half(runs, stream_of, events).begin()
            others_too = asyncio.ensure_future(heard(others, half.key))
            half.source.on_next(events[5])
            await asyncio.to_thread(in_between, what, server)
            for event in events[6:]:
                half.source.on_next(event)
            half.source.on_completed()
            await until(lambda: half.got == events)
            assert await others_too == events
            assert await heard(others, half.key) == events

    run(main)


def test_a_while_without_redis_and_what_came_meanwhile(run, own_server, stream_of, events):
    server = own_server("--appendonly", "yes")

    async def main():
        async with RunLog(server.url, lease=0.3, grace=5) as runs:
            half = await Half(runs, stream_of, events).begin()
            server.end()
            half.finish()
            await asyncio.sleep(0.5)
            assert half.got == events[:5]
            server.start()
            await until(lambda: half.got == events)
            assert not half.failed

    run(main)


def test_without_redis_for_too_long_there_is_a_clear_end(run, own_server, stream_of, events):
    server, cancelled = own_server(), []

    async def main():
        async with RunLog(server.url, patience=0.3) as runs:
            half = Half(runs, stream_of, events, on_dispose="cancel", cancel=cancelled.append)
            await half.begin()
            server.end()
            half.source.on_next(events[5])
            await until(lambda: half.failed)
            assert isinstance(half.failed[0], StoreUnavailable)
            assert "tried for 0.3 s" in str(half.failed[0])
            await until(lambda: not half.source.observers)
            for call in (runs.stop("x"), runs.publish(half.stream), heard(runs, half.key)):
                with pytest.raises(StoreUnavailable, match="Redis cannot be used"):
                    await call
            with pytest.raises(StoreUnavailable):
                await anext(runs.orphans())
        assert not cancelled

    run(main)


def test_a_log_that_redis_has_lost_is_an_error(run, own_server, stream_of, events):
    server = own_server()

    async def main():
        async with RunLog(server.url, lease=0.3) as runs:
            half = await Half(runs, stream_of, events).begin()
            server.end()
            server.start()
            half.source.on_next(events[5])
            await until(lambda: half.failed)
            assert isinstance(half.failed[0], CursorUnavailable)
            await until(lambda: not half.source.observers)
            assert server.ask("KEYS", "*:log") == []

    run(main)


@pytest.mark.parametrize("password", ["", ":wrong@"])
def test_a_server_that_refuses_is_not_asked_again(run, own_server, password):
    server = own_server("--requirepass", "secretsecret", start="Authentication")

    async def main():
        async with RunLog(server.url.replace("//", f"//{password}")) as runs:
            with pytest.raises(StoreUnavailable, match="Authentication") as caught:
                await runs.stop("x")
            assert not caught.value.passes

    run(main)


def test_a_password_is_not_shown(run):
    async def main():
        async with RunLog("redis://:hunter2hunter2@127.0.0.1:1", patience=0.01) as runs:
            with pytest.raises(StoreUnavailable) as caught:
                await runs.stop("x")
            assert "hunter2" not in f"{caught.value} {runs!r}"

    run(main)


# --- logs with holes --------------------------------------------------------------------------


def test_a_log_that_was_trimmed_is_followed_from_where_it_begins(
    run, redis_server, stream_of, events
):
    async def main():
        async with RunLog(redis_server.url) as runs, RunLog(redis_server.url) as others:
            half = Half(runs, stream_of, events)
            key = await runs.publish(half.stream)
            for number, event in enumerate(events):
                half.source.on_next(event)
                await until(lambda n=number: redis_server.ask("XLEN", log_of(key)) >= n + 2)
            redis_server.ask("XTRIM", log_of(key), "MAXLEN", len(events) - 3)
            assert await heard(others, key, "1-5") == events[5:]
            for after in (None, "1-3", 2):
                with pytest.raises(CursorUnavailable, match="begins with number 5"):
                    await heard(others, key, after)
            redis_server.ask("XDEL", log_of(key), "1-7")
            with pytest.raises(CursorUnavailable, match="number 8 follows number 6"):
                await heard(others, key, "1-5")

    run(main)


def test_a_follower_never_gets_other_events_of_the_same_numbers(run, store_of, events):
    """A failover lost the last entries, and a successor wrote others: a cursor tells them apart."""

    async def main():
        store, key = store_of(), f"failover-{time.time_ns()}"
        first = Claim(key, "a", 10, 60, lambda: None)
        await store.acquire(first, b"{}", first=True)
        chunks = [encode(event.protocol().encode(event)) for event in events[:3]]
        await store.append(first, Entry(1, 1, "events", "a", chunks[0]))
        await store.end(key, first)
        second = Claim(key, "b", 10, 60, lambda: None, 2)
        await store.acquire(second, b"{}", first=False)
        await store.append(second, Entry(2, 2, "events", "b", chunks[1]))
        await store.append(second, Entry(2, 3, "events", "b", chunks[2]))
        async with RunLog(store) as runs:
            assert await anext(aiter(runs.follow(key, "1-1"))) == events[1]
            assert await anext(aiter(runs.follow(key, "2-2"))) == events[2]
            for after in ("1-2", "1-3", "3-1"):
                with pytest.raises(CursorUnavailable, match=f"does not have event {after}"):
                    await anext(aiter(runs.follow(key, after)))
        await store.end(key, second, 0.001)
        await store.close()

    run(main)


def test_hundreds_of_runs_in_one_process(run, redis_server, stream_of, events):
    async def main():
        async with RunLog(redis_server.url, patience=3) as runs, RunLog(redis_server.url) as others:
            streams = [stream_of(rx.from_iterable(events)) for _ in range(300)]
            keys = [runs.publish(stream) for stream in streams]
            for key in keys:  # a follower waits two seconds for a log, and a busy machine longer
                await key
            heard_by_all = await asyncio.gather(*[heard(others, key) for key in keys])
            assert all(each == events for each in heard_by_all)

    run(main)


def log_of(key):
    return f"rxassist:{{{key}}}:log"


# --- answers that are lost, and fences --------------------------------------------------------


def lossy(store):
    """A store that does what it is told, and whose answer is lost every second time."""

    def losing(method):
        calls = count()

        async def call(*arguments, **options):
            result = await method(*arguments, **options)
            if next(calls) % 2 == 0:
                msg = "the answer was lost"
                raise StoreUnavailable(msg)
            return result

        return call

    for name in ("acquire", "append", "read", "end"):
        setattr(store, name, losing(getattr(store, name)))
    return store


def test_an_answer_that_is_lost_changes_nothing(run, store_of, stream_of, events):
    async def main():
        async with RunLog(lossy(store_of())) as runs:
            half = await Half(runs, stream_of, events).begin()
            half.finish()
            await until(lambda: half.got == events)
            assert await heard(runs, half.key) == events

    run(main)


def test_a_fence_holds_whatever_the_order(run, store_of):
    async def main():
        store, asked = store_of(), []
        key = f"fence-{time.time_ns()}"
        first = Claim(key, "a", 10, 60, lambda: asked.append("a"))
        assert await store.acquire(first, b"{}", first=True) == 1
        assert await store.acquire(first, b"{}", first=True) == 1  # its answer was lost
        one = Entry(1, 1, "events", "a", b"data: 1\n\n")
        await store.append(first, one)
        await store.append(first, one)
        await store.end(key, first)
        second = Claim(key, "b", 10, 60, lambda: asked.append("b"), 2)
        assert await store.acquire(second, b"{}", first=False) == 2
        for entry in (Entry(1, 2, "events", "a", b"data: 2\n\n"), None):
            with pytest.raises(Fenced):
                await store.append(first, entry)
        await store.append(second, Entry(2, 2, "events", "b", b"data: 3\n\n"))
        twin = Claim(key, "c", 10, 60, lambda: None, 2)  # a failover has lost an epoch
        with pytest.raises(Fenced):
            await store.append(twin, Entry(2, 2, "events", "c", b"data: 3\n\n"))
        await store.end(key)
        await until(lambda: asked)
        assert set(asked) == {"b"}
        page = await store.read(key, None, 0)
        assert [entry.id for entry in page.entries] == ["1-0", "1-1", "2-0", "2-2"]
        assert page.produced
        await store.end(key, second, 0.001)
        await store.close()

    run(main)


# --- processes --------------------------------------------------------------------------------

CHILD = """
import asyncio, sys
from rxassist.redis import RunLog
url, key, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
async def main():
    async with RunLog(url) as runs:
        async def follow():
            return [event async for event in runs.follow(key)]
        async def read():
            return [chunk async for chunk in runs.sse(key)]
        followers = [asyncio.ensure_future(follow() if n % 2 else read()) for n in range(500)]
        await runs.follow(key).pipe(__import__("reactivex").operators.first())
        print("follows", flush=True)
        got = await asyncio.gather(*followers)
        print(sorted({len(each) for each in got}) == [count, count + 1], flush=True)
asyncio.run(main())
"""


def started(command):
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_thousand_followers_in_two_processes(run, own_server, stream_of, events):
    server = own_server()
    many = [*events[:-1], *[events[3]] * 20, events[-1]]

    async def main():
        async with RunLog(server.url) as runs:
            half = Half(runs, stream_of, many)
            await half.begin()
            command = [sys.executable, "-c", CHILD, server.url, half.key, str(len(many))]
            children = [started(command) for _ in range(2)]
            for child in children:
                assert await asyncio.to_thread(child.stdout.readline) == "follows\n"
            assert server.ask("INFO", "clients")["connected_clients"] < 20
            half.finish()
            for child in children:
                assert await asyncio.to_thread(child.stdout.readline) == "True\n"
                child.stdout.close()
                assert await asyncio.to_thread(child.wait) == 0

    run(main)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a fork beside a thread
def test_a_log_that_was_used_before_a_fork_belongs_to_the_parent(redis_server):
    with BlockingRunLog(redis_server.url) as runs:
        runs.stop("x")
        child = os.fork()
        if child == 0:
            try:
                runs.stop("x")
            except WrongLoopError:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        runs.stop("x")


def test_a_log_of_another_event_loop_says_so(redis_server):
    runs = RunLog(redis_server.url)

    async def use():
        await runs.stop("x")

    async def use_and_close():
        await use()
        await runs.close()

    asyncio.run(use_and_close())
    with pytest.raises(Exception, match="closed"):
        asyncio.run(use())


def test_a_program_ends_while_a_log_is_open(own_server):
    code = """
import sys
from rxassist.redis import BlockingRunLog
runs = BlockingRunLog(sys.argv[1])
runs.stop("x")
runs.follow("nobody").subscribe(print, print)
print("end")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, own_server().url],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "end\n")
