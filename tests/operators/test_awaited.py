"""A run that waits and does not say for what: it is read again, and its steps."""

import pytest
import reactivex as rx
from reactivex import operators as rxops

from rxassist import operators
from rxassist.errors import APIConnectionError, DecodeError, StreamTruncated, status_error
from rxassist.protocols.assistants.awaited import awaited, says_nothing
from rxassist.protocols.assistants.run_tools import Calls, called_here, tool_rounds
from rxassist.runs.events import run_of
from rxassist.runs.tools import Toolbox
from rxassist.testing import Marbles

EMPTY = {"tool_calls": []}
SAYING_NOTHING = [
    None,
    {},
    {"type": None},
    {"type": "submit_tool_outputs"},
    {"type": "submit_tool_outputs", "submit_tool_outputs": None},
    {"type": "submit_tool_outputs", "submit_tool_outputs": EMPTY},
    {"type": "submit_tool_approval", "submit_tool_approval": EMPTY},
]


def waits(said, action):
    return said.run("requires_action", required_action=action, thread_id="thread_1").data


@pytest.mark.parametrize("action", SAYING_NOTHING, ids=str)
def test_what_says_nothing(said, action):
    assert says_nothing(waits(said, action))


def test_what_says_something(said):
    assert not says_nothing(said.action(("call_1", "f", "")).data)
    assert not says_nothing(waits(said, {"type": "dance"}))


@pytest.fixture
def letters(said):
    """``A`` says what it waits for; ``N`` does not, and its steps ``S`` do."""
    step = said.step("in_progress", said.call("call_1", arguments="{}"), run_id="run_1").data
    ended = said.step("completed", said.call("call_0", arguments="{}"), run_id="run_1").data
    return {
        "A": said.action(("call_1", "f", "{}")).data,
        "N": waits(said, None),
        "W": said.run("in_progress").data,
        "O": said.run("requires_action", id="run_2").data,
        "S": step,
        "Z": ended,
    }


def asked(marbles, letters, runs, steps="|", **options):
    """The run as it is found, when one answer comes after the other."""
    runs, steps = iter(runs), iter([steps] if isinstance(steps, str) else steps)

    def following(answers):
        answer = next(answers)
        return rx.throw(answer) if isinstance(answer, Exception) else marbles.cold(answer)

    return awaited(
        letters["N"],
        lambda: following(runs),
        lambda: following(steps),
        **{"interval": 2, "patience": 5, "scheduler": marbles.scheduler, **options},
    )


def test_a_run_that_says_it_when_it_is_read_again(letters):
    marbles = Marbles(**letters)
    assert marbles.run(asked(marbles, letters, ["-(A|)"])) == "-(A|)"


def test_steps_that_say_it(letters):
    marbles = Marbles(**letters)
    found = marbles.watch(asked(marbles, letters, ["-(N|)"], "-(ZS|)"))
    marbles.start()
    (run,) = found.values
    assert run.required_action == letters["A"].required_action
    assert (run.id, run.thread_id) == ("run_1", "thread_1")


def test_a_step_whose_call_has_an_empty_output_is_open(said, letters):
    call = {"id": "call_1", "type": "function"}
    call["function"] = {"name": "f", "arguments": "{}", "output": ""}
    marbles = Marbles(**letters, E=said.step("in_progress", call, run_id="run_1").data)
    found = marbles.watch(asked(marbles, letters, ["-(N|)"], "-(E|)"))
    marbles.start()
    assert [run.required_action for run in found.values] == [letters["A"].required_action]


@pytest.mark.parametrize("steps", ["(Z|)", "|", status_error("", status_code=404)], ids=str)
def test_it_may_be_stored_late(letters, steps):
    marbles = Marbles(**letters)
    runs = ["(N|)", status_error("", status_code=503), "(A|)"]
    assert marbles.run(asked(marbles, letters, runs, [steps])) == "----(A|)"


def test_what_nobody_says_is_an_error(letters):
    marbles = Marbles(**letters)
    assert marbles.run(asked(marbles, letters, ["(N|)"] * 3, ["|"] * 3)) == "-----#"
    (error,) = marbles.errors
    assert isinstance(error, DecodeError)
    assert "at $.required_action expected the calls that the run waits for" in str(error)


def test_a_run_that_went_on_is_lost(letters):
    marbles = Marbles(**letters)
    assert marbles.run(asked(marbles, letters, ["(W|)"])) == "#"
    assert isinstance(marbles.errors[0], StreamTruncated)


def test_another_run_is_not_believed(letters):
    marbles = Marbles(**letters)
    assert marbles.run(asked(marbles, letters, ["(O|)", "(A|)"])) == "--(A|)"


def test_another_error_is_one(letters):
    refused = status_error("", status_code=401)
    marbles = Marbles(**letters)
    assert marbles.run(asked(marbles, letters, [refused])) == "#"
    assert marbles.errors == [refused]


@pytest.mark.parametrize("action", SAYING_NOTHING, ids=str)
def test_tools_without_a_reader_fail_and_cancel(said, action):
    cancelled = []

    def cancel(run):
        cancelled.append(run.id)
        return rx.timer(1).pipe(rxops.ignore_elements())

    event = said.run("requires_action", required_action=action)
    marbles = Marbles(a=event, d=said.done)
    tools = operators.run_tools(Toolbox([ping]), lambda *_: rx.never(), cancel=cancel)
    assert marbles.run(marbles.cold("-a-d|").pipe(tools)) == "-a#"
    assert isinstance(marbles.errors[0], DecodeError)
    assert (marbles.errors[0].run_id, cancelled) == ("run_1", ["run_1"])


def ping() -> str:
    """Answer."""
    return "pong"


def test_a_connection_that_breaks_while_it_is_read_cancels_nothing(said):
    """The run may go on, and nobody has said that it is not to."""
    reset = APIConnectionError("reset by peer")
    marbles = Marbles(a=said.run("requires_action"))
    tools = tool_rounds(
        Calls(Toolbox([ping]), called_here),
        run_of,
        lambda *_: rx.never(),
        cancel=lambda _: pytest.fail("was cancelled"),
        read=lambda _: rx.throw(reset),
    )
    assert marbles.run(marbles.cold("-a-").pipe(tools)) == "-(a#)"
    assert marbles.errors == [reset]
