"""How runs end, and what a script can do wrong."""

import pytest

from rxassist.local import call, expire, fail, incomplete, say, wait


def last_run(events):
    return next(event.data for event in reversed(events) if event.event.startswith("thread.run."))


def test_a_run_fails_with_a_code_and_a_message(perform, names):
    events = perform(lambda _: [fail("rate_limit_exceeded", "Too fast.")])
    assert names(events)[-3:] == ["thread.run.in_progress", "thread.run.failed", "done"]
    run = last_run(events)
    assert (run.status, run.last_error.code) == ("failed", "rate_limit_exceeded")
    assert run.last_error.message == "Too fast."
    assert run.failed_at
    assert run.expires_at is None
    assert run.usage.total_tokens == 0


def test_a_run_stops_incomplete(perform, names):
    events = perform(lambda _: [say("half"), incomplete("max_prompt_tokens")])
    assert names(events)[-2:] == ["thread.run.incomplete", "done"]
    assert last_run(events).incomplete_details.reason == "max_prompt_tokens"


def test_a_run_expires(perform, names):
    events = perform(lambda _: [expire()])
    assert names(events)[-2:] == ["thread.run.expired", "done"]
    assert last_run(events).status == "expired"


def test_a_script_that_raises_fails_the_run(perform):
    def script(turn):
        yield say("so far so good")
        raise RuntimeError(turn.text)

    run = last_run(perform(script, "empty pockets"))
    assert (run.status, run.last_error.code) == ("failed", "server_error")
    assert run.last_error.message == "The script raised RuntimeError: empty pockets"


def test_a_script_that_raises_at_once_fails_the_run(perform):
    run = last_run(perform(lambda turn: turn.nothing))
    assert "AttributeError" in run.last_error.message


@pytest.mark.parametrize("move", ["say", None, [], [say("x")], 3.0])
def test_what_is_no_move_fails_the_run(perform, move):
    run = last_run(perform(lambda _: [move]))
    assert run.status == "failed"
    assert "is no move" in run.last_error.message


def test_a_script_may_be_a_list_of_moves(serve, connect):
    caller = connect(serve(lambda _: [call("f"), say("after")]))
    run = last_run(caller.perform("hi"))
    assert run.status == "requires_action"
    assert last_run(caller.submit(run, "out")).status == "completed"


def test_a_script_cleans_up_when_its_run_ends_early(serve, connect):
    cleaned = []

    def script(_):
        try:
            yield fail()
        finally:
            cleaned.append(True)

    connect(serve(script)).perform("hi")
    assert cleaned == [True]


def test_nobody_waits_for_less_than_nothing(perform):
    run = last_run(perform(lambda _: (wait(seconds) for seconds in [-1])))
    assert "seconds must not be negative" in run.last_error.message


def test_waiting_takes_its_time(serve, connect):
    caller = connect(serve(lambda _: [wait(0.05), say("late")]))
    run = last_run(caller.perform("hi"))
    assert run.status == "completed"


def test_a_script_knows_its_turn(serve, connect):
    turns = []
    caller = connect(serve(lambda turn: turns.append(turn) or []))
    thread_id = caller.thread("first", "second")
    caller.perform(
        thread_id=thread_id,
        assistant_id=caller.assistant(name="Ada", instructions="Be brief."),
        additional_messages=[{"role": "user", "content": "third"}],
        additional_instructions="Be kind.",
    )
    (turn,) = turns
    assert turn.text == "third"
    assert [message.content[0].text.value for message in turn.messages] == [
        "first",
        "second",
        "third",
    ]
    assert (turn.assistant.name, turn.thread.id) == ("Ada", thread_id)
    assert turn.run.instructions == "Be brief.\nBe kind."
