"""Tools of responses over real sockets: each round is a new response, and all are one run."""

import pytest
from reactivex import operators as ops

from rxassist import (
    RunOutcomeUnknown,
    ToolError,
    ToolRoundsExceeded,
    operators,
)
from rxassist.local import call, custom_call, hang_up, mcp, refuse, say, think, wait

ASKED = {"model": "m", "input": "hi"}


def every(observable):
    return observable.pipe(ops.to_list())


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def patch(text: str) -> str:
    """Take a text as it is."""
    return text.upper()


def sums(_):
    yield think("Hm.")
    total = yield call("add", {"a": 1, "b": 2})
    again = yield call("add", {"a": int(total), "b": 10})
    yield say(f"{total} {again}")


@pytest.fixture
def begin(serve, connect, recording):
    """A client of a service with a script: ``side.bodies`` are those of the requests."""

    def begin(script, fault=lambda _: None):
        bodies = []
        keeps = recording(bodies)

        def faults(asked):
            if (asked.method, asked.path) != ("POST", "/v1/responses"):
                return fault(asked)
            found = fault(asked)
            return keeps if found is None else found | keeps

        service = serve(script, faults=faults)
        side = connect(service)
        side.service, side.bodies = service, bodies
        return side

    return begin


def stream_of(side, **options):
    return side.begin(
        lambda client: client.responses.stream(**{**ASKED, "tools": [add], **options})
    )


# --- rounds --------------------------------------------------------------------------------


@pytest.mark.parametrize("background", [False, True])
def test_each_round_goes_on_with_the_response_before(begin, background):
    side = begin(sums)
    stream = stream_of(side, background=background, instructions="be brief")
    assert side(lambda _: stream.get_final_text()) == "3 13"
    run = side(lambda _: stream.get_final_run())
    made = side(lambda _: every(stream.responses))
    assert [each.id for each in made] == side.service.runs
    assert [each.status for each in made] == ["requires_action", "requires_action", "completed"]
    assert run == made[-1]
    first, second, third = side.bodies
    assert "previous_response_id" not in first
    assert second["previous_response_id"] == made[0].id
    assert third["previous_response_id"] == made[1].id
    (output,) = second["input"]
    assert (output["type"], output["output"]) == ("function_call_output", "3")
    for name in ("instructions", "tools", "model", "background", "stream"):
        assert first[name] == second[name] == third[name]
    results = side(lambda _: every(stream.tool_results))
    assert [each.output for each in results] == ["3", "13"]
    calls = side(lambda _: every(stream.tool_calls))
    assert [each.name for each in calls] == ["add", "add"]
    usages = side(lambda _: every(stream.pipe(operators.usage())))
    assert usages[-1].total_tokens == sum(each.usage.total_tokens for each in made)
    side(lambda _: stream.until_done())
    assert len(side.service.runs) == 3


def test_rounds_take_place_in_a_conversation(begin):
    side = begin(sums)
    conversation = side(lambda client: client.conversations.create())
    stream = stream_of(side, conversation=conversation.id)
    assert side(lambda _: stream.get_final_text()) == "3 13"
    assert all("previous_response_id" not in body for body in side.bodies)
    assert {body["conversation"] for body in side.bodies} == {conversation.id}
    assert [len(body["input"]) for body in side.bodies[1:]] == [1, 1]
    items = side(
        lambda client: every(client.conversations.items.list(conversation.id, order="asc"))
    )
    kinds = [item.type for item in items]
    assert kinds.count("function_call_output") == 2
    assert kinds[-1] == "message"


def test_everything_is_sent_back_where_nothing_is_stored(begin):
    side = begin(sums)
    stream = stream_of(side, store=False)
    assert side(lambda _: stream.get_final_text()) == "3 13"
    first, second, third = side.bodies
    assert first["include"] == ["reasoning.encrypted_content"]
    kinds = [item.get("type") for item in second["input"]]
    assert kinds == [None, "reasoning", "function_call", "function_call_output"]
    assert second["input"][1]["encrypted_content"]
    assert third["input"][: len(second["input"])] == second["input"]
    assert [item["type"] for item in third["input"][4:]] == [
        "function_call",
        "function_call_output",
    ]
    assert not any("previous_response_id" in body for body in side.bodies)


def test_a_tool_that_must_be_called_is_not_forced_again(begin):
    side = begin(sums)
    stream = stream_of(side, tool_choice="required")
    side(lambda _: stream.until_done())
    assert [body["tool_choice"] for body in side.bodies] == ["required", "auto", "auto"]


def test_a_response_in_the_background_is_polled_with_tools(begin):
    side = begin(sums)
    states = side(
        lambda client: every(
            client.responses.create_and_poll(**ASKED, tools=[add], background=True)
        )
    )
    assert states[-1].output_text == "3 13"
    assert states[-1].id == side.service.runs[-1]
    assert [each.id for each in states if each.status == "requires_action"] == side.service.runs[:2]
    assert len(side.service.runs) == 3


def test_a_response_that_waits_for_others_is_left_to_them(begin):
    side = begin(lambda _: iter([call("other", {})]))
    stream = stream_of(side)
    assert side(lambda _: stream.get_final_run()).status == "requires_action"
    assert len(side.bodies) == 1


# --- errors and limits ---------------------------------------------------------------------


def broken() -> str:
    """Fail."""
    msg = "no luck"
    raise ValueError(msg)


def telling(_):
    yield say((yield call("broken", {})))


def test_the_model_gets_the_error_of_a_tool(begin):
    side = begin(telling)
    stream = stream_of(side, tools=[broken])
    assert "no luck" in side(lambda _: stream.get_final_text())


@pytest.mark.parametrize("background", [False, True])
def test_the_error_of_a_tool_is_raised_if_asked_for(begin, background):
    side = begin(telling)
    stream = stream_of(side, tools=[broken], on_tool_error="raise", background=background)
    with pytest.raises(ToolError) as raised:
        side(lambda _: stream.until_done())
    assert raised.value.run_id == side.service.runs[0]
    assert not side.service.active_runs


def test_a_call_is_approved_or_refused(begin):
    side = begin(lambda _: iter([call("add", {"a": 1, "b": 2})]))
    asked = []

    def approve(made):
        asked.append(made.name)
        return "not today"

    stream = stream_of(side, approve=approve)
    side(lambda _: stream.until_done())
    assert asked == ["add"]
    assert "not today" in side.bodies[1]["input"][0]["output"]


def test_rounds_are_bounded(begin):
    def script(_):
        while True:
            yield call("add", {"a": 1, "b": 2})

    side = begin(script)
    stream = stream_of(side, max_rounds=2)
    with pytest.raises(ToolRoundsExceeded) as raised:
        side(lambda _: stream.until_done())
    assert raised.value.run_id == side.service.runs[-1]
    assert len(side.bodies) == 3


# --- other tools ---------------------------------------------------------------------------


@pytest.mark.parametrize("approved", [True, False])
def test_a_tool_of_an_mcp_server_is_approved(begin, approved):
    def script(_):
        decision = yield mcp("search", {"query": "tea"}, output="found")
        yield say(str(decision.approve))

    side = begin(script)
    stream = stream_of(
        side,
        tools=[{"type": "mcp", "server_label": "server", "server_url": "https://x"}],
        approve=lambda _: approved,
    )
    assert side(lambda _: stream.get_final_text()) == str(approved)
    (answer,) = side.bodies[1]["input"]
    assert (answer["type"], answer["approve"]) == ("mcp_approval_response", approved)


@pytest.mark.parametrize("stored", [True, False])
def test_a_custom_tool_takes_text(begin, stored):
    def script(_):
        yield say((yield custom_call("patch", "*** begin")))

    side = begin(script)
    stream = stream_of(side, tools=[{"type": "custom", "name": "patch"}, patch], store=stored)
    assert side(lambda _: stream.get_final_text()) == "*** BEGIN"
    assert [tool["type"] for tool in side.bodies[0]["tools"]] == ["custom"]
    assert side.bodies[1]["input"][-1]["type"] == "custom_tool_call_output"


def test_several_calls_are_made_at_once(begin):
    def script(_):
        outputs = yield [call("add", {"a": 1, "b": n}) for n in range(3)]
        yield say(" ".join(outputs))

    side = begin(script)
    stream = stream_of(side)
    assert side(lambda _: stream.get_final_text()) == "1 2 3"


# --- rounds that go wrong ------------------------------------------------------------------


def second(fault):
    """The second response meets a fault."""
    return lambda asked: fault if asked.attempt == 2 and asked.method == "POST" else None


@pytest.mark.parametrize("handled", [False, True])
@pytest.mark.parametrize("background", [False, True])
def test_outputs_that_may_have_been_taken_are_not_sent_again(begin, handled, background):
    side = begin(sums, second(hang_up(handled=handled)))
    stream = stream_of(side, background=background)
    with pytest.raises(RunOutcomeUnknown, match="response"):
        side(lambda _: stream.until_done())
    assert len([path for _, path in side.service.requests if path == "/v1/responses"]) == 2
    side.service.wait_for(lambda: not side.service.active_runs)


def test_outputs_that_are_refused_are_an_error(begin):
    side = begin(sums, second(refuse(400)))
    stream = stream_of(side)
    with pytest.raises(Exception, match="400"):
        side(lambda _: stream.until_done())


def test_a_round_that_is_left_is_cancelled(begin):
    """The response of the second round is the one that works."""

    def script(_):
        yield call("add", {"a": 1, "b": 2})
        yield say("word")
        yield wait(600)

    side = begin(script)
    stream = stream_of(side, background=True, on_dispose="cancel")
    side(lambda _: stream.text_deltas.pipe(ops.first()))
    service = side.service
    service.wait_for(lambda: not service.active_runs and not service.open_streams)
    assert service.requests[-1] == ("POST", f"/v1/responses/{service.runs[1]}/cancel")


@pytest.mark.parametrize("polled", [False, True])
def test_a_round_is_cancelled_that_is_left_before_it_is_known(begin, polled):
    """The request with the outputs was sent, so there is a response that nobody looks at."""

    def script(_):
        yield call("add", {"a": 1, "b": 2})
        yield wait(600)

    side = begin(script)
    options = {"background": True, "on_dispose": "cancel"}
    if polled:
        followed = side.begin(
            lambda client: client.responses.create_and_poll(**ASKED, tools=[add], **options)
        )
    else:
        followed = stream_of(side, **options)
    left = side.begin(lambda _: followed.subscribe(on_error=lambda _: None))
    side.service.wait_for(lambda: len(side.bodies) == 2)
    side.begin(lambda _: left.dispose())
    service = side.service
    service.wait_for(lambda: len(service.runs) == 2 and not service.active_runs)


def test_a_client_that_closes_ends_a_round(begin):
    def script(_):
        yield call("add", {"a": 1, "b": 2})
        yield say("word")
        yield wait(600)

    side = begin(script)
    stream = stream_of(side)
    words = []
    side.begin(lambda _: stream.text_deltas.subscribe(words.append, lambda _: None))
    side.service.wait_for(lambda: len(side.service.runs) == 2)
    side(lambda client: client.close())
    side.service.wait_for(lambda: not side.service.active_runs)
