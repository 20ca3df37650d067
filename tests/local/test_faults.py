"""Faults on demand, and what clients that poll are told."""

import json

import pytest

from rxassist.local import Refusal, call, wait


def test_requests_are_refused_as_a_function_says(serve, connect):
    asked = []

    def refuse(method, path, attempt):
        asked.append((method, path, attempt))
        if method == "POST" and attempt < 3:
            return Refusal(429, {"retry-after": "7"})
        return None

    caller = connect(serve(refuse=refuse))
    for _ in range(2):
        answer = caller.http.post("/threads", json={})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
        assert answer.headers["x-request-id"].startswith("req_")
        assert answer.json()["error"]["code"] == "rate_limit_exceeded"
    thread = caller.thread()
    caller.get(f"/threads/{thread}")
    assert asked == [
        ("POST", "/v1/threads", 1),
        ("POST", "/v1/threads", 2),
        ("POST", "/v1/threads", 3),
        ("GET", f"/v1/threads/{thread}", 1),
    ]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, "server_error"), (503, "server_error"), (409, "invalid_request_error")],
)
def test_a_refusal_has_no_effect_and_a_body_that_fits(serve, connect, wire, status, kind):
    service = serve(refuse=lambda method, _, __: Refusal(status) if method == "POST" else None)
    caller = connect(service)
    error = caller.refused("POST", "/assistants", status=status, body={"model": "m"})
    assert error["type"] == kind
    (path,) = (wire / "rest").glob("error-500*.json")
    assert set(error) == set(json.loads(path.read_text())["error"])
    assert caller.get("/assistants")["data"] == []


def test_an_upload_is_refused_when_it_is_over(serve, connect):
    caller = connect(serve(refuse=lambda _, __, attempt: Refusal(503) if attempt == 1 else None))
    form = {"files": {"file": ("a.txt", b"x" * 3_000_000)}, "data": {"purpose": "assistants"}}
    assert caller.http.post("/files", **form).status_code == 503
    assert caller.http.post("/files", **form).status_code == 200


def test_a_refusal_that_raises_is_told_and_logged(serve, connect, caplog):
    def refuse(*_):
        msg = "no idea"
        raise RuntimeError(msg)

    error = connect(serve(refuse=refuse)).refused("GET", "/assistants", status=500)
    assert "RuntimeError: no idea" in error["message"]
    assert "`refuse` raised" in caplog.text


def test_clients_that_poll_are_told_when_to_come_again(serve, connect):
    service = serve(lambda _: [call("f")], ingest=lambda _: [wait(60)])
    caller = connect(service)
    run = caller.start("hi")
    file = caller.upload()["id"]
    store = caller.store(file)
    batch = caller.post(f"{store}/file_batches", file_ids=[file])
    paths = [
        f"/threads/{run['thread_id']}/runs/{run['id']}",
        store,
        f"{store}/files/{file}",
        f"{store}/file_batches/{batch['id']}",
    ]

    def told():
        return {caller.http.get(path).headers.get("openai-poll-after-ms") for path in paths}

    assert told() == {"50"}
    service.poll_after_ms = 7
    assert told() == {"7"}
    service.poll_after_ms = None
    assert told() == {None}
    assert "openai-poll-after-ms" not in caller.http.get(f"/files/{file}").headers
