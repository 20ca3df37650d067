"""The loop of a client as a scheduler: any thread, exact disposal, and nobody left waiting."""

import asyncio
import threading
from datetime import timedelta

import pytest
from reactivex.disposable import Disposable

from rxassist import Demand, demanding
from rxassist.errors import ClientClosed
from rxassist.reactive.loop import RunningLoop, ThreadLoop

WAIT = 10


@pytest.fixture
def home():
    home = ThreadLoop()
    home.enter()
    yield home
    home.close()


def on_loop(home, function):
    """Call a function on the thread of a home and give what it returns."""
    done, returned = threading.Event(), []

    def call():
        returned.append(function())
        done.set()

    home.post(call)
    assert done.wait(WAIT)
    return returned[0]


@pytest.mark.parametrize("seconds", [0, -1.0, 0.01, timedelta(milliseconds=10)])
def test_an_action_runs_on_the_loop_whoever_schedules_it(home, seconds):
    for schedule in (lambda function: function(), lambda function: on_loop(home, function)):
        ran, threads = threading.Event(), []

        def action(scheduler, state, threads=threads, ran=ran):
            threads.append((scheduler, state, threading.current_thread().name))
            ran.set()

        schedule(lambda action=action: home.scheduler.schedule_relative(seconds, action, "state"))
        assert ran.wait(WAIT)
        assert threads == [(home.scheduler, "state", "rxassist")]


def test_actions_run_in_order(home):
    ran, done = [], threading.Event()
    for number in range(100):
        home.scheduler.schedule(lambda _, state: ran.append(state), number)
    home.scheduler.schedule(lambda _, __: done.set())
    assert done.wait(WAIT)
    assert ran == list(range(100))


def test_what_is_disposed_does_not_run(home):
    ran, done = [], threading.Event()

    def later():
        return home.scheduler.schedule_relative(0.01, lambda *_: ran.append(1))

    def soon():
        return home.scheduler.schedule(lambda *_: ran.append(2))

    later().dispose()
    on_loop(home, lambda: [timer.dispose() for timer in (later(), soon())])
    home.scheduler.schedule_relative(0.02, lambda *_: done.set())
    assert done.wait(WAIT)
    assert ran == []


def test_what_an_action_returns_is_freed_with_it(home):
    freed, held = threading.Event(), threading.Event()
    timer = home.scheduler.schedule(lambda *_: held.set() or Disposable(freed.set))
    assert held.wait(WAIT)
    on_loop(home, lambda: None)
    assert not freed.is_set()
    timer.dispose()
    assert freed.is_set()
    timer.dispose()


def test_what_is_disposed_by_its_own_action_is_freed(home):
    freed = threading.Event()
    timers = []
    on_loop(
        home,
        lambda: timers.append(
            home.scheduler.schedule(lambda *_: timers[0].dispose() or Disposable(freed.set))
        ),
    )
    assert freed.wait(WAIT)


def test_a_loop_that_is_gone_says_so_and_disposing_never_waits():
    home = ThreadLoop()
    home.enter()
    scheduler = home.scheduler
    timer = scheduler.schedule_relative(60.0, lambda *_: None)
    home.close()
    timer.dispose()
    for seconds in (0, 1.0):
        with pytest.raises(ClientClosed):
            scheduler.schedule_relative(seconds, lambda *_: None)


def boom(*_):
    raise SystemExit("mine")  # noqa: EM101 -- as users write it


@pytest.mark.parametrize("seconds", [0, 0.01])
def test_what_an_action_raises_goes_to_the_consumer_that_waits(home, seconds):
    told, done = [], threading.Event()

    def failed(error):
        told.append(error)
        done.set()
        return True

    with demanding(Demand(failed=failed)):
        home.scheduler.schedule_relative(seconds, boom)
    assert done.wait(WAIT)
    assert [str(error) for error in told] == ["mine"]


def test_what_an_action_raises_is_reported_where_nobody_waits():
    reported = []

    async def main():
        home = RunningLoop()
        home.enter()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
        done = asyncio.Event()
        home.scheduler.schedule(lambda *_: {}["mine"])
        home.scheduler.schedule(lambda *_: done.set())
        await done.wait()

    asyncio.run(main())
    assert [type(error) for error in reported] == [KeyError]


def test_consumers_that_wait_are_told_when_a_home_closes(home):
    told = []
    demands = [Demand(failed=lambda error: told.append(error) or True) for _ in range(3)]
    for demand in demands:
        home.enlist(demand)
    home.enlist(None)
    home.close()
    assert [type(error) for error in told] == [ClientClosed] * 3
