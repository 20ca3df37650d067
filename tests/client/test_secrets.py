"""No key, password or cookie is shown, wherever a server repeats it, and in whatever form."""

import asyncio
import json
import logging
import pickle
import re
import time
import traceback
from importlib.util import find_spec
from urllib.parse import quote

import httpx
import pytest

from rxassist import APIError, AsyncClient, Client, RxAssistError
from rxassist.errors import APIConnectionError, DecodeError, ThreadBusyError

OVER = ["httpx", "aiohttp"] if find_spec("httpx_aiohttp") else ["httpx"]
BEGIN = "sk-se"  # of every secret here
KEY = 'sk-sec/ret"0+1\\2%3='
SECRETS = {
    "api_key": KEY,
    "a header": "sk-sec/header-0%20",
    "a cookie": "sk-sec/cookie==",
    "basic": "sk-sec/YmFzaWM6YQ==",
    "a query": "sk-sec/query?&0",
}
OPTIONS = {
    "api_key": KEY,
    "default_headers": {
        "X-Api-Key": SECRETS["a header"],
        "Cookie": f"theme=dark; session={SECRETS['a cookie']}",
        "Proxy-Authorization": f"Basic {SECRETS['basic']}",
    },
    "default_query": {"api-key": SECRETS["a query"]},
}

FORMS = {
    "as it is": lambda secret: secret,
    "quoted": lambda secret: quote(secret, safe=""),
    "quoted in lower case": lambda secret: quote(secret, safe="").lower(),
    "quoted twice": lambda secret: quote(quote(secret, safe=""), safe=""),
    "in JSON": lambda secret: json.dumps(secret)[1:-1],
    "in JSON of PHP": lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/"),
    "in JSON in JSON": lambda secret: json.dumps(json.dumps(secret)[1:-1])[1:-1],
    "as code points": lambda secret: "".join(f"\\u{ord(char):04x}" for char in secret),
    "cut": lambda secret: secret[:9] + "...",
}


def answer(body="", status="200 OK", kind="application/json", headers=""):
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{headers}"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


def error_body(**said):
    return json.dumps({"error": {"message": "no", **said}})


def refused(status="400 Bad Request", **said):
    return answer(error_body(**said), status)


def redirected(where, status="302 Found"):
    return answer("", status, headers=f"Location: {where}\r\n")


def events(text, name="error"):
    return answer(f"event: {name}\ndata: {text}\n\n", kind="text/event-stream")


PLACES = {
    "the reason": lambda text: answer("", f"401 {text}"),
    "the reason of a page": lambda text: answer("<p>", f"500 {text}", "text/html"),
    "a message": lambda text: refused(message=f"wrong key {text}!"),
    "a message that is retried": lambda text: refused("503 Later", message=text),
    "the message of a busy thread": lambda text: refused(message=f"run_1 is active, {text}"),
    "param": lambda text: refused(param=text),
    "bare text": lambda text: answer(f"bad {text}", "400 Bad", "text/plain"),
    "an unfinished page": lambda text: answer(f"<p>{'.' * 290}{text}", "400 Bad", "text/html"),
    "the content type": lambda text: answer("x", "400 Bad", f"text/{text}"),
    "the request's id": lambda text: answer("{}", "400 Bad", headers=f"X-Request-Id: {text}\r\n"),
    "a path": lambda text: redirected(f"/v1/{text}"),
    "a path elsewhere": lambda text: redirected(f"http://127.0.0.1:9/{text}"),
    "a query": lambda text: redirected(f"/v1?next={text}"),
    "no URL": lambda text: redirected(f"http://[{text}"),
    "a port": lambda text: redirected(f"http://a.invalid:{text}/"),
    "no JSON": lambda text: answer(f'{{"id": {text}'),
    "no JSON, later": lambda text: answer(f'{{"id": "{"." * 100}", {text}'),
    "a wrong type": lambda text: answer(json.dumps({"id": [text]})),
    "a key of a wrong type": lambda text: answer(json.dumps({"id": {text: [{"a": text}]}})),
    "another thing": lambda text: answer(json.dumps([text, {"a": text}])),
    "a page": lambda text: answer(f"<p>{text}", kind="text/html"),
    "no HTTP": lambda text: f"HTTP/1.1 {text}\r\n\r\n".encode(),
    "no header": lambda text: f"HTTP/1.1 200 OK\r\n{text} \x00\r\n\r\n".encode(),
    "no chunk": lambda text: (
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{text}\r\n".encode()
    ),
    "an error event": lambda text: events(json.dumps({"message": f"bad {text}", "param": text})),
    "an error event of text": events,
    "an event of garbage": lambda text: events(f"{{{text}", "thread.run.created"),
    "an event of a wrong type": lambda text: events(json.dumps([text]), "thread.run.created"),
    "the name of an event": lambda text: events(json.dumps([text]), f"thread.{text}"),
}
"""Where a server repeats a text: what it answers."""


def shown_by(error, seen=None):
    """Everything that an error shows, and that it holds, down to the last of what it came of."""
    seen = set() if seen is None else seen
    if id(error) in seen:
        return
    seen.add(id(error))
    if isinstance(error, str | bytes):
        yield str(error)
    elif isinstance(error, dict):
        for key, value in error.items():
            yield from shown_by(key, seen)
            yield from shown_by(value, seen)
    elif isinstance(error, list | tuple | set | frozenset):
        for value in error:
            yield from shown_by(value, seen)
    elif isinstance(error, BaseException):
        yield from (str(error), repr(error), *traceback.format_exception(error))
        below = (error.args, vars(error), error.__cause__, error.__context__)
        yield from shown_by(below, seen)
        yield from shown_by(getattr(error, "exceptions", ()), seen)
    elif not isinstance(error, int | float | None):
        yield repr(error)
        yield from shown_by(getattr(error, "__dict__", None), seen)
        for name in getattr(type(error), "__slots__", ()):
            yield from shown_by(getattr(error, name, None), seen)


def all_logged(caplog):
    ours = [each for each in caplog.records if each.name.startswith("rxassist")]
    return [caplog.handler.format(each) for each in ours]


def all_shown(error, caplog):
    return [*shown_by(error), repr(pickle.dumps(error)), *all_logged(caplog)]


def errors_of(call, server, answers, over, *, is_async=False, **options):
    """What a call fails with, for each of the answers."""
    options = {"max_retries": 1, "timeout": 5, "http_client": over, **options}
    errors = []

    async def main():
        async with AsyncClient(base_url=server.url, **options) as client:
            for server.answers in ([each] for each in answers):
                with pytest.raises(RxAssistError) as caught:
                    await call(client)
                errors.append(caught.value)

    def blocking():
        with Client(base_url=server.url, **options) as client:
            for server.answers in ([each] for each in answers):
                with pytest.raises(RxAssistError) as caught:
                    call(client).run()
                errors.append(caught.value)

    asyncio.run(main()) if is_async else blocking()
    return errors


def raised(call, url, over, **options):
    """What a call fails with."""
    options = {"max_retries": 1, "timeout": 5, **options}
    with (
        Client(base_url=url, http_client=over, **options) as client,
        pytest.raises(RxAssistError) as caught,
    ):
        call(client).run()
    return caught.value


def reads(client):
    return client.threads.create(metadata={"a": "b"})


def streams(client):
    return client.threads.runs.stream(thread_id="thread_1", assistant_id="asst_1", recover=False)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("rxassist.wire.transport._FIRST_PAUSE", 0.001)


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "async"])
@pytest.mark.parametrize("place", PLACES)
def test_a_secret_that_a_server_repeats_is_shown_nowhere(raw, caplog, over, is_async, place):
    caplog.set_level(logging.DEBUG)
    call = streams if "event" in place else reads
    texts = [escaped(secret) for secret in SECRETS.values() for escaped in FORMS.values()]
    answers = [PLACES[place](text) for text in texts]
    errors = errors_of(call, raw(), answers, over, is_async=is_async, **OPTIONS)
    logged = all_logged(caplog)
    for text, error in zip(texts, errors, strict=True):
        if place == "the name of an event":
            error.snapshot = None  # it has the event, which is data
        shown = "\n".join([*shown_by(error), repr(pickle.dumps(error)), *logged])
        plain = re.sub(r"\\+u00([0-9a-f]{2})", lambda code: chr(int(code[1], 16)), shown)
        assert BEGIN not in plain.lower(), text


@pytest.mark.parametrize("over", OVER)
def test_a_token_of_a_function_is_shown_nowhere(raw, caplog, over):
    """Also the one before, which the service refused."""
    caplog.set_level(logging.DEBUG)
    tokens = iter(["sk-sec-old-0", "sk-sec-new-0"])
    server = raw(
        refused("401 No", message="sk-sec-old-0"), refused(message="sk-sec-old-0, sk-sec-new-0")
    )
    error = raised(reads, server.url, over, api_key=lambda: next(tokens))
    assert BEGIN not in "\n".join(all_shown(error, caplog))
    assert str(error).endswith("HTTP 400: ***, ***")


@pytest.mark.parametrize("place", ["a message", "a path", "no HTTP", "no JSON"])
def test_a_secret_of_a_client_of_the_users_own_is_shown_nowhere(raw, caplog, place):
    caplog.set_level(logging.DEBUG)
    server = raw(PLACES[place](KEY))

    async def main():
        own = httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"})
        async with AsyncClient(base_url=server.url, http_client=own, max_retries=0) as client:
            with pytest.raises(RxAssistError) as caught:
                await reads(client)
        return caught.value

    assert BEGIN not in "\n".join(all_shown(asyncio.run(main()), caplog))


def test_what_goes_wrong_in_a_client_of_the_users_own_is_ours(monkeypatch):
    """A port that is none, which anyio raises as a group; and its password."""

    async def main():
        own = httpx.AsyncClient(proxy="http://me:pa55@127.0.0.1:99999")
        url = "http://service.invalid/v1"
        async with AsyncClient(base_url=url, http_client=own, max_retries=0) as client:
            with pytest.raises(APIConnectionError, match="cannot connect") as caught:
                await reads(client)
        return caught.value

    error = asyncio.run(main())
    assert not error.sent
    assert "pa55" not in "\n".join(shown_by(error))


def test_no_repr_shows_a_secret(raw):
    with Client(base_url=raw().url, **OPTIONS) as client:
        secret = {"api-key": SECRETS["a query"]}
        listing = client.files.list(extra_query=secret, extra_headers=secret)
        shown = [client, client._transport, client._transport._settings, listing, listing._first]
        assert BEGIN not in "".join(map(repr, shown))


# --- what is not hidden --------------------------------------------------------------------


@pytest.mark.parametrize("key", ["k", "run", "EMPTY", "active", "invalid"])
def test_a_short_key_hides_nothing(raw, key):
    said = {"message": "run_Akx9k is active: EMPTY", "code": "invalid_k", "type": "k", "param": key}
    error = raised(reads, raw(refused(**said)).url, "httpx", api_key=key)
    assert isinstance(error, ThreadBusyError)
    assert error.run_id == "run_Akx9k"
    assert {name: getattr(error, name) for name in said} == said


@pytest.mark.parametrize("key", ["invalid_key", "invalid_request_error_1", "server_error2"])
def test_a_code_is_whole(raw, key):
    """Also where it begins as the key does: it is a word of the service, and code compares it."""
    error = raised(
        reads,
        raw(refused(code="invalid_request_error", type="server_error")).url,
        "httpx",
        api_key=key,
    )
    assert (error.code, error.type) == ("invalid_request_error", "server_error")


def test_a_code_that_holds_the_key_is_none(raw):
    error = raised(reads, raw(refused(code=f"x{KEY}", type=KEY)).url, "httpx", api_key=KEY)
    assert (error.code, error.type) == ("***", "***")


@pytest.mark.parametrize("over", OVER)
def test_an_id_that_holds_the_key_is_used_as_it_is_and_not_shown(raw, over):
    busy = refused(message="Thread thread_1 already has an active run run_secret_9.")
    ended = answer(json.dumps({"id": "run_secret_9", "status": "completed"}))
    server = raw(busy, ended, refused(message="no"))
    options = {"api_key": "run_secret_9", "max_retries": 0}

    def start(client):
        return client.threads.runs.create("thread_1", assistant_id="asst_1", if_busy="wait")

    raised(start, server.url, over, **options)
    assert b"get /v1/threads/thread_1/runs/run_secret_9 " in server.heads[1]
    error = raised(reads, raw(busy).url, over, **options)
    assert error.run_id == "run_secret_9"
    assert "run_secret_9" not in str(error) + repr(error)


def test_a_word_that_begins_as_the_key_does_is_whole(raw):
    message = "no assistant, and no assistants"
    error = raised(reads, raw(refused(message=message)).url, "httpx", api_key="assistant-key-1")
    assert error.message == "no ***, and no assistants"


# --- users and passwords in URLs -----------------------------------------------------------

URLS = {
    "as it is": "http://me:pa55@127.0.0.1:9/a",
    "with a slash": "http://me:pa55%2F@127.0.0.1:9/a",
    "user alone": "http://pa55@127.0.0.1:9/a",
    "two": "http://me:pa55@pa55@127.0.0.1:9/a",
    "quoted": quote("http://me:pa55@127.0.0.1:9/a", safe=""),
    "quoted twice": quote(quote("http://me:pa55%2F@127.0.0.1:9/a", safe=""), safe=""),
    "in JSON of PHP": r"http:\/\/me:pa55@127.0.0.1:9\/a",
    "in JSON": json.dumps('http://me:"pa55@127.0.0.1:9/a')[1:-1],
    "without a host": "http://me:pa55@/a",
    "another scheme": "ftp://me:pa55@127.0.0.1:9/a",
    "without a port": "http://me:pa55@127.0.0.1:99999/a",
}


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("place", PLACES)
def test_a_password_in_a_url_is_shown_nowhere(raw, caplog, over, place):
    caplog.set_level(logging.DEBUG)
    call = streams if "event" in place else reads
    answers = [PLACES[place](url) for url in URLS.values()]
    errors = errors_of(call, raw(), answers, over)
    for form, error in zip(URLS, errors, strict=True):
        if place == "the name of an event":
            error.snapshot = None
        assert "pa55" not in "\n".join(all_shown(error, caplog)), form


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("status", ["302 Found", "307 Moved", "301 Moved", "308 Moved"])
def test_a_password_in_a_redirect_is_shown_nowhere(raw, caplog, over, status):
    caplog.set_level(logging.DEBUG)
    places = [*URLS.values(), "http://me:pa55/word@a", "//me:pa55@:x/"]
    answers = [redirected(where, status) for where in places]
    errors = errors_of(reads, raw(), answers, over, max_retries=0)
    for where, error in zip(places, errors, strict=True):
        assert "pa55" not in "\n".join(all_shown(error, caplog)), where


@pytest.mark.parametrize("over", OVER)
def test_user_and_password_of_a_redirect_are_not_sent(raw, over):
    there = raw(answer('{"id": "thread_1"}'))
    where = there.url.replace("//", "//me:pa55@")
    server = raw(redirected(where, "307 Moved"))
    with Client(base_url=server.url, http_client=over, api_key="sk-secret-0") as client:
        assert reads(client).run().id == "thread_1"
    assert b"authorization" not in there.heads[0]


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_is_told_user_and_password(raw, monkeypatch, over, scheme):
    proxy = raw(answer("", "407 No"))
    monkeypatch.setenv(
        f"{scheme}_proxy", proxy.url.removesuffix("/v1").replace("//", "//me:pa%2F@")
    )
    raised(reads, f"{scheme}://service.invalid/v1", over, max_retries=0)
    assert b"proxy-authorization: basic bwu6cgev" in proxy.heads[0]
    assert proxy.heads[0].count(b"authorization") == 1


PROXIES = [
    "http://me:pa55@127.0.0.1:9",
    "http://me:pa55@127.0.0.1:99999",
    "http://me:pa55@",
    "me:pa55@a:b",
    "ftp://me:pa55@127.0.0.1:9",
    "http://me:pa55/word@127.0.0.1:9",
    "http://me:pa55@[::1",
    "http://127.0.0.1:0",
]


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("proxy", PROXIES)
def test_the_password_of_a_proxy_is_shown_nowhere(monkeypatch, caplog, over, scheme, proxy):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(f"{scheme}_proxy", proxy)
    error = raised(reads, f"{scheme}://service.invalid/v1", over, max_retries=0)
    assert isinstance(error, APIError)
    assert not error.sent
    assert "pa55" not in "\n".join(all_shown(error, caplog))
    if ":9" not in proxy or "99999" in proxy:
        assert "proxy" in str(error)
        assert "port" in str(error)


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("status", ["407 {}", "502 {}", "302 {}\r\nLocation: http://me:{}@a/"])
def test_a_proxy_that_repeats_its_password_shows_it_nowhere(
    raw, monkeypatch, caplog, over, scheme, status
):
    caplog.set_level(logging.DEBUG)
    for form in FORMS.values():
        proxy = raw(answer("", status.format(form(KEY), form(KEY))))
        url = proxy.url.removesuffix("/v1").replace("//", f"//me:{quote(KEY, safe='')}@")
        monkeypatch.setenv(f"{scheme}_proxy", url)
        error = raised(reads, f"{scheme}://service.invalid/v1", over, max_retries=0)
        assert BEGIN not in "\n".join(all_shown(error, caplog)).lower()


@pytest.mark.parametrize(
    "base_url",
    [
        "http://me:pa55@a.invalid",
        "http://me:pa55@a:99999",
        "http://me:pa55/x@a",
        "http://me:pa55@[a",
    ],
)
def test_a_base_url_with_a_password_is_not_shown(base_url):
    with pytest.raises(ValueError, match="base_url") as caught:
        Client(base_url=base_url)
    assert "pa55" not in "".join(shown_by(caught.value))


# --- what is below an error ----------------------------------------------------------------


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("place", PLACES)
def test_an_error_holds_nothing_of_other_libraries(raw, over, place):
    """They hold the request with its headers, and the text that could not be read."""
    call = streams if "event" in place else reads
    error = raised(call, raw(PLACES[place]("text")).url, over)
    while error is not None:
        assert isinstance(error, RxAssistError)
        assert error.__context__ in {None, error.__cause__}
        error = error.__cause__


def test_a_value_that_is_large_is_an_excerpt_and_takes_no_time():
    begin = time.process_time()
    error = DecodeError("a", "$", [["abcdefgh"] * 10] * 100_000, "text")
    assert time.process_time() - begin < 3
    assert error.value.startswith("[['abcdefgh', 'abcdefgh'")


def test_the_value_of_an_error_keeps_its_shape():
    error = DecodeError("a", "$", {"a": ["b", b"c", 1, None, ("d",)]}, "text")
    assert error.value == {"a": ["b", b"c", 1, None, ("d",)]}


# --- the log -------------------------------------------------------------------------------

FORGED = "x\nroot FORGED\x1b[31m\r\u2028\x07\u202e\x85\x00"
LATER = "HTTP/1.1 503 Later\r\nRetry-After: 0.01\r\n"


def with_body(head, body):
    body = json.dumps(body).encode()
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "async"])
def test_a_message_of_a_server_is_one_line_of_the_log(raw, caplog, over, is_async):
    caplog.set_level(logging.DEBUG)
    later = with_body(LATER, {"error": {"message": FORGED, "code": FORGED}})
    (error,) = errors_of(reads, raw(), [later], over, is_async=is_async)
    lines = all_logged(caplog)
    assert all(line.isprintable() for line in lines)
    assert sum("trying again" in line for line in lines) == 1
    assert str(error).isprintable()
    assert error.message == FORGED


@pytest.mark.parametrize("over", OVER)
def test_an_id_that_cannot_be_cancelled_is_one_line_of_the_log(raw, caplog, over):
    caplog.set_level(logging.DEBUG)
    run = json.dumps({"id": f"run{FORGED}", "thread_id": "thread_1", "status": "queued"})
    body = f"event: thread.run.created\ndata: {run}\n\n" + ": silence\n\n" * 1000
    server = raw(f"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{body}".encode())
    with Client(base_url=server.url, http_client=over) as client:
        stream = client.threads.create_and_run_stream(assistant_id="a", on_dispose="cancel")
        with stream:
            next(iter(stream))
    told = ("could not be cancelled", "was lost")  # the server may have hung up first
    lines = [line for line in all_logged(caplog) if any(each in line for each in told)]
    assert lines
    assert all(line.isprintable() for line in lines)
