"""Where the items of a client come from: a task for each subscription, on one event loop."""

import asyncio
import gc
import sys
from functools import partial

import pytest

from rxassist.reactive.backpressure import Demand, demanding
from rxassist.reactive.links import Link
from rxassist.reactive.loop import RunningLoop, ThreadLoop, from_batches


class Heard(Link):
    """An observer that keeps what it is told."""

    def __init__(self):
        super().__init__(None)
        self.told = []

    def on_next(self, value):
        self.told.append(value)

    def on_error(self, error):
        self.told.append(error)

    def on_completed(self):
        self.told.append("|")


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def batches(closed):
    """Two items, and a close that takes a while."""
    try:
        yield (1, 2)
    finally:
        await settle()
        closed.append("in peace")


def run(main):
    async def within():
        home = RunningLoop()
        home.enter()
        try:
            await main(home)
        finally:
            await home.end_tasks()

    asyncio.run(within())


def test_what_is_disposed_at_once_never_begins():
    begun = []

    async def batches():
        begun.append(1)
        yield (1,)

    async def main(home):
        from_batches(home, batches).subscribe().dispose()
        await settle()
        assert not begun

    run(main)


def test_a_begin_that_raises_is_told():
    def begin():
        raise ValueError

    async def main(home):
        heard = Heard()
        from_batches(home, begin).subscribe(heard)
        await settle()
        (error,) = heard.told
        assert isinstance(error, ValueError)

    run(main)


@pytest.mark.parametrize("times", [1, 2])
def test_what_is_left_closes_in_peace(times):
    closed = []

    async def main(home):
        class Leaving(Heard):
            def on_next(self, value):
                super().on_next(value)
                held[0].dispose()
                home.post(held[0].dispose if times > 1 else list)

        heard = Leaving()
        held = [from_batches(home, partial(batches, closed))._subscribe_core(heard)]
        await settle()
        await settle()
        await settle()
        assert heard.told == [1]
        assert closed == ["in peace"]

    run(main)


def test_what_a_subscriber_raises_is_reported_and_closes_in_peace():
    closed, reported = [], []

    async def main(home):
        class Raising(Heard):
            def on_next(self, value):
                super().on_next(value)
                raise ValueError(value)

        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: reported.append(context["exception"])
        )
        heard = Raising()
        from_batches(home, partial(batches, closed))._subscribe_core(heard)
        for _ in range(3):
            await settle()
        assert heard.told == [1]
        assert closed == ["in peace"]
        assert [type(each) for each in reported] == [ValueError]

    run(main)


@pytest.mark.parametrize("reads", [True, False])
def test_what_waits_on_a_loop_that_was_closed_is_collected_in_silence(monkeypatch, reads):
    heard, reported = Heard(), []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)

    async def batches():
        try:
            yield (1,)
            await asyncio.get_running_loop().create_future()
        finally:
            await settle()

    async def begin():
        home = RunningLoop()
        demand = Demand()
        if not reads:
            demand.close()
        with demanding(demand):
            from_batches(home, batches).subscribe(heard)
        await settle()

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # asyncio complains of the task
    loop.run_until_complete(begin())
    loop.close()
    gc.collect()
    assert heard.told == [1] * reads
    assert reported == []


def test_a_close_that_is_cancelled_goes_on_to_its_end():
    async def main():
        home, said, begun = RunningLoop(), [], asyncio.Event()
        home.enter()

        async def last_words():
            begun.set()
            await settle()
            said.append("closed")

        closing = asyncio.create_task(home.close(last_words))
        await begun.wait()
        closing.cancel()
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert said == ["closed"]

    asyncio.run(main())


def test_a_thread_that_cannot_start_is_told_and_close_returns(monkeypatch):
    def start(_):
        msg = "no more threads"
        raise RuntimeError(msg)

    home = ThreadLoop()
    with monkeypatch.context() as full:
        full.setattr("threading.Thread.start", start)
        with pytest.raises(RuntimeError, match="cannot start: no more threads"):
            home.enter()
    home.close()
