"""What an error of a request says: what was asked, of whom, and what to do about it."""

import copy
import pickle
import re
import socket
from contextlib import closing
from importlib.util import find_spec

import pytest

from rxassist import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    Client,
    RateLimitError,
    RunOutcomeUnknown,
)
from rxassist.errors import Headers
from rxassist.local import LocalService, stall

KEY = "sk-secret-of-mine"


@pytest.fixture(params=["httpx", "aiohttp"])
def over(request):
    """What a client uses for HTTP, as keyword arguments."""
    if request.param == "aiohttp" and find_spec("httpx_aiohttp") is None:
        pytest.skip("the extra aiohttp is not installed")
    return {"http_client": request.param, "max_retries": 0}


def answer(status, body, *headers):
    lines = [f"HTTP/1.1 {status} No", "connection: close", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", body]).encode()


def free_port():
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        return listening.getsockname()[1]


REFUSED = answer(
    429,
    '{"error": {"message": "Slow\\ndown."}}',
    "X-RateLimit-Remaining-Requests: 0",
    f"X-Echo: {KEY}",
    "Set-Cookie: session=of-the-server",
    "Via: one",
    "Via: two",
    "X-Request-Id: req_1",
)


RUN = {"thread_id": "t", "run_id": "r"}
CALLS = {
    "GET /assistants/a": lambda client: client.assistants.retrieve("a"),
    "GET /assistants": lambda client: client.assistants.list(limit=1),
    "GET /threads/t/runs/r": lambda client: client.threads.runs.poll(**RUN),
    "POST /threads/t/runs": lambda client: client.threads.runs.stream(
        thread_id="t", assistant_id="a"
    ),
    "POST /files": lambda client: client.files.create(file=("a", b"a"), purpose="assistants"),
    "GET /files/f/content": lambda client: client.files.content("f"),
}
"""A call, a list, a poll, a stream, an upload and a file, by what they ask for."""


@pytest.mark.parametrize("asked", CALLS)
def test_an_http_error_names_what_was_asked_and_gives_the_headers(raw, over, asked):
    server = raw(REFUSED)
    query = {"default_query": {"code": "of-the-query"}}
    client = Client(base_url=server.url, api_key=KEY, **query, **over)
    with client, pytest.raises(RateLimitError) as caught:
        CALLS[asked](client).run()
    error = caught.value
    assert str(error) == f"{asked}: HTTP 429: Slow down. (request req_1)"
    assert f"{error.method} {error.path}" == asked
    assert error.message == "Slow\ndown."
    assert error.headers["x-ratelimit-remaining-requests"] == "0"
    assert error.headers["X-RateLimit-Remaining-Requests"] == "0"
    assert error.headers["via"] == "one, two"
    assert (error.headers["x-echo"], error.headers["set-cookie"]) == ("***", "***")
    assert "x-none" not in error.headers
    assert KEY not in repr(vars(error))
    for other in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert other.headers == error.headers
        assert str(other) == str(error)
        assert other.headers["VIA"] == "one, two"
    assert "via" not in repr(error)


def test_headers_are_a_mapping_whose_names_have_no_case():
    headers = Headers({"X-One": "1", "x-two": "2"})
    assert dict(headers) == {"x-one": "1", "x-two": "2"}
    assert headers == Headers({"x-one": "1", "X-TWO": "2"})
    assert headers.get("X-TWO") == "2"
    assert "X-ONE" in headers
    assert 1 not in headers
    assert len(headers) == 2
    assert repr(headers) == "Headers({'x-one': '1', 'x-two': '2'})"


def test_an_error_that_nobody_received_has_no_headers():
    error = APIStatusError("No.", status_code=400)
    assert (dict(error.headers), error.method, error.path) == ({}, None, None)
    assert str(error) == "HTTP 400: No."


@pytest.mark.parametrize("asked", CALLS)
def test_no_server_is_told_with_the_host_and_how_to_start_one(over, asked):
    port = free_port()
    client = Client(base_url=f"http://127.0.0.1:{port}/v1", **over)
    with client, pytest.raises(APIConnectionError) as caught:
        CALLS[asked](client).run()
    told = str(caught.value)
    assert told.startswith(f"{asked}: no server answers at 127.0.0.1:{port}: check base_url, or ")
    assert 'start one on this machine with "rxassist serve"' in told
    assert "\n" not in told
    assert caught.value.sent is False


def test_a_host_that_is_none_is_named(over, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    client = Client(base_url="http://no-such-host.invalid:81/v1", **over)
    with client, pytest.raises(APIConnectionError) as caught:
        client.assistants.retrieve("a").run()
    told = "GET /assistants/a: no server answers at no-such-host.invalid:81: check base_url"
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("asked", CALLS)
def test_a_broken_connection_names_the_host(raw, over, asked):
    server = raw(b"")
    with Client(base_url=server.url, **over) as client, pytest.raises(APIConnectionError) as caught:
        CALLS[asked](client).run()
    host = server.url.removeprefix("http://").removesuffix("/v1")
    assert f"{asked} at {host}: " in str(caught.value)
    assert "rxassist serve" not in str(caught.value)


def test_a_poll_that_never_has_an_answer_names_what_was_asked_and_the_host(over):
    def silent_polls(asked):
        return stall(0) if asked.method == "GET" else None

    with LocalService(faults=silent_polls) as service:
        host = service.base_url.removeprefix("http://").removesuffix("/v1")
        with Client(base_url=service.base_url, **over) as client:
            assistant = client.assistants.create(model="m").run()
            run = {"thread_id": client.threads.create().run().id, "assistant_id": assistant.id}
            with pytest.raises(APITimeoutError) as caught:
                client.threads.runs.create_and_poll(**run, patience=0.1).run()
    told = rf"GET /threads/thread_\w+/runs/run_\w+ at {host}: no answer within the patience of 0.1"
    assert re.match(told, str(caught.value))


def test_a_redirect_is_told_without_its_query(raw, over):
    server = raw(answer(303, "", "Location: http://127.0.0.1:9/v1/threads?code=of-the-query"))
    with Client(base_url=server.url, **over) as client, pytest.raises(APIError) as caught:
        client.threads.create().run()
    assert "redirects to http://127.0.0.1:9/v1/threads as a GET" in str(caught.value)
    assert "of-the-query" not in str(caught.value)


def test_silence_names_the_host(over):
    with LocalService(faults=lambda asked: stall(0)) as service:
        host = service.base_url.removeprefix("http://").removesuffix("/v1")
        with Client(base_url=service.base_url, timeout=0.05, **over) as client:
            with pytest.raises(APITimeoutError) as caught:
                client.assistants.list().run()
            with pytest.raises(RunOutcomeUnknown) as unknown:
                client.threads.runs.stream(thread_id="t", assistant_id="a").run()
    assert str(caught.value).startswith(f"GET /assistants at {host}: no answer in time")
    assert f"POST /threads/t/runs at {host}: no answer in time" in str(unknown.value)
