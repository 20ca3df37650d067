"""Every recorded REST body: its model, the right values, and nothing lost on the way back."""

import json
import re
from pathlib import Path

import pytest

from rxassist.errors import api_error_fields
from rxassist.models import (
    Assistant,
    CodeInterpreterToolCall,
    Deleted,
    File,
    FileCitationAnnotation,
    FileSearchToolCall,
    FunctionTool,
    ImageFileContentBlock,
    ImageURLContentBlock,
    Message,
    MessageCreationStepDetails,
    Page,
    Run,
    RunStep,
    Thread,
    UnknownToolCall,
    VectorStore,
    VectorStoreFile,
    VectorStoreFileBatch,
)
from rxassist.wire.json import from_json
from rxassist.wire.structure import structure, unstructure

REST = Path(__file__).parent / "wire" / "rest"

OBJECTS = {
    "assistant": Assistant,
    "assistant.deleted": Deleted,
    "file": File,
    "thread": Thread,
    "thread.message": Message,
    "thread.run": Run,
    "thread.run.step": RunStep,
    "vector_store": VectorStore,
    "vector_store.file": VectorStoreFile,
    "vector_store.file_batch": VectorStoreFileBatch,
    "vector_store.files_batch": VectorStoreFileBatch,
}


def bodies():
    for path in sorted(REST.glob("*.json")):
        body = json.loads(path.read_text())
        if path.name.startswith("exchanges-"):
            for number, exchange in enumerate(body):
                yield pytest.param(exchange["response"], id=f"{path.stem}-{number}")
        elif not path.name.startswith("error-"):
            yield pytest.param(body, id=path.stem)


def model_of(body):
    if body["object"] == "list":
        return Page[OBJECTS[body["data"][0]["object"]]]
    return OBJECTS[body["object"]]


def read(name, model):
    return structure(from_json((REST / name).read_bytes()), model)


def lost(body, back, place="$"):
    """Where a body says something that its model does not give back."""
    if isinstance(body, dict) and isinstance(back, dict):
        for key in body:
            if key not in back or body[key] is not None:
                yield from lost(body[key], back.get(key), f"{place}.{key}")
    elif isinstance(body, list) and isinstance(back, list) and len(body) == len(back):
        for index, item in enumerate(body):
            yield from lost(item, back[index], f"{place}[{index}]")
    elif body != back:
        yield place, body, back


@pytest.mark.parametrize("body", list(bodies()))
def test_nothing_that_a_body_says_is_lost(body):
    model = structure(body, model_of(body))
    assert list(lost(body, unstructure(model))) == []
    assert structure(unstructure(model), model_of(body)) == model


def test_a_run_that_waits():
    run = read("thread-run-requires-action-1.json", Run)
    (call,) = run.required_action.submit_tool_outputs.tool_calls
    assert run.status == "requires_action"
    assert (call.id, call.function.name) == (
        "call_b9LqseCoPpctoIx71RVNZ1nB",
        "get_favorite_food_for_day_of_week",
    )
    assert call.function.arguments == '{"day_of_week":"Thursday"}'
    (tool,) = run.tools
    assert isinstance(tool, FunctionTool)
    assert tool.function.parameters["properties"]["day_of_week"]["type"] == "string"
    assert (run.temperature, run.parallel_tool_calls, run.tool_choice) == (1.0, True, "auto")
    assert run.usage is None


def test_old_runs_lack_what_came_later():
    run = read("thread-run-cancelling-0.json", Run)
    assert (run.status, run.usage, run.tool_choice, run.incomplete_details) == (
        "cancelling",
        None,
        None,
        None,
    )
    assert read("thread-run-completed-0.json", Run).metadata == {"modified": "True"}


def test_a_list_of_runs():
    page = read("simple-threads-runs-getlist-cancelled-expired-old.json", Page[Run])
    assert [run.status for run in page.data][:2] == ["cancelled", "completed"]
    assert page.first_id == page.data[0].id
    assert page.data[0].usage.total_tokens == 0


def test_a_list_of_messages_with_a_citation():
    page = read("list-thread-message-false-file-citation-text.json", Page[Message])
    answer, question = page.data
    assert (answer.role, question.role, question.run_id) == ("assistant", "user", None)
    (cited,) = answer.content[0].text.annotations
    assert isinstance(cited, FileCitationAnnotation)
    assert answer.content[0].text.value[cited.start_index : cited.end_index] == cited.text
    assert cited.file_citation.file_id == "file-DLCAr5NoVMw44WT3FrWWva"
    assert page.has_more is False


def test_a_message_with_images():
    _, by_file, by_url = read("simple-threads-messages-create-vision.json", Message).content
    assert isinstance(by_file, ImageFileContentBlock)
    assert isinstance(by_url, ImageURLContentBlock)
    assert (by_file.image_file.detail, by_url.image_url.detail) == ("low", "low")


def test_a_list_of_steps():
    name = "list-thread-run-step-true-code-interpreter-message-creation-completed.json"
    wrote, ran = read(name, Page[RunStep]).data
    assert isinstance(wrote.step_details, MessageCreationStepDetails)
    (call,) = ran.step_details.tool_calls
    assert isinstance(call, CodeInterpreterToolCall)
    assert call.code_interpreter.input.startswith("# Import necessary library\n")
    assert call.code_interpreter.outputs == ()
    assert ran.usage.prompt_token_details == {"cached_tokens": 0}


def test_a_step_that_searched():
    step = read("thread-run-step-completed-file-search.json", RunStep)
    (call,) = step.step_details.tool_calls
    assert isinstance(call, FileSearchToolCall)
    assert call.file_search.ranking_options.score_threshold == 0.5
    assert [result.file_name for result in call.file_search.results] == ["favorite_foods.txt"] * 2
    assert call.file_search.results[0].content[0].text.endswith("cake")


def test_a_step_with_a_tool_that_nobody_knows():
    first, _ = read("simple-threads-runssteps-getunknown-tool.json", Page[RunStep]).data
    function, browser = first.step_details.tool_calls
    assert function.function.output is None
    assert isinstance(browser, UnknownToolCall)
    assert (browser.wire_type, browser.id) == ("browser", "call_rwX78tZl6MzaPfNMYu5fFsQD")


def test_vector_stores():
    assert read("vector-store-in-progress.json", VectorStore).file_counts.in_progress == 5
    assert read("vector-store-file-completed.json", VectorStoreFile).usage_bytes == 1036
    batch = read("vector-store-file-batch-completed.json", VectorStoreFileBatch)
    assert (batch.status, batch.file_counts.total) == ("completed", 1)


def test_a_file_and_a_deletion():
    assert read("file-uploaded.json", File).bytes == 159
    deleted = read("assistant-deleted.json", Deleted)
    assert (deleted.deleted, deleted.object) == (True, "assistant.deleted")


@pytest.mark.parametrize("path", sorted(REST.glob("error-*.json")), ids=lambda path: path.stem)
def test_error_bodies(path):
    fields = api_error_fields(from_json(path.read_bytes()))
    status = int(re.match(r"error-(\d+)", path.name)[1])
    assert fields["message"]
    assert fields["type"] == ("server_error" if status == 500 else "invalid_request_error")
    assert fields["code"] == ("invalid_api_key" if status == 401 else None)
