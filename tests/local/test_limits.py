"""What the real service refuses is refused, and what it just takes is taken."""

import pytest

from rxassist.local import LocalService, wait

TOO_MANY_TOOLS = [{"type": "function", "function": {"name": f"f{n}"}} for n in range(129)]
FILES = [f"file-{n}" for n in range(501)]


@pytest.fixture(scope="module")
def service():
    with LocalService(lambda _: [wait(60)]) as service:
        yield service


@pytest.fixture
def caller(service, connect):
    return connect(service)


def function(name):
    return {"type": "function", "function": {"name": name}}


def attached(count, **changes):
    each = {"file_id": "file-1", "tools": [{"type": "file_search"}], **changes}
    return [{key: value for key, value in each.items() if value is not None}] * count


ASSISTANTS = [
    ("temperature", 2, 99, "temperature", "decimal_above_max_value"),
    ("temperature", 0, -0.1, "temperature", "decimal_below_min_value"),
    ("top_p", 1, 1.1, "top_p", "decimal_above_max_value"),
    ("name", "x" * 256, "x" * 257, "name", "string_above_max_length"),
    ("description", "x" * 512, "x" * 513, "description", "string_above_max_length"),
    ("instructions", "x" * 256_000, "x" * 256_001, "instructions", "string_above_max_length"),
    ("tools", TOO_MANY_TOOLS[:128], TOO_MANY_TOOLS, "tools", "array_above_max_length"),
    ("tools", [], [{"type": "future_tool"}], "tools[0].type", "invalid_value"),
    ("tools", [], [{}], "tools[0].type", "missing_required_parameter"),
    (
        "tools",
        [function("a")],
        [function("a"), {"type": "function"}],
        "tools[1].function.name",
        "missing_required_parameter",
    ),
    (
        "tools",
        [function("x" * 64)],
        [function("x" * 65)],
        "tools[0].function.name",
        "invalid_value",
    ),
    ("tools", [function("a_B-9")], [function("a b")], "tools[0].function.name", "invalid_value"),
    ("response_format", "auto", "json", "response_format", "invalid_value"),
    (
        "response_format",
        {"type": "json_object"},
        {"type": "xml"},
        "response_format.type",
        "invalid_value",
    ),
    ("reasoning_effort", "low", "lots", "reasoning_effort", "invalid_value"),
    (
        "tool_resources",
        {"code_interpreter": {"file_ids": FILES[:20]}},
        {"code_interpreter": {"file_ids": FILES[:21]}},
        "tool_resources.code_interpreter.file_ids",
        "array_above_max_length",
    ),
    (
        "tool_resources",
        {"file_search": {"vector_store_ids": ["vs_1"]}},
        {"file_search": {"vector_store_ids": ["vs_1", "vs_2"]}},
        "tool_resources.file_search.vector_store_ids",
        "array_above_max_length",
    ),
]
METADATA = [
    (
        {f"k{n}": "v" for n in range(16)},
        {f"k{n}": "v" for n in range(20)},
        "metadata",
        "object_above_max_properties",
    ),
    ({"x" * 64: "v"}, {"x" * 65: "v"}, "metadata", "string_above_max_length"),
    ({"k": "x" * 512}, {"k": "x" * 513}, "metadata.k", "string_above_max_length"),
    ({"k": "1"}, {"k": 1}, "metadata.k", "invalid_type"),
]
MESSAGES = [
    ("attachments", attached(10), attached(11), "attachments", "array_above_max_length"),
    (
        "attachments",
        [],
        attached(1, tools=[{"type": "function"}]),
        "attachments[0].tools[0].type",
        "invalid_value",
    ),
    (
        "attachments",
        [],
        attached(1, file_id=None),
        "attachments[0].file_id",
        "missing_required_parameter",
    ),
    (
        "attachments",
        [],
        attached(1, tools=None),
        "attachments[0].tools",
        "missing_required_parameter",
    ),
    (
        "content",
        [{"type": "text", "text": "a"}],
        [{"type": "text", "text": "a"}, {"type": "audio", "audio": {}}],
        "content[1].type",
        "invalid_value",
    ),
    ("content", "a" * 256_000, "a" * 256_001, "content", "string_above_max_length"),
    ("content", "a", [{"text": "a"}], "content[0].type", "missing_required_parameter"),
    ("content", "a", [{"type": "text"}], "content[0].text", "missing_required_parameter"),
    ("content", "a", [{"type": "text", "text": {"value": "a"}}], "content[0].text", "invalid_type"),
    (
        "content",
        [{"type": "image_file", "image_file": {"file_id": "file-1"}}],
        [{"type": "image_file"}],
        "content[0].image_file",
        "missing_required_parameter",
    ),
]
RUNS = [
    ("temperature", 2, 2.5, "temperature", "decimal_above_max_value"),
    ("top_p", 0, -1, "top_p", "decimal_below_min_value"),
    ("max_prompt_tokens", 256, 255, "max_prompt_tokens", "integer_below_min_value"),
    ("max_completion_tokens", 256, 0, "max_completion_tokens", "integer_below_min_value"),
    ("tools", TOO_MANY_TOOLS[:20], TOO_MANY_TOOLS[:21], "tools", "array_above_max_length"),
    ("tool_choice", "required", "always", "tool_choice", "invalid_value"),
    (
        "tool_choice",
        {"type": "code_interpreter"},
        {"type": "browser"},
        "tool_choice.type",
        "invalid_value",
    ),
    (
        "truncation_strategy",
        {"type": "last_messages", "last_messages": 1},
        {"type": "none"},
        "truncation_strategy.type",
        "invalid_value",
    ),
]


def refused(caller, path, body, param, code):
    error = caller.refused("POST", path, body=body)
    assert (error["param"], error["code"]) == (param, code)
    assert error["type"] == "invalid_request_error"
    assert len(error["message"]) < 400


@pytest.mark.parametrize(("name", "taken", "wrong", "param", "code"), ASSISTANTS)
def test_an_assistant_has_the_limits_of_the_service(caller, name, taken, wrong, param, code):
    created = caller.post("/assistants", model="m", **{name: taken})
    refused(caller, "/assistants", {"model": "m", name: wrong}, param, code)
    refused(caller, f"/assistants/{created['id']}", {name: wrong}, param, code)
    assert caller.get(f"/assistants/{created['id']}") == created


@pytest.mark.parametrize(("taken", "wrong", "param", "code"), METADATA)
def test_metadata_have_the_limits_of_the_service_everywhere(caller, taken, wrong, param, code):
    run = caller.start("hi")
    thread = f"/threads/{run['thread_id']}"
    message = caller.get(f"{thread}/messages")["data"][0]["id"]
    store = caller.store()
    assistant = {"assistant_id": run["assistant_id"]}
    for path, body in (
        ("/assistants", {"model": "m"}),
        ("/threads", {}),
        (thread, {}),
        (f"{thread}/messages/{message}", {}),
        (f"{thread}/runs/{run['id']}", {}),
        (f"/threads/{caller.thread()}/messages", {"role": "user", "content": "a"}),
        (f"/threads/{caller.thread()}/runs", assistant),
        ("/threads/runs", assistant),
        ("/vector_stores", {}),
        (store, {}),
    ):
        refused(caller, path, {**body, "metadata": wrong}, param, code)
        assert caller.post(path, **body, metadata=taken)["metadata"] == taken


@pytest.mark.parametrize(("name", "taken", "wrong", "param", "code"), MESSAGES)
def test_a_message_has_the_limits_of_the_service(caller, name, taken, wrong, param, code):
    usual = {"role": "user", "content": "a"}
    path = f"/threads/{caller.thread()}/messages"
    caller.post(path, **{**usual, name: taken})
    bad = {**usual, name: wrong}
    assistant = caller.assistant()
    refused(caller, path, bad, param, code)
    refused(caller, "/threads", {"messages": [bad]}, param, code)
    body = {"assistant_id": assistant, "thread": {"messages": [bad]}}
    refused(caller, "/threads/runs", body, param, code)
    body = {"assistant_id": assistant, "additional_messages": [bad]}
    refused(caller, f"/threads/{caller.thread()}/runs", body, param, code)


@pytest.mark.parametrize(("name", "taken", "wrong", "param", "code"), RUNS)
def test_a_run_has_the_limits_of_the_service(caller, name, taken, wrong, param, code):
    body = {"assistant_id": caller.assistant()}
    thread = f"/threads/{caller.thread('hi')}/runs"
    for path in (thread, "/threads/runs"):
        refused(caller, path, {**body, name: wrong}, param, code)
        caller.post(path, **body, **{name: taken})


def test_a_run_may_have_all_the_tools_of_its_assistant(caller):
    assistant = caller.assistant(tools=TOO_MANY_TOOLS[:128])
    run = caller.post("/threads/runs", assistant_id=assistant)
    assert len(run["tools"]) == 128


def test_a_vector_store_takes_so_many_files_at_once(caller):
    ids = [caller.upload()["id"]] * 500  # the same one: it is added once
    store = caller.store(*ids)
    assert caller.post(f"{store}/file_batches", file_ids=ids)["file_counts"]["total"] == 1
    code = "array_above_max_length"
    refused(caller, "/vector_stores", {"file_ids": FILES}, "file_ids", code)
    refused(caller, f"{store}/file_batches", {"file_ids": FILES}, "file_ids", code)
    files = [{"file_id": each} for each in FILES]
    refused(caller, f"{store}/file_batches", {"files": files}, "files", code)


def test_attributes_have_the_limits_of_the_service(caller):
    file_id = caller.upload()["id"]
    path = f"{caller.store(file_id)}/files"
    for wrong, param, code in (
        ({f"k{n}": 1 for n in range(17)}, "attributes", "object_above_max_properties"),
        ({"x" * 65: 1}, "attributes", "string_above_max_length"),
        ({"k": "x" * 513}, "attributes.k", "string_above_max_length"),
    ):
        refused(caller, f"{path}/{file_id}", {"attributes": wrong}, param, code)
        refused(caller, path, {"file_id": file_id, "attributes": wrong}, param, code)
