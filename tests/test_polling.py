"""Polling in virtual time: when it asks, what it emits, and how it ends."""

import pytest
import reactivex as rx
from reactivex.internal import SequenceContainsNoElementsError

from rxassist.errors import PollTimeout
from rxassist.polling import poll
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
