"""Keys, tokens, Azure AI Foundry, and where credentials go."""

import asyncio
import base64
import json
import threading
import time
import traceback
from concurrent.futures import Future
from typing import NamedTuple

import pytest

from rxassist import AsyncClient, AuthenticationError, Client, RxAssistError, models
from rxassist.errors import APIError

OK_BODY = b'{"id": "thing_1"}'
OK = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(OK_BODY), OK_BODY)
)
REFUSED = b"HTTP/1.1 401 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Access(NamedTuple):
    token: str
    expires_on: float


def jwt(name, end):
    claims = base64.urlsafe_b64encode(json.dumps({"exp": end}).encode()).decode().rstrip("=")
    return f"{name}.{claims}.signature"


def authorizations(server):
    lines = [line for head in server.heads for line in head.split(b"\r\n")]
    prefix = b"authorization: bearer "
    return [line[len(prefix) :].decode() for line in lines if line.startswith(prefix)]


class Asked:
    """A credential that gives the next of some tokens each time."""

    def __init__(self, *tokens):
        self.tokens = list(tokens)
        self.threads = set()

    def __call__(self):
        self.threads.add(threading.current_thread())
        return self.tokens.pop(0)


def twice(client):
    return [client.threads.create().run().id for _ in range(2)]


# --- tokens ---


def test_a_function_is_asked_once_while_its_token_is_good(raw):
    server = raw(OK)
    credential = Asked("one", "two")
    with Client(base_url=server.url, api_key=credential) as client:
        twice(client)
    assert authorizations(server) == ["one", "one"]
    assert credential.threads.isdisjoint({threading.main_thread()})


def test_a_coroutine_function_is_awaited(raw):
    server = raw(OK)

    async def credential():
        await asyncio.sleep(0)
        return "awaited"

    async def main():
        async with AsyncClient(base_url=server.url, api_key=credential) as client:
            await client.threads.create()

    asyncio.run(main())
    assert authorizations(server) == ["awaited"]


@pytest.mark.parametrize("end", [10, 3600], ids=["too soon", "later"])
@pytest.mark.parametrize("kind", [Access, jwt], ids=["object", "jwt"])
def test_a_token_is_asked_for_again_when_it_ends(raw, kind, end):
    server = raw(OK)
    end += int(time.time())
    with Client(base_url=server.url, api_key=Asked(kind("a", end), kind("b", end))) as client:
        twice(client)
    first, second = authorizations(server)
    assert (first == second) == (end - time.time() > 60)


def test_a_401_asks_for_another_token_once(raw):
    server = raw(REFUSED, OK, OK)
    with Client(base_url=server.url, api_key=Asked("old", "new")) as client:
        twice(client)
    assert authorizations(server) == ["old", "new", "new"]


def test_a_run_is_created_with_the_new_token_too(raw):
    server = raw(REFUSED, OK)
    with Client(base_url=server.url, api_key=Asked("old", "new")) as client:
        assert client.threads.runs.create("t", assistant_id="a").run().id == "thing_1"
    assert authorizations(server) == ["old", "new"]


@pytest.mark.parametrize("key", ["fixed", Asked("one", "two")], ids=["text", "function"])
def test_a_second_401_is_an_error(raw, key):
    server = raw(REFUSED)
    with Client(base_url=server.url, api_key=key) as client, pytest.raises(AuthenticationError):
        client.threads.create().run()
    assert len(server.heads) == (1 if key == "fixed" else 2)


def test_many_requests_at_once_ask_once(raw):
    server = raw(OK)

    async def main():
        async with AsyncClient(base_url=server.url, api_key=Asked("one")) as client:

            async def create():
                await client.threads.create()

            await asyncio.gather(*(create() for _ in range(10)))

    asyncio.run(main())
    assert authorizations(server) == ["one"] * 10


@pytest.mark.parametrize("token", [None, 5, "", "a b", "sécret\n"])
def test_what_is_no_token_is_an_error_without_being_shown(raw, token):
    with (
        Client(base_url=raw(OK).url, api_key=lambda: token) as client,
        pytest.raises((TypeError, ValueError), match="what api_key returned") as caught,
    ):
        client.threads.create().run()
    assert "cret" not in str(caught.value)


def test_an_exception_of_the_credential_reaches_the_caller(raw):
    def credential():
        message = "no login"
        raise LookupError(message)

    with (
        Client(base_url=raw(OK).url, api_key=credential) as client,
        pytest.raises(LookupError, match="no login"),
    ):
        client.threads.create().run()


class Exhausted:
    """Credentials that give no token, in every way there is."""

    def __init__(self, error):
        self.error = error

    def function(self):
        raise self.error

    async def coroutine_function(self):
        raise self.error

    def function_of_a_coroutine(self):
        return self.coroutine_function()

    @property
    def foundry(self):
        return NamedCredential(lambda *_: self.function())

    @property
    def asynchronous_foundry(self):
        async def get_token(*_):
            raise self.error

        return NamedCredential(get_token)


class NamedCredential:
    def __init__(self, get_token):
        self.get_token = get_token


WAYS = [
    "function",
    "coroutine_function",
    "function_of_a_coroutine",
    "foundry",
    "asynchronous_foundry",
]
CALLS = {
    "a call": lambda client: client.threads.create(),
    "a list": lambda client: client.files.list(),
    "a stream": lambda client: client.threads.create_and_run_stream(assistant_id="a"),
    "a poll": lambda client: client.threads.create_and_run_poll(assistant_id="a"),
}


def asked_of(kind, url, way, error):
    """A client whose credential raises an error."""
    credential = getattr(Exhausted(error), way)
    if "foundry" in way:
        return kind.foundry(url, credential)
    return kind(base_url=url, api_key=credential)


def outcome_of(function):
    """What a function raises, in a thread, so that one that hangs fails the test."""
    outcome = Future()

    def work():
        try:
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001 -- it is what is tested
            outcome.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return outcome.exception(10)


ENDS = [StopIteration, StopAsyncIteration, asyncio.CancelledError]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("way", WAYS)
def test_a_credential_that_ends_or_cancels_gives_no_token(raw, way, call):
    url = raw(OK).url
    for kind in ENDS:
        with asked_of(Client, url, way, kind("tok-secret")) as client:
            error = outcome_of(CALLS[call](client).run)
        assert type(error) is RxAssistError, kind
        assert "api_key gave no token" in str(error)
        assert kind.__name__ in str(error)
        assert "tok-secret" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("way", WAYS)
def test_a_credential_that_ends_or_cancels_gives_no_token_to_coroutines(raw, way, call):
    url = raw(OK).url

    async def main(kind):
        async with asyncio.timeout(5), asked_of(AsyncClient, url, way, kind("tok")) as client:
            with pytest.raises(RxAssistError, match="api_key gave no token") as caught:
                await CALLS[call](client)
            assert type(caught.value) is RxAssistError

    for kind in ENDS:
        asyncio.run(main(kind))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_code_that_waits_gets_what_ends_the_program(raw, way, kind):
    raised = kind("mine")
    url = raw(OK).url
    with asked_of(Client, url, way, raised) as client:
        for call in CALLS.values():
            assert outcome_of(call(client).run) is raised

    async def main():
        async with asyncio.timeout(5), asked_of(AsyncClient, url, way, raised) as client:
            await CALLS["a call"](client)

    assert outcome_of(lambda: asyncio.run(main())) is raised


@pytest.mark.parametrize("way", ["function", "coroutine_function"])
def test_a_task_that_is_cancelled_while_it_waits_for_a_token_is_cancelled(raw, way):
    begun, free = threading.Event(), threading.Event()

    def function():
        begun.set()
        free.wait(10)
        return "tok"

    async def coroutine_function():
        begun.set()
        await asyncio.get_running_loop().create_future()

    async def main():
        credential = {"function": function, "coroutine_function": coroutine_function}[way]
        async with AsyncClient(base_url=raw(OK).url, api_key=credential) as client:

            async def create():
                await client.threads.create()

            task = asyncio.create_task(create())
            await asyncio.to_thread(begun.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            free.set()

    asyncio.run(main())


def test_after_a_credential_that_gave_no_token_it_is_asked_again(raw):
    server = raw(OK)
    outcomes = [StopIteration("over"), "tok"]

    def credential():
        outcome = outcomes.pop(0)
        if isinstance(outcome, str):
            return outcome
        raise outcome

    with Client(base_url=server.url, api_key=credential) as client:
        with pytest.raises(RxAssistError, match="StopIteration"):
            client.threads.create().run()
        client.threads.create().run()
    assert authorizations(server) == ["tok"]


def test_a_token_that_a_server_repeats_is_not_shown(raw):
    body = b'{"error": {"message": "bad token-123 and token-456"}}'
    head = b"HTTP/1.1 401 No\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    with (
        Client(base_url=raw(head + body).url, api_key=Asked("token-123", "token-456")) as client,
        pytest.raises(AuthenticationError) as caught,
    ):
        client.threads.create().run()
    assert "token-" not in repr(caught.value) + str(caught.value)


# --- Azure AI Foundry ---


def first_lines(server):
    return [head.split(b"\r\n")[0].decode() for head in server.heads]


@pytest.mark.parametrize("slash", ["", "/"])
def test_foundry_has_paths_without_v1_and_its_version_in_the_query(raw, slash):
    server = raw(OK)
    endpoint = server.url.removesuffix("/v1") + "/api/projects/mine" + slash
    with Client.foundry(endpoint, "tok") as client:
        client.threads.create().run()
        client.threads.messages.retrieve("msg_1", thread_id="t").run()
    with Client.foundry(endpoint, "tok", api_version="2025-05-01", max_retries=0) as client:
        client.threads.runs.create("t", assistant_id="a").run()
    assert first_lines(server) == [
        "post /api/projects/mine/threads?api-version=v1 http/1.1",
        "get /api/projects/mine/threads/t/messages/msg_1?api-version=v1 http/1.1",
        "post /api/projects/mine/threads/t/runs?api-version=2025-05-01 http/1.1",
    ]
    assert authorizations(server) == ["tok"] * 3


def test_foundry_asks_a_credential_of_azure_identity_for_its_scope(raw):
    server = raw(OK)
    asked = []

    class Credential:
        def get_token(self, *scopes):
            asked.append(scopes)
            return Access("entra", time.time() + 3600)

    with Client.foundry(server.url, Credential()) as client:
        twice(client)
    assert asked == [("https://ai.azure.com/.default",)]
    assert authorizations(server) == ["entra", "entra"]


def test_foundry_awaits_an_asynchronous_credential(raw):
    server = raw(OK)

    class Credential:
        async def get_token(self, *scopes):
            return Access(f"entra-{len(scopes)}", time.time() + 3600)

    async def main():
        async with AsyncClient.foundry(server.url, Credential()) as client:
            await client.threads.create()

    asyncio.run(main())
    assert authorizations(server) == ["entra-1"]


@pytest.mark.parametrize(
    ("endpoint", "credential", "error", "match"),
    [
        ("nowhere", "tok", ValueError, "endpoint"),
        (None, "tok", ValueError, "endpoint"),
        ("https://a.test/api/projects/p", None, TypeError, "credential"),
        ("https://a.test/api/projects/p", 5, TypeError, "credential"),
        ("https://a.test/api/projects/p", "a b", ValueError, "key"),
    ],
)
def test_foundry_refuses_what_it_cannot_use(endpoint, credential, error, match):
    with pytest.raises(error, match=match):
        Client.foundry(endpoint, credential)


def test_foundry_streams_and_polls_a_run(serve):
    service = serve()
    with Client.foundry(service.base_url, "tok") as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
        assert stream.get_final_run().status == "completed"
        assert client.threads.create_and_run_poll(assistant_id=assistant.id).run().status


def test_an_approval_is_read_and_answered(raw):
    waiting = {
        "id": "run_1",
        "status": "requires_action",
        "required_action": {
            "type": "submit_tool_approval",
            "submit_tool_approval": {
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "mcp",
                        "name": "search",
                        "arguments": "{}",
                        "server_label": "docs",
                    }
                ]
            },
        },
    }
    body = json.dumps(waiting).encode()
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    server = raw(head + body, OK)
    with Client.foundry(server.url, "tok") as client:
        run = client.threads.runs.retrieve("run_1", thread_id="t").run()
        (call,) = run.required_action.submit_tool_approval.tool_calls
        assert call == models.RequiredActionMCPToolCall("call_1", "search", "{}", "docs")
        approvals = [{"tool_call_id": call.id, "approve": True}]
        client.threads.runs.submit_tool_outputs(
            "run_1", thread_id="t", tool_approvals=approvals
        ).run()
    assert json.loads(server.bodies[1]) == {"tool_approvals": approvals}


# --- redirects ---


def redirect(status, where):
    head = f"HTTP/1.1 {status} Moved\r\nlocation: {where}\r\nconnection: close\r\n"
    return (head + "content-length: 0\r\n\r\n").encode()


def test_no_credential_follows_a_redirect_to_another_host(raw):
    there = raw(OK)
    here = raw(redirect(307, there.url.replace("127.0.0.1", "localhost") + "/threads"))
    secret = {"api-key": "other-secret"}
    with Client(base_url=here.url, api_key="my-secret", default_headers=secret) as client:
        client.threads.create(metadata={"a": "b"}, extra_headers={"x-mine": "third-secret"}).run()
    assert here.heads[0].count(b"secret") == 3
    assert b"secret" not in there.heads[0]
    assert json.loads(there.bodies[0]) == {"metadata": {"a": "b"}}


def test_credentials_follow_a_redirect_on_the_same_host(raw):
    server = raw(redirect(308, "/elsewhere"), OK)
    with Client(base_url=server.url, api_key="my-secret") as client:
        client.threads.create().run()
    assert authorizations(server) == ["my-secret"] * 2


def test_a_redirect_that_makes_another_request_of_it_is_an_error(raw):
    server = raw(redirect(302, "/v2/threads"), OK)
    with Client(base_url=server.url) as client, pytest.raises(APIError, match="set base_url"):
        client.threads.create().run()
    assert len(server.heads) == 1


def test_redirects_end(raw):
    server = raw(redirect(307, "/v1/threads"))
    with Client(base_url=server.url) as client, pytest.raises(APIError, match="more than 20"):
        client.threads.create().run()


@pytest.mark.parametrize("how", ["default", "extra"])
def test_a_credential_in_a_header_is_not_shown_either(raw, how):
    body = b'{"error": {"message": "bad header-secret"}}'
    head = b"HTTP/1.1 400 No\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    headers = {"api-key": "header-secret"}
    given = {"default_headers": headers} if how == "default" else {}
    options = {"extra_headers": headers} if how == "extra" else {}
    with (
        Client(base_url=raw(head + body).url, **given) as client,
        pytest.raises(APIError) as caught,
    ):
        client.threads.create(**options).run()
    assert "secret" not in str(caught.value) + repr(caught.value)
