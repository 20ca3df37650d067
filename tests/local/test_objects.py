"""Assistants, threads and messages; and lists of them."""

import pytest


@pytest.fixture
def caller(serve, connect):
    return connect(serve())


def test_an_assistant_is_created_read_changed_and_deleted(caller):
    tools = [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
        {"type": "code_interpreter"},
        {"type": "mcp", "server_label": "docs"},
    ]
    created = caller.post("/assistants", model="gpt-4o", name="Ada", tools=tools)
    assert created["id"].startswith("asst_")
    assert len(created["id"]) == len("asst_") + 24
    assert isinstance(created["created_at"], int)
    assert created["tools"][0]["function"]["strict"] is False
    assert created["tools"][2] == {"type": "mcp", "server_label": "docs"}
    assert (created["temperature"], created["response_format"]) == (1.0, "auto")
    path = f"/assistants/{created['id']}"
    assert caller.get(path) == created
    changed = caller.post(path, name="Bob", metadata={"k": "v"})
    assert changed == {**created, "name": "Bob", "metadata": {"k": "v"}}
    assert caller.get(path) == changed
    assert caller.delete(path) == {
        "id": created["id"],
        "object": "assistant.deleted",
        "deleted": True,
    }
    caller.refused("GET", path, status=404)


def test_a_thread_is_created_read_changed_and_deleted(caller):
    created = caller.post("/threads", metadata={"a": "b"})
    path = f"/threads/{created['id']}"
    assert caller.get(path) == created
    assert caller.post(path, metadata={"a": "c"})["metadata"] == {"a": "c"}
    assert caller.delete(path)["object"] == "thread.deleted"
    caller.refused("GET", path, status=404)


def test_a_thread_needs_no_body(caller):
    assert caller.http.post("/threads").json()["object"] == "thread"


def test_a_message_is_created_read_changed_and_deleted(caller):
    thread = caller.thread()
    content = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    attachments = [{"file_id": "file-1", "tools": [{"type": "file_search"}]}]
    created = caller.post(
        f"/threads/{thread}/messages", role="user", content=content, attachments=attachments
    )
    assert created["content"][0]["text"] == {"value": "look", "annotations": []}
    assert created["content"][1]["image_url"]["url"] == "https://example.com/a.png"
    assert created["attachments"][0]["file_id"] == "file-1"
    assert (created["status"], created["thread_id"]) == ("completed", thread)
    path = f"/threads/{thread}/messages/{created['id']}"
    assert caller.get(path) == created
    assert caller.post(path, metadata={"k": "v"})["metadata"] == {"k": "v"}
    assert caller.delete(path)["object"] == "thread.message.deleted"
    caller.refused("GET", path, status=404)


def test_a_thread_that_is_deleted_takes_its_messages_with_it(caller):
    thread = caller.thread("one", "two")
    (message, _) = caller.get(f"/threads/{thread}/messages")["data"]
    caller.delete(f"/threads/{thread}")
    caller.refused("GET", f"/threads/{thread}/messages/{message['id']}", status=404)


@pytest.fixture
def listed(caller):
    """Lists the texts of seven messages, a to g, with any query."""
    path = f"/threads/{caller.thread(*'abcdefg')}/messages"
    ids = {
        message["content"][0]["text"]["value"]: message["id"]
        for message in caller.get(path)["data"]
    }

    def listed(**query):
        named = {key: ids.get(value, value) for key, value in query.items()}
        page = caller.get(path, **named)
        texts = "".join(item["content"][0]["text"]["value"] for item in page["data"])
        assert page["object"] == "list"
        assert page["first_id"] == (ids[texts[0]] if texts else None)
        assert page["last_id"] == (ids[texts[-1]] if texts else None)
        return texts, page["has_more"]

    return listed


@pytest.mark.parametrize(
    ("query", "texts", "has_more"),
    [
        ({}, "gfedcba", False),
        ({"order": "asc"}, "abcdefg", False),
        ({"limit": 3}, "gfe", True),
        ({"limit": 7}, "gfedcba", False),
        ({"limit": 3, "after": "e"}, "dcb", True),
        ({"limit": 3, "after": "d"}, "cba", False),
        ({"after": "a"}, "", False),
        ({"limit": 2, "order": "asc", "after": "b"}, "cd", True),
        ({"limit": 2, "before": "c"}, "ed", True),
        ({"limit": 4, "before": "c"}, "gfed", False),
        ({"limit": 2, "order": "asc", "before": "f"}, "de", True),
        ({"after": "f", "before": "c"}, "ed", False),
        ({"run_id": "run_x"}, "", False),
    ],
)
def test_lists_are_cut_into_pages(listed, query, texts, has_more):
    assert listed(**query) == (texts, has_more)


def test_an_empty_list_has_no_ids(connect, serve):
    page = connect(serve()).get("/assistants")
    assert page == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


def test_answers_say_what_they_come_from(caller):
    headers = caller.http.get("/assistants").headers
    assert headers["server"] == "rxassist-local (scripted)"
    assert headers["x-request-id"].startswith("req_")
    assert headers["openai-version"]
