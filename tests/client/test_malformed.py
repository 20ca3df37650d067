"""What cannot be sent is an error of ours that names it, before anything is sent."""

import json
from importlib.util import find_spec
from io import BytesIO

import pytest

from rxassist import APIError, Client, RxAssistError
from rxassist.errors import APIConnectionError

OVER = ["httpx", "aiohttp"] if find_spec("httpx_aiohttp") else ["httpx"]
HALF = "a\ud800b"  # of a surrogate pair: no encoding has it
BODY = b'{"id": "thing_1", "data": []}'
OK = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(BODY), BODY)
)


def upload(*file, **given):
    return lambda client: client.files.create(file=file, **{"purpose": "assistants"} | given)


REFUSED = {
    "thread_id": lambda client: client.threads.retrieve(HALF),
    "run_id": lambda client: client.threads.runs.retrieve(HALF, thread_id="t"),
    "step_id": lambda client: client.threads.runs.steps.retrieve(HALF, thread_id="t", run_id="r"),
    "message_id": lambda client: client.threads.messages.retrieve(HALF, thread_id="t"),
    "assistant_id": lambda client: client.assistants.retrieve(HALF),
    "file_id": lambda client: client.files.content(HALF),
    "vector_store_id": lambda client: client.vector_stores.retrieve(HALF),
    "batch_id": lambda client: client.vector_stores.file_batches.retrieve(
        HALF, vector_store_id="v"
    ),
    "after": lambda client: client.files.list(after=HALF),
    "purpose": lambda client: client.files.list(purpose=HALF),
    "x": lambda client: client.files.list(extra_query={"x": HALF}),
    "a name in a query": lambda client: client.files.list(extra_query={HALF: "x"}),
    "extra_headers, at 'x',": lambda client: client.files.list(extra_headers={"x": HALF}),
    "a name in extra_headers": lambda client: client.files.list(extra_headers={HALF: "x"}),
    "the name of a file": upload(HALF, b"x"),
    "the content type of a file": upload("x", b"x", f"text/{HALF}"),
    "purpose ": upload("x", b"x", purpose=HALF),
    "a name in extra_body": upload("x", b"x", extra_body={HALF: "x"}),
    "y": upload("x", b"x", extra_body={"y": HALF}),
}


@pytest.fixture(params=OVER)
def over(request):
    return request.param


@pytest.mark.parametrize("name", REFUSED)
def test_half_of_a_surrogate_pair_is_refused_by_name(raw, over, name):
    server = raw(OK)
    with (
        Client(base_url=server.url, http_client=over) as client,
        pytest.raises(ValueError, match=f"^{name.strip()} must") as caught,
    ):
        REFUSED[name](client).run()
    assert type(caught.value) is ValueError
    assert server.heads == []


@pytest.mark.parametrize("where", ["default_query", "default_headers"])
@pytest.mark.parametrize("given", [{"x": HALF}, {HALF: "x"}], ids=["value", "name"])
def test_half_of_a_surrogate_pair_is_refused_in_a_client(where, given):
    with pytest.raises(ValueError, match=where) as caught:
        Client(base_url="http://127.0.0.1:9", **{where: given})
    assert type(caught.value) is ValueError


def test_json_can_hold_half_of_a_surrogate_pair(raw, over):
    server = raw(OK)
    with Client(base_url=server.url, http_client=over) as client:
        client.threads.create(metadata={"a": HALF}).run()
    assert json.loads(server.bodies[0]) == {"metadata": {"a": HALF}}


@pytest.mark.parametrize("name", ["", "a b", "a\r\nb", "a:", "é", "a\0"])
def test_a_name_that_no_header_has_is_refused(raw, over, name):
    server = raw(OK)
    with (
        Client(base_url=server.url, http_client=over) as client,
        pytest.raises(ValueError, match="extra_headers must hold names"),
    ):
        client.threads.retrieve("t", extra_headers={name: "x"})
    with pytest.raises(ValueError, match="default_headers must hold names"):
        Client(base_url=server.url, default_headers={name: "x"})
    assert server.heads == []


# --- parts of a form -----------------------------------------------------------------------

EVIL = ["text/plain\r\nX-Evil: 1", "text/plain\nX-Evil: 1", "text/plain\r", "a\0", "é", "a\u2028b"]


class Given:
    """A file as web frameworks give it."""

    def __init__(self, content_type):
        self.file, self.filename, self.content_type = BytesIO(b"x"), "a.txt", content_type


@pytest.mark.parametrize("kind", EVIL)
def test_a_content_type_of_more_than_one_line_is_refused(raw, over, kind):
    server = raw(OK)
    with Client(base_url=server.url, http_client=over) as client:
        stores = client.vector_stores
        for call in (
            lambda: client.files.create(file=("a.txt", b"x", kind), purpose="assistants"),
            lambda: client.files.create(file=Given(kind), purpose="assistants"),
            lambda: stores.files.upload(vector_store_id="v", file=("a.txt", b"x", kind)),
            lambda: stores.file_batches.upload_and_poll("v", files=[("a.txt", b"x", kind)]),
        ):
            with pytest.raises(ValueError, match="the content type of a file must be"):
                call()
    assert server.heads == []


def test_a_content_type_that_is_no_text_is_refused(raw, over):
    with (
        Client(base_url=raw(OK).url, http_client=over) as client,
        pytest.raises(TypeError, match="the content type of a file must be text, got 5"),
    ):
        client.files.create(file=("a.txt", b"x", 5), purpose="assistants")


@pytest.mark.parametrize("evil", ["a\r\nX-Evil: 1", 'a"; x="', "a\r\n\r\nbody"])
def test_no_name_of_a_part_makes_another_header(raw, over, evil):
    server = raw(OK)
    with Client(base_url=server.url, http_client=over) as client:
        extra = {evil: "value"}
        client.files.create(file=(evil, b"x"), purpose="assistants", extra_body=extra).run()
    heads = [part.split(b"\r\n\r\n")[0] for part in server.bodies[0].split(b"\r\n--")]
    assert all(b"X-Evil" not in line for head in heads for line in head.split(b"\r\n")[3:])
    assert sum(head.count(b"\r\n") for head in heads[:4]) <= 6
    assert b"\r\nX-Evil" not in server.bodies[0]


# --- ports ---------------------------------------------------------------------------------


@pytest.mark.parametrize("port", ["0", "65536", "99999", "-1", "9" * 30, "x", "٣"])
def test_a_port_that_is_none_is_refused_in_a_base_url(port):
    with pytest.raises(ValueError, match=r"base_url must .*port from 1 to 65535") as caught:
        Client(base_url=f"http://127.0.0.1:{port}/v1")
    assert caught.value.__context__ is None


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("where", ["http://127.0.0.1:99999/a", "http://127.0.0.1:0/a", "ftp://a/b"])
def test_a_redirect_to_what_is_no_address_names_it(raw, over, where, status):
    head = f"HTTP/1.1 {status} No\r\nlocation: {where}\r\ncontent-length: 0\r\n\r\n"
    server = raw(head.encode())
    with Client(base_url=server.url, http_client=over) as client:
        for call in (client.threads.create(), client.threads.retrieve("t")):
            with pytest.raises(APIError, match=f"HTTP {status} redirects to {where}"):
                call.run()


@pytest.mark.parametrize("port", [0, 65536, 99999])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_port_that_is_none_is_named_for_a_proxy(monkeypatch, over, port, scheme):
    monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{port}")
    with (
        Client(base_url=f"{scheme}://service.invalid/v1", http_client=over) as client,
        pytest.raises(APIConnectionError, match=f"proxy for {scheme} .*:{port}") as caught,
    ):
        client.threads.create().run()
    assert not caught.value.sent


def test_a_cookie_that_no_header_can_hold_is_not_sent_back(raw, over):
    head = (
        b"HTTP/1.1 307 No\r\nset-cookie: a=\x01; Path=/\r\nlocation: /v1\r\n"
        b"connection: close\r\ncontent-length: 0\r\n\r\n"
    )
    server = raw(head, OK)
    with Client(base_url=server.url, http_client=over) as client:
        client.threads.create().run()
        client.threads.create().run()
    assert all(b"\x01" not in head for head in server.heads)


# --- what servers say ----------------------------------------------------------------------


@pytest.mark.parametrize("id_", ["\\ud800", "a/../b", "a b", "."])
@pytest.mark.parametrize("call", ["poll", "cancel", "stream"])
def test_an_id_of_a_server_that_is_none_is_an_error_of_it(raw, over, id_, call):
    body = f'{{"id": "{id_}", "status": "queued", "thread_id": "t"}}'
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    events = f"event: thread.run.created\ndata: {body}\n\n"
    stream = f"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{events}"
    server = raw((stream if call == "stream" else head + body).encode())
    with Client(base_url=server.url, http_client=over) as client:
        threads = client.threads
        made = {
            "poll": lambda: threads.create_and_run_poll(assistant_id="a"),
            "cancel": lambda: threads.runs.create_and_poll("t", assistant_id="a"),
            "stream": lambda: threads.create_and_run_stream(assistant_id="a"),
        }[call]()
        with pytest.raises(RxAssistError):
            made.run()
