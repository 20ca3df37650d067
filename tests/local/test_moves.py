"""What scripts can do, as this library and as the official SDK see it."""

import openai
import pytest

from rxassist import Client
from rxassist.local import Approval, cite, image, link, mcp, say
from rxassist.models import (
    FileCitation,
    FileCitationAnnotation,
    FilePath,
    FilePathAnnotation,
    ImageFile,
    ImageFileContentBlock,
    ImageURL,
    ImageURLContentBlock,
    RefusalContentBlock,
    RequiredActionMCPToolCall,
    TextContentBlock,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")

TEXT = "Cake【1†a.txt】 is good【2†b.txt】, see sandbox:/mnt/data/c.csv."


def rich(_):
    yield say(
        image("file-5", detail="low"),
        "Cake",
        cite("file-1", "【1†a.txt】", quote="cake"),
        " is good",
        cite("file-2", "【2†b.txt】"),
        ", see ",
        link("file-3", "sandbox:/mnt/data/c.csv"),
        ".",
        image(url="https://example.com/a.png"),
        "Second text",
        cite("file-4", "【3】"),
    )
    yield say("I will not say more.", refusal=True)
    yield say("Goodbye.")


FIRST_TEXT = (
    FileCitationAnnotation("【1†a.txt】", FileCitation("file-1", "cake"), 4, 13),
    FileCitationAnnotation("【2†b.txt】", FileCitation("file-2", ""), 21, 30),
    FilePathAnnotation("sandbox:/mnt/data/c.csv", FilePath("file-3"), 36, 59),
)
SECOND_TEXT = (FileCitationAnnotation("【3】", FileCitation("file-4", ""), 11, 14),)


@pytest.fixture
def client(serve):
    """A client of a service that performs a script."""
    clients = []

    def client(script, kind=Client):
        clients.append(kind(base_url=serve(script).base_url, api_key="any", max_retries=0))
        return clients[-1]

    yield client
    for each in clients:
        each.close()


def test_messages_have_annotations_images_and_refusals(client):
    client = client(rich)
    assistant = client.assistants.create(model="m").run()
    stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
    messages = stream.get_final_messages()
    picture, first, address, second = messages[0].content
    assert picture == ImageFileContentBlock(ImageFile("file-5", "low"))
    assert isinstance(first, TextContentBlock)
    assert (first.text.value, tuple(first.text.annotations)) == (TEXT, FIRST_TEXT)
    for each in FIRST_TEXT:
        assert TEXT[each.start_index : each.end_index] == each.text
    assert address == ImageURLContentBlock(ImageURL("https://example.com/a.png"))
    assert (second.text.value, tuple(second.text.annotations)) == ("Second text【3】", SECOND_TEXT)
    assert messages[1].content == (RefusalContentBlock("I will not say more."),)
    assert messages[2].content[0].text.value == "Goodbye."
    assert [step.type for step in stream.get_final_run_steps()] == ["message_creation"] * 3
    listed = client.threads.messages.list(messages[0].thread_id, order="asc")
    assert tuple(listed) == tuple(messages)  # what was streamed is what is stored


def test_the_official_sdk_sees_the_same(client):
    client = client(rich, openai.OpenAI)
    assistant = client.beta.assistants.create(model="m")
    with client.beta.threads.create_and_run_stream(assistant_id=assistant.id) as stream:
        streamed = stream.get_final_messages()
    run = client.beta.threads.create_and_run_poll(assistant_id=assistant.id)
    stored = list(client.beta.threads.messages.list(run.thread_id, order="asc"))
    for messages in (streamed, stored):
        picture, first, address, second = messages[0].content
        assert picture.image_file.file_id == "file-5"
        assert first.text.value == TEXT
        assert [
            (each.type, each.text, each.start_index, each.end_index)
            for each in first.text.annotations
        ] == [(each.type, each.text, each.start_index, each.end_index) for each in FIRST_TEXT]
        assert first.text.annotations[0].file_citation.file_id == "file-1"
        assert first.text.annotations[2].file_path.file_id == "file-3"
        assert address.image_url.url == "https://example.com/a.png"
        assert second.text.value == "Second text【3】"
        assert messages[1].content[0].refusal == "I will not say more."
        assert messages[2].content[0].text.value == "Goodbye."


def test_one_citation_alone_is_a_message(client):
    client = client(lambda _: [say(cite("file-1"))])
    assistant = client.assistants.create(model="m").run()
    stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
    (message,) = stream.get_final_messages()
    assert message.content[0].text.value == message.content[0].text.annotations[0].text


def test_an_image_is_either_a_file_or_an_address():
    for wrong in ({}, {"file_id": "file-1", "url": "https://example.com"}):
        with pytest.raises(ValueError, match="either a file_id or a url"):
            image(**wrong)


def test_a_refusal_has_only_texts():
    with pytest.raises(ValueError, match="texts only"):
        say("no", cite("file-1"), refusal=True)


# --- calls that are approved -----------------------------------------------------------------


def asking(_):
    one = yield mcp("search", {"query": "tea"}, server_label="docs", output="found")
    decided = yield [mcp("read", output="text"), mcp("write", "{}", output="done")]
    yield mcp("list", output="all", approval=False)
    yield say(f"{one.approve} {dict(one.headers)} {[each.approve for each in decided]}")


def test_calls_wait_for_approval(client):
    client = client(asking)
    assistant = client.assistants.create(model="m").run()
    run = client.threads.create_and_run_poll(assistant_id=assistant.id).run()
    assert run.required_action.type == "submit_tool_approval"
    (call,) = run.required_action.submit_tool_approval.tool_calls
    assert call == RequiredActionMCPToolCall(call.id, "search", '{"query":"tea"}', "docs")
    where = {"thread_id": run.thread_id}
    (step,) = client.threads.runs.steps.list(run.id, **where)
    waiting = {
        "id": call.id,
        "type": "mcp",
        "name": "search",
        "arguments": '{"query":"tea"}',
        "server_label": "docs",
        "output": None,
    }
    assert step.status == "in_progress"
    assert calls_of(step) == [waiting]

    def answer(approved):
        calls = client.threads.runs.retrieve(run.id, **where).run().required_action
        approvals = [
            {"tool_call_id": each.id, "approve": approve, "headers": {"x-key": "secret"}}
            for each, approve in zip(calls.submit_tool_approval.tool_calls, approved, strict=True)
        ]
        return client.threads.runs.submit_tool_outputs_stream(
            run_id=run.id, **where, tool_approvals=approvals
        )

    assert answer([True]).get_final_run().status == "requires_action"
    stream = answer([True, False])
    assert stream.get_final_run().status == "completed"
    (message,) = stream.get_final_messages()
    assert message.content[0].text.value == "True {'x-key': 'secret'} [True, False]"
    steps = list(client.threads.runs.steps.list(run.id, **where, order="asc"))
    assert [step.status for step in steps] == ["completed"] * 4
    outputs = [each["output"] for step in steps[:3] for each in calls_of(step)]
    assert outputs == ["found", "text", None, "all"]


def calls_of(step):
    return [dict(each.raw) for each in step.step_details.tool_calls]


def test_a_stream_goes_on_after_its_approvals(client):
    client = client(asking)
    assistant = client.assistants.create(model="m").run()
    asked = []

    def approve(call):
        asked.append(call.name)
        return call.name != "write"

    stream = client.threads.create_and_run_stream(
        assistant_id=assistant.id, tools=[], approve=approve
    )
    assert stream.get_final_run().status == "completed"
    assert asked == ["search", "read", "write"]
    assert stream.get_final_messages()[0].content[0].text.value == "True {} [True, False]"


def test_approvals_are_refused_where_outputs_are_awaited_and_the_other_way_round(serve, connect):
    caller = connect(serve(asking))
    run = caller.perform("hi")[-2].data
    (call,) = run.required_action.submit_tool_approval.tool_calls
    path = f"/threads/{run.thread_id}/runs/{run.id}/submit_tool_outputs"

    def refused(**body):
        return caller.refused("POST", path, body=body)

    output = {"tool_call_id": call.id, "output": "x"}
    assert refused(tool_outputs=[output])["message"] == (
        f"Expected tool approvals for call_ids ['{call.id}'], got tool outputs"
    )
    missing = refused(tool_approvals=[{"tool_call_id": call.id}])
    assert missing["param"] == "tool_approvals[0].approve"
    wrong = {"tool_call_id": call.id, "approve": "yes"}
    assert refused(tool_approvals=[wrong])["param"] == "approve"
    wrong = {"tool_call_id": call.id, "approve": True, "headers": "x"}
    assert refused(tool_approvals=[wrong])["param"] == "headers"
    assert refused(tool_approvals=[])["message"].endswith("got []")
    assert caller.get(path.removesuffix("/submit_tool_outputs"))["status"] == "requires_action"


@pytest.mark.parametrize("end", ["cancel", "delete"])
def test_a_run_that_waits_for_approval_can_be_stopped(serve, connect, end):
    service = serve(asking)
    caller = connect(service)
    run = caller.perform("hi")[-2].data
    path = f"/threads/{run.thread_id}/runs/{run.id}"
    if end == "delete":
        caller.delete(f"/threads/{run.thread_id}")
    else:
        caller.post(f"{path}/cancel")
        service.wait_for(lambda: caller.get(path)["status"] == "cancelled")
        (step,) = caller.get(f"{path}/steps")["data"]
        assert step["status"] == "cancelled"
    assert service.active_runs == frozenset()


def test_the_headers_of_an_approval_do_not_show():
    assert "secret" not in repr(Approval(approve=True, headers={"x-key": "secret"}))


@pytest.mark.parametrize(
    "moves", [[mcp("a"), mcp("b", approval=False)], [mcp("a"), say("b")], [mcp("a"), "b"]]
)
def test_what_cannot_be_asked_at_once_is_no_move(perform, moves):
    run = perform(lambda _: [moves])[-2].data
    assert run.status == "failed"
    assert "is no move" in run.last_error.message
