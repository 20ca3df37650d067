"""What a run cost: tokens and time."""

import pytest

from rxassist.models import Usage
from rxassist.operators import timings, usage
from rxassist.testing import Marbles

DETAILS = {"cached_tokens": 4}


def used(prompt, completion, **more):
    total = prompt + completion
    return {
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": total,
            **more,
        }
    }


# --- usage ---------------------------------------------------------------------------------


def test_steps_are_summed_over_rounds_until_the_run_says_it(said, emitted):
    first = said.step("completed", id="step_1", run_id="run_1", **used(10, 1))
    second = said.step("completed", id="step_2", run_id="run_1", **used(20, 2))
    run = said.run("completed", **used(31, 3, prompt_token_details=DETAILS))
    events = said.run("queued"), first, said.action(), said.run("queued"), first, second, run
    assert emitted(usage(), *events, said.done) == [
        Usage(10, 1, 11),
        Usage(30, 3, 33),
        Usage(31, 3, 34, DETAILS),
    ]


def test_the_run_that_says_the_same_is_not_told_again(said, emitted):
    step = said.step("completed", run_id="run_1", **used(10, 1))
    assert emitted(usage(), step, said.run("completed", **used(10, 1))) == [Usage(10, 1, 11)]


def test_runs_are_summed(said, emitted):
    first = said.run("completed", id="run_1", **used(10, 1))
    again = said.run("completed", id="run_2", **used(20, 2))
    assert emitted(usage(), first, again) == [Usage(10, 1, 11), Usage(30, 3, 33)]


def test_steps_that_do_not_say_their_run_belong_to_the_one_heard_last(said, emitted):
    events = said.step("completed", **used(1, 1)), said.run("completed", **used(2, 2))
    assert emitted(usage(), *events)[-1] == Usage(2, 2, 4)
    events = said.run("queued"), *events
    assert emitted(usage(), *events)[-1] == Usage(2, 2, 4)


def test_what_was_told_nowhere_is_none(said, emitted):
    assert emitted(usage(), said.run("queued"), said.run("completed"), said.done) == [None]
    partly = said.step("completed", usage={"completion_tokens": 1}, id="step_1")
    more = said.step("completed", usage={"completion_tokens": 2}, id="step_2")
    assert emitted(usage(), partly, more) == [Usage(None, 1, None), Usage(None, 3, None)]


def test_the_numbers_of_a_recording(recorded, emitted, recording):
    """The last sum is what the last run told, if it told it."""
    events = recorded(recording)
    told = [getattr(event.data, "usage", None) for event in events if hasattr(event, "data")]
    values = emitted(usage(), *events)
    assert (values[-1] is not None) == any(told)
    run = [event.data for event in events if event.event.startswith("thread.run.c")]
    if run and getattr(run[-1], "usage", None):
        assert values[-1] == run[-1].usage


# --- timings -------------------------------------------------------------------------------


def timed(said, diagram, **more):
    letters = {"q": said.run("queued"), "t": said.delta("A"), "x": said.calls(said.more("{"))}
    letters["c"] = said.run("completed", **used(7, 10))
    marbles = Marbles(**letters, **more)
    recording = marbles.watch(marbles.cold(diagram).pipe(timings()))
    marbles.start()
    return recording.values


def test_all_that_can_be_known(said):
    (told,) = timed(said, "--q--t-x---tc-|")
    assert told.first_event == 2
    assert told.first_delta == 5
    assert told.last_delta == 11
    assert told.deltas == 3
    assert told.between_deltas == 3
    assert told.longest_pause == 4
    assert told.duration == 14
    assert told.completion_tokens == 10
    assert told.tokens_per_second == pytest.approx(10 / 6)


def test_one_delta_has_no_pause_and_no_speed(said):
    (told,) = timed(said, "-q-t-c|")
    assert (told.first_delta, told.deltas) == (3, 1)
    assert (told.between_deltas, told.longest_pause, told.tokens_per_second) == (None, None, None)


def test_no_delta_and_no_tokens(said):
    (told,) = timed(said, "-q---|")
    assert told.first_delta is None
    assert told.completion_tokens is None
    assert told.duration == 5


def test_deltas_of_one_moment_have_no_speed(said):
    (told,) = timed(said, "-(tt)c|")
    assert told.between_deltas == 0
    assert told.tokens_per_second is None


def test_nothing_at_all_and_an_error_tell_nothing(said, flows):
    assert timed(said, "---|") == []
    flows(timings(), "-q-#", "---#", q=said.run("queued"))
