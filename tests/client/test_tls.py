"""https: whose certificates a client trusts, and streams whose encrypted connection breaks."""

import asyncio
import contextlib
import ssl
import threading

import httpx
import pytest
import reactivex as rx
import trustme
from reactivex import operators as ops

from rxassist import APIConnectionError
from rxassist.local import say
from rxassist.wire.http_client import Network
from tests.client.conftest import LIBRARIES

NEVER = 10**9
WORDS = tuple(f"{number} " for number in range(300))
TEXT = "".join(WORDS)
whole = ops.reduce(str.__add__)


class Gate:
    """An https server in a thread, in front of a service; one answer may break after some bytes."""

    def __init__(self, port, certificate):
        self._port = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._context)
        self.breaks_after, self.hangs_up = NEVER, asyncio.WriteTransport.abort
        self._thawed, begun = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(begun.set)))
        self._thread.start()
        assert begun.wait(10)

    async def _serve(self, begun):
        self._loop, self._left = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._relay, "localhost", 0, ssl=self._context)
        self.base_url = f"https://localhost:{server.sockets[0].getsockname()[1]}/v1"
        begun()
        await self._left.wait()
        server.close()

    async def _relay(self, reader, writer):
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._ask(reader, inner_writer))
                both.create_task(self._answer(inner_reader, writer))
        except* (OSError, asyncio.CancelledError):  # else asyncio complains of the task
            pass
        finally:
            writer.transport.abort()
            inner_writer.transport.abort()

    async def _ask(self, reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _answer(self, reader, writer):
        while data := await reader.read(65536):
            writer.write(data[: self.breaks_after])
            await writer.drain()
            if len(data) > self.breaks_after:
                self.breaks_after = NEVER
                self.hangs_up(writer.transport)
                return
            self.breaks_after -= len(data) if self.breaks_after < NEVER else 0
        writer.close()

    def freeze(self):
        """Say nothing more, until the end."""
        self._loop.call_soon_threadsafe(self._thawed.wait, 10)

    def close(self):
        self._thawed.set()
        self._loop.call_soon_threadsafe(self._left.set)
        self._thread.join()


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def trusted(authority, tmp_path):
    """The path of the certificate to trust."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def gate(serve, authority):
    """A service behind https, whose runs say ``TEXT``."""

    def script(_):
        yield say(*WORDS)

    port = httpx.URL(serve(script).base_url).port
    with contextlib.closing(Gate(port, authority.issue_cert("localhost"))) as gate:
        yield gate


@pytest.fixture(params=LIBRARIES)
def ask(request, gate, connect):
    """``ask(**options)`` gives the text of a run that a new client has through the gate."""

    def ask(prepare=lambda: None, read=whole, **options):
        side = connect(gate, http_client=request.param, **options)
        assistant = side(lambda client: client.assistants.create(model="m"))
        prepare()

        def begin(client):
            stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
            return stream.text_deltas.pipe(read)

        return side(begin)

    return ask


def test_a_certificate_that_nobody_knows_is_refused_and_the_error_says_so(ask):
    with pytest.raises(APIConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(max_retries=0)


@pytest.mark.parametrize("how", ["a path", "a context", "nothing is checked"])
def test_who_trusts_the_certificate_has_the_text(ask, trusted, how):
    verify = {
        "a path": trusted,
        "a context": ssl.create_default_context(cafile=trusted),
        "nothing is checked": False,
    }[how]
    assert ask(verify=verify) == TEXT


def test_the_environment_is_asked_for_each_client(ask, trusted, monkeypatch):
    for _ in range(2):
        with pytest.raises(APIConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            ask(max_retries=0)
        with monkeypatch.context() as given:
            given.setenv("SSL_CERT_FILE", trusted)
            assert ask() == TEXT


def test_the_usual_certificates_are_read_once(monkeypatch, authority, tmp_path):
    usual = Network().tls()
    assert Network("httpx").tls() is usual
    assert Network(verify=False).tls() is not usual
    file = tmp_path / "authority.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(FileNotFoundError):
        Network().tls()
    authority.cert_pem.write_to_path(str(file))
    ours = Network().tls()
    assert Network().tls() is ours is not usual
    trustme.CA().cert_pem.write_to_path(str(file), append=True)
    both = Network().tls()
    assert len(both.get_ca_certs()) == len(ours.get_ca_certs()) + 1
    monkeypatch.setattr(ssl, "SSLContext", type("AsTruststoreDoesIt", (), {}))
    monkeypatch.setattr(httpx, "create_ssl_context", ssl.SSLContext)
    assert isinstance(Network().tls(), ssl.SSLContext)


@pytest.mark.parametrize("hangs_up", [asyncio.WriteTransport.abort, asyncio.WriteTransport.close])
@pytest.mark.parametrize("position", [2_500, 2_501, 9_000, 30_000, 50_000])
def test_a_stream_whose_encrypted_connection_breaks_is_whole(ask, gate, position, hangs_up):
    def prepare():
        gate.breaks_after, gate.hangs_up = position, hangs_up

    assert ask(prepare, verify=False) == TEXT
    assert gate.breaks_after == NEVER


def test_who_leaves_does_not_wait_for_the_servers_farewell(ask, gate, trusted):
    leave = rx.compose(ops.do_action(lambda _: gate.freeze()), ops.first())
    assert ask(verify=trusted, read=leave) == WORDS[0]
