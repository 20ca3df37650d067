"""The requests of the rounds of tools, and the calls that a response waits for."""

import pytest

from rxassist.protocols.responses.models import Response
from rxassist.protocols.responses.rounds import OWN_ID, Chain, flat_definitions, waits_for
from rxassist.runs.tools import Toolbox
from rxassist.wire.structure import structure
from rxassist.wire.transport import Request

OUTPUTS = [{"type": "function_call_output", "call_id": "c_1", "output": "3"}]
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c_1",
    "name": "add",
    "arguments": '{"a": 1, "b": 2}',
    "status": "completed",
}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def chain(headers=None, **body):
    asked = {"model": "m", "input": "hi", "tools": [{"type": "function", "name": "add"}], **body}
    return Chain(Request("POST", "/responses", body=asked, headers=headers or {}))


def response(*output, number=1, status="completed"):
    body = {"id": f"resp_{number}", "status": status, "output": list(output)}
    return structure(body, Response)


# --- requests ------------------------------------------------------------------------------


def test_a_round_goes_on_with_the_response_before():
    body = chain(instructions="brief").after(response(CALL), OUTPUTS).body
    assert body["previous_response_id"] == "resp_1"
    assert body["input"] == OUTPUTS
    assert body["instructions"] == "brief"


def test_a_round_in_a_conversation_names_no_response():
    body = chain(conversation="conv_1").after(response(CALL), OUTPUTS).body
    assert "previous_response_id" not in body
    assert body["conversation"] == "conv_1"


def test_the_response_given_at_first_is_not_the_one_before():
    rounds = chain(previous_response_id="resp_0")
    assert rounds.first().body["previous_response_id"] == "resp_0"
    assert rounds.after(response(CALL), OUTPUTS).body["previous_response_id"] == "resp_1"


def test_everything_is_sent_back_where_nothing_is_stored():
    rounds = chain(store=False)
    assert rounds.first().body["include"] == ["reasoning.encrypted_content"]
    second = rounds.after(response(THOUGHT, CALL), OUTPUTS).body["input"]
    third = rounds.after(response({**CALL, "call_id": "c_2"}, number=2), OUTPUTS).body["input"]
    assert second[0] == {"role": "user", "content": "hi"}
    assert [item["type"] for item in second[1:]] == [
        "reasoning",
        "function_call",
        "function_call_output",
    ]
    assert second[1]["encrypted_content"] == "x"
    assert third[:4] == second
    assert [item.get("call_id") for item in third[4:]] == ["c_2", "c_1"]


def test_what_is_included_is_included_once():
    asked = ["reasoning.encrypted_content", "message.output_text.logprobs"]
    assert chain(store=False, include=asked).first().body["include"] == asked


@pytest.mark.parametrize(
    ("choice", "then"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "auto"),
        ({"type": "function", "name": "add"}, "auto"),
        ({"type": "allowed_tools", "mode": "required", "tools": []}, "auto"),
    ],
)
def test_a_call_is_forced_once(choice, then):
    rounds = chain(tool_choice=choice)
    assert rounds.first().body["tool_choice"] == choice
    assert rounds.after(response(CALL), OUTPUTS).body["tool_choice"] == then


def test_a_choice_among_some_tools_stays():
    choice = {"type": "allowed_tools", "mode": "auto", "tools": []}
    assert chain(tool_choice=choice).after(response(CALL), OUTPUTS).body["tool_choice"] == choice


def test_the_own_id_is_that_of_the_first_response():
    rounds = chain({OWN_ID: "resp_mine", "x-more": "1"})
    assert rounds.first().headers[OWN_ID] == "resp_mine"
    assert rounds.after(response(CALL), OUTPUTS).headers == {"x-more": "1"}


# --- calls ---------------------------------------------------------------------------------


def test_a_function_of_the_toolbox_is_waited_for():
    awaited = waits_for(response(CALL), toolbox=Toolbox([add]))
    (asked,) = awaited.calls
    assert (asked.name, asked.reply("3")) == (
        "add",
        {"type": "function_call_output", "call_id": "c_1", "output": "3"},
    )
    assert asked.bind(Toolbox([add]))() == 3


def test_a_function_of_others_alone_is_left_to_them():
    assert waits_for(response({**CALL, "name": "other"}), toolbox=Toolbox([add])) is None


def test_a_function_of_others_beside_ours_is_not():
    both = response(CALL, {**CALL, "id": "fc_2", "call_id": "c_2", "name": "other"})
    assert len(waits_for(both, toolbox=Toolbox([add])).calls) == 2


def test_a_call_that_no_function_answers_stops_the_rounds():
    computer = {"type": "computer_call", "id": "cu_1", "call_id": "c_3", "status": "completed"}
    assert waits_for(response(CALL, computer), toolbox=Toolbox([add])) is None


@pytest.mark.parametrize(
    ("decision", "answer"),
    [(True, {"approve": True}), ("no", {"approve": False, "reason": "no"})],
)
def test_a_call_of_an_mcp_server_is_decided(decision, answer):
    item = {
        "type": "mcp_approval_request",
        "id": "mcpr_1",
        "name": "search",
        "arguments": "{}",
        "server_label": "s",
    }
    (asked,) = waits_for(response(item), toolbox=Toolbox([])).calls
    reply = asked.reply(decision)
    assert reply == {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", **answer}


# --- definitions ---------------------------------------------------------------------------


def test_definitions_lose_the_inner_object_of_the_other_protocol():
    inner = {"name": "add", "parameters": {}}
    (flat,) = flat_definitions({"tools": [{"type": "function", "function": inner}]})["tools"]
    assert flat == {"type": "function", "name": "add", "parameters": {}, "strict": False}


def test_a_function_of_a_custom_tool_has_no_definition_of_its_own():
    sent = flat_definitions({"tools": [add, {"type": "custom", "name": "add"}]})["tools"]
    assert sent == [{"type": "custom", "name": "add"}]
