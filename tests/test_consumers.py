"""Iteration and coroutines: in order, bounded, and nothing is left behind."""

import asyncio
import gc
import sys
import threading
from collections import deque
from contextvars import copy_context
from functools import partial
from typing import Any

import pytest
import reactivex
from reactivex import Observable, Subject
from reactivex import operators as ops
from reactivex.disposable import Disposable

from rxassist import Demand, LoopObservable, current_demand, demanding, iterate, map_async
from rxassist.errors import StreamClosed
from rxassist.reactive.iteration import _Arrivals
from rxassist.reactive.loop import ThreadLoop

WAIT = 10
"""Seconds after which a test that hangs fails."""


class Patient(Observable):
    """A source that counts, and waits between two numbers while the demand is closed."""

    def __init__(self, total):
        super().__init__()
        self.total = total
        self.sent = 0
        self.demand = None
        self.disposed = False

    def _subscribe_core(self, observer, scheduler=None):
        self.demand = current_demand()

        def go_on():
            while self.demand.is_open and not self.disposed:
                if self.sent == self.total:
                    observer.on_completed()
                    return
                self.sent += 1
                observer.on_next(self.sent)
            if not self.disposed:
                self.demand.when_open(partial(copy_context().run, go_on))

        go_on()

        def leave():
            self.disposed = True

        return Disposable(leave)


class Threaded(Observable):
    """As ``Patient``, in a thread of its own."""

    def __init__(self, total):
        super().__init__()
        self.total = total
        self.sent = 0
        self.paused = threading.Event()
        self.thread = None

    def _subscribe_core(self, observer, scheduler=None):
        demand = current_demand()

        def wait():
            opened = threading.Event()
            demand.when_open(opened.set)
            if not opened.is_set():
                self.paused.set()
            assert opened.wait(WAIT)

        def run():
            while self.sent < self.total:
                while not demand.is_open:
                    wait()
                self.sent += 1
                observer.on_next(self.sent)
            observer.on_completed()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        return Disposable()


def leaving(source, left):
    """The source, which calls ``left`` when it is disposed or has ended."""
    return source.pipe(ops.finally_action(left))


async def turns(count=5):
    """Let the loop run what is ready, and what becomes ready by it."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        turned = asyncio.Event()
        loop.call_soon(turned.set)
        await turned.wait()


def in_loop(coroutine):
    """Run a test's coroutine; a loop's exception handler that is called fails it."""
    told = []

    async def bounded():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        async with asyncio.timeout(WAIT):
            return await coroutine

    result = asyncio.run(bounded())
    assert told == []
    return result


# --- for -----------------------------------------------------------------------------------


def test_for_gives_the_items_in_order():
    assert list(iterate(reactivex.of(1, 2, 3))) == [1, 2, 3]
    assert list(iterate(reactivex.empty())) == []


def test_for_raises_an_error_after_the_items_before_it():
    items = iter(iterate(reactivex.of(1, 2).pipe(ops.concat(reactivex.throw(LookupError("lost"))))))
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(LookupError, match="lost"):
        next(items)


def test_to_leave_a_for_disposes():
    left = []
    source = leaving(reactivex.of(1, 2).pipe(ops.concat(reactivex.never())), lambda: left.append(1))
    for item in iterate(source):
        if item == 2:
            assert left == []
            break
    assert left == [1]


def test_an_exception_in_a_for_disposes():
    left = []
    source = leaving(reactivex.of(1).pipe(ops.concat(reactivex.never())), lambda: left.append(1))

    def read():
        for _ in iterate(source):
            raise LookupError

    with pytest.raises(LookupError):
        read()
    gc.collect()
    assert left == [1]


def test_nothing_happens_before_the_first_item_is_asked_for():
    source = Patient(3)
    items = iter(iterate(source))
    assert source.demand is None
    assert next(items) == 1
    assert source.demand is not None
    items.close()
    assert source.disposed


def test_each_for_is_a_subscription_of_its_own():
    items = iterate(reactivex.of(1, 2))
    assert list(items) == [1, 2]
    assert list(items) == [1, 2]


@pytest.mark.parametrize("buffer", [1, 4, 16])
def test_for_pauses_its_source(buffer):
    source = Patient(100)
    for taken, item in enumerate(iterate(source, buffer=buffer), 1):
        assert item == taken
        assert source.sent - taken < buffer
    assert taken == 100


def test_for_pauses_a_source_in_another_thread():
    source = Threaded(1000)
    items = iter(iterate(source, buffer=4))
    assert next(items) == 1
    assert source.paused.wait(WAIT)
    assert source.sent <= 5  # a full buffer, and the one that was taken
    assert list(items) == list(range(2, 1001))
    source.thread.join(WAIT)


def test_a_consumer_that_takes_all_before_the_source_is_paused_is_woken(monkeypatch):
    woken = []
    arrivals = _Arrivals(lambda: woken.append(True), 2)
    close = Demand.close

    def taken_before(demand):
        assert list(arrivals.take()) == [1, 2]  # on another thread, which waits again now
        woken.clear()
        close(demand)

    monkeypatch.setattr(Demand, "close", taken_before)
    arrivals._on_next(1)
    arrivals._on_next(2)
    assert woken
    assert list(arrivals.take()) == []
    assert arrivals._demand.is_open


def test_a_consumer_of_a_source_that_emits_on_two_threads_at_once_is_woken():
    class Together(deque[int]):
        def append(self, item):
            super().append(item)
            if item == 1:
                arrivals._on_next(2)  # on another thread, before this one looks

    woken = []
    arrivals = _Arrivals(lambda: woken.append(True), 10)
    arrivals.items = Together()
    arrivals._on_next(1)
    assert woken
    assert list(arrivals.take()) == [1, 2]


@pytest.mark.parametrize("buffer", [1, 2, 3, 16])
def test_nothing_is_lost_between_two_threads_that_change_often(buffer):
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(5):
            assert list(iterate(Threaded(1000), buffer=buffer)) == list(range(1, 1001))
    finally:
        sys.setswitchinterval(before)


def test_a_source_that_knows_no_demand_loses_nothing():
    assert list(iterate(reactivex.range(1000), buffer=2)) == list(range(1000))


def test_the_demand_of_a_consumer_further_down_counts_too():
    source, below = Patient(9), Demand()
    with demanding(below):
        items = iter(iterate(source, buffer=3))
        assert next(items) == 1
    below.close()
    assert [next(items), next(items)] == [2, 3]
    assert not source.demand.is_open
    below.open()
    assert list(items) == list(range(4, 10))


@pytest.mark.parametrize("buffer", [0, -1])
def test_a_buffer_holds_at_least_one(buffer):
    with pytest.raises(ValueError, match="buffer must be at least 1"):
        iterate(reactivex.empty(), buffer=buffer)


# --- async for -----------------------------------------------------------------------------


async def listed(source, **options):
    return [item async for item in iterate(source, **options)]


def test_async_for_gives_the_items_in_order():
    assert in_loop(listed(reactivex.of(1, 2, 3))) == [1, 2, 3]
    assert in_loop(listed(reactivex.empty())) == []


def test_async_for_gives_what_comes_later():
    async def test():
        subject, seen = Subject(), []
        loop = asyncio.get_running_loop()
        loop.call_soon(subject.on_next, "missed")
        reading = asyncio.create_task(listed(subject.pipe(ops.do_action(seen.append))))
        await turns(1)
        for letter in "abc":
            subject.on_next(letter)
            await turns()
        subject.on_completed()
        assert await reading == seen
        return seen

    assert in_loop(test()) == ["a", "b", "c"]


def test_async_for_raises_an_error_after_the_items_before_it():
    async def test():
        source = reactivex.of(1, 2).pipe(ops.concat(reactivex.throw(LookupError("lost"))))
        items = aiter(iterate(source))
        assert [await anext(items), await anext(items)] == [1, 2]
        with pytest.raises(LookupError, match="lost"):
            await anext(items)

    in_loop(test())


def test_to_leave_an_async_for_disposes():
    async def test():
        left = asyncio.Event()
        source = reactivex.of(1).pipe(ops.concat(reactivex.never()))
        async for _ in iterate(leaving(source, left.set)):
            break
        await left.wait()

    in_loop(test())


def test_to_cancel_an_async_for_disposes():
    async def test():
        left = asyncio.Event()
        reading = asyncio.create_task(listed(leaving(reactivex.never(), left.set)))
        await turns()
        reading.cancel()
        await left.wait()
        with pytest.raises(asyncio.CancelledError):
            await reading

    in_loop(test())


@pytest.mark.parametrize("buffer", [1, 4, 16])
def test_async_for_pauses_its_source(buffer):
    async def test():
        source, taken = Patient(100), 0
        async for item in iterate(source, buffer=buffer):
            taken += 1
            assert item == taken
            assert source.sent - taken < buffer
            await turns(1)
        assert taken == 100

    in_loop(test())


def test_a_silence_begins_where_the_consumer_waits():
    async def main():
        source = Subject()
        silence = 0.2
        items = aiter(iterate(source).unbroken(silence, "silence", repr))
        first = asyncio.ensure_future(anext(items))
        await asyncio.sleep(0)
        source.on_next(1)
        assert await first == 1
        await asyncio.sleep(2 * silence)  # whoever takes the items is slow
        asyncio.get_running_loop().call_soon(source.on_next, 2)
        assert await anext(items) == 2
        assert await anext(items) == "silence"
        await items.aclose()

    asyncio.run(main())


def test_async_for_takes_from_another_thread():
    async def test():
        source = Threaded(1000)
        assert await listed(source, buffer=4) == list(range(1, 1001))
        source.thread.join(WAIT)

    in_loop(test())


def test_a_thread_that_emits_after_the_loop_was_closed_is_not_disturbed():
    subject = Subject()

    async def test():
        asyncio.get_running_loop().call_soon(subject.on_next, 1)
        items = aiter(iterate(subject))
        await anext(items)
        return items  # not closed

    async def leave_it_open():
        return await asyncio.wait_for(test(), WAIT)

    loop = asyncio.new_event_loop()
    items = loop.run_until_complete(leave_it_open())
    loop.close()
    emitting = threading.Thread(target=partial(subject.on_next, 2))
    emitting.start()
    emitting.join(WAIT)
    assert not emitting.is_alive()
    del items


def test_the_type_of_what_a_client_gives_takes_one_parameter_or_two():
    kind = LoopObservable[str]
    assert (kind.__origin__, kind.__args__) == (LoopObservable, (str, Any))
    assert LoopObservable[str, ThreadLoop].__args__ == (str, ThreadLoop)
    with pytest.raises(TypeError):
        LoopObservable[str, ThreadLoop, int]


# --- demand, inherited ---------------------------------------------------------------------


class InTask(Observable):
    """A source that emits from a task: what is subscribed below it inherits its context."""

    def __init__(self, items):
        super().__init__()
        self.items = items

    def _subscribe_core(self, observer, scheduler=None):
        async def run():
            for item in self.items:
                await turns(1)
                observer.on_next(item)
            observer.on_completed()

        task = asyncio.get_running_loop().create_task(run())
        return Disposable(task.cancel)


@pytest.mark.parametrize("outer", [reactivex.from_iterable, InTask])
@pytest.mark.parametrize("combine", [ops.flat_map, ops.concat_map])
def test_sources_that_are_subscribed_later_inherit_the_demand(outer, combine):
    async def test():
        sources = [Patient(100) for _ in range(3)]
        piped = outer(sources).pipe(combine(lambda source: source))
        taken = 0
        async for _ in iterate(piped, buffer=16):
            taken += 1
            # each may send one more before it looks at the demand
            assert sum(source.sent for source in sources) - taken < 16 + len(sources)
        assert len({source.demand for source in sources if source.demand}) == 1
        return taken

    assert in_loop(test()) >= 100


# --- map_async -----------------------------------------------------------------------------


class Works:
    """Coroutines that end when they are told to."""

    def __init__(self):
        self.begun = []
        self.cancelled = []
        self._ends = {}

    async def __call__(self, item):
        self.begun.append(item)
        self._ends[item] = asyncio.get_running_loop().create_future()
        try:
            return await self._ends[item]
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise

    async def end(self, item, result=None):
        self._ends[item].set_result(result or item.upper())
        await turns()

    async def fail(self, item, error):
        self._ends[item].set_exception(error)
        await turns()


class Mapped:
    """A subject, the works it is mapped with, and what came of it."""

    def __init__(self, source=None, **options):
        self.subject = Subject()
        self.works = Works()
        self.seen = []
        self.left = []
        source = leaving(self.subject if source is None else source, lambda: self.left.append(1))
        self.subscription = source.pipe(map_async(self.works, **options)).subscribe(
            self.seen.append, self.seen.append, lambda: self.seen.append("|")
        )

    async def send(self, letters):
        for letter in letters:
            if letter == "|":
                self.subject.on_completed()
            else:
                self.subject.on_next(letter)
        await turns()


def test_one_coroutine_after_the_other():
    async def test():
        mapped = Mapped()
        await mapped.send("abc|")
        for done, letter in enumerate("abc", 1):
            assert mapped.works.begun == list("abc")[:done]
            await mapped.works.end(letter)
        assert mapped.seen == ["A", "B", "C", "|"]

    in_loop(test())


def test_the_order_is_kept_whichever_ends_first():
    async def test():
        mapped = Mapped(max_concurrent=3)
        await mapped.send("abc|")
        await mapped.works.end("c")
        await mapped.works.end("b")
        assert mapped.seen == []
        await mapped.works.end("a")
        assert mapped.seen == ["A", "B", "C", "|"]

    in_loop(test())


def test_no_more_run_at_a_time_than_may():
    async def test():
        mapped = Mapped(max_concurrent=2)
        await mapped.send("abcd|")
        assert mapped.works.begun == ["a", "b"]
        await mapped.works.end("b")  # it waits for its turn, and holds its place
        assert mapped.works.begun == ["a", "b"]
        await mapped.works.end("a")
        assert mapped.works.begun == ["a", "b", "c", "d"]
        await mapped.works.end("c")
        await mapped.works.end("d")
        assert mapped.seen == ["A", "B", "C", "D", "|"]

    in_loop(test())


def test_what_a_coroutine_returns_is_emitted_whatever_it_is():
    async def nothing(_):
        return None

    async def test():
        return await listed(InTask("ab").pipe(map_async(nothing)))

    assert in_loop(test()) == [None, None]


def test_the_source_completes_when_all_have_ended():
    async def test():
        mapped = Mapped(max_concurrent=2)
        await mapped.send("ab|")
        await mapped.works.end("b")
        assert mapped.seen == []
        await mapped.works.end("a")
        assert mapped.seen == ["A", "B", "|"]

    in_loop(test())


def test_a_source_without_items_completes():
    async def test():
        mapped = Mapped()
        await mapped.send("|")
        assert mapped.seen == ["|"]

    in_loop(test())


def test_an_error_of_the_source_comes_after_what_is_pending():
    async def test():
        mapped, error = Mapped(), LookupError()
        await mapped.send("ab")
        mapped.subject.on_error(error)
        await mapped.works.end("a")
        assert mapped.seen == ["A"]
        await mapped.works.end("b")
        assert mapped.seen == ["A", "B", error]

    in_loop(test())


def test_an_exception_of_a_coroutine_is_an_error_after_the_results_before_it():
    async def test():
        mapped, error = Mapped(max_concurrent=3), LookupError()
        await mapped.send("abcd")
        await mapped.works.fail("b", error)
        assert mapped.seen == []
        await mapped.works.end("a")
        assert mapped.seen == ["A", error]
        assert mapped.works.cancelled == ["c"]
        assert mapped.works.begun == ["a", "b", "c"]
        assert mapped.left == [1]

    in_loop(test())


def raises(item):
    raise LookupError(item)


def returns(item):
    return item


@pytest.mark.parametrize("fn", [raises, returns])
def test_a_function_that_gives_no_coroutine_is_an_error(fn):
    async def test():
        with pytest.raises((LookupError, TypeError)):
            await listed(reactivex.of(1).pipe(map_async(fn)))

    in_loop(test())


def test_to_dispose_cancels_what_runs():
    async def test():
        mapped = Mapped(max_concurrent=2)
        await mapped.send("abc")
        mapped.subscription.dispose()
        await turns()
        assert mapped.works.cancelled == ["a", "b"]
        assert mapped.works.begun == ["a", "b"]
        assert mapped.seen == []
        assert mapped.left == [1]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    in_loop(test())


def test_to_dispose_on_another_thread_cancels_what_runs():
    async def test():
        mapped = Mapped()
        await mapped.send("a")
        await asyncio.to_thread(mapped.subscription.dispose)
        await turns()
        assert mapped.works.cancelled == ["a"]

    in_loop(test())


def test_to_leave_while_a_result_is_emitted():
    async def test():
        works, seen = Works(), []
        subject = Subject()
        subject.pipe(map_async(works, max_concurrent=2), ops.take(1)).subscribe(
            seen.append, seen.append, lambda: seen.append("|")
        )
        subject.on_next("a")
        subject.on_next("b")
        await turns()
        await works.end("a")
        assert seen == ["A", "|"]
        assert works.cancelled == ["b"]

    in_loop(test())


def test_a_coroutine_that_somebody_cancels_is_an_error():
    async def cancels_itself(_):
        asyncio.current_task().cancel()
        await turns()

    async def test():
        with pytest.raises(StreamClosed, match="cancelled"):
            await listed(reactivex.of(1).pipe(map_async(cancels_itself)))

    in_loop(test())


def test_an_exception_of_the_subscriber_closes_and_goes_to_the_loop():
    class SubscriberError(Exception):
        pass

    def subscriber(_):
        raise SubscriberError

    async def test():
        told, left, errors = [], [], []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        works, subject = Works(), Subject()
        leaving(subject, lambda: left.append(1)).pipe(map_async(works, max_concurrent=2)).subscribe(
            subscriber, errors.append
        )
        subject.on_next("a")
        subject.on_next("b")
        await turns()
        await works.end("a")
        assert [type(context["exception"]) for context in told] == [SubscriberError]
        assert errors == []
        assert left == [1]
        assert works.cancelled == ["b"]

    in_loop(test())


def test_the_source_is_paused_while_the_coroutines_run():
    async def test():
        source, running = Patient(20), 0

        async def work(number):
            nonlocal running
            running += 1
            assert running <= 3
            assert source.sent - number < 3
            await turns(2)
            running -= 1
            return number

        assert await listed(source.pipe(map_async(work, max_concurrent=3))) == list(range(1, 21))
        assert source.sent == 20

    in_loop(test())


def test_the_demand_is_closed_while_it_is_behind():
    async def test():
        source = Patient(3)
        mapped = Mapped(source)
        mapped.works.end = partial(mapped.works.end, result="done")
        await turns()
        for number in (1, 2, 3):
            assert mapped.works.begun == list(range(1, number + 1))
            assert not source.demand.is_open
            await mapped.works.end(number)
        assert source.demand.is_open
        assert mapped.seen == ["done", "done", "done", "|"]

    in_loop(test())


def test_the_demand_of_a_consumer_behind_it_counts_too():
    async def test():
        below = Demand()
        with demanding(below):
            source = Patient(3)
            mapped = Mapped(source)
        below.close()
        await turns()
        await mapped.works.end(1, "done")
        assert source.sent == 1
        below.open()
        await turns()
        assert source.sent == 2
        mapped.subscription.dispose()
        await turns()

    in_loop(test())


def test_without_a_running_loop_it_is_an_error():
    errors = []
    reactivex.of(1).pipe(map_async(Works())).subscribe(on_error=errors.append)
    assert [type(error) for error in errors] == [RuntimeError]


@pytest.mark.parametrize("most", [0, -1])
def test_at_least_one_coroutine_may_run(most):
    with pytest.raises(ValueError, match="max_concurrent must be at least 1"):
        map_async(Works(), max_concurrent=most)


@pytest.mark.parametrize("fn", [None, "work", 1])
def test_only_a_function_can_be_called(fn):
    with pytest.raises(TypeError, match="map_async takes a function that returns a coroutine"):
        map_async(fn)
