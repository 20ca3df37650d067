"""What models are for those who look at them: text, shown fields, pydantic."""

from typing import Annotated, get_args

import pytest
from fastapi import Body, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, TypeAdapter, ValidationError

import rxassist
from rxassist import models
from rxassist.models import (
    FunctionToolCall,
    ImageFileContentBlock,
    Message,
    Page,
    RefusalContentBlock,
    Run,
    RunStep,
    Text,
    TextContentBlock,
    ToolCall,
    ToolChoice,
    TruncationStrategy,
    UnknownTool,
    UnknownToolCall,
    Usage,
)

HELLO = TextContentBlock(Text("hello"))


def test_the_text_of_a_message_is_all_its_text():
    content = (HELLO, ImageFileContentBlock(), TextContentBlock(Text(" you")))
    assert Message("msg_1", content=content).text == "hello you"
    assert Message("msg_1", content=(RefusalContentBlock("no"),)).text == ""
    assert Message("msg_1").text == ""


def test_a_model_shows_the_fields_that_say_something():
    run = Run("run_1", status="queued", usage=Usage(0, None, 3), metadata={}, extra={"more": 1})
    usage = "Usage(prompt_tokens=0, total_tokens=3)"
    assert repr(run) == f"Run(id='run_1', created_at=0, status='queued', usage={usage})"
    assert (
        repr(Page((HELLO,)))
        == "Page(data=(TextContentBlock(text=Text(value='hello'), type='text'),))"
    )
    unknown = "UnknownTool(wire_type='x', raw={'type': 'x'}, type='unknown')"
    assert repr(UnknownTool("x", {"type": "x"})) == unknown


def test_a_model_that_says_nothing_is_shown_all_the_same():
    assert repr(Usage()) == "Usage()"


def test_a_notebook_shows_a_table_of_what_is_text_as_text():
    html = Message("msg_1", role="<b>", content=(HELLO,))._repr_html_()
    assert html.startswith("<table><caption>Message</caption><tr><th>id</th><td>msg_1</td></tr>")
    assert "<td>&lt;b&gt;</td>" in html
    assert "<th>assistant_id</th>" not in html
    assert html.endswith("</tr></table>")


def test_the_objects_of_the_service_are_at_the_top_level():
    for name in ("Assistant", "File", "Message", "Page", "Run", "RunStep", "Thread", "VectorStore"):
        assert getattr(rxassist, name) is getattr(models, name)


# --- pydantic ------------------------------------------------------------------------------


class Answer(BaseModel):
    """A model of a user, with ours in it."""

    message: Message
    calls: list[ToolCall] = []


def test_fastapi_takes_models_in_requests_and_responses():
    app = FastAPI()

    @app.post("/messages")
    def message(message: Annotated[Message, Body()]) -> Page[Message]:
        return Page((message,))

    body = {"id": "msg_1", "content": [{"type": "text", "text": {"value": "hello"}}], "odd": 1}
    with TestClient(app) as client:
        told = client.post("/messages", json=body).json()
        assert rxassist.from_dict(Page[Message], told).data[0].text == "hello"
        assert told["data"][0]["odd"] == 1
        assert client.post("/messages", json=[]).status_code == 422
        described = client.get("/openapi.json").json()["paths"]["/messages"]["post"]
        schema = described["requestBody"]["content"]["application/json"]["schema"]
        assert (schema["title"], schema["type"]) == ("Message", "object")
        assert {"id", "content", "metadata"} < schema["properties"].keys()


def test_a_users_model_holds_ours_and_makes_json_of_them():
    answer = Answer(message=Message("msg_1", content=(HELLO,)), calls=[FunctionToolCall("call_1")])
    assert Answer.model_validate_json(answer.model_dump_json()) == answer


def test_members_of_a_union_are_told_apart_by_their_type():
    adapter = TypeAdapter(ToolCall)
    known = [cls for cls in get_args(ToolCall) if cls is not UnknownToolCall]
    assert FunctionToolCall in known
    for cls in known:
        assert adapter.validate_python({"id": "1", "type": cls("1").type}) == cls("1")
    unknown = adapter.validate_python({"id": "1", "type": "mcp"})
    assert isinstance(unknown, UnknownToolCall)


@pytest.mark.parametrize(
    "plain",
    [
        {"id": "step_1", "type": "tool_calls"},
        {"type": "last_messages", "last_messages": 3},
        {"type": "function"},
    ],
)
@pytest.mark.parametrize("kind", [RunStep, TruncationStrategy, ToolChoice])
def test_a_type_that_is_no_tag_may_be_any(kind, plain):
    made = TypeAdapter(kind).validate_python({"id": "1", **plain})
    assert isinstance(made, kind)
    assert made.type == plain["type"]


@pytest.mark.parametrize("wrong", [None, 5, [], "text", {"id": {}}, {"content": []}])
def test_what_is_no_model_is_refused_with_its_place(wrong):
    with pytest.raises(ValidationError, match="Message"):
        TypeAdapter(Message).validate_python(wrong)


@pytest.mark.parametrize(
    "kind", [kind for name in models.__all__ if isinstance(kind := getattr(models, name), type)]
)
def test_every_model_has_a_schema(kind):
    assert TypeAdapter(kind).json_schema()["title"] == kind.__name__
