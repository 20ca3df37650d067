"""Between a client and its sockets: headers, cookies, proxies, and who lets go of them."""

import asyncio
import gc
import gzip
import os
import subprocess
import sys
import traceback
from importlib.util import find_spec

import httpx
import pytest

from rxassist import APIConnectionError, APIError, APITimeoutError, AsyncClient, Client
from rxassist.wire.http_client import Network, Pools, _Shared, was_sent
from rxassist.wire.proxies import Proxies

ANSWER = b'{"id": "thread_1"}'
OVER_AIOHTTP = find_spec("httpx_aiohttp") is not None


def answer(body=ANSWER, *headers):
    lines = [b"HTTP/1.1 200 OK", b"Connection: close", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


@pytest.fixture(params=["httpx", "aiohttp"])
def over(request):
    if request.param == "aiohttp" and not OVER_AIOHTTP:
        pytest.skip("the extra aiohttp is not installed")
    return request.param


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def create(base_url, over, times=1, **options):
    with Client(base_url=base_url, http_client=over, **options) as client:
        for _ in range(times):
            assert client.threads.create().run().id == "thread_1"


# --- what is sent --------------------------------------------------------------------------


GIVEN = {"OpenAI-Beta": "assistants=v2", "User-Agent": "rxassist/1", "Accept": "application/json"}


@pytest.mark.parametrize(
    ("method", "url", "given"),
    [
        ("GET", "http://127.0.0.1:8765/v1/threads/t", {}),
        (
            "GET",
            "http://[::1]:8765/v1/threads/a%2Fb%20c",
            {"params": [("after", "ä&b"), ("n", "1")]},
        ),
        ("GET", "https://example.com/a b/ü", {"params": [("", ""), ("x", "2"), ("x", "3")]}),
        ("DELETE", "https://EXAMPLE.com:443/v1/../v2/files/f", {}),
        ("POST", "http://example.com:80/v1/threads", {}),
        ("POST", "http://bücher.example/v1/threads", {"content": b'{"a": 1}'}),
        ("POST", "http://example.com/", {"content": b"{}", "headers": {"host": "other"}}),
        ("GET", "http://example.com/", {"headers": {"user-agent": "mine", "ACCEPT-encoding": ""}}),
        ("GET", "http://example.com/", {"headers": {"X-Name": "1", "x-name": "2"}}),
    ],
)
def test_a_request_is_what_httpx_would_make_of_it(method, url, given):
    timeout = (1.0, None, 3.0, 4.0)
    how = {"params": None, "timeout": timeout, **given}
    how["headers"] = GIVEN | given.get("headers", {})
    theirs = httpx.AsyncClient(transport=httpx.MockTransport(httpx.Response))
    wanted = theirs.build_request(method, url, **how)
    shared = _Shared(Network().tls(), Proxies())
    for _ in range(2):  # the second one of what was kept
        made = shared.build_request(method, url, **how)
        assert (made.method, str(made.url), made.content) == (
            wanted.method,
            str(wanted.url),
            wanted.content,
        )
        assert sorted(made.headers.raw) == sorted(wanted.headers.raw)
        assert made.extensions == wanted.extensions
        assert b"".join(made.stream) == wanted.content


def test_requests_of_different_headers_do_not_mix(raw, over):
    server = raw(answer())
    with Client(base_url=server.url, http_client=over, default_headers={"X-Who": "all"}) as client:
        client.threads.create(extra_headers={"x-who": "one"}).run()
        client.threads.create().run()
        client.threads.create(extra_query={"who": "three"}).run()
    one, two, three = server.heads
    assert b"x-who: one" in one
    assert b"all" not in one
    assert b"x-who: all" in two
    assert b"?who=three " in three
    assert all(head.count(b"x-who") == 1 for head in server.heads)


def test_what_is_compressed_is_unpacked(raw, over):
    server = raw(answer(gzip.compress(ANSWER), b"Content-Encoding: gzip"))
    create(server.url, over)
    assert b"accept-encoding: gzip" in server.heads[0]


# --- cookies -------------------------------------------------------------------------------


def test_a_cookie_comes_back_to_whom_it_is_from(raw, over):
    server = raw(answer(ANSWER, b"Set-Cookie: node=7; Path=/"), answer())
    create(server.url, over, times=3)
    assert [b"cookie: node=7" in head for head in server.heads] == [False, True, True]


def test_all_connections_share_the_cookies(raw, over):
    server = raw(answer(ANSWER, b"Set-Cookie: node=7; Path=/"), answer())

    async def main():
        async with AsyncClient(base_url=server.url, http_client=over) as client:
            await client.threads.create()
            await asyncio.gather(*(client.threads.create() for _ in range(12)))

    asyncio.run(main())
    assert sum(b"cookie: node=7" in head for head in server.heads) == 12


def test_a_cookie_of_a_redirect_is_sent_to_where_it_leads(raw, over):
    there = (
        b"HTTP/1.1 307 Go\r\nLocation: /there\r\nSet-Cookie: a=b; Path=/\r\n"
        b"Connection: close\r\nContent-Length: 0\r\n\r\n"
    )
    server = raw(there, answer())
    create(server.url, over)
    assert server.heads[1].startswith(b"post /there ")
    assert b"cookie: a=b" in server.heads[1]


# --- proxies -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_used(raw, over, monkeypatch, name):
    proxy = raw(answer())
    monkeypatch.setenv(name, proxy.url.removesuffix("/v1").removeprefix("http://"))
    create("http://service.invalid/v1", over, times=2)
    assert all(head.startswith(b"post http://service.invalid/v1/") for head in proxy.heads)


@pytest.mark.parametrize("spared", ["127.0.0.1", "*", "a.invalid, *", "x, 127.0.0.1"])
def test_no_proxy_is_used_for_whom_the_environment_spares(raw, over, monkeypatch, spared):
    server = raw(answer())
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", spared)
    create(server.url, over)


def test_another_proxy_is_none_of_ours(raw, over, monkeypatch):
    server = raw(answer())
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    create(server.url, over)


# --- which library -------------------------------------------------------------------------


USES = """
import sys
from rxassist import Client
with Client(base_url=sys.argv[1]) as client:
    client.threads.create().run()
print("aiohttp" in sys.modules)
"""


def run(code, *arguments, strict=False, **environment):
    done = subprocess.run(
        [sys.executable, *(["-W", "error"] if strict else []), "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | environment,
    )
    assert done.returncode == 0
    return done


def test_aiohttp_is_taken_where_it_is_installed(service):
    assert run(USES, service.base_url).stdout.strip() == str(OVER_AIOHTTP)


def test_httpx_is_taken_where_the_proxy_is_none_for_aiohttp(service):
    environment = {"ALL_PROXY": "socks5://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    assert run(USES, service.base_url, **environment).stdout.strip() == "False"


# --- who forgets to close ------------------------------------------------------------------


AT_THE_END = """
from rxassist import Client
client = Client(base_url=sys.argv[1], http_client=sys.argv[2])
client.threads.create().run()
"""

WITH_ITS_LOOP = """
from rxassist import AsyncClient
client = AsyncClient(base_url=sys.argv[1], http_client=sys.argv[2])
async def main():
    await client.threads.create()
asyncio.run(main())
client = None
gc.collect()
"""

BEFORE_ITS_LOOP = """
from rxassist import AsyncClient
async def main():
    client = AsyncClient(base_url=sys.argv[1], http_client=sys.argv[2])
    await client.threads.create()
asyncio.run(main())
"""

IN_ANOTHER_THREAD = """
from rxassist import Client
client = Client(base_url=sys.argv[1], http_client=sys.argv[2])
client.threads.create().run()
client = None
thread = threading.Thread(target=gc.collect)
thread.start()
thread.join()
"""


BY_HAND = """
from rxassist import AsyncClient
async def main():
    client = AsyncClient(base_url=sys.argv[1], http_client=sys.argv[2])
    await client.threads.create()
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""

LOOP_NEVER_CLOSED = """
from rxassist import AsyncClient
client = AsyncClient(base_url=sys.argv[1], http_client=sys.argv[2])
async def main():
    await client.threads.create()
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
"""

FORGOTTEN = {
    "at the end": AT_THE_END,
    "with its loop": WITH_ITS_LOOP,
    "before its loop": BEFORE_ITS_LOOP,
    "in another thread": IN_ANOTHER_THREAD,
    "by hand": BY_HAND,
    "with a loop that is never closed": LOOP_NEVER_CLOSED,
}
SOCKETS_LEFT_TO_ASYNCIO = {"by hand", "with a loop that is never closed"}


@pytest.mark.parametrize("how", FORGOTTEN)
def test_nobody_is_told_of_a_client_that_is_not_closed(service, over, how):
    done = run("import asyncio, gc, sys, threading" + FORGOTTEN[how], service.base_url, over)
    assert done.stdout + done.stderr == ""


@pytest.mark.skipif(not OVER_AIOHTTP, reason="the extra aiohttp is not installed")
@pytest.mark.parametrize("how", sorted(set(FORGOTTEN) - SOCKETS_LEFT_TO_ASYNCIO))
def test_no_socket_is_left_to_the_collector(service, how):
    code = "import asyncio, gc, sys, threading" + FORGOTTEN[how]
    done = run(code, service.base_url, "aiohttp", strict=True)
    assert done.stdout + done.stderr == ""


def test_what_is_open_is_closed_with_its_loop(service, over):
    code = "import asyncio, gc, sys" + WITH_ITS_LOOP
    done = run(code, service.base_url, over, strict=True)
    assert done.stdout + done.stderr == ""


FORKED = """
import asyncio, os, sys
from rxassist import AsyncClient
loop = asyncio.new_event_loop()
client = AsyncClient(base_url=sys.argv[1], http_client=sys.argv[2])
async def create():
    async with asyncio.timeout(20):
        await client.threads.create()
loop.run_until_complete(create())
if child := os.fork():
    os.waitpid(child, 0)
    loop.run_until_complete(create())
    loop.run_until_complete(client.close())
    loop.close()
    print("parent")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_that_ends_leaves_the_connections_of_its_parent_alone(service, over):
    assert run(FORKED, service.base_url, over).stdout.strip() == "parent"


@pytest.mark.skipif(not OVER_AIOHTTP, reason="the extra aiohttp is not installed")
def test_the_connections_of_a_client_that_is_forgotten_are_closed():
    async def main():
        closed = asyncio.Event()

        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer().replace(b"Connection: close\r\n", b""))
            await reader.read()
            writer.close()
            closed.set()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            client = AsyncClient(base_url=f"http://127.0.0.1:{port}/v1", http_client="aiohttp")
            await client.threads.create()
            assert not closed.is_set()
            del client
            gc.collect()
            async with asyncio.timeout(5):
                await closed.wait()

    asyncio.run(main())


def test_a_connection_that_the_server_closed_unsaid_is_not_used_again(over):
    served = 0

    async def serve(reader, writer):
        nonlocal served
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2 if b"ontent-" in head else 0)
        served += 1
        writer.write(answer().replace(b"Connection: close\r\n", b""))
        writer.close()

    async def main():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with AsyncClient(
                base_url=f"http://127.0.0.1:{port}/v1", http_client=over
            ) as client:
                for _ in range(50):
                    assert (await client.threads.create()).id == "thread_1"

    asyncio.run(main())
    assert served == 50


@pytest.mark.skipif(not OVER_AIOHTTP, reason="the extra aiohttp is not installed")
@pytest.mark.parametrize(
    ("text", "sent"), [("Cannot write to closing transport", False), ("Connection lost", True)]
)
def test_a_request_that_could_not_be_written_was_not_sent(text, sent):
    aiohttp = pytest.importorskip("aiohttp")
    error = httpx.ConnectTimeout(text)  # as httpx-aiohttp calls them all
    error.__cause__ = aiohttp.ClientConnectionResetError(text)
    assert was_sent(error) is sent


# --- what goes wrong -----------------------------------------------------------------------


def told(over, serve, call, **options):
    """What a call fails with, of a server that is told of each connection."""

    async def main():
        transports = []

        async def accept(reader, writer):
            transports.append(writer.transport)
            await serve(reader, writer)

        async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            base_url = f"http://127.0.0.1:{port}/v1"
            options.setdefault("max_retries", 0)
            async with AsyncClient(base_url=base_url, http_client=over, **options) as client:
                try:
                    return await call(client)
                except (APIError, OSError) as error:
                    return error
                finally:
                    for transport in transports:  # or the server would wait for them
                        transport.abort()

    return asyncio.run(main())


def test_an_upload_that_nobody_takes_ends_in_time(over):
    async def stall(reader, writer):
        await reader.read(1_000)
        writer.transport.pause_reading()
        await asyncio.get_running_loop().create_future()

    def upload(client):
        return client.files.create(file=("n", bytes(30_000_000)), purpose="assistants")

    assert isinstance(told(over, stall, upload, timeout=0.3), APITimeoutError)


@pytest.mark.parametrize(
    "head",
    [
        b"GARBAGE nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n",
    ],
)
def test_a_malformed_answer_shows_no_secret(over, head):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        writer.close()

    secrets = {"api_key": "sk-SECRET-12345", "default_query": {"api-key": "SECRET-67890"}}
    error = told(over, serve, lambda client: client.threads.retrieve("t"), **secrets)
    assert isinstance(error, APIConnectionError)
    shown = "".join(traceback.format_exception(error))
    assert "SECRET" not in shown + repr(error.__cause__)
    assert "\n" not in str(error)


def test_nobody_who_listens_is_no_timeout(over):
    async def main():
        async with await asyncio.start_server(print, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
        async with AsyncClient(
            base_url=f"http://127.0.0.1:{port}/v1", http_client=over, max_retries=0
        ) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.threads.retrieve("t")
        assert not isinstance(caught.value, APITimeoutError)
        assert not caught.value.sent

    asyncio.run(main())


def start_run(over, base_url):
    """What a client says that is to create a run."""
    with Client(base_url=base_url, http_client=over, max_retries=0) as client:
        with pytest.raises(APIError) as caught:
            client.threads.runs.create("thread_1", assistant_id="asst_1").run()
        return caught.value


@pytest.mark.parametrize("status", [b"407 Who are you", b"403 No", b"502 Bad", b"302 Go"])
def test_what_a_proxy_refuses_to_connect_was_not_sent(raw, over, monkeypatch, status):
    proxy = raw(b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % status)
    monkeypatch.setenv("https_proxy", proxy.url.removesuffix("/v1"))
    error = start_run(over, "https://service.invalid/v1")
    assert type(error) is APIConnectionError
    assert not error.sent
    assert status[:3].decode() in str(error)
    assert [head.partition(b" ")[0] for head in proxy.heads] == [b"connect"]


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.1 200 O", b"HTTP/1.1 200 OK\r\nContent", b"\0\0 hello\r\n\r\n"],
    ids=["nothing", "half a line", "half a head", "garbage"],
)
def test_where_a_proxy_hangs_up_before_it_has_connected_nothing_was_sent(
    raw, over, monkeypatch, said
):
    proxy = raw(said)
    monkeypatch.setenv("https_proxy", proxy.url.removesuffix("/v1"))
    error = start_run(over, "https://service.invalid/v1")
    assert type(error) is APIConnectionError
    assert not error.sent
    assert [head.partition(b" ")[0] for head in proxy.heads] == [b"connect"]


def test_where_a_proxy_does_not_answer_nothing_was_sent(over, monkeypatch):
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    async def main():
        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
            async with AsyncClient(
                base_url="https://service.invalid/v1", http_client=over, timeout=0.2, max_retries=0
            ) as client:
                with pytest.raises(APIError) as caught:
                    await client.threads.runs.create("thread_1", assistant_id="asst_1")
            return caught.value

    error = asyncio.run(main())
    assert type(error) is APITimeoutError
    assert not error.sent


@pytest.mark.parametrize("host", ["127.1:9", "127.1.1:9", "a" * 70 + ".invalid", "a." + "b" * 64])
def test_to_an_address_that_is_none_nothing_was_sent(over, host):
    error = start_run(over, f"http://{host}/v1")
    assert type(error) is APIConnectionError
    assert not error.sent


def test_headers_may_be_long(over):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(ANSWER, b"Content-Security-Policy: " + b"x" * 20_000))
        writer.close()

    assert told(over, serve, lambda client: client.threads.retrieve("t")).id == "thread_1"


def test_a_place_is_not_lost_where_there_is_no_pool(over, monkeypatch):
    def broken(pools):
        raise OSError

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer())
        writer.close()

    async def call(client):
        with monkeypatch.context() as patch:
            patch.setattr(Pools, "take", broken)
            with pytest.raises(OSError, match=r"^$"):
                await client.threads.retrieve("t")
        return await client.threads.retrieve("t")

    assert told(over, serve, call, max_connections=1, timeout=1).id == "thread_1"


@pytest.mark.parametrize("value", ["a\r\nb", "ä", "\0"])
def test_what_no_header_can_hold_is_refused_at_once(value):
    with pytest.raises(ValueError, match="default_headers must hold printable ASCII") as caught:
        Client(base_url="http://127.0.0.1:9/v1", default_headers={"X-Name": f"SECRET{value}"})
    assert "SECRET" not in str(caught.value)
    client = Client(base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ValueError, match="extra_headers must hold printable ASCII"):
        client.threads.retrieve("t", extra_headers={"X-Name": value})
