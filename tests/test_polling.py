"""Polling in virtual time: when it asks, what it emits, and how it ends."""

import re

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops
from reactivex.internal import SequenceContainsNoElementsError
from reactivex.scheduler import CurrentThreadScheduler, ImmediateScheduler

from rxassist.errors import APIConnectionError, DecodeError, PollTimeout, status_error
from rxassist.reactive.polling import (
    Herd,
    check_id,
    is_passing,
    patiently,
    poll,
    poll_beside_others,
    poll_many,
)
from rxassist.testing import Marbles


class Service:
    """Answers each fetch with the next of some states, after a delay in ticks."""

    def __init__(self, marbles, states, delay=0):
        self.marbles = marbles
        self.states = iter(states)
        self.delay = delay
        self.sources = []

    def fetch(self):
        state = next(self.states)
        ending = "#" if state == "#" else f"({state}|)"
        source = self.marbles.cold("-" * self.delay + ending)
        self.sources.append(source)
        return source

    @property
    def asked(self):
        """The ticks at which it was asked, as one diagram."""
        windows = [source.subscriptions[0].replace("(", "") for source in self.sources]
        ticks = [window.index("^") for window in windows]
        return "".join("^" if tick in ticks else "-" for tick in range(max(ticks) + 1))


def is_last(state):
    return state == "z"


def polled(service, **options):
    return poll(
        service.fetch,
        until=options.pop("until", is_last),
        interval=options.pop("interval", 2),
        scheduler=service.marbles.scheduler,
        **options,
    )


def test_it_asks_at_once_and_emits_what_changed_until_the_last_state():
    marbles = Marbles()
    service = Service(marbles, "aabz")
    assert marbles.run(polled(service)) == "a---b-(z|)"
    assert service.asked == "^-^-^-^"


def test_a_timer_that_is_faster_than_who_sets_it_does_not_end_it():
    answers = iter("abz")
    freed = []

    def fetch():
        state = next(answers)
        answer = rx.of(state) if state != "b" else late
        return answer.pipe(ops.finally_action(lambda: freed.append(state)))

    late = rx.Subject()
    states = poll(fetch, until=is_last, interval=0, scheduler=ImmediateScheduler.singleton())
    heard = []
    states.subscribe(heard.append, heard.append, lambda: heard.append("|"))
    assert (heard, freed) == (["a"], ["a"])
    late.on_next("b")
    assert heard == ["a", "b", "z", "|"]


def test_there_are_never_two_fetches_at_a_time():
    marbles = Marbles()
    service = Service(marbles, "abz", delay=3)
    assert marbles.run(polled(service)) == "---a----b----(z|)"
    assert service.asked == "^----^----^"


def test_the_state_says_how_long_to_wait_each_time():
    marbles = Marbles()
    service = Service(marbles, "abz")
    waits = {"a": 1, "b": 4}
    assert marbles.run(polled(service, interval=waits.get)) == "ab---(z|)"


def test_a_last_state_at_once_needs_no_timer():
    marbles = Marbles()
    assert marbles.run(polled(Service(marbles, "z"))) == "(z|)"


def test_a_last_state_is_emitted_though_it_did_not_change():
    marbles = Marbles()
    answers = iter([False, True])
    result = marbles.run(polled(Service(marbles, "aa"), until=lambda _: next(answers)))
    assert result == "a-(a|)"


def test_it_never_ends_by_itself():
    marbles = Marbles()
    service = Service(marbles, "a" * 100)
    assert marbles.run(polled(service), window="^--------!") == "a"
    assert service.asked == "^-^-^-^-^"


def test_an_error_of_a_fetch_passes_through():
    marbles = Marbles()
    assert marbles.run(polled(Service(marbles, "a#"))) == "a-#"
    assert marbles.errors == [marbles.error]


@pytest.mark.parametrize("broken", ["fetch", "until", "interval"])
def test_an_exception_of_the_user_goes_to_on_error(broken):
    def fail(*_):
        raise marbles.error

    marbles = Marbles()
    service = Service(marbles, "abz")
    options = {broken: fail}
    fetch = options.pop("fetch", service.fetch)
    service.fetch = fetch
    assert marbles.run(polled(service, **options)) == "#"
    assert marbles.errors == [marbles.error]


def test_a_fetch_that_gives_nothing_is_an_error_and_no_end():
    marbles = Marbles()
    source = poll(rx.empty, until=is_last, scheduler=marbles.scheduler)
    assert marbles.run(source) == "#"
    assert isinstance(marbles.errors[0], SequenceContainsNoElementsError)


def test_what_a_subscriber_raises_while_it_asks_ends_it():
    marbles = Marbles()
    told = []

    def on_next(state):
        told.append(state)
        raise ValueError("mine")  # noqa: EM101 -- as users write it

    at_once = Observable(lambda observer, scheduler: observer.on_next("a"))
    polls = poll(lambda: at_once, until=is_last, scheduler=marbles.scheduler)
    polls.subscribe(on_next, told.append)
    state, error = told
    assert state == "a"
    assert isinstance(error, ValueError)


def test_of_a_fetch_without_an_end_only_the_first_state_is_drawn():
    marbles = Marbles()
    drawn = []

    def fetch():
        current = CurrentThreadScheduler.singleton()
        return rx.generate(0, lambda _: True, lambda n: n + 1).pipe(
            ops.do_action(drawn.append), ops.subscribe_on(current)
        )

    polls = poll(fetch, until=lambda _: True, scheduler=marbles.scheduler)
    assert marbles.run(polls.pipe(ops.map(str))) == "(0|)"
    assert drawn == [0]


def test_the_deadline_ends_it_with_the_last_state():
    marbles = Marbles()
    service = Service(marbles, "ab" * 50)
    assert marbles.run(polled(service, deadline=5)) == "a-b-a#"
    (error,) = marbles.errors
    assert isinstance(error, PollTimeout)
    assert (error.last, error.deadline) == ("a", 5)
    assert service.asked == "^-^-^"


def test_the_deadline_frees_a_fetch_that_hangs():
    marbles = Marbles()
    source = marbles.cold("-")
    result = marbles.run(
        poll(lambda: source, until=is_last, deadline=3, scheduler=marbles.scheduler)
    )
    assert result == "---#"
    assert source.subscriptions == ["^--!"]
    assert marbles.errors[0].last is None


def test_dispose_frees_the_fetch_and_the_timer():
    marbles = Marbles()
    service = Service(marbles, "ab" * 50, delay=3)
    assert marbles.run(polled(service, deadline=100), window="^------!") == "---a"
    assert [source.subscriptions for source in service.sources] == [["^--!"], ["-----^-!"]]


def test_two_subscriptions_are_independent():
    marbles = Marbles()
    source = polled(Service(marbles, "abzz"))
    both = rx.merge(source, source)
    assert marbles.run(both) == "(ab)⟨@2⟩(zz|)"


@pytest.mark.parametrize(
    ("name", "options"),
    [("interval", {"interval": -1}), ("deadline", {"deadline": 0}), ("deadline", {"deadline": -1})],
    ids=["interval", "zero", "negative"],
)
def test_bad_arguments(name, options):
    with pytest.raises(ValueError, match=name):
        poll(rx.empty, until=is_last, **options)


# --- patience ------------------------------------------------------------------------------

RESET = APIConnectionError("reset by peer")


def patient(marbles, answers, patience=5):
    """One state, for which it is asked every two ticks."""
    answers = iter(answers)

    def ask():
        answer = next(answers)
        return rx.throw(answer) if isinstance(answer, Exception) else marbles.cold(answer)

    return patiently(ask, is_passing, 2, patience, scheduler=marbles.scheduler)


def test_patience_asks_again_while_an_error_may_pass():
    marbles = Marbles()
    assert marbles.run(patient(marbles, [RESET, RESET, "-(a|)"], 6)) == "-----(a|)"


def test_patience_ends_with_the_last_error():
    marbles = Marbles()
    assert marbles.run(patient(marbles, [RESET] * 3)) == "-----#"
    (error,) = marbles.errors
    assert isinstance(error, PollTimeout)
    assert error.last is RESET


def test_patience_frees_a_request_that_hangs():
    marbles = Marbles()
    hanging = marbles.cold("-")
    asked = patiently(lambda: hanging, is_passing, 2, 3, scheduler=marbles.scheduler)
    assert marbles.run(asked) == "---#"
    assert hanging.subscriptions == ["^--!"]
    assert marbles.errors[0].last is None


def test_an_error_that_does_not_pass_ends_patience_at_once():
    refused = status_error("", status_code=401)
    marbles = Marbles()
    assert marbles.run(patient(marbles, [RESET, refused])) == "--#"
    assert marbles.errors == [refused]


@pytest.mark.parametrize("code", [404, 408, 409, 429, 500, 503])
def test_what_may_pass(code):
    assert is_passing(status_error("", status_code=code))


@pytest.mark.parametrize("code", [400, 401, 403, 422])
def test_what_does_not_pass(code):
    assert not is_passing(status_error("", status_code=code))
    assert not is_passing(LookupError())
    assert not is_passing(DecodeError("thread.run", "$", [], "an object"))


def test_an_answer_is_what_was_asked_for():
    check_id("runs", "run_1", "run_1")
    check_id("runs", "run_1", "")  # it does not say what it is
    with pytest.raises(
        DecodeError, match=r"runs: at \$.id expected 'run_1', got 'run_2'"
    ) as raised:
        check_id("runs", "run_1", "run_2")
    assert is_passing(raised.value)


# --- many ----------------------------------------------------------------------------------


class Services:
    """Answers each id with the next of its states; a list says what each would answer now."""

    def __init__(self, marbles, states, delay=0):
        self.marbles = marbles
        self.states = states
        self.delay = delay
        self.taken = dict.fromkeys(states, 0)
        self.asked = []
        self.listed = []
        self.sources = []

    def state(self, key):
        state = self.states[key][min(self.taken[key], len(self.states[key]) - 1)]
        self.taken[key] += 1
        return state

    def fetch(self, key):
        self.asked.append((round(self.marbles.scheduler.clock, 3), key))
        state = self.state(key)
        source = self.marbles.cold("-" * self.delay + ("#" if state == "#" else f"({state}|)"))
        self.sources.append(source)
        return source.pipe(ops.map(lambda state: (key, state)))

    def fetch_list(self, keys):
        self.listed.append((round(self.marbles.scheduler.clock, 3), "".join(keys)))
        found = [(key, self.state(key)) for key in self.states if key in keys]
        return rx.from_iterable(found, self.marbles.scheduler)


def polls(services, **options):
    """What comes of polling all: ``(tick, id, state or the name of an error)``."""
    marbles = services.marbles
    seen = []

    def see(event):
        told = type(event.error).__name__ if event.error else event.state[1]
        seen.append((round(marbles.scheduler.clock, 3), event.key, told))

    source = poll_many(
        options.pop("fetch", services.fetch),
        options.pop("ids", services.states),
        until=options.pop("until", lambda state: state[1] == "z"),
        interval=options.pop("interval", 4),
        scheduler=marbles.scheduler,
        id_of=lambda state: state[0],
        **options,
    )
    result = marbles.run(source.pipe(ops.do_action(see), ops.ignore_elements()))
    return seen, result


def first_fetches(*counts, over=4.0, deadline=None, left=()):
    """When so many polls of one herd, those of the next count a tick later, first fetch."""
    marbles, herd, asked = Marbles(), Herd(), []

    def fetch(number):
        asked.append((number, round(marbles.scheduler.clock, 2)))
        return rx.of("z")

    def begin(number):
        return poll_beside_others(
            lambda: fetch(number),
            until=is_last,
            interval=lambda _: over,
            deadline=deadline,
            herd=herd,
            over=over,
        ).subscribe(scheduler=marbles.scheduler)

    def begin_some(numbers):
        for number in numbers:
            held = begin(number)
            if number in left:
                held.dispose()

    begun = 0
    for tick, count in enumerate(counts):
        numbers = range(begun, begun + count)
        marbles.scheduler.schedule_relative(tick, lambda *_, n=numbers: begin_some(n))
        begun += count
    marbles.run(rx.never())
    return [tick for _, tick in sorted(asked)]


def test_polls_that_begin_together_are_spread_over_the_interval_beyond_the_first_twenty():
    assert first_fetches(1) == [0]
    assert first_fetches(20) == [0] * 20
    assert first_fetches(24) == [0] * 20 + [0.01, 1.01, 2.01, 3.01]


def test_polls_that_begin_one_after_the_other_all_fetch_at_once():
    assert first_fetches(15, 15, 15) == [0] * 15 + [1] * 15 + [2] * 15


def test_a_herd_is_spread_in_time_for_its_deadlines():
    assert first_fetches(24, deadline=2)[20:] == [0.01, 0.26, 0.51, 0.76]


def test_a_poll_that_is_left_before_its_first_fetch_fetches_nothing():
    assert first_fetches(24, left={21, 22}) == [0] * 20 + [0.01, 3.01]


def test_many_polls_are_all_asked_at_once_by_name():
    services = Services(Marbles(), {"A": "az", "B": "z", "C": "az"})
    polls(services, at_once=True)
    assert services.asked == [(0, "A"), (0, "B"), (0, "C"), (4, "A"), (4, "C")]


def test_many_polls_are_spread_over_the_interval():
    services = Services(Marbles(), {"A": "abz", "B": "z", "C": "aaz", "D": "az"})
    seen, result = polls(services)
    assert services.asked == [
        *((0, "A"), (1, "B"), (2, "C"), (3, "D")),
        *((4, "A"), (6, "C"), (7, "D"), (8, "A"), (10, "C")),
    ]
    assert seen == [
        *((0, "A", "a"), (1, "B", "z"), (2, "C", "a"), (3, "D", "a")),
        *((4, "A", "b"), (7, "D", "z"), (8, "A", "z"), (10, "C", "z")),
    ]
    assert result == "----------|"


def test_the_diagram_of_poll_many():
    first, second = "aabz", "az"
    services = Services(Marbles(), {"A": first, "B": second})
    seen, result = polls(services)
    lines = re.findall(r"^ +(?:first|second|result) +(\S+)$", poll_many.__doc__, re.MULTILINE)
    assert lines == ["a---a---b---z", "--a---z", "a-a---z-b---(z|)"]
    drawn = {tick: state for tick, _, state in seen}
    assert "".join(drawn.get(tick, "-") for tick in range(12)) == "a-a---z-b---"
    assert (seen[-1], result) == ((12, "A", "z"), "------------|")


def test_never_two_requests_for_one_id_and_the_next_comes_an_interval_after_the_answer():
    services = Services(Marbles(), {"A": "az"}, delay=6)
    polls(services)
    assert services.asked == [(0, "A"), (10, "A")]


def test_no_more_requests_at_a_time_than_max_concurrent():
    services = Services(Marbles(), dict.fromkeys("ABCD", "z"), delay=3)
    seen, _ = polls(services, max_concurrent=2, interval=0)
    assert services.asked == [(0, "A"), (0, "B"), (3, "C"), (3, "D")]
    assert [tick for tick, _, _ in seen] == [3, 3, 6, 6]


def test_an_id_whose_fetch_fails_ends_with_the_error_and_the_others_go_on():
    services = Services(Marbles(), {"A": "a#", "B": "aaz"})
    seen, result = polls(services)
    assert seen[2:] == [(4, "A", "MarbleError"), (10, "B", "z")]
    assert result == "----------|"


def test_a_fetch_that_raises_is_one_that_failed():
    def fetch(key):
        if key == "A":
            raise LookupError
        return services.fetch(key)

    services = Services(Marbles(), {"A": "z", "B": "z"})
    assert polls(services, fetch=fetch)[0] == [(0, "A", "LookupError"), (2, "B", "z")]


def test_the_deadline_ends_every_id_that_is_open():
    services = Services(Marbles(), {"A": "a", "B": "z", "C": "a"})
    seen, result = polls(services, deadline=9)
    assert seen[3:] == [(9, "A", "PollTimeout"), (9, "C", "PollTimeout")]
    assert result == "---------|"


def test_the_state_says_how_long_to_wait_for_each_id():
    services = Services(Marbles(), {"A": "az", "B": "bz"})
    waits = {"a": 2, "b": 5}
    polls(services, interval=lambda state: waits[state[1]])
    assert services.asked == [(0, "A"), (0.5, "B"), (2, "A"), (5.5, "B")]


def test_ids_are_polled_once_though_they_are_given_twice():
    services = Services(Marbles(), {"A": "z"})
    polls(services, ids="AAA")
    assert services.asked == [(0, "A")]


def test_without_ids_nothing_is_asked():
    assert polls(Services(Marbles(), {})) == ([], "|")


def test_thousands_of_polls_that_take_no_time_do_not_nest():
    states = {str(number): ["a", "z"] for number in range(3_000)}
    asked = dict.fromkeys(states, 0)

    def fetch(key):
        asked[key] += 1
        return rx.of(states[key][asked[key] - 1])

    seen = []
    marbles = Marbles()
    source = poll_many(fetch, states, until=is_last, interval=0, scheduler=marbles.scheduler)
    source.subscribe(seen.append)
    marbles.run(rx.never())
    assert len(seen) == 6_000
    assert set(asked.values()) == {2}


def test_the_list_is_asked_as_long_as_it_costs_less():
    services = Services(Marbles(), {"A": "az", "B": "aaz", "C": "aaaz"})
    seen, result = polls(services, fetch_list=services.fetch_list)
    assert services.listed == [(0, "ABC"), (4, "ABC"), (8, "BC")]
    assert services.asked == [(12, "C")]
    assert seen == [
        *((0, "A", "a"), (0, "B", "a"), (0, "C", "a")),
        *((4, "A", "z"), (8, "B", "z"), (12, "C", "z")),
    ]
    assert result == "------------|"


def test_a_list_with_as_many_pages_as_there_are_ids_is_left():
    services = Services(Marbles(), {"A": "az", "B": "az"})
    polls(services, fetch_list=services.fetch_list, page_size=1)
    assert services.listed == [(0, "AB")]
    assert services.asked == [(4, "A"), (6, "B")]


def test_the_list_is_left_as_soon_as_it_gave_them_all():
    marbles = Marbles(**{"1": ("A", "z"), "2": ("B", "z"), "3": ("C", "a")})
    services = Services(marbles, {"A": "z", "B": "z"})
    pages = marbles.cold("1-2-3-3|")
    _, result = polls(services, fetch_list=lambda _: pages)
    assert pages.subscriptions == ["^-!"]
    assert (services.asked, result) == ([], "--|")


def test_what_the_list_does_not_have_is_fetched_one_by_one():
    services = Services(Marbles(), {"A": "az", "B": "az", "C": "az"})

    def incomplete(keys):
        return services.fetch_list([key for key in keys if key != "B"])

    polls(services, fetch_list=incomplete)
    assert services.asked == [(0, "B"), (4, "B")]
    assert services.listed == [(0, "AC"), (4, "AC")]


@pytest.mark.parametrize("raises", [True, False])
def test_when_the_list_fails_everything_is_fetched_one_by_one(raises):
    def broken(_):
        if raises:
            raise LookupError
        return rx.throw(LookupError())

    services = Services(Marbles(), {"A": "az", "B": "az"})
    seen, _ = polls(services, fetch_list=broken)
    assert services.asked == [(0, "A"), (2, "B"), (4, "A"), (6, "B")]
    assert [state for _, _, state in seen] == ["a", "a", "z", "z"]


@pytest.mark.parametrize("broken", ["until", "interval", "id_of"])
def test_an_exception_of_the_user_ends_many_polls(broken):
    def fail(_):
        raise marbles.error

    marbles = Marbles()
    services = Services(marbles, {"A": "a", "B": "a"})
    options = {"until": is_last, "interval": 1, "id_of": is_last, broken: fail}
    source = poll_many(
        services.fetch,
        "AB",
        fetch_list=services.fetch_list,
        scheduler=marbles.scheduler,
        **options,
    )
    assert marbles.run(source) == "#"
    assert marbles.errors == [marbles.error]


def test_dispose_frees_every_request_and_the_timer():
    marbles = Marbles()
    services = Services(marbles, {"A": "a", "B": "a"}, delay=9)
    source = poll_many(
        services.fetch, "AB", until=is_last, interval=4, deadline=99, scheduler=marbles.scheduler
    )
    marbles.run(source, "^---!")
    assert [each.subscriptions for each in services.sources] == [["^---!"], ["--^-!"]]


@pytest.mark.parametrize("name", ["interval", "deadline", "max_concurrent", "page_size"])
def test_bad_arguments_of_many(name):
    with pytest.raises(ValueError, match=name):
        poll_many(rx.of, "AB", until=is_last, **{name: -1})


@pytest.mark.parametrize("name", ["fetch", "fetch_list"])
def test_coroutine_functions_of_many_are_refused(name):
    async def asynchronous(_):
        raise AssertionError

    with pytest.raises(TypeError, match=f"{name} must give an Observable, and is a coroutine"):
        poll_many(**{"fetch": rx.of, "ids": "AB", "until": is_last, name: asynchronous})
