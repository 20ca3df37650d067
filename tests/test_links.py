"""What an operator is in one subscription, at the edges that sources of every kind come to."""

import reactivex as rx
from reactivex import Observable, Subject
from reactivex.disposable import Disposable, SerialDisposable
from reactivex.scheduler import ImmediateScheduler, VirtualTimeScheduler

from rxassist.reactive.kernel import linked
from rxassist.reactive.links import Hold, Link, Rescue, link, schedule_held, subscribe_held


class Heard:
    """An observer that keeps what it is told, as text."""

    def __init__(self):
        self.told = ""

    def on_next(self, value):
        self.told += str(value)

    def on_error(self, error):
        self.told += f"#{error}"

    def on_completed(self):
        self.told += "|"


class Instead(Rescue):
    """Goes on with what it was given."""

    __slots__ = ("following",)

    def __init__(self, observer, following):
        super().__init__(observer, None)
        self.following = following

    def instead(self, error):
        if isinstance(self.following, Exception):
            raise self.following
        return self.following

    def begin(self, source):
        return self.hold_source(link(source, self, None))


class Source:
    """An Observable by hand: what it does when it is subscribed, and whether it was freed."""

    def __init__(self, begin=lambda observer: None):
        self.freed = 0
        self.observer = None
        self._begin = begin
        self.observable = Observable(self._subscribe)

    def _subscribe(self, observer, scheduler=None):
        self.observer = observer
        self._begin(observer)
        return Disposable(self._free)

    def _free(self):
        self.freed += 1


def failing(observer):
    observer.on_error(ValueError("lost"))


def test_a_link_passes_on_what_it_is_told():
    heard = Heard()
    link(rx.of(1, 2), Link(heard), None)
    link(rx.throw(ValueError("lost")), Link(heard), None)
    assert heard.told == "12|#lost"


def test_sources_may_give_a_function_or_nothing_to_free_them():
    freed = []
    given_function = Observable(lambda observer, scheduler: lambda: freed.append("freed"))
    given_nothing = Observable(lambda observer, scheduler: None)
    link(given_function, Heard(), None).dispose()
    link(given_nothing, Heard(), None).dispose()
    assert freed == ["freed"]


def test_what_is_held_too_late_is_freed_at_once():
    source = Source()
    holding = Hold(Heard())
    holding.dispose()
    holding.hold(link(source.observable, holding, None))
    assert holding.is_disposed
    assert source.freed == 1


def test_what_is_held_is_freed_with_the_link():
    source = Source()
    holding = Hold(Heard())
    holding.hold(link(source.observable, holding, None))
    assert source.freed == 0
    holding.dispose()
    assert source.freed == 1


def test_a_rescue_frees_what_failed_and_holds_what_follows():
    heard, source, following = Heard(), Source(), Subject()
    rescue = Instead(heard, following).begin(source.observable)
    source.observer.on_next(1)
    source.observer.on_error(ValueError("lost"))
    assert source.freed == 1
    following.on_next(2)
    rescue.dispose()
    following.on_next(3)
    assert heard.told == "12"
    assert not following.observers


def test_a_source_that_fails_while_it_is_subscribed_is_freed_and_what_follows_is_held():
    heard, source, following = Heard(), Source(failing), Subject()
    rescue = Instead(heard, following).begin(source.observable)
    assert source.freed == 1
    following.on_next(1)
    rescue.dispose()
    assert heard.told == "1"
    assert not following.observers


def test_a_rescue_that_raises_tells_so():
    heard, source = Heard(), Source(failing)
    Instead(heard, TypeError("no way")).begin(source.observable)
    assert heard.told == "#no way"
    assert source.freed == 1


def test_what_follows_is_freed_where_the_rescue_was_disposed_before():
    heard, source, following = Heard(), Source(), Subject()
    rescue = Instead(heard, following).begin(source.observable)
    rescue.dispose()
    source.observer.on_error(ValueError("lost"))
    assert not following.observers


# --- timers --------------------------------------------------------------------------------


def test_an_action_that_runs_before_its_scheduler_returns_keeps_what_it_holds():
    held = SerialDisposable()
    freed = []

    def act(*_):
        held.disposable = Disposable(lambda: freed.append("act"))

    schedule_held(held, ImmediateScheduler.singleton(), 0.0, act)
    assert freed == []
    held.dispose()
    assert freed == ["act"]


def test_what_is_held_is_freed_when_an_action_is_scheduled_in_its_place():
    freed = []
    held = SerialDisposable()
    held.disposable = Disposable(lambda: freed.append("before"))
    schedule_held(held, VirtualTimeScheduler(), 1.0, lambda *_: freed.append("act"))
    assert freed == ["before"]


def test_a_place_that_is_free_for_good_schedules_nothing():
    clock = VirtualTimeScheduler()
    acted = []
    held = SerialDisposable()
    held.dispose()
    schedule_held(held, clock, 1.0, lambda *_: acted.append(1))
    clock.start()
    assert acted == []


def test_a_hold_frees_everything_that_it_holds():
    freed = []
    hold = Hold(Heard())
    hold.hold(Disposable(lambda: freed.append("timer")))
    hold.hold(Disposable(lambda: freed.append("source")))
    assert freed == []
    hold.dispose()
    assert freed == ["timer", "source"]
    hold.hold(Disposable(lambda: freed.append("late")))
    assert freed == ["timer", "source", "late"]


def test_a_source_that_is_subscribed_in_the_place_of_another_frees_it():
    held, heard, first, second = SerialDisposable(), Heard(), Source(), Source()
    subscribe_held(held, first.observable, heard, None)
    first.observer.on_next("a")
    subscribe_held(held, second.observable, heard, None)
    assert (first.freed, second.freed) == (1, 0)
    second.observer.on_next("b")
    held.dispose()
    assert (first.freed, second.freed) == (1, 1)
    assert heard.told == "ab"


def test_nothing_comes_of_a_source_that_is_left_while_it_is_subscribed():
    def emit_all(observer):
        observer.on_next(1)
        observer.on_next(2)
        observer.on_completed()

    class Leaving(Heard):
        def on_next(self, value):
            super().on_next(value)
            held.dispose()

    held, heard, source = SerialDisposable(), Leaving(), Source(emit_all)
    subscribe_held(held, source.observable, heard, None)
    assert heard.told == "1"
    assert source.freed == 1


def test_an_operator_makes_one_object_for_each_subscription():
    class Counting(Link):
        def __init__(self, observer):
            super().__init__(observer)
            self.count = 0

        def on_next(self, value):
            self.count += 1
            self.observer.on_next(self.count)

    counted = rx.of("a", "b").pipe(linked(lambda observer, _: Counting(observer)))
    for _ in range(2):
        heard = Heard()
        counted.subscribe(heard)
        assert heard.told == "12|"
