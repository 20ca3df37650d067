"""Runs that are started anew: when, how often, and what is seen of those that failed."""

import pytest
import reactivex as rx
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject

from rxassist import operators
from rxassist.reactive.backpressure import Demand, current_demand, demanding
from rxassist.reactive.tally import Tally, tallying
from rxassist.testing import Marbles

LIMITED = {"code": "rate_limit_exceeded", "message": "Slow down."}


@pytest.fixture
def attempts(said):
    """Each subscription is given the next of some diagrams; what comes out, and the sources.

    ``p``, ``t``, ``m`` and ``f`` are of the first run: in progress, a delta, the beginning of a
    message, and its rate limit. ``P``, ``F``, ``C`` and ``G`` are of the second and third.
    """

    def run(*diagrams, window="^", **options):
        marbles = Marbles(
            p=said.run("in_progress"),
            m=said.message("in_progress", name="created"),
            t=said.delta("A"),
            f=said.run("failed", last_error=LIMITED),
            s=said.run("failed", last_error={"code": "server_error", "message": "?"}),
            a=said.action(("call_1", "f", "{}")),
            P=said.run("in_progress", id="run_2"),
            F=said.run("failed", last_error=LIMITED, id="run_2"),
            G=said.run("failed", last_error=LIMITED, id="run_3"),
            C=said.run("completed", id="run_2"),
            d=said.done,
        )
        sources = [marbles.cold(diagram) for diagram in diagrams]
        left = iter(sources)
        retried = rx.defer(lambda _: next(left)).pipe(operators.retry_run(**options))
        result = marbles.run(retried, window)
        return result, [source.subscriptions for source in sources], marbles.errors

    return run


def test_a_rate_limited_run_is_started_anew_and_nothing_is_seen_of_it(attempts):
    result, windows, _ = attempts("-p-m-f-d|", "-P-t-C-d|", backoff=2)
    assert result == "----------(Pt)⟨@12⟩C-d|"
    assert windows == [["^----!"], ["-------^-------!"]]


def test_a_run_that_said_something_stays_though_it_fails(attempts):
    result, windows, _ = attempts("-p-t-f-d|", "")
    assert result == "---(pt)⟨@5⟩f-d|"
    assert windows == [["^-------!"], []]


def test_a_run_that_waited_for_tools_stays(attempts):
    result, windows, _ = attempts("-p-a-f-d|", "")
    assert result == "---(pa)⟨@5⟩f-d|"
    assert windows[1] == []


def test_with_hold_nothing_is_seen_before_the_end_and_every_failure_is_made_good(attempts):
    result, windows, _ = attempts("-p-t-f-d|", "-P-t-C-d|", backoff=1, hold=True)
    assert result == "--------------(PtCd|)"
    assert windows == [["^----!"], ["------^-------!"]]


def test_it_is_started_anew_so_often_with_longer_and_longer_waits(attempts):
    result, windows, _ = attempts("f", "F", "G|", times=2, backoff=2)
    assert windows == [["(^!)"], ["--(^!)"], ["------^!"]]
    assert result == "------G|"


def test_the_waits_may_be_a_function_of_the_attempt(attempts):
    _, windows, _ = attempts("f", "F", "G|", backoff={1: 3, 2: 1}.get)
    assert windows == [["(^!)"], ["---(^!)"], ["----^!"]]


def test_other_failures_pass_unless_you_say_so(attempts):
    result, windows, _ = attempts("-p---s-d|", "")
    assert result == "-----(ps)⟨@7⟩d|"
    assert windows[1] == []
    result, windows, _ = attempts("-s", "-C|", when=lambda run: run.status == "failed")
    assert result == "---C|"
    assert windows[1] == ["--^-!"]


def test_times_0_is_never(attempts):
    result, windows, _ = attempts("-f|", "", times=0)
    assert (result, windows[1]) == ("-f|", [])


def test_what_is_held_back_comes_before_an_error(attempts):
    result, _, errors = attempts("-p-#")
    assert result == "---(p#)"
    assert len(errors) == 1


def test_a_source_that_tells_the_same_run_again_is_an_error_that_shows_the_way(attempts):
    result, _, (error,) = attempts("-p-f", "-p", backoff=1)
    assert result == "-----#"
    assert isinstance(error, ValueError)
    assert "rx.defer" in str(error)
    assert "run_1" in str(error)


@pytest.mark.parametrize("broken", ["when", "backoff"])
def test_an_exception_of_the_user_goes_to_on_error(attempts, broken):
    def fail(_):
        raise LookupError

    result, windows, (error,) = attempts("-p-f", **{broken: fail})
    assert (result, windows) == ("---#", [["^--!"]])
    assert isinstance(error, LookupError)


def test_dispose_frees_the_source_and_the_timer(attempts):
    assert attempts("-p-", window="^-!")[1] == [["^-!"]]
    assert attempts("-f", "", window="^---!", backoff=9)[1] == [["^!"], []]


def test_nothing_is_heard_of_an_attempt_that_failed_while_it_was_being_subscribed(said):
    """As where a timer's thread subscribes, and the loop's thread is faster."""
    attempts = [
        rx.of(said.run("failed", last_error=LIMITED, id=name), said.done) for name in ("1", "2")
    ]
    attempts.append(rx.of(said.run("completed", id="3"), said.done))
    left = iter(attempts)
    heard = []
    rx.defer(lambda _: next(left)).pipe(
        operators.retry_run(2, backoff=0, scheduler=ImmediateScheduler.singleton())
    ).subscribe(heard.append, heard.append, lambda: heard.append("|"))
    assert [getattr(item, "event", item) for item in heard] == ["thread.run.completed", "done", "|"]


def test_each_attempt_finds_the_demand_of_the_consumer_and_is_counted(said):
    found = []
    first, second = Subject(), Subject()
    left = iter([first, second])

    def subscribe(observer, scheduler=None):
        found.append(current_demand())
        return next(left).subscribe(observer)

    marbles, demand, tally = Marbles(), Demand(), Tally()
    with demanding(demand), tallying(tally):
        rx.create(subscribe).pipe(operators.retry_run(scheduler=marbles.scheduler)).subscribe()
    first.on_next(said.run("failed", last_error=LIMITED))
    marbles.run(rx.never())
    assert found == [demand, demand]
    assert tally.retries == 1


@pytest.mark.parametrize("wrong", [{"times": -1}, {"backoff": -1}])
def test_bad_arguments(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} must not be negative"):
        operators.retry_run(**wrong)
