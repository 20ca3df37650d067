"""A budget: who waits, for how long, and that nothing is lost when somebody leaves."""

import asyncio
import logging
import threading
from collections import deque
from contextlib import suppress

import pytest
import reactivex as rx

from rxassist import APITimeoutError, Budget
from rxassist.reactive.loop import RunningLoop, ThreadLoop


class Time:
    """A clock that only sleepers move on."""

    def __init__(self):
        self.now = 0.0
        self.sleeping = 0
        self.most_sleeping = 0
        self.meanwhile = lambda: None  # what happens while somebody sleeps, once

    async def sleep(self, seconds):
        self.sleeping += 1
        self.most_sleeping = max(self.most_sleeping, self.sleeping)
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        until = self.now + seconds
        await _a_step()
        self.sleeping -= 1
        self.now = max(self.now, until)


async def _a_step():
    await asyncio.get_running_loop().run_in_executor(None, int)


@pytest.fixture
def time(monkeypatch):
    time = Time()
    monkeypatch.setattr("rxassist.reactive.budget.asyncio.sleep", time.sleep)
    return time


# --- requests ------------------------------------------------------------------------------


def sent(budget, time, count):
    """The times at which so many requests are sent that all want to be sent at once."""

    async def main():
        times = []

        async def send():
            await budget.request()
            times.append(time.now)

        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(send())
        return times

    return asyncio.run(main())


def test_never_more_requests_than_that_in_any_minute(time):
    budget = Budget(requests_per_minute=3, clock=lambda: time.now)
    assert sent(budget, time, 8) == [0, 0, 0, 60, 60, 60, 120, 120]
    assert time.most_sleeping == 1


def test_what_was_sent_longer_than_a_minute_ago_does_not_count(time):
    budget = Budget(requests_per_minute=2, clock=lambda: time.now)
    assert sent(budget, time, 1) == [0]
    time.now = 50
    assert sent(budget, time, 2) == [50, 60]
    time.now = 200
    assert sent(budget, time, 2) == [200, 200]


def test_without_bounds_nobody_waits(time):
    assert sent(Budget(clock=lambda: time.now), time, 100) == [0] * 100


def test_a_pause_holds_everybody_up(time):
    budget = Budget(clock=lambda: time.now)
    budget.pause(5)
    budget.pause(2)
    assert sent(budget, time, 3) == [5, 5, 5]


def test_a_pause_is_one_line_of_the_log(time, caplog):
    caplog.set_level(logging.INFO, "rxassist")
    budget = Budget(max_runs=3, clock=lambda: time.now)
    budget.pause(5)
    budget.pause(7)
    assert caplog.messages == [f"{budget!r}: nobody sends a request for 5.00 s"]


@pytest.mark.parametrize("seconds", [float("inf"), float("nan")])
def test_a_pause_for_ever_is_refused(seconds):
    with pytest.raises(ValueError, match="a pause must have a finite number of seconds, got"):
        Budget().pause(seconds)


def test_who_has_less_time_than_the_pause_is_told_so(time):
    budget = Budget(requests_per_minute=1, clock=lambda: time.now)
    sent(budget, time, 1)

    async def main():
        time.meanwhile = lambda: budget.pause(86400)
        for longest in (70, 600):  # the first one waits already when the pause begins
            with pytest.raises(
                APITimeoutError, match=r"to wait, and \d+ s of that are left"
            ) as told:
                await budget.request(longest)
            assert not told.value.sent
        await budget.request(86400)

    asyncio.run(main())
    assert time.now == 86400


def test_a_pause_lengthens_the_wait_of_who_waits_already(time):
    budget = Budget(requests_per_minute=1, clock=lambda: time.now)
    sent(budget, time, 1)

    async def main():
        time.meanwhile = lambda: budget.pause(100)
        await budget.request()
        return time.now

    assert asyncio.run(main()) >= 100


def test_who_leaves_lets_the_next_one_in():
    async def main():
        budget = Budget()
        budget.pause(3600)
        first, second = (asyncio.create_task(budget.request()) for _ in range(2))
        await _a_step()
        for task in (second, first):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        budget._pause.until = 0.0
        await budget.request()

    asyncio.run(main())


def test_threads_with_loops_of_their_own_share_one_budget(time):
    times = []

    class Sent(deque):
        """What the budget counts: a thread may be late to say when it was let through."""

        def append(self, at):
            times.append(at)
            super().append(at)

    budget = Budget(requests_per_minute=10, clock=lambda: time.now)
    budget._sent = Sent(maxlen=10)
    threads = [threading.Thread(target=sent, args=(budget, time, 10)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 40
    assert time.most_sleeping == 1
    assert all(later - earlier >= 60 for earlier, later in zip(times, times[10:], strict=False))


# --- places --------------------------------------------------------------------------------


class Run:
    """A source that is one run: how many of them are under way, and the most at any time."""

    running = most = begun = 0

    def __init__(self):
        self.subject = rx.Subject()

    @property
    def source(self):
        def subscribe(observer, scheduler=None):
            counts = type(self)
            counts.begun += 1
            counts.running += 1
            counts.most = max(counts.most, counts.running)
            return self.subject.subscribe(observer)

        def over():
            type(self).running -= 1

        return rx.create(subscribe).pipe(rx.operators.finally_action(over))


@pytest.fixture
def new_run():
    return type("Counted", (Run,), {})


async def settled():
    for _ in range(20):
        await asyncio.sleep(0)


def test_at_most_so_many_runs_at_a_time_in_their_order(new_run):
    async def main():
        budget, home = Budget(max_runs=2), RunningLoop()
        runs = [new_run() for _ in range(4)]
        ended = []
        for number, run in enumerate(runs):
            placed = run.source.pipe(budget.place(home))
            placed.subscribe(on_completed=lambda number=number: ended.append(number))
        await settled()
        assert new_run.begun == 2
        runs[1].subject.on_completed()
        await settled()
        assert new_run.begun == 3
        for run in (runs[0], runs[2]):
            run.subject.on_completed()
        await settled()
        runs[3].subject.on_completed()
        assert (ended, new_run.most, new_run.running) == ([1, 0, 2, 3], 2, 0)

    asyncio.run(main())


@pytest.mark.parametrize("how", ["an error", "dispose", "dispose while waiting"])
def test_a_place_is_given_back_however_a_run_ends(new_run, how):
    async def main():
        budget, home = Budget(max_runs=1), RunningLoop()
        first, second, third = (new_run() for _ in range(3))
        subscriptions = [
            run.source.pipe(budget.place(home)).subscribe(on_error=lambda _: None)
            for run in (first, second, third)
        ]
        await settled()
        if how == "dispose while waiting":
            subscriptions[1].dispose()
            await settled()
        if how == "dispose":
            subscriptions[0].dispose()
        else:
            first.subject.on_error(LookupError())
        await settled()
        assert new_run.begun == 2
        waiting = third if how == "dispose while waiting" else second
        assert waiting.subject.observers
        for subscription in subscriptions:
            subscription.dispose()
        await settled()
        assert new_run.running == 0

    asyncio.run(main())


def test_who_is_given_a_place_while_leaving_gives_it_on(new_run):
    async def main():
        budget, home = Budget(max_runs=1), RunningLoop()
        first, second, third = (new_run() for _ in range(3))
        held = [run.source.pipe(budget.place(home)).subscribe() for run in (first, second)]
        await settled()
        for steps in range(6):  # whatever the moment
            third = new_run()
            held.append(third.source.pipe(budget.place(home)).subscribe())
            await settled()
            held.pop(0).dispose()
            for _ in range(steps):
                await asyncio.sleep(0)
            held.pop(0).dispose()
            await settled()
            assert third.subject.observers
            waiting = new_run()
            held.append(waiting.source.pipe(budget.place(home)).subscribe())
            await settled()
        for subscription in held:
            subscription.dispose()
        await settled()
        assert (new_run.most, new_run.running) == (1, 0)

    asyncio.run(main())


def test_a_run_that_exists_is_counted_and_does_not_wait(new_run):
    async def main():
        budget, home = Budget(max_runs=1), RunningLoop()
        first, goes_on, waits = (new_run() for _ in range(3))
        first.source.pipe(budget.place(home)).subscribe()
        goes_on.source.pipe(budget.place(home, waits=False)).subscribe()
        waits.source.pipe(budget.place(home)).subscribe()
        await settled()
        assert goes_on.subject.observers
        first.subject.on_completed()
        await settled()
        assert not waits.subject.observers
        goes_on.subject.on_completed()
        await settled()
        assert waits.subject.observers
        waits.subject.on_completed()

    asyncio.run(main())


def test_loops_on_several_threads_share_the_places(new_run):
    budget = Budget(max_runs=3)
    homes = [ThreadLoop() for _ in range(4)]
    running = most = 0
    lock, over = threading.Lock(), threading.Semaphore(0)

    def work(_):
        async def begin(observer):
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            await asyncio.sleep(0)
            with lock:
                running -= 1
            observer.on_completed()

        def subscribe(observer, scheduler=None):
            task = asyncio.get_running_loop().create_task(begin(observer))
            return rx.disposable.Disposable(task.cancel)

        return rx.create(subscribe)

    for number in range(200):
        home = homes[number % 4]
        work(number).pipe(budget.place(home)).subscribe(on_completed=over.release)
    for _ in range(200):
        assert over.acquire(timeout=10)
    for home in homes:
        home.close()
    assert 1 <= most <= 3


def test_without_max_runs_a_source_stays_as_it_is():
    source = rx.of("a", "b")
    seen = []
    source.pipe(Budget().place(RunningLoop())).subscribe(seen.append)
    assert seen == ["a", "b"]


# --- arguments -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["max_runs", "requests_per_minute"])
@pytest.mark.parametrize(("wrong", "error"), [(0, ValueError), (1.5, TypeError), (True, TypeError)])
def test_bad_arguments(name, wrong, error):
    with pytest.raises(error, match=f"{name} must be .*, or None for no bound, got {wrong}"):
        Budget(**{name: wrong})


def test_repr():
    assert repr(Budget(max_runs=50)) == "Budget(max_runs=50, requests_per_minute=None)"
