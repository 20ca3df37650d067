"""Options of calls and clients that are about requests: timeouts, proxies, certificates, heads."""

import asyncio
import logging
import os
import socket
import ssl
import subprocess
import sys

import httpx
import pytest

from rxassist import APITimeoutError, AsyncClient, Client, NotFoundError


@pytest.fixture
def silent():
    """The address of a server that accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"


# --- the head of an answer -----------------------------------------------------------------


def test_the_heads_of_answers_are_told(client, place):
    heads = []
    client.threads.retrieve(place["thread_id"], on_response=heads.append).run()
    with pytest.raises(NotFoundError) as caught:
        client.threads.retrieve("thread_none", on_response=heads.append).run()
    found, missing = heads
    assert (found.method, found.path) == ("GET", f"/threads/{place['thread_id']}")
    assert (found.status_code, missing.status_code) == (200, 404)
    assert missing.request_id == caught.value.request_id == missing.headers["X-Request-Id"]
    assert 0 < found.seconds < 60


def test_a_stream_tells_the_heads_of_all_its_requests(client, place):
    heads = []
    stream = client.threads.runs.stream(**place, on_response=heads.append)
    assert next(iter(stream)).event == "thread.run.created"
    (head,) = heads  # before the stream has ended
    assert head.headers["content-type"].startswith("text/event-stream")
    run = client.threads.runs.create_and_poll(
        place["thread_id"],
        assistant_id=place["assistant_id"],
        if_busy="cancel",
        on_response=heads.append,
        poll_interval_ms=1,
    ).run()
    assert run.status == "completed"
    assert {"GET", "POST"} == {each.method for each in heads}


def test_uploads_and_lists_tell_theirs(client):
    heads = []
    client.files.create(file=("a.txt", b"a"), purpose="assistants", on_response=heads.append).run()
    list(client.files.list(on_response=heads.append))
    client.request("GET", "/files", on_response=heads.append).run()
    assert [head.method for head in heads] == ["POST", "GET", "GET"]


class MineError(Exception):
    pass


def fails(_):
    raise MineError


def test_an_exception_of_a_callback_fails_the_call_and_leaks_nothing(
    client, place, run_async, service
):
    with pytest.raises(MineError):
        client.threads.retrieve(place["thread_id"], on_response=fails).run()
    with pytest.raises(MineError):
        client.threads.runs.stream(**place, on_response=fails, recover=False).until_done()

    async def main(client):
        with pytest.raises(MineError):
            await client.threads.create(on_response=fails)

    run_async(service, main)


async def awaited(_):
    """What would never be awaited."""


@pytest.mark.parametrize("wrong", [5, awaited])
def test_what_cannot_be_called_is_refused(client, wrong):
    with pytest.raises(TypeError, match="on_response"):
        client.threads.create(on_response=wrong)


def test_each_answer_is_one_line_of_the_log(client, place, caplog):
    caplog.set_level(logging.DEBUG, "rxassist")
    client.threads.retrieve(place["thread_id"]).run()
    (line,) = [each for each in caplog.messages if each.startswith("GET /threads/")]
    assert "HTTP 200 in " in line
    assert " ms (request req_" in line


@pytest.mark.parametrize(("level", "shown"), [("debug", True), ("INFO", False), ("loud", False)])
def test_the_environment_turns_the_log_on(service, level, shown):
    program = "from rxassist import Client; Client().threads.create().run()"
    environment = {**os.environ, "RXASSIST_LOG": level, "RXASSIST_BASE_URL": service.base_url}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ("POST /threads: HTTP 200 in" in done.stderr) is shown
    assert ("RXASSIST_LOG must be one of debug" in done.stderr) is (level == "loud")


# --- timeouts ------------------------------------------------------------------------------


@pytest.mark.parametrize("per_call", [True, False])
def test_a_timeout_of_httpx_is_taken(silent, per_call):
    timeout = httpx.Timeout(30, read=0.1)
    of_client, of_call = ({}, {"timeout": timeout}) if per_call else ({"timeout": timeout}, {})
    with (
        Client(base_url=silent, max_retries=0, **of_client) as client,
        pytest.raises(APITimeoutError),
    ):
        client.threads.create(**of_call).run()


def test_a_timeout_of_httpx_without_bounds(client):
    assert client.with_options(timeout=httpx.Timeout(None)).threads.create().run().id


# --- proxies and certificates --------------------------------------------------------------


def test_a_proxy_that_is_given_is_asked(raw):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\n" + b'{"id":1}'
    proxy = raw(answer, answer)
    with Client(
        base_url="http://service.invalid/v1", proxy=proxy.url.removesuffix("/v1")
    ) as client:
        client.threads.create().run()

    async def main():
        url = proxy.url.removesuffix("/v1")
        async with AsyncClient(base_url="http://service.invalid/v1", proxy=url) as client:
            await client.threads.create()

    asyncio.run(main())
    assert [head.split()[:2] for head in proxy.heads] == [
        [b"post", b"http://service.invalid/v1/threads"]
    ] * 2


def test_certificates_are_checked_unless_that_is_not_wanted(tmp_path):
    made = tmp_path / "certificates.pem"
    made.write_text("", encoding="utf-8")
    for verify in (True, False, ssl.create_default_context(), str(tmp_path)):
        assert Client(base_url="https://a.test/v1", verify=verify).base_url


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"verify": "/nowhere/at/all"}, ValueError),
        ({"verify": None}, TypeError),
        ({"proxy": 5}, TypeError),
        ({"proxy": "http://a.test", "http_client": httpx.AsyncClient()}, TypeError),
        ({"verify": False, "http_client": httpx.AsyncClient()}, TypeError),
    ],
)
def test_what_cannot_be_is_refused_when_the_client_is_made(wrong, error):
    (name, *_) = wrong
    with pytest.raises(error, match=name):
        Client(base_url="https://a.test/v1", **wrong)
