"""Going on after ``requires_action``, in virtual time."""

import pytest
import reactivex as rx
from reactivex import operators as ops

from rxassist import operators
from rxassist.errors import APIConnectionError, StreamClosed, ToolError, ToolRoundsExceeded
from rxassist.models import RequiredActionMCPToolCall
from rxassist.protocols.assistants.run_tools import called_here
from rxassist.runs.tools import Toolbox, tool
from rxassist.testing import Marbles


def echo(text: str = "") -> str:
    return text


def fail() -> None:
    raise LookupError


@pytest.fixture
def letters(said):
    """``a`` and ``b`` wait for one call, ``w`` for two, ``m`` for an approval."""
    mcp = {"id": "call_9", "type": "mcp", "name": "search", "arguments": "{}", "server_label": "s"}
    approval = {"type": "submit_tool_approval", "submit_tool_approval": {"tool_calls": [mcp]}}
    return {
        "q": said.run("queued"),
        "a": said.action(("call_1", "echo", '{"text":"A"}')),
        "b": said.action(("call_2", "echo", '{"text":"B"}')),
        "w": said.action(("call_1", "echo", '{"text":"A"}'), ("call_2", "echo", '{"text":"B"}')),
        "f": said.action(("call_1", "fail", "")),
        "m": said.run("requires_action", required_action=approval),
        "c": said.run("completed"),
        "d": said.done,
    }


class Service:
    """Goes on as its diagrams say, and keeps what was submitted."""

    def __init__(self, letters, *parts):
        self.marbles = Marbles(**letters)
        self.submitted = []
        self.cancelled = []
        self.parts = [self.marbles.cold(part) for part in parts]

    def submit(self, run, submission):
        assert run.id == "run_1"
        self.submitted.append(submission)
        return self.parts[len(self.submitted) - 1]

    def cancel(self, run):
        self.cancelled.append(run.id)
        return rx.timer(1).pipe(ops.ignore_elements())

    def run(self, source, window="^", toolbox=(echo, fail), **options):
        tools = operators.run_tools(
            Toolbox(toolbox), self.submit, cancel=self.cancel, **{"call": in_two_ticks, **options}
        )
        self.source = self.marbles.cold(source)
        return self.marbles.run(self.source.pipe(tools), window)


def in_two_ticks(function):
    return rx.timer(2).pipe(ops.map(lambda _: function()))


def outputs(**told):
    return {"tool_outputs": [{"tool_call_id": call, "output": said} for call, said in told.items()]}


def test_any_number_of_rounds_in_one_stream_that_ends_once(letters):
    service = Service(letters, "-q-b-d|", "-c-d|")
    assert service.run("-q-a-d|") == "-q-a--q-b--c-d|"
    assert service.submitted == [outputs(call_1="A"), outputs(call_2="B")]
    assert service.source.subscriptions == ["^--!"]
    assert service.parts[0].subscriptions == ["-----^--!"]


def test_all_outputs_go_together_in_the_order_of_the_calls(letters):
    service = Service(letters, "-c-d|")
    times = iter([3, 1])

    def call(function):
        return rx.timer(next(times)).pipe(ops.map(lambda _: function()))

    assert service.run("-w-d|", call=call) == "-w---c-d|"
    assert service.submitted == [outputs(call_1="A", call_2="B")]


def test_a_run_that_still_waits_is_answered_again_but_nothing_is_called_twice(letters):
    service, told = Service(letters, "-a-d|", "-c-d|"), []
    assert service.run("-a-d|", on_result=told.append) == "-a--ac-d|"
    assert service.submitted == [outputs(call_1="A")] * 2
    assert len(told) == 1


def test_one_at_a_time(letters):
    service = Service(letters, "-c-d|")
    assert service.run("-w-d|", max_concurrent_tools=1) == "-w----c-d|"


def test_results_are_told_as_they_come(letters):
    service = Service(letters, "-c-d|")
    told, times = [], iter([3, 1])

    def call(function):
        return rx.timer(next(times)).pipe(ops.map(lambda _: function()))

    def on_result(result):
        told.append((service.marbles.scheduler.clock, result.output, result.duration))

    service.run("-w-d|", call=call, on_result=on_result)
    assert told == [(2, "B", 1), (4, "A", 3)]


def test_a_source_that_sends_while_it_is_subscribed(said, letters, emitted):
    def submit(*_):
        return rx.of(letters["c"], letters["d"])

    events = emitted(
        operators.run_tools(Toolbox([echo]), submit), letters["q"], letters["a"], letters["d"]
    )
    assert events == [letters["q"], letters["a"], letters["c"], letters["d"]]


def test_to_dispose_while_a_tool_runs_frees_it_and_submits_nothing(letters):
    service = Service(letters, "-c-d|")
    freed = []

    def call(_):
        return rx.never().pipe(ops.finally_action(lambda: freed.append(True)))

    assert service.run("-a-d|", "----!", call=call) == "-a"
    assert freed == [True]
    assert service.submitted == []


def test_to_dispose_at_the_action_calls_nothing(letters):
    service = Service(letters)
    called = []
    tools = operators.run_tools(Toolbox([echo]), service.submit, call=called.append)
    piped = service.marbles.cold("-q-a-d|").pipe(tools, ops.take(2))
    assert service.marbles.run(piped) == "-q-(a|)"
    assert called == []


def test_what_takes_too_long_is_told(letters):
    service = Service(letters, "-c-d|")
    assert service.run("-a-d|", tool_timeout=1) == "-a-c-d|"
    told = '{"error":"TimeoutError: no answer within 1 seconds"}'
    assert service.submitted == [outputs(call_1=told)]


def test_to_raise_cancels_the_run_and_then_fails(letters):
    service = Service(letters)
    assert service.run("-f-d|", on_tool_error="raise") == "-f--#"
    (error,) = service.marbles.errors
    assert isinstance(error, ToolError)
    assert isinstance(error.__cause__, LookupError)
    assert service.cancelled == ["run_1"]
    assert service.submitted == []


def test_a_run_that_cannot_be_cancelled_is_noted(letters):
    service = Service(letters)
    service.cancel = lambda _: rx.throw(OSError("out of reach"))
    assert service.run("-f-d|", on_tool_error="raise").endswith("#")
    assert service.marbles.errors[0].__notes__ == ["the run could not be cancelled: out of reach"]


def test_too_many_rounds(letters):
    service = Service(letters, "-b-d|")
    assert service.run("-a-d|", max_rounds=1) == "-a--b#"
    assert isinstance(service.marbles.errors[0], ToolRoundsExceeded)
    assert service.cancelled == ["run_1"]
    assert len(service.submitted) == 1


def test_a_submission_that_fails_cancels_the_run(letters):
    service = Service(letters, "-#")
    assert service.run("-a-d|") == "-a---#"
    assert service.marbles.errors == [service.marbles.error]
    assert service.cancelled == ["run_1"]


def test_errors_after_the_first_event_of_a_submission_pass(letters):
    service = Service(letters, "-q-#")
    assert service.run("-a-d|") == "-a--q-#"
    assert service.cancelled == []


@pytest.mark.parametrize("error", [APIConnectionError("reset"), StreamClosed()], ids=repr)
def test_a_submission_that_may_have_been_taken_leaves_the_run_alone(letters, error):
    service = Service(letters)
    service.parts = [rx.throw(error)]
    assert service.run("-a-d|") == "-a-#"
    assert service.marbles.errors == [error]
    assert service.cancelled == []


def test_what_submit_raises_is_an_error(letters):
    service = Service(letters)  # which has no answer
    assert service.run("-a-d|") == "-a--#"
    assert isinstance(service.marbles.errors[0], IndexError)
    assert service.cancelled == ["run_1"]


def test_a_list_of_functions_is_a_toolbox(letters, emitted):
    tools = operators.run_tools([echo], lambda *_: rx.of(letters["c"]))
    assert emitted(tools, letters["a"]) == [letters["a"], letters["c"]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_rounds": None}, "max_rounds must be a whole number, got None"),
        ({"tool_timeout": "x"}, "tool_timeout must be a number, got 'x'"),
        ({"max_concurrent_tools": "x"}, "max_concurrent_tools must be a whole number, got 'x'"),
        ({"toolbox": echo}, "a Toolbox is made of a list of functions, got <function echo"),
    ],
)
def test_what_is_of_a_wrong_type_is_said_when_it_is_made(options, said):
    with pytest.raises(TypeError, match=said):
        operators.run_tools(**{"toolbox": [echo], "submit": rx.never, **options})


# --- approvals -----------------------------------------------------------------------------


def test_what_the_service_calls_itself_is_approved_the_same_way(letters):
    service = Service(letters, "-c-d|")
    asked = []

    def approve(call):
        asked.append(call)
        return True

    assert service.run("-m-d|", approve=approve, toolbox=()) == "-m--c-d|"
    assert service.submitted == [{"tool_approvals": [{"tool_call_id": "call_9", "approve": True}]}]
    assert [type(call) for call in asked] == [RequiredActionMCPToolCall]
    assert asked[0].name == "search"


@pytest.mark.parametrize("refusal", [False, None, "no", rx.empty(), rx.of("yes", 0)])
def test_a_refusal_of_it(letters, refusal):
    service = Service(letters, "-c-d|")
    service.run("-m-d|", approve=lambda _: refusal)
    assert service.submitted == [{"tool_approvals": [{"tool_call_id": "call_9", "approve": False}]}]


@pytest.mark.parametrize("approve", [True, False])
def test_headers_for_the_call_go_with_the_approval(letters, approve):
    service = Service(letters, "-c-d|")
    decision = {"approve": approve, "headers": {"authorization": "Bearer x"}}
    service.run("-m-d|", approve=lambda _: rx.of(decision))
    assert service.submitted == [{"tool_approvals": [{"tool_call_id": "call_9", **decision}]}]


def test_a_decision_with_more_in_it_is_a_decision_for_functions_too(letters):
    service = Service(letters, "-c-d|")
    service.run("-a-d|", approve=lambda _: {"approve": False})
    (output,) = service.submitted[0]["tool_outputs"]
    assert "refused" in output["output"]
    service = Service(letters, "-c-d|")
    service.run("-a-d|", approve=lambda _: {"approve": True, "headers": {}})
    assert service.submitted[0]["tool_outputs"][0]["output"] == "A"


def test_a_reason_within_a_decision_is_a_refusal(letters):
    decision = {"approve": "not today"}
    service = Service(letters, "-c-d|")
    service.run("-m-d|", approve=lambda _: decision)
    assert service.submitted == [{"tool_approvals": [{"tool_call_id": "call_9", "approve": False}]}]
    service = Service(letters, "-c-d|")
    service.run("-a-d|", approve=lambda _: decision)
    assert "refused, and not made: not today" in service.submitted[0]["tool_outputs"][0]["output"]


def test_an_approval_that_raises_ends_the_stream(letters):
    service = Service(letters)

    def approve(_):
        raise LookupError

    assert service.run("-m-d|", approve=approve) == "-m--#"
    assert isinstance(service.marbles.errors[0], ToolError)


def test_without_approve_it_is_left_to_you(letters):
    assert Service(letters).run("-m-d|") == "-m-d|"


def test_without_functions_the_calls_are_left_to_you(letters):
    assert Service(letters).run("-a-d|", toolbox=()) == "-a-d|"


def test_a_call_is_approved_before_it_is_made(letters):
    service = Service(letters, "-c-d|")
    assert service.run("-a-d|", approve=lambda _: True) == "-a----c-d|"
    assert service.submitted == [outputs(call_1="A")]


def test_a_call_that_cannot_be_made_needs_no_approval(said, letters):
    service = Service({**letters, "u": said.action(("call_1", "unknown", "{}"))}, "-c-d|")
    service.run("-u-d|", approve=lambda _: pytest.fail("was asked"))
    told = '{"error":"LookupError: there is no function \'unknown\'; there are: echo, fail"}'
    assert service.submitted == [outputs(call_1=told)]


def test_a_call_of_an_unknown_type_gets_an_output_too(said, letters):
    calls = {"tool_calls": [{"id": "call_7", "type": "dance"}]}
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": calls}
    event = said.run("requires_action", required_action=action)
    service = Service({**letters, "u": event}, "-c-d|")
    service.run("-u-d|")
    told = '{"error":"LookupError: no call of type \'dance\' can be made"}'
    assert service.submitted == [outputs(call_7=told)]


def test_an_async_def_needs_somebody_who_awaits(letters):
    @tool(name="echo")
    async def late(text: str) -> None:
        pass

    service = Service(letters, "-c-d|")
    service.run("-a-d|", toolbox=(late,), call=called_here)
    assert "an async def needs to be awaited" in str(service.submitted)
