"""Rounds of tools that no protocol owns: here a run goes on as another run, with its own id."""

import pytest
import reactivex as rx
from reactivex import operators as ops

from rxassist.errors import ToolError, ToolRoundsExceeded
from rxassist.models import FunctionToolCall, Run
from rxassist.runs.tools import Toolbox
from rxassist.runs.tools.calls import Awaited, AwaitedCall, Calls, called_here, is_approved
from rxassist.runs.tools.rounds import Rounds

ENDED = Run("run_9", status="completed")


def waiting(number):
    return Run(f"run_{number}", status="requires_action")


def halve(number: int) -> int:
    """Halve an even number."""
    if number % 2:
        msg = "it is odd"
        raise ValueError(msg)
    return number // 2


def calling(number, key):
    return AwaitedCall(
        FunctionToolCall(key),
        "halve",
        lambda text: {"said": text},
        lambda toolbox: toolbox.bind("halve", f'{{"number": {number}}}'),
        key,
    )


def approving(name):
    return AwaitedCall(FunctionToolCall(name), name, lambda said: {name: is_approved(said)})


@pytest.fixture
def followed():
    """What is received of a run whose next runs are given, and what is submitted on the way."""

    def follow(awaited, *runs, calls=None, **options):
        following, submitted, cancelled = iter(runs), [], []

        def submit(run, submission):
            submitted.append((run.id, submission))
            return rx.of(next(following))

        def cancel(run):
            cancelled.append(run.id)
            return rx.empty()

        rounds = Rounds(
            calls=calls or Calls(Toolbox([halve]), called_here),
            run_of=lambda run: run,
            waits_for=lambda run: Awaited(awaited.get(run.id, ()), lambda replies: replies),
            submit=submit,
            cancel=cancel,
            **options,
        )
        received = rx.of(next(following)).pipe(rounds.operator(), ops.materialize())
        received = received.pipe(ops.to_list()).run()
        ids = [each.value.id for each in received if each.kind == "N"]
        return ids, getattr(received[-1], "exception", None), submitted, cancelled

    return follow


def test_a_run_goes_on_as_another_run(followed):
    awaited = {"run_1": [calling(8, "a")], "run_2": [calling(4, "b"), calling(2, "c")]}
    ids, error, submitted, cancelled = followed(awaited, waiting(1), waiting(2), ENDED)
    assert (ids, error, cancelled) == (["run_1", "run_2", "run_9"], None, [])
    assert submitted == [
        ("run_1", [{"said": "4"}]),
        ("run_2", [{"said": "2"}, {"said": "1"}]),
    ]


def test_a_call_is_not_made_again_under_its_key(followed):
    results = []
    awaited = {"run_1": [calling(8, "a")], "run_2": [calling(3, "a")]}
    _, _, submitted, _ = followed(awaited, waiting(1), waiting(2), ENDED, on_result=results.append)
    assert submitted == [("run_1", [{"said": "4"}]), ("run_2", [{"said": "4"}])]
    assert [result.output for result in results] == ["4"]


def test_the_run_that_waits_is_cancelled_and_not_the_first(followed):
    calls = Calls(Toolbox([halve]), called_here, on_tool_error="raise")
    awaited = {"run_1": [calling(8, "a")], "run_2": [calling(3, "b")]}
    _, error, submitted, cancelled = followed(awaited, waiting(1), waiting(2), calls=calls)
    assert isinstance(error, ToolError)
    assert (error.run_id, len(submitted), cancelled) == ("run_2", 1, ["run_2"])


def test_rounds_are_counted_over_all_runs(followed):
    awaited = {"run_1": [calling(8, "a")], "run_2": [calling(8, "b")]}
    _, error, _, cancelled = followed(awaited, waiting(1), waiting(2), max_rounds=1)
    assert isinstance(error, ToolRoundsExceeded)
    assert cancelled == ["run_2"]


@pytest.mark.parametrize(
    ("awaited", "approve", "submitted"),
    [
        ([], None, []),
        ([approving("x")], None, []),
        ([approving("x")], lambda _: True, [("run_1", [{"x": True}])]),
        ([approving("x")], lambda _: "no", [("run_1", [{"x": False}])]),
        ([calling(2, "a"), approving("x")], None, []),
        (
            [calling(2, "a"), approving("x")],
            lambda _: True,
            [("run_1", [{"said": "1"}, {"x": True}])],
        ),
    ],
)
def test_a_run_is_resumed_if_everything_can_be_answered(followed, awaited, approve, submitted):
    calls = Calls(Toolbox([halve]), called_here, approve)
    assert followed({"run_1": awaited}, waiting(1), ENDED, calls=calls)[2] == submitted


def test_no_function_no_answer(followed):
    calls = Calls(Toolbox([]), called_here, lambda _: True)
    assert followed({"run_1": [calling(2, "a")]}, waiting(1), ENDED, calls=calls)[2] == []
