"""One subscription, many readers, each with its own place: without a loop, a thread or a clock."""

import gc
import weakref
from collections import deque

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops
from reactivex.disposable import Disposable
from reactivex.subject import Subject
from reactivex.testing import TestScheduler

from rxassist.errors import StreamClosed
from rxassist.reactive.backpressure import Demand, current_demand, demanding
from rxassist.reactive.log import Log


class Loop:
    """Stands for an event loop: what is posted runs when it is told to."""

    def __init__(self):
        self._waiting = deque()

    def post(self, call):
        self._waiting.append(call)

    def run(self):
        while self._waiting:
            self._waiting.popleft()()


class Source(Observable):
    """Sends when it is told to; counts who subscribed and disposed."""

    def __init__(self):
        super().__init__()
        self.subscribed = self.disposed = 0
        self.demand = None
        self._observer = None

    def _subscribe_core(self, observer, scheduler=None):
        self.subscribed += 1
        self.demand = current_demand()
        self._observer = observer

        def dispose():
            self.disposed += 1

        return Disposable(dispose)

    def send(self, items):
        for item in items:
            self._observer.on_next(item)

    def complete(self):
        self._observer.on_completed()

    def fail(self, error):
        self._observer.on_error(error)


class Tap(Source):
    """Sends number after number, and waits for its demand between two of them."""

    def __init__(self, end=10_000):
        super().__init__()
        self.sent = 0
        self._end = end

    def _subscribe_core(self, observer, scheduler=None):
        disposable = super()._subscribe_core(observer, scheduler)
        self._flow()
        return disposable

    def _flow(self):
        while self.sent < self._end and not self.disposed:
            if self.demand is not None and not self.demand.is_open:
                self.demand.when_open(self._flow)
                return
            self.sent += 1
            self._observer.on_next(self.sent)
        if not self.disposed:
            self._observer.on_completed()


class Reader:
    """What a subscriber saw, as text: items, then ``|`` or ``#``."""

    def __init__(self, log, *operators, demand=None, on_next=None):
        self.items = []
        self.end = ""
        self.error = None
        self.demand = demand
        self._on_next = on_next
        with demanding(demand):
            self._subscription = log.pipe(*operators).subscribe(
                self._next, self._error, self._completed
            )

    def _next(self, item):
        self.items.append(item)
        if self._on_next is not None:
            self._on_next(item)

    def _error(self, error):
        self.end += "#"
        self.error = error

    def _completed(self):
        self.end += "|"

    def leave(self):
        self._subscription.dispose()

    def __str__(self):
        return "".join(map(str, self.items)) + self.end


class Scene:
    """A loop, a source, a log on it, and what the log told."""

    def __init__(self, source=None, **options):
        self.loop = Loop()
        self.source = source or Source()
        self.reported = []
        self.log = Log(
            self.source,
            post=self.loop.post,
            report=self.reported.append,
            **options,
        )

    def reader(self, *operators, **options):
        reader = Reader(self.log, *operators, **options)
        self.loop.run()
        return reader

    def send(self, items):
        self.source.send(items)
        self.loop.run()

    def complete(self):
        self.source.complete()
        self.loop.run()

    def leave(self, *readers):
        for reader in readers:
            reader.leave()
        self.loop.run()


@pytest.fixture
def scene():
    return Scene()


# --- readers -------------------------------------------------------------------------------


def test_nothing_happens_before_the_first_subscription(scene):
    scene.loop.run()
    assert scene.source.subscribed == 0


def test_nothing_happens_inside_subscribe(scene):
    Reader(scene.log)
    assert scene.source.subscribed == 0
    scene.loop.run()
    assert scene.source.subscribed == 1


def test_many_readers_are_one_subscription(scene):
    readers = [scene.reader() for _ in range(3)]
    scene.send("ab")
    scene.complete()
    assert [str(reader) for reader in readers] == ["ab|"] * 3
    assert scene.source.subscribed == 1


def test_a_late_reader_replays_and_goes_on_live(scene):
    scene.reader()
    scene.send("ab")
    late = scene.reader()
    assert str(late) == "ab"
    scene.send("c")
    scene.complete()
    assert str(late) == "abc|"
    assert scene.source.subscribed == 1


def test_a_reader_after_the_end_sees_it_all(scene):
    scene.reader()
    scene.send("ab")
    scene.complete()
    assert str(scene.reader()) == "ab|"
    assert scene.source.subscribed == 1


def test_a_reader_after_an_error_sees_it_all(scene):
    first, error = scene.reader(), KeyError("a")
    scene.send("a")
    scene.source.fail(error)
    late = scene.reader()
    assert (str(first), str(late)) == ("a#", "a#")
    assert first.error is late.error is error


def test_the_log_knows_if_it_ended(scene):
    scene.reader()
    assert not scene.log.ended
    scene.complete()
    assert scene.log.ended


def test_what_a_source_sends_while_it_is_subscribed_arrives():
    scene = Scene(Tap(3))
    assert str(scene.reader()) == "123|"
    assert str(scene.reader()) == "123|"


def test_what_comes_after_the_end_is_ignored(scene):
    subject = Subject()
    log = Log(subject, post=scene.loop.post, report=scene.reported.append)
    reader = Reader(log)
    scene.loop.run()
    log.close(StreamClosed("closed"))
    subject.on_next("a")
    subject.on_completed()
    assert str(reader) == "#"


def test_a_reader_that_leaves_gets_no_more_and_the_others_do(scene):
    one, two = scene.reader(), scene.reader()
    scene.send("a")
    scene.leave(one)
    scene.send("b")
    assert (str(one), str(two)) == ("a", "ab")
    assert scene.source.disposed == 0


def test_a_reader_that_left_before_its_turn_never_subscribes(scene):
    reader = Reader(scene.log)
    scene.leave(reader)
    assert scene.source.subscribed == 0
    assert not scene.log.ended
    scene.reader()
    assert scene.source.subscribed == 1


def test_take_stops_in_the_middle_of_a_catch_up(scene):
    scene.reader()
    scene.send("abcd")
    assert str(scene.reader(ops.take(2))) == "ab|"
    scene.send("e")


def test_take_by_the_only_reader_disposes_of_the_source(scene):
    reader = scene.reader(ops.take(2))
    scene.send("abc")
    assert str(reader) == "ab|"
    assert scene.source.disposed == 1


def test_an_endless_source_that_sends_while_it_is_subscribed_stops():
    scene = Scene(Tap(100_000), read_ahead=100)
    demand = Demand()
    reader = scene.reader(ops.take(2), demand=demand, on_next=lambda _: demand.close())
    assert str(reader) == "1"
    demand.open()
    scene.loop.run()
    assert str(reader) == "12|"
    assert scene.source.disposed == 1


def test_a_subscription_inside_on_next_replays_from_the_start(scene):
    inner = []

    def subscribe_once(_):
        if not inner:
            inner.append(Reader(scene.log))

    outer = scene.reader(on_next=subscribe_once)
    scene.send("abc")
    scene.complete()
    assert (str(outer), str(inner[0])) == ("abc|", "abc|")
    assert scene.source.subscribed == 1


def test_items_sent_from_inside_on_next_stay_in_order(scene):
    def echo(item):
        if item == "a":
            scene.source.send("b")

    one, two = scene.reader(on_next=echo), scene.reader()
    scene.send("a")
    assert (str(one), str(two)) == ("ab", "ab")


# --- the last reader leaves ----------------------------------------------------------------


def test_the_last_reader_that_leaves_disposes_of_the_source(scene):
    one, two = scene.reader(), scene.reader()
    scene.leave(one)
    assert scene.source.disposed == 0
    scene.leave(two)
    assert scene.source.disposed == 1


def test_a_reader_that_comes_too_late_gets_what_is_kept_and_an_error(scene):
    reader = scene.reader()
    scene.send("ab")
    scene.leave(reader)
    late = scene.reader()
    assert str(late) == "ab#"
    assert isinstance(late.error, StreamClosed)
    assert scene.source.subscribed == 1
    assert str(reader) == "ab"


class Lingering(Scene):
    """A scene whose log stays for 30 virtual seconds after its last reader left."""

    def __init__(self, source=None, **options):
        self.clock = TestScheduler()
        self.timers = []
        super().__init__(source, linger=self._later, **options)

    def _later(self, action):
        self.timers.append(self.clock.schedule_relative(30, lambda *_: action()))
        return self.timers[-1]

    def pass_time(self, seconds):
        self.clock.advance_by(seconds)
        self.loop.run()


def test_a_log_that_lingers_goes_on_for_a_reader_that_comes_back():
    scene = Lingering()
    first = scene.reader()
    scene.send("ab")
    scene.leave(first)
    scene.pass_time(29)
    scene.send("c")
    back = scene.reader()
    scene.pass_time(100)
    scene.send("d")
    scene.complete()
    assert (str(first), str(back)) == ("ab", "abcd|")
    assert scene.source.subscribed == 1


def test_a_log_that_lingered_in_vain_is_left():
    scene = Lingering()
    scene.leave(scene.reader())
    scene.send("ab")
    scene.pass_time(29)
    assert scene.source.disposed == 0
    scene.pass_time(1)
    assert scene.source.disposed == 1
    late = scene.reader()
    assert str(late) == "ab#"
    assert isinstance(late.error, StreamClosed)
    assert "with linger=" in str(late.error)


def test_each_leaving_lingers_anew():
    scene = Lingering()
    for _ in range(3):
        scene.leave(scene.reader())
        scene.pass_time(29)
    assert scene.source.disposed == 0
    scene.pass_time(1)
    assert scene.source.disposed == 1


def test_a_log_that_lingers_and_ends_has_no_timer_any_more():
    scene = Lingering()
    scene.leave(scene.reader())
    scene.complete()
    assert [timer.is_disposed for timer in scene.timers] == [True]
    assert str(scene.reader()) == "|"


def test_a_paused_source_goes_on_while_its_log_lingers():
    scene = Lingering(Tap(100), read_ahead=10)
    demand = Demand()
    demand.close()
    slow = scene.reader(demand=demand)
    assert scene.source.sent == 10
    scene.leave(slow)
    assert scene.source.sent == 100
    assert str(scene.reader(ops.take(3))) == "123|"


def test_what_nobody_has_read_is_kept_while_a_log_lingers():
    scene = Lingering(replay=False)
    first = scene.reader()
    scene.send("ab")
    scene.leave(first)
    scene.send("cd")
    assert str(scene.reader()) == "cd"


def test_closing_ends_it_for_all(scene):
    one, two, error = scene.reader(), scene.reader(), StreamClosed("closed")
    scene.send("a")
    scene.log.close(error)
    scene.log.close(StreamClosed("again"))
    scene.loop.run()
    assert (str(one), str(two), str(scene.reader())) == ("a#", "a#", "a#")
    assert one.error is two.error is error
    assert scene.source.disposed == 1


def test_closing_before_anybody_subscribed(scene):
    scene.log.close(StreamClosed("closed"))
    assert str(scene.reader()) == "#"
    assert scene.source.subscribed == 0


# --- readers that raise --------------------------------------------------------------------


def test_a_reader_that_raises_is_reported_and_the_others_go_on(scene):
    def fail(item):
        if item == "b":
            raise KeyError(item)

    one = scene.reader()
    bad = scene.reader(on_next=fail)
    two = scene.reader()
    scene.send("abc")
    scene.complete()
    assert [str(reader) for reader in (one, bad, two)] == ["abc|", "ab", "abc|"]
    assert [repr(error) for error in scene.reported] == ["KeyError('b')"]


def test_the_only_reader_that_raises_ends_it(scene):
    def fail(_):
        raise KeyError

    scene.reader(on_next=fail)
    scene.send("ab")
    assert len(scene.reported) == 1
    assert scene.source.disposed == 1


def test_the_only_reader_that_raises_while_the_source_is_subscribed_ends_it():
    class Eager(Source):
        def _subscribe_core(self, observer, scheduler=None):
            disposable = super()._subscribe_core(observer, scheduler)
            observer.on_next("a")
            return disposable

    def fail(_):
        raise KeyError

    scene = Scene(Eager())
    scene.reader(on_next=fail)
    assert len(scene.reported) == 1
    assert scene.source.disposed == 1


def test_an_error_that_nobody_handles_is_reported(scene):
    scene.log.subscribe()
    other = scene.reader()
    error = KeyError("a")
    scene.source.fail(error)
    scene.loop.run()
    assert scene.reported == [error]
    assert str(other) == "#"


def test_a_reader_that_raises_at_the_end_is_reported(scene):
    def fail():
        raise KeyError

    scene.log.subscribe(on_completed=fail)
    scene.loop.run()
    other = scene.reader()
    scene.complete()
    assert len(scene.reported) == 1
    assert str(other) == "|"


# --- without replay ------------------------------------------------------------------------


def test_without_replay_what_every_reader_has_read_is_dropped():
    scene = Scene(replay=False)
    scene.reader()
    scene.send("abc")
    assert (scene.log.items, scene.log.dropped) == ([], 3)
    late = scene.reader()
    scene.send("d")
    scene.complete()
    assert str(late) == "d|"


def test_without_replay_what_the_slowest_has_not_read_is_kept():
    scene = Scene(replay=False)
    demand = Demand()
    scene.reader()
    slow = scene.reader(demand=demand)
    scene.send("a")
    demand.close()
    scene.send("bc")
    assert (scene.log.items, scene.log.dropped) == (["b", "c"], 1)
    demand.open()
    scene.loop.run()
    assert (str(slow), scene.log.items) == ("abc", [])


def test_without_replay_a_slow_reader_that_leaves_holds_nothing():
    scene = Scene(replay=False)
    scene.reader()
    demand = Demand()
    demand.close()
    slow = scene.reader(demand=demand)
    scene.send("abc")
    assert scene.log.items == ["a", "b", "c"]
    scene.leave(slow)
    assert scene.log.items == []


def test_without_replay_nothing_is_left_when_the_last_has_read_it():
    scene = Scene(replay=False)
    demand = Demand()
    demand.close()
    slow = scene.reader(demand=demand)
    scene.send("ab")
    scene.complete()
    demand.open()
    scene.loop.run()
    assert (str(slow), scene.log.items) == ("ab|", [])


def test_with_replay_everything_is_kept(scene):
    scene.reader()
    scene.send("abc")
    assert (scene.log.items, scene.log.dropped) == (["a", "b", "c"], 0)


def test_what_is_dropped_is_told_before():
    dropped = []
    scene = Scene(replay=False, on_drop=dropped.extend)
    scene.reader()
    scene.send("abc")
    assert dropped == ["a", "b", "c"]


# --- demand --------------------------------------------------------------------------------


def test_a_slow_reader_is_sent_nothing_while_its_demand_is_closed(scene):
    demand = Demand()
    slow, quick = scene.reader(demand=demand), scene.reader()
    scene.send("a")
    demand.close()
    scene.send("bc")
    assert (str(slow), str(quick)) == ("a", "abc")
    demand.open()
    scene.loop.run()
    assert str(slow) == "abc"


def test_a_slow_reader_may_stop_at_any_item(scene):
    demand = Demand()
    slow = scene.reader(demand=demand, on_next=lambda _: demand.close())
    scene.send("abc")
    scene.complete()
    seen = [str(slow)]
    for _ in range(2):
        demand.open()
        scene.loop.run()
        seen.append(str(slow))
    assert seen == ["a", "ab", "abc|"]


def test_the_end_waits_behind_what_is_not_read(scene):
    demand = Demand()
    slow = scene.reader(demand=demand)
    demand.close()
    scene.send("a")
    scene.complete()
    assert str(slow) == ""
    demand.open()
    scene.loop.run()
    assert str(slow) == "a|"


def test_the_end_itself_waits_for_nobody(scene):
    demand = Demand()
    slow = scene.reader(demand=demand)
    scene.send("a")
    demand.close()
    scene.complete()
    assert str(slow) == "a|"


@pytest.mark.parametrize("ahead", [1, 2, 7, 100])
def test_a_source_is_paused_exactly_read_ahead_items_ahead(ahead):
    scene = Scene(Tap(), read_ahead=ahead)
    demand = Demand()
    demand.close()
    reader = scene.reader(demand=demand)
    assert (len(reader.items), scene.source.sent) == (0, ahead)
    reader._on_next = lambda _: demand.close()
    for read in range(1, 3 * ahead):
        demand.open()
        scene.loop.run()
        assert len(reader.items) == read
        assert read + ahead // 2 < scene.source.sent <= read + ahead


def test_a_source_resumes_when_half_of_it_is_read():
    scene = Scene(Tap(), read_ahead=10)
    demand = Demand()
    demand.close()
    scene.reader(demand=demand, on_next=lambda _: demand.close())
    sent = []
    for _ in range(7):
        sent.append(scene.source.sent)
        demand.open()
        scene.loop.run()
    assert sent == [10, 10, 10, 10, 10, 15, 15]


def test_read_ahead_none_never_waits():
    scene = Scene(Tap(5_000), read_ahead=None)
    demand = Demand()
    demand.close()
    scene.reader(demand=demand)
    assert scene.source.sent == 5_000


def test_plain_readers_are_never_waited_for():
    scene = Scene(Tap(5_000), read_ahead=1)
    reader = scene.reader()
    assert len(reader.items) == 5_000


def test_a_plain_reader_that_is_behind_for_a_moment_is_not_waited_for():
    def burst(item):
        if item == "a":
            scene.source.send("bcd")
            assert scene.source.demand.is_open

    scene = Scene(read_ahead=2)
    scene.reader(demand=Demand())
    reader = scene.reader(on_next=burst)
    scene.send("a")
    assert (str(reader), scene.reported) == ("abcd", [])


def test_the_slowest_reader_that_is_waited_for_counts():
    scene = Scene(Tap(), read_ahead=10)
    slow, quick = Demand(), Demand()
    slow.close()
    quick.close()
    readers = [Reader(scene.log, demand=quick), Reader(scene.log, demand=slow), Reader(scene.log)]
    scene.loop.run()
    assert scene.source.sent == 10
    quick.open()
    scene.loop.run()
    assert [len(reader.items) for reader in readers] == [10, 0, 10]
    scene.leave(readers[1])
    assert scene.source.sent == 10_000


def test_a_late_reader_with_a_demand_pauses_the_source_at_once(scene):
    scene.reader()
    scene.send("a" * 2_000)
    assert scene.source.demand.is_open
    demand = Demand()
    demand.close()
    late = scene.reader(demand=demand)
    assert not scene.source.demand.is_open
    demand.open()
    scene.loop.run()
    assert len(late.items) == 2_000
    assert scene.source.demand.is_open


def test_a_reader_that_leaves_is_not_waited_for_any_more(scene):
    scene = Scene(read_ahead=1)
    demand = Demand()
    demand.close()
    slow, _ = scene.reader(demand=demand), scene.reader()
    scene.send("a")
    assert not scene.source.demand.is_open
    scene.leave(slow)
    assert scene.source.demand.is_open


def test_a_demand_that_opens_elsewhere_only_posts(scene):
    demand = Demand()
    demand.close()
    slow = scene.reader(demand=demand)
    scene.send("a")
    demand.open()
    assert str(slow) == ""
    scene.loop.run()
    assert str(slow) == "a"


def test_the_demand_of_the_source_is_the_logs_own(scene):
    demand = Demand()
    scene.reader(demand=demand)
    demand.close()
    assert scene.source.demand is not demand
    assert scene.source.demand.is_open


def test_sources_that_a_reader_adds_later_find_its_demand(scene):
    found = []

    def inner(item):
        source = Source()
        found.append(source)
        return source

    demand = Demand()
    scene.reader(ops.flat_map(inner), demand=demand)
    scene.reader(ops.flat_map(inner))
    scene.send("ab")
    assert [source.demand for source in found] == [demand, None, demand, None]


def test_a_catch_up_has_the_demand_of_its_reader_too(scene):
    found = []
    demand = Demand()
    demand.close()
    scene.reader(demand=demand, on_next=lambda _: found.append(current_demand()))
    scene.send("a")
    demand.open()
    scene.loop.run()
    assert found == [demand]
    assert current_demand() is None


@pytest.mark.parametrize("ahead", [0, -1])
def test_a_read_ahead_below_one_is_refused(ahead):
    with pytest.raises(ValueError, match="read_ahead must be at least 1, or None"):
        Scene(read_ahead=ahead)


def test_an_endless_source_is_freed_when_it_is_left():
    told, loop = [], Loop()
    log = Log(rx.repeat_value(1).pipe(ops.take(3)), post=loop.post, report=told.append)
    log.subscribe(told.append, told.append, lambda: told.append("|"))
    loop.run()
    assert told == [1, 1, 1, "|"]


def test_what_a_source_raises_behind_its_end_is_reported():
    told, reported = [], []

    def subscribe(observer, scheduler):
        observer.on_completed()
        raise ValueError("late")  # noqa: EM101 -- as short as can be

    log = Log(Observable(subscribe), post=lambda act: act(), report=reported.append)
    log.subscribe(told.append, told.append, lambda: told.append("|"))
    assert told == ["|"]
    assert [type(each) for each in reported] == [ValueError]


@pytest.mark.parametrize("end", ["|", "#", "left"])
def test_a_log_that_is_over_is_freed_without_the_collector(end):
    loop, source, told = Loop(), Subject(), []
    gc.collect()
    gc.disable()
    try:
        log = Log(source, post=loop.post, report=told.append)
        reader = log.subscribe(told.append, told.append, lambda: told.append("|"))
        loop.run()
        source.on_next(1)
        if end == "|":
            source.on_completed()
        elif end == "#":
            source.on_error(ValueError("lost"))
        else:
            reader.dispose()
        loop.run()
        known = weakref.ref(log)
        del log, reader
        assert known() is None
    finally:
        gc.enable()


# --- exceptions that are no errors ---------------------------------------------------------


def waiting(told):
    """The demand of a consumer that waits, and keeps what ends its wait."""
    return Demand(failed=lambda error: told.append(error) or True)


def test_what_a_source_raises_goes_to_all_who_wait_and_closes_the_others():
    scene, told = Scene(), []
    waits = Reader(scene.log, demand=waiting(told))
    listens = Reader(scene.log)
    scene.loop.run()
    scene.source.send("a")
    raised = SystemExit("mine")
    assert scene.source.demand.fail(raised)
    scene.loop.run()
    assert told == [raised]
    assert (str(waits), str(listens)) == ("a", "a#")
    assert isinstance(listens.error, StreamClosed)
    assert listens.error.__cause__ is raised
    assert scene.reported == []
    assert scene.source.disposed == 1
    late = Reader(scene.log, demand=waiting(told))
    scene.loop.run()
    assert str(late) == "a#"


def test_what_a_source_raises_is_reported_once_where_nobody_waits():
    scene = Scene()
    readers = [Reader(scene.log, demand=demand) for demand in (None, Demand(), None)]
    scene.loop.run()
    raised = KeyboardInterrupt()
    assert scene.source.demand.fail(raised)
    scene.loop.run()
    assert scene.reported == [raised]
    assert [str(reader) for reader in readers] == ["#"] * 3


def test_an_error_that_a_chain_raises_ends_the_log_as_any_other():
    scene = Scene()
    reader = Reader(scene.log)
    scene.loop.run()
    raised = ValueError("mine")
    assert scene.source.demand.fail(raised)
    assert reader.error is raised
    assert not scene.source.demand.fail(raised)  # it has ended: that is to be reported


def test_what_a_reader_raises_goes_to_the_consumer_that_waits_for_it():
    scene, told = Scene(), []
    raised = GeneratorExit()

    def boom(_):
        raise raised

    Reader(scene.log, demand=waiting(told), on_next=boom)
    other = Reader(scene.log)
    scene.loop.run()
    scene.source.send("ab")
    scene.source.complete()
    scene.loop.run()
    assert told == [raised]
    assert scene.reported == []
    assert str(other) == "ab|"


def test_what_is_raised_while_the_source_is_subscribed_ends_the_log():
    class Raises(Source):
        def _subscribe_core(self, observer, scheduler=None):
            raise SystemExit("mine")  # noqa: EM101 -- as users write it

    scene, told = Scene(Raises()), []
    Reader(scene.log, demand=waiting(told))
    scene.loop.run()
    assert [str(error) for error in told] == ["mine"]
