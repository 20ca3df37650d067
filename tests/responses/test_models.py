"""Responses and their items: when one waits, and what the other protocol's names give."""

import pytest

from rxassist.errors import DecodeError
from rxassist.protocols.responses.models import (
    FunctionCall,
    OutputMessage,
    OutputText,
    Response,
    ResponseUsage,
    UnknownItem,
    URLCitation,
    tool_call_of,
)
from rxassist.runs.state import Usage, has_settled
from rxassist.wire.structure import structure, to_request, unstructure

MESSAGE = {"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "Hi"}]}
CALL = {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "3"}


def response(*output, **more):
    said = {"id": "resp_1", "status": "completed", "output": list(output), **more}
    return structure(said, Response)


@pytest.mark.parametrize(
    ("item", "waits"),
    [
        (CALL, True),
        ({"type": "custom_tool_call", "call_id": "call_1", "input": "x"}, True),
        ({"type": "mcp_approval_request", "id": "mcpr_1"}, True),
        ({"type": "computer_call", "call_id": "call_1"}, True),
        ({"type": "local_shell_call", "call_id": "call_1"}, True),
        ({"type": "apply_patch_call", "call_id": "call_1"}, True),
        ({"type": "shell_call", "call_id": "call_1"}, True),
        ({"type": "shell_call", "environment": {"type": "container_reference"}}, False),
        ({"type": "tool_search_call", "execution": "client"}, True),
        ({"type": "tool_search_call", "execution": "server"}, False),
        ({"type": "web_search_call"}, False),
        ({"type": "mcp_call"}, False),
        ({"type": "video_call"}, False),
        (MESSAGE, False),
    ],
)
def test_a_completed_response_waits_if_its_last_item_is_a_call_to_answer(item, waits):
    told = response(MESSAGE, item)
    assert told.status == ("requires_action" if waits else "completed")
    assert told.wire_status == "completed"
    assert len(told.required_calls) == waits
    assert has_settled(told)


def test_only_a_completed_response_waits():
    assert response(CALL, status="incomplete").status == "incomplete"
    assert response(CALL, status="in_progress").required_calls == ()
    assert response(CALL, MESSAGE).status == "completed"
    assert response().status == "completed"


def test_calls_that_have_an_output_are_not_required():
    second = {**CALL, "call_id": "call_2"}
    (left,) = response(CALL, OUTPUT, second).required_calls
    assert left.call_id == "call_2"


def test_the_status_is_written_as_it_came():
    said = unstructure(response(CALL))
    assert said["status"] == "completed"
    assert "wire_status" not in said
    assert structure(said, Response) == response(CALL)


def test_usage_has_the_names_of_both_protocols():
    said = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    said |= {"input_tokens_details": {"cached_tokens": 1}, "new": 1}
    usage = response(usage=said).usage
    assert usage == ResponseUsage(3, 2, 5, {"cached_tokens": 1}, extra={"new": 1})
    assert (usage.input_tokens, usage.prompt_tokens) == (3, 3)
    assert (usage.output_tokens, usage.completion_tokens) == (2, 2)
    assert usage.input_tokens_details == {"cached_tokens": 1}
    assert usage.output_tokens_details is None
    assert usage.plain() == Usage(3, 2, 5, {"cached_tokens": 1})
    assert unstructure(usage) == {**said, "output_tokens_details": None}
    assert to_request(usage) == said


@pytest.mark.parametrize(
    ("said", "place"),
    [({"usage": {"input_tokens": "x"}}, "$.usage.input_tokens"), ({"status": []}, "$.status")],
)
def test_errors_name_fields_as_the_wire_does(said, place):
    with pytest.raises(DecodeError) as caught:
        response(**said)
    assert caught.value.path == place


def test_fields_that_nobody_knows_are_kept():
    told = response({**MESSAGE, "mood": "good"}, {"type": "video", "id": "v_1"}, new={"a": 1})
    assert told.extra == {"new": {"a": 1}}
    assert told.output[0].extra == {"mood": "good"}
    assert told.output[1] == UnknownItem("video", {"type": "video", "id": "v_1"})
    assert unstructure(told)["new"] == {"a": 1}


def test_null_and_missing_lists_are_empty():
    assert structure({"id": "resp_1", "output": None}, Response).output == ()
    assert structure({"id": "resp_1"}, Response) == Response("resp_1")


def test_what_fails_is_found_by_both_names():
    told = response(status="failed", error={"code": "server_error", "message": "?"})
    assert told.last_error is told.error
    assert told.last_error.code == "server_error"


def test_text_is_that_of_all_messages():
    assert response(MESSAGE, CALL, MESSAGE).output_text == "HiHi"
    part = {"type": "output_text", "text": "a", "annotations": [{"type": "url_citation"}]}
    message = structure({"content": [part, {"type": "refusal", "refusal": "No"}]}, OutputMessage)
    assert message.text == "a"
    assert message.content[0] == OutputText("a", (URLCitation(),))
    assert message.content[0].value == "a"


def test_calls_are_told_from_other_items():
    call = structure(CALL, FunctionCall)
    assert tool_call_of(call) is call
    assert call.function.arguments == "{}"
    assert tool_call_of(UnknownItem("video_call", {})) == UnknownItem("video_call", {})
    assert tool_call_of(UnknownItem("video_call_output", {})) is None
    assert tool_call_of(OutputMessage()) is None


def test_outputs_may_be_text_or_parts():
    parts = [{"type": "input_text", "text": "3"}]
    for output in ("3", parts):
        told = response({**OUTPUT, "output": output})
        assert told.output[0].output == output


def test_one_response_and_the_next_share_what_is_equal():
    tools = [{"type": "web_search"}]
    first = response(tools=tools)
    second = structure(
        {"id": "resp_1", "status": "in_progress", "tools": tools}, Response, before=first
    )
    assert second.tools is first.tools
