"""What is tried again, how often, and what never is."""

import logging

import pytest

from rxassist import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    Budget,
    Client,
    ConflictError,
    InternalServerError,
    RateLimitError,
    RunOutcomeUnknown,
)

OK = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b'content-length: 17\r\n\r\n{"id": "thing_1"}'
)


def refusal(status, *headers, body=""):
    length = f"content-length: {len(body)}"
    lines = [f"HTTP/1.1 {status} No", "connection: close", length, *headers, "", body]
    return "\r\n".join(lines).encode()


NOW = "Retry-After: 0"


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
def test_what_the_service_refuses_for_now_is_tried_again(raw, status):
    server = raw(refusal(status, NOW), refusal(status, NOW), OK)
    with Client(base_url=server.url) as client:
        assert client.threads.create().run().id == "thing_1"
    assert len(server.bodies) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_it_refuses_for_good_is_not(raw, status):
    server = raw(refusal(status, NOW), OK)
    with Client(base_url=server.url) as client, pytest.raises(APIStatusError):
        client.threads.create().run()
    assert len(server.bodies) == 1


def test_who_is_told_to_wait_for_too_long_is_told_so(raw):
    server = raw(refusal(429, "Retry-After: 3600"))
    with Client(base_url=server.url) as client, pytest.raises(APIStatusError) as caught:
        client.threads.create().run()
    assert (caught.value.retry_after, len(server.bodies)) == (3600, 1)


def test_it_gives_up_after_max_retries(raw):
    server = raw(refusal(500, NOW))
    with Client(base_url=server.url) as client, pytest.raises(InternalServerError):
        client.threads.create().run()
    assert len(server.bodies) == 3


@pytest.mark.parametrize("per_call", [True, False])
def test_max_retries_per_client_and_per_call(raw, per_call):
    server = raw(refusal(500, NOW))
    settings, options = ({}, {"max_retries": 1}) if per_call else ({"max_retries": 1}, {})
    with Client(base_url=server.url, **settings) as client, pytest.raises(InternalServerError):
        client.threads.create(**options).run()
    assert len(server.bodies) == 2


def creations(client):
    return [
        client.threads.runs.create("t", assistant_id="a"),
        client.threads.runs.stream(thread_id="t", assistant_id="a"),
        client.threads.create_and_run(assistant_id="a"),
        client.threads.create_and_run_stream(assistant_id="a"),
        client.threads.runs.create_and_poll("t", assistant_id="a"),
        client.threads.create_and_run_poll(assistant_id="a"),
    ]


SERVICE = '{"error": {"message": "Sorry.", "type": "server_error", "param": null, "code": null}}'
GATEWAYS = {
    "Envoy": "upstream connect error or disconnect/reset before headers. reset reason: connection",
    "nginx": "<html><head><title>503 Service Temporarily Unavailable</title></head></html>",
    "AWS": '{"message": "Service Unavailable"}',
    "text": '{"error": "Service Unavailable"}',
    "nothing": "",
    "null": "null",
    "empty error": '{"error": {}}',
    "list": '[{"error": {"message": "Sorry."}}]',
}


@pytest.mark.parametrize(
    ("status", "tries", "kind"),
    [
        (429, 3, RateLimitError),
        (503, 3, InternalServerError),
        (500, 1, None),
        (502, 1, None),
        (504, 1, None),
        (409, 1, ConflictError),
        (408, 1, None),
    ],
)
def test_a_run_is_created_again_only_if_the_service_says_that_none_was(raw, status, tries, kind):
    server = raw(refusal(status, NOW, body=SERVICE))
    with Client(base_url=server.url) as client:
        calls = creations(client)
        for call in calls:
            with pytest.raises(kind or RunOutcomeUnknown) as caught:
                call.run()
            assert caught.type is (kind or RunOutcomeUnknown)
    assert sum(map(bool, server.bodies)) == tries * len(calls)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        *((503, body) for body in GATEWAYS.values()),
        *((status, GATEWAYS["Envoy"]) for status in (408, 429, 500, 502, 504)),
    ],
)
def test_what_a_gateway_says_is_no_word_of_the_service(raw, status, body):
    server = raw(refusal(status, NOW, body=body))
    with Client(base_url=server.url) as client:
        calls = creations(client)
        for call in calls:
            with pytest.raises(RunOutcomeUnknown) as caught:
                call.run()
            assert f"HTTP {status}" in str(caught.value)
            assert isinstance(caught.value.__cause__, APIStatusError)
    assert sum(map(bool, server.bodies)) == len(calls)


@pytest.mark.parametrize("body", [GATEWAYS["Envoy"], SERVICE])
def test_what_only_reads_is_tried_again_whoever_answers(raw, body):
    server = raw(refusal(503, NOW, body=body), refusal(429, NOW, body=body), OK)
    with Client(base_url=server.url) as client:
        assert client.threads.retrieve("thread_1").run().id == "thing_1"
    assert len(server.bodies) == 3


@pytest.mark.parametrize("body", GATEWAYS.values(), ids=GATEWAYS)
def test_an_error_says_whether_it_is_of_the_service(raw, body):
    for told in (body, SERVICE):
        server = raw(refusal(503, body=told))
        with Client(base_url=server.url, max_retries=0) as client:
            with pytest.raises(InternalServerError) as caught:
                client.threads.retrieve("thread_1").run()
            assert caught.value.of_service is (told is SERVICE)


def test_a_connection_that_breaks_after_the_request_was_sent_is_not_tried_again(raw):
    server = raw(b"", OK)
    with Client(base_url=server.url) as client, pytest.raises(APIConnectionError):
        client.threads.create().run()
    assert len(server.bodies) == 1


def test_each_retry_is_one_line_of_the_log(raw, caplog):
    caplog.set_level(logging.INFO, logger="rxassist")
    server = raw(refusal(503, NOW), OK)
    with Client(base_url=server.url) as client:
        client.threads.create().run()
    (line,) = [record.getMessage() for record in caplog.records if record.name == "rxassist"]
    assert line.startswith("POST /threads: HTTP 503")


def test_additions_to_a_request(raw):
    server = raw(OK)
    with Client(base_url=server.url) as client:
        client.threads.create(
            metadata={"a": "b"},
            extra_headers={"X-Mine": "yes"},
            extra_query={"api-version": "1"},
            extra_body={"new_parameter": 1},
        ).run()
    assert b"post /v1/threads?api-version=1 " in server.heads[0]
    assert b"x-mine: yes" in server.heads[0]
    assert server.bodies[0] == b'{"metadata":{"a":"b"},"new_parameter":1}'


@pytest.mark.parametrize("header", ["Retry-After: inf", "Retry-After: nan", "Retry-After-Ms: inf"])
def test_to_wait_for_ever_is_no_time_to_wait(raw, header):
    server = raw(refusal(429, header))
    client = Client(base_url=server.url, max_retries=0)
    with client, pytest.raises(APIStatusError) as caught:
        client.threads.create().run()
    assert caught.value.retry_after is None


def test_milliseconds_go_before_seconds(raw):
    server = raw(refusal(429, "Retry-After: 3600", "Retry-After-Ms: 1"), OK)
    with Client(base_url=server.url) as client:
        assert client.threads.create().run().id == "thing_1"


def test_who_shares_a_budget_does_not_wait_longer_than_its_timeout(raw):
    server = raw(refusal(429, "Retry-After: 86400"), OK)
    with Client(base_url=server.url, budget=Budget()) as client:
        with pytest.raises(RateLimitError):
            client.threads.create().run()
        with pytest.raises(APITimeoutError, match="more than the timeout of 600"):
            client.threads.create().run()
    assert len(server.bodies) == 1


def test_what_only_reads_is_tried_again_where_the_connection_broke(raw):
    cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{"
    server = raw(cut, OK)
    with Client(base_url=server.url) as client:
        assert client.threads.retrieve("thread_1").run().id == "thing_1"
    assert len(server.bodies) == 2


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
def test_a_message_is_sent_again_only_if_the_service_says_that_it_did_not_act(raw, status):
    server = raw(refusal(status, NOW))
    with Client(base_url=server.url) as client, pytest.raises(APIStatusError):
        client.threads.messages.create("thread_1", role="user", content="hello").run()
    assert len(server.heads) == 1
    says_so = '{"error": {"message": "come back later"}}'
    server = raw(refusal(429, NOW, body=says_so), OK)
    with Client(base_url=server.url) as client:
        assert client.threads.messages.create("t", role="user", content="hello").run().id
    assert len(server.heads) == 2
