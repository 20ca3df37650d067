"""Calls over real sockets: values, lists, errors; and what is sent with them."""

import asyncio
import gc
import json
import logging
import pickle

import httpx
import pytest
from attrs import evolve
from reactivex import operators as ops

import rxassist
from rxassist import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    Client,
    ClientClosed,
    DecodeError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
    RunOutcomeUnknown,
)
from rxassist.local import wait
from rxassist.models import CodeInterpreterTool, FunctionDefinition, FunctionTool, Thread

KEY = "sk-very-secret-key"


def test_a_call_is_cold_and_makes_a_request_for_each_subscription(service, client):
    thread = client.threads.create(metadata={"a": "b"}).run()
    service.requests.clear()
    call = client.threads.retrieve(thread.id)
    assert service.requests == []
    assert call.run() == call.run() == thread
    assert service.requests == [("GET", f"/v1/threads/{thread.id}")] * 2


def creations(client):
    """All calls that create something."""
    store = client.vector_stores.create().run().id
    thread = client.threads.create().run().id
    file = client.files.create(file=("a.txt", b"text"), purpose="assistants").run().id
    assistant = client.assistants.create(model="m").run().id
    return {
        "assistant": client.assistants.create(model="m"),
        "thread": client.threads.create(),
        "message": client.threads.messages.create(thread, role="user", content="hello"),
        "run": client.threads.runs.create(thread, assistant_id=assistant),
        "thread and run": client.threads.create_and_run(assistant_id=assistant),
        "file": client.files.create(file=("b.txt", b"text"), purpose="assistants"),
        "store": client.vector_stores.create(),
        "file of a store": client.vector_stores.files.create(store, file_id=file),
        "batch": client.vector_stores.file_batches.create(store, file_ids=[file]),
    }


def test_what_creates_something_creates_it_once(service, client):
    for name, call in creations(client).items():
        service.requests.clear()
        first, again, listed = call.run(), call.run(), list(call)
        assert first is again is listed[0], name
        assert [method for method, _ in service.requests] == ["POST"], name


def test_an_endpoint_that_has_no_method_is_requested_all_the_same(service, client, run_async):
    thread = client.request("POST", "/threads", body={"metadata": {"a": "b"}})
    assert thread.run() is thread.run()
    id_ = thread.run()["id"]
    call = client.request("GET", f"/threads/{id_}", extra_query={"x": "1"})
    assert call.run()["metadata"] == {"a": "b"}
    assert service.requests == [("POST", "/v1/threads"), ("GET", f"/v1/threads/{id_}")]

    async def main(client):
        with pytest.raises(NotFoundError):
            await client.request("GET", "/threads/none")
        return await client.request("DELETE", f"/threads/{id_}", timeout=5)

    assert run_async(service, main)["deleted"] is True


def test_an_empty_answer_is_nothing(raw):
    server = raw(b"HTTP/1.1 204 No Content\r\n\r\n")
    with Client(base_url=server.url) as client:
        assert client.request("PUT", "/pins/1", body={"pinned": True}).run() is None
    assert json.loads(server.bodies[0]) == {"pinned": True}


@pytest.mark.parametrize(
    ("method", "path", "more", "error", "said"),
    [
        ("get", "/threads", {}, ValueError, "method"),
        ("GET", "threads", {}, ValueError, "path"),
        ("GET", "/threads?limit=1", {}, ValueError, "extra_query"),
        ("GET", "/threads/../files", {}, ValueError, "path"),
        ("GET", "http://elsewhere.test/", {}, ValueError, "path"),
        ("GET", "/a b", {}, ValueError, "path"),
        ("POST", "/threads", {"body": [1]}, TypeError, "body"),
        ("POST", "/threads", {"body": {"a": object()}}, TypeError, "JSON"),
        ("GET", "/threads", {"limit": 1}, TypeError, "limit"),
    ],
)
def test_a_request_that_is_none_is_refused_before_it_is_made(
    client, method, path, more, error, said
):
    with pytest.raises(error, match=said):
        client.request(method, path, **more)


def test_a_client_with_other_options_shares_its_connections(raw):
    server = raw(*[answer("200 OK", json.dumps({"id": f"thread_{n}"})) for n in range(3)])
    with Client(base_url=server.url, api_key=KEY, default_headers={"x-a": "1"}) as client:
        client.threads.create().run()
        other = client.with_options(default_headers={"x-b": "2"}, max_retries=0)
        other.threads.create().run()
        client.copy(api_key="another-long-key").threads.create().run()
    heads = [head.decode().lower() for head in server.heads]
    assert ["x-a: 1" in head for head in heads] == [True] * 3
    assert ["x-b: 2" in head for head in heads] == [False, True, False]
    assert ["another-long-key" in head for head in heads] == [False, False, True]
    with pytest.raises(ClientClosed):
        other.threads.create().run()


def options_of(client):
    names = ("base_url", "timeout", "idle_timeout", "max_retries")
    mappings = ("default_headers", "default_query")
    return {name: getattr(client, name) for name in names} | {
        name: dict(getattr(client, name)) for name in mappings
    }


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_the_options_of_a_client_can_be_read(kind):
    given = {
        "base_url": "http://127.0.0.1:1/v1",
        "timeout": httpx.Timeout(7),
        "idle_timeout": 9,
        "max_retries": 5,
        "default_headers": {"X-Api-Key": KEY},
        "default_query": {"key": KEY},
    }
    client = kind(api_key=KEY, **given)
    assert options_of(client) == given
    assert options_of(client.copy()) == given
    assert options_of(client.copy(**dict.fromkeys(given, NotGiven()))) == given
    other = client.with_options(default_headers={"X-B": "2"}, timeout=3)
    assert other.default_headers == {"X-Api-Key": KEY, "X-B": "2"}
    assert (other.timeout, other.max_retries, client.timeout) == (3, 5, given["timeout"])
    usual = options_of(kind(base_url=given["base_url"]))
    assert usual == {
        "base_url": given["base_url"],
        "timeout": 600.0,
        "idle_timeout": 120.0,
        "max_retries": 2,
        "default_headers": {},
        "default_query": {},
    }


def test_headers_that_are_read_show_their_names_only():
    headers = {"X-Api-Key": KEY, "X-B": "2"}
    client = Client(base_url="http://127.0.0.1:1/v1", api_key=KEY, default_headers=headers)
    read = client.default_headers
    assert repr(read) == str(read) == "{'X-Api-Key': ..., 'X-B': ...}"
    assert read["X-Api-Key"] == KEY
    assert {**read, "X-C": "3"} == {**headers, "X-C": "3"}
    assert KEY not in repr(vars(client)) + repr(client) + repr(vars(client.copy()))
    headers["X-B"] = "changed later"
    assert dict(client.default_headers)["X-B"] == "2"
    with pytest.raises(TypeError):
        read["X-B"] = "3"


def test_a_client_knows_whether_it_is_closed(service, run_async):
    client = Client(base_url=service.base_url)
    other = client.with_options(timeout=5)
    assert not client.is_closed()
    other.threads.create().run()
    other.close()
    assert client.is_closed()
    assert other.is_closed()
    kept = []

    async def main(client):
        kept.append(client)
        return client.is_closed()

    assert run_async(service, main) is False
    assert kept[0].is_closed()


def test_a_client_with_other_options_has_the_same_places(serve):
    def script(_):
        yield wait(600)

    service = serve(script)
    with Client(base_url=service.base_url, max_connections=1) as client:
        assistant = client.assistants.create(model="m").run().id
        with client.threads.create_and_run_stream(assistant_id=assistant) as stream:
            events = iter(stream)
            next(events)
            with pytest.raises(APITimeoutError, match="all 1 connections"):
                client.with_options(timeout=0.1).threads.create().run()


def test_a_client_with_other_options_may_be_all_that_is_left(service):
    with Client(base_url=service.base_url).with_options(timeout=20) as client:
        gc.collect()
        assert client.threads.create().run().id


def test_an_asynchronous_client_with_other_options(service, run_async):
    async def main(client):
        patient = client.with_options(timeout=None, idle_timeout=5)
        assert type(patient) is AsyncClient
        thread = await patient.threads.create()
        return (await client.threads.retrieve(thread.id)) == thread

    assert run_async(service, main)


@pytest.mark.parametrize("name", ["http_client", "max_connections"])
def test_options_of_the_connections_are_not_changed(client, name):
    with pytest.raises(TypeError, match=name):
        client.with_options(**{name: None})


@pytest.mark.parametrize("wrong", [{"timeout": -1}, {"base_url": "x"}, {"default_headers": 5}])
def test_other_options_are_checked(client, wrong):
    (name,) = wrong
    with pytest.raises((TypeError, ValueError), match=name):
        client.with_options(**wrong)


def test_a_creation_that_failed_is_not_tried_again_by_itself(service, client):
    call = client.threads.messages.create("thread_none", role="user", content="hello")
    service.requests.clear()
    for _ in range(2):
        with pytest.raises(NotFoundError):
            call.run()
    assert len(service.requests) == 1


def test_models_may_be_passed_where_objects_are_expected(client):
    function = FunctionDefinition("f", parameters={"type": "object", "properties": {}})
    tools = [CodeInterpreterTool(), FunctionTool(function), {"type": "file_search"}]
    assistant = client.assistants.create(model="m", tools=iter(tools)).run()
    assert [tool.type for tool in assistant.tools] == [
        "code_interpreter",
        "function",
        "file_search",
    ]


class NotGiven:
    """As the official SDK's, which need not be there."""


class Omit:
    """As the official SDK's newer one."""


@pytest.mark.parametrize("absent", [NotGiven(), Omit()], ids=lambda absent: type(absent).__name__)
def test_what_is_not_given_in_code_that_moves_over_is_not_given(service, client, absent):
    assistant = client.assistants.create(model="m", name=absent, timeout=absent).run()
    options = {"event_handler": absent, "tools": absent, "on_dispose": absent, "metadata": absent}
    stream = client.threads.create_and_run_stream(assistant_id=assistant.id, **options)
    assert stream.get_final_text().startswith("0 1 2 ")
    thread = client.threads.create(messages=absent, extra_headers=absent).run()
    messages = client.threads.messages.list(thread.id, limit=absent, after=absent)
    assert list(messages) == []
    with pytest.raises(TypeError, match="model is missing"):
        client.assistants.create(model=absent)
    with Client(base_url=service.base_url, timeout=absent, api_key=absent) as another:
        assert another.with_options(timeout=absent).threads.create().run().id


def test_calls_chain_with_flat_map(client):
    created = client.threads.create().pipe(
        ops.flat_map(lambda t: client.threads.messages.create(t.id, role="user", content="hello"))
    )
    assert created.run().content[0].text.value == "hello"


def test_calls_are_awaited_on_an_async_client(service, run_async):
    async def main(client):
        thread = await client.threads.create()
        message = await client.threads.messages.create(thread.id, role="user", content="hello")
        return thread.id == message.thread_id

    assert run_async(service, main)


def test_a_run_is_created_once_whoever_subscribes(service, client, place):
    run = client.threads.runs.create(place.pop("thread_id"), **place)
    assert run.run().id == run.run().id
    assert sum(path.endswith("/runs") for _, path in service.requests) == 1


def test_a_list_gives_items_and_fetches_pages_when_they_are_due(service, client, place):
    thread = place["thread_id"]
    for number in range(25):
        client.threads.messages.create(thread, role="user", content=str(number)).run()
    service.requests.clear()

    listed = client.threads.messages.list(thread, order="asc", limit=10)
    assert [m.content[0].text.value for m in listed] == [str(number) for number in range(25)]

    before = len(service.requests)
    first = listed.pipe(ops.take(3), ops.to_list()).run()
    assert [m.content[0].text.value for m in first] == ["0", "1", "2"]
    assert len(service.requests) - before == 1


def test_runs_are_listed_retrieved_and_cancelled(serve):
    service = serve(lambda _: [rxassist.local.wait(60)])
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        thread = client.threads.create().run()
        run = client.threads.runs.create(thread.id, assistant_id=assistant.id).run()
        assert [r.id for r in client.threads.runs.list(thread.id)] == [run.id]
        client.threads.runs.cancel(run.id, thread_id=thread.id).run()
        service.wait_for(lambda: not service.active_runs)
        assert client.threads.runs.retrieve(run.id, thread_id=thread.id).run().status == "cancelled"


# --- errors --------------------------------------------------------------------------------


def test_not_found(client):
    with pytest.raises(NotFoundError) as caught:
        client.threads.runs.retrieve("run_x", thread_id="thread_x").run()
    error = caught.value
    assert error.status_code == 404
    assert error.type == "invalid_request_error"
    assert error.request_id is not None
    assert "No thread found with id 'thread_x'" in str(error)
    assert error.request_id in str(error)


def test_bad_request(client, place):
    run = client.threads.runs.create(place.pop("thread_id"), **place)
    created = run.run()
    with pytest.raises(BadRequestError) as caught:
        client.threads.runs.submit_tool_outputs(
            created.id, thread_id=created.thread_id, tool_outputs=[]
        ).run()
    assert caught.value.status_code == 400


def test_a_wrong_key_is_refused_and_not_shown(serve, caplog):
    caplog.set_level(logging.DEBUG)
    service = serve(api_key="right")
    with Client(base_url=service.base_url, api_key=KEY) as client:
        stream = client.threads.create_and_run_stream(assistant_id="asst_x")
        for call in (client.threads.create(), stream):
            with pytest.raises(AuthenticationError) as caught:
                call.run()
            assert KEY not in str(caught.value) + repr(caught.value)
        assert KEY not in repr(vars(client)) + repr(client)
    assert KEY not in caplog.text
    with Client(base_url=service.base_url, api_key="right") as client:
        assert client.threads.create().run().id


def answer(status, body, kind="application/json", *headers):
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", "connection: close", *headers]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", body]).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "error", "says"),
    [
        ("429 Too Many Requests", '{"error": {"message": "slow down"}}', "json", RateLimitError,
         "slow down"),
        ("502 Bad Gateway", "<html><h1>Bad gateway</h1></html>", "text/html", InternalServerError,
         "Bad gateway"),
        ("500 Internal Server Error", "", "text/plain", InternalServerError,
         "Internal Server Error"),
        ("503 Service Unavailable", '{"error": "overloaded"}', "json", InternalServerError,
         "overloaded"),
        ("418 I'm a teapot", '{"message": "short and stout", "code": 7}', "json", APIStatusError,
         "short and stout"),
        ("400 Bad Request", '{"detail": "no such thing"}', "json", BadRequestError,
         "no such thing"),
    ],
)  # fmt: skip
def test_bodies_of_errors_always_say_something(raw, status, body, kind, error, says):
    with Client(
        base_url=raw(answer(status, body, kind, "Retry-After: 3")).url, max_retries=0
    ) as client:
        for call in (
            client.threads.create(),
            client.threads.runs.stream(thread_id="t", assistant_id="a"),
        ):
            with pytest.raises(APIError) as caught:
                call.run()
            told = caught.value
            assert says in str(told)
            told = told.__cause__ if isinstance(told, RunOutcomeUnknown) else told
            assert type(told) is error
            assert says in str(told)
            assert told.status_code == int(status[:3])
            assert told.retry_after == 3


def test_a_key_that_a_server_repeats_is_not_shown(raw):
    body = json.dumps({"error": {"message": f"Incorrect key: {KEY}", "code": KEY}})
    server = raw(answer("401 Unauthorized", body))
    client = Client(base_url=server.url, api_key=KEY)
    with client, pytest.raises(AuthenticationError, match=r"\*\*\*") as caught:
        client.threads.create().run()
    assert KEY not in str(caught.value) + str(vars(caught.value))


def test_errors_can_be_pickled(client):
    with pytest.raises(NotFoundError) as caught:
        client.threads.runs.retrieve("run_x", thread_id="thread_x").run()
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy), vars(copy)) == (
        NotFoundError,
        str(caught.value),
        vars(caught.value),
    )


def test_an_async_client_may_be_closed_when_its_loop_is_gone(raw):
    async def use(client):
        await client.threads.create()

    client = AsyncClient(base_url=raw(answer("200 OK", '{"id": "thread_1"}')).url)
    asyncio.run(use(client))
    asyncio.run(client.close())  # its loop is gone, and what was open on it
    with pytest.raises(ClientClosed):
        asyncio.run(use(client))


def test_no_server():
    lonely = Client(base_url="http://127.0.0.1:9/v1")
    with lonely, pytest.raises(APIConnectionError, match="POST /threads"):
        lonely.threads.create().run()


def test_a_server_that_says_nothing_in_time(serve):
    service = serve(lambda _: [rxassist.local.wait(60)])
    with Client(base_url=service.base_url, idle_timeout=0.5) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id, recover=False)
        with pytest.raises(APITimeoutError) as caught:
            stream.until_done()
    assert caught.value.snapshot.run.status == "in_progress"


@pytest.mark.parametrize("body", ["<html></html>", "", '{"id": ', "[]"])
def test_a_success_that_is_no_object_is_an_error(raw, body):
    with Client(base_url=raw(answer("200 OK", body)).url) as client, pytest.raises(DecodeError):
        client.threads.create().run()


def test_what_is_sent(raw):
    server = raw(answer("200 OK", '{"id": "asst_1"}'))
    with Client(base_url=server.url, api_key=KEY) as client:
        client.assistants.create(model="m", name=None).run()
    assert json.loads(server.bodies[0]) == {"model": "m", "name": None}  # a null, and no more
    assert f"authorization: bearer {KEY}".encode() in server.heads[0]
    assert b"openai-beta: assistants=v2" in server.heads[0]
    assert b"user-agent: rxassist/" in server.heads[0]


@pytest.mark.parametrize(
    ("path", "is_sent"),
    [
        ("/assistants/asst_1", True),
        ("/threads", True),
        ("/vector_stores/vs_1/files", True),
        ("/files", False),
        ("/responses", False),
        ("/threads_of_mine", False),
    ],
)
def test_the_beta_header_goes_only_where_the_official_sdk_sends_it(raw, path, is_sent):
    server = raw(answer("200 OK", "{}"), answer("200 OK", "{}"))
    with Client(base_url=server.url) as client:
        client.request("GET", path).run()
        mine = client.with_options(default_headers={"openai-beta": "mine=v1"})
        mine.request("GET", path).run()
    assert (b"openai-beta: assistants=v2" in server.heads[0]) == is_sent
    assert b"openai-beta: mine=v1" in server.heads[1]
    assert b"assistants=v2" not in server.heads[1]


def test_without_a_key_none_is_sent(raw, monkeypatch):
    for name in ("RXASSIST_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    server = raw(answer("200 OK", '{"id": "thread_1"}'))
    with Client(base_url=server.url) as client:
        client.threads.create().run()
    assert b"authorization" not in server.heads[0]


# --- where a client lives ------------------------------------------------------------------


def test_a_closed_client_says_so(client):
    client.threads.create().run()
    client.close()
    client.close()
    with pytest.raises(ClientClosed):
        client.threads.create().run()


def test_a_client_that_was_used_before_a_fork_says_so(client, monkeypatch):
    call = client.threads.create()
    call.run()
    with monkeypatch.context() as child:
        child.setattr("os.getpid", lambda: -1)
        with pytest.raises(rxassist.WrongLoopError, match="fork"):
            call.run()


def test_an_async_client_needs_a_loop_and_keeps_to_it(service):
    client = AsyncClient(base_url=service.base_url)
    with pytest.raises(rxassist.WrongLoopError, match="use Client"):
        client.threads.create().run()

    async def use():
        await client.threads.create()
        await client._transport.close()

    asyncio.run(use())
    with pytest.raises(rxassist.WrongLoopError, match="another event loop"):
        asyncio.run(use())


def test_an_async_client_names_asyncio_under_trio(service):
    trio = pytest.importorskip("trio")

    async def main():
        async with AsyncClient(base_url=service.base_url) as client:
            await client.threads.create()

    with pytest.raises(rxassist.WrongLoopError, match="asyncio"):
        trio.run(main)


def test_what_a_sync_client_gives_is_not_awaited(client):
    async def main():
        await client.threads.create()

    with pytest.raises(TypeError, match="AsyncClient"):
        asyncio.run(main())


def test_an_answer_without_an_end_has_a_bound(raw):
    endless = answer("200 OK", '{"id": "' + "x" * 100_000 + '"}')
    with Client(base_url=raw(endless).url) as client:
        client_resource = client.threads
        request = evolve(client_resource._request("GET", "/threads/t", {}), max_bytes=1_000)
        with pytest.raises(APIError, match="larger than 1000 bytes"):
            client_resource._call(Thread, request).run()
