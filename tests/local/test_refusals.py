"""Requests that cannot be served, in the service's words."""

import json

import pytest

from rxassist.local import call, wait


@pytest.fixture
def caller(serve, connect):
    return connect(serve(lambda _: [wait(60)]))


@pytest.fixture
def recorded(wire):
    """The error object of a recorded answer."""

    def error(name):
        (path,) = (wire / "rest").glob(f"error-{name}*.json")
        return json.loads(path.read_bytes())["error"]

    return error


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/assistants/asst_x", "No assistant found with id 'asst_x'."),
        ("/threads/thread_x", "No thread found with id 'thread_x'."),
        ("/threads/thread_x/messages", "No thread found with id 'thread_x'."),
        ("/threads/{thread}/messages/msg_x", "No message found with id 'msg_x'."),
        ("/threads/{thread}/runs/run_x", "No run found with id 'run_x'."),
        ("/threads/{thread}/runs/run_x/steps", "No run found with id 'run_x'."),
        ("/threads/{thread}/messages?after=msg_x", "No message found with id 'msg_x'."),
    ],
)
def test_what_is_not_there_is_not_found(caller, recorded, path, message):
    error = caller.refused("GET", path.format(thread=caller.thread()), status=404)
    assert error == {**recorded("404"), "message": message}


def test_a_step_that_is_not_there_is_not_found(caller):
    run = caller.start("hi")
    path = f"/threads/{run['thread_id']}/runs/{run['id']}/steps/step_x"
    error = caller.refused("GET", path, status=404)
    assert error["message"] == "No run step found with id 'step_x'."


def test_an_object_of_another_thread_is_not_found(caller):
    run, other = caller.start("hi"), caller.thread()
    caller.refused("GET", f"/threads/{other}/runs/{run['id']}", status=404)


def test_a_run_needs_an_assistant_that_exists(caller):
    path = f"/threads/{caller.thread()}/runs"
    assert caller.refused("POST", path, body={}) == {
        "message": "Missing required parameter: 'assistant_id'.",
        "type": "invalid_request_error",
        "param": "assistant_id",
        "code": "missing_required_parameter",
    }
    error = caller.refused("POST", path, body={"assistant_id": "asst_x"}, status=404)
    assert error["message"] == "No assistant found with id 'asst_x'."


def test_a_thread_is_not_left_behind_by_a_run_that_is_refused(caller):
    body = {"assistant_id": "asst_x", "thread": {"messages": [{"role": "user", "content": "a"}]}}
    caller.refused("POST", "/threads/runs", body=body, status=404)


def test_a_thread_has_one_run_at_a_time(caller):
    run = caller.start("hi")
    thread = run["thread_id"]
    body = {"assistant_id": run["assistant_id"]}
    assert caller.refused("POST", f"/threads/{thread}/runs", body=body)["message"] == (
        f"Thread {thread} already has an active run {run['id']}."
    )
    body = {"role": "user", "content": "more"}
    assert caller.refused("POST", f"/threads/{thread}/messages", body=body)["message"] == (
        f"Can't add messages to {thread} while a run {run['id']} is active."
    )


def test_a_finished_run_is_neither_cancelled_nor_answered(serve, connect, recorded):
    service = serve(lambda _: [])
    caller = connect(service)
    run = caller.perform("hi")[-2].data
    path = f"/threads/{run.thread_id}/runs/{run.id}"
    assert caller.refused("POST", f"{path}/cancel") == recorded("400-cannot-cancel")
    body = {"tool_outputs": [{"tool_call_id": "call_x", "output": "y"}]}
    error = caller.refused("POST", f"{path}/submit_tool_outputs", body=body)
    assert error == recorded("400-runs-in-status")


def test_a_run_is_cancelled_once(caller):
    run = caller.start("hi")
    path = f"/threads/{run['thread_id']}/runs/{run['id']}/cancel"
    caller.post(path)
    assert "Cannot cancel run with status 'cancell" in caller.refused("POST", path)["message"]


def test_all_outputs_are_expected_at_once(serve, connect):
    caller = connect(serve(lambda _: [[call("f"), call("g")]]))
    run = caller.perform("hi")[-2].data
    first, second = (each.id for each in run.required_action.submit_tool_outputs.tool_calls)
    path = f"/threads/{run.thread_id}/runs/{run.id}/submit_tool_outputs"

    def refused(*outputs):
        return caller.refused("POST", path, body={"tool_outputs": list(outputs)})

    one = {"tool_call_id": first, "output": "1"}
    assert refused(one)["message"] == (
        f"Expected tool outputs for call_ids ['{first}', '{second}'], got ['{first}']"
    )
    assert refused()["message"].endswith("got []")
    assert refused({"output": "1"})["param"] == "tool_outputs[0].tool_call_id"
    assert refused({"tool_call_id": first})["param"] == "tool_outputs[0].output"
    assert refused({"tool_call_id": first, "output": 1})["code"] == "invalid_type"
    assert caller.refused("POST", path, body={})["param"] == "tool_outputs"
    assert caller.submit(run, "1", "2")[-1].event == "done"


@pytest.mark.parametrize("content", [b"{", b"[]", b'"text"', b"\xff"])
def test_a_body_must_be_a_json_object(caller, content):
    answer = caller.http.post("/threads", content=content)
    assert answer.status_code == 400
    assert "could not parse the JSON body" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/assistants", {}, "model"),
        ("/assistants", {"model": 4}, "model"),
        ("/assistants", {"model": "m", "tools": {}}, "tools"),
        ("/assistants", {"model": "m", "tools": ["code"]}, "tools[0]"),
        ("/assistants", {"model": "m", "temprature": 1}, "temprature"),
        ("/assistants", {"model": "m", "metadata": "a"}, "metadata"),
        ("/threads", {"messages": "hi"}, "messages"),
        ("/threads", {"messages": ["hi"]}, "messages"),
        ("/threads", {"messages": [{"content": "hi"}]}, "role"),
        ("/threads", {"messages": [{"role": "system", "content": "hi"}]}, "role"),
        ("/threads", {"messages": [{"role": "user"}]}, "content"),
        ("/threads", {"messages": [{"role": "user", "content": []}]}, "content"),
        ("/threads", {"messages": [{"role": "user", "content": ["hi"]}]}, "content[0]"),
        ("/threads/runs", {"thread": 1, "assistant_id": "a"}, "thread"),
        ("/threads/runs", {"stream": "yes", "assistant_id": "{assistant}"}, "stream"),
    ],
)
def test_a_parameter_that_is_wrong_is_named(caller, path, body, param):
    if body.get("assistant_id") == "{assistant}":
        body = {**body, "assistant_id": caller.assistant()}
    error = caller.refused("POST", path, body=body)
    assert error["param"] == param
    assert param in error["message"] or error["code"] == "invalid_value"


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ({"limit": 0}, "limit", "integer_below_min_value"),
        ({"limit": 101}, "limit", "integer_above_max_value"),
        ({"limit": "ten"}, "limit", "invalid_type"),
        ({"order": "up"}, "order", "invalid_value"),
    ],
)
def test_a_query_that_is_wrong_is_named(caller, query, param, code):
    error = caller.refused("GET", "/assistants", query=query)
    assert (error["param"], error["code"]) == (param, code)


def test_unknown_addresses_and_methods_are_told_apart(caller):
    error = caller.refused("GET", "/nothing", status=404)
    assert error["message"] == "Invalid URL (GET /v1/nothing)"
    error = caller.refused("DELETE", "/assistants", status=405)
    assert error["code"] == "method_not_supported"


def test_a_key_is_needed_only_where_one_was_given(serve, connect, recorded):
    caller = connect(serve(api_key="right"))
    missing = caller.refused("GET", "/assistants", status=401)
    assert missing["type"] == recorded("401")["type"]
    caller.http.headers["authorization"] = "Bearer wrong-secret"
    wrong = caller.refused("GET", "/assistants", status=401)
    assert (wrong["code"], wrong["type"]) == ("invalid_api_key", recorded("401")["type"])
    assert "wrong-s" not in wrong["message"]
    caller.http.headers["authorization"] = "Bearer right"
    assert caller.get("/assistants")["data"] == []


def test_a_bug_of_the_service_is_told_and_logged(serve, connect, monkeypatch, caplog):
    def broken(_):
        msg = "out of order"
        raise RuntimeError(msg)

    monkeypatch.setattr("rxassist.local.assistants.endpoints.new_assistant", broken)
    caller = connect(serve())
    error = caller.refused("POST", "/assistants", body={"model": "m"}, status=500)
    assert "RuntimeError: out of order" in error["message"]
    assert error["type"] == "server_error"
    assert "the local service has a bug" in caplog.text
