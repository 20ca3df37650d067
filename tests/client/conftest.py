"""The local service and clients for it; and raw answers, for what the service never says."""

import asyncio
import gc
import json
import signal
import socketserver
import subprocess
import sys
import threading
from contextlib import ExitStack
from inspect import isawaitable

import pytest
from reactivex import Observable

from rxassist import AsyncClient, Client
from rxassist.local import Fault, LocalService, say, wait
from rxassist.wire.http_client import _AIOHTTP, find_spec


@pytest.fixture
def serve():
    """Start local services: ``serve(script, **options)``."""
    with ExitStack() as services:
        yield lambda script=None, **options: services.enter_context(LocalService(script, **options))


@pytest.fixture
def service(serve):
    """A local service whose runs say the numbers from 0 to 99."""

    def script(_):
        yield say(*(f"{number} " for number in range(100)))

    return serve(script)


@pytest.fixture
def forever(serve):
    """A service whose runs say one word and then go on for ever."""

    def script(_):
        yield say("word")
        yield wait(600)

    return serve(script)


NUMBERS = "".join(f"{number} " for number in range(100))


@pytest.fixture
def numbers():
    """What a run of ``service`` says."""
    return NUMBERS


@pytest.fixture
def client(service):
    """A client of ``service``."""
    with Client(base_url=service.base_url) as client:
        yield client


@pytest.fixture
def place(client):
    """An assistant and a thread for runs, as keyword arguments."""
    assistant = client.assistants.create(model="m").run()
    return {"thread_id": client.threads.create().run().id, "assistant_id": assistant.id}


@pytest.fixture
def run_async():
    """Run a coroutine function with an AsyncClient; a task that it leaves behind fails.

    So does a generator of the HTTP library that is left to the garbage collector: it is closed by
    a task of its own, which outlives the client.
    """

    def run(service, main):
        async def checked():
            let_go = names_of_generators_let_go_of()
            async with asyncio.timeout(30):
                async with AsyncClient(base_url=service.base_url) as client:
                    result = await main(client)
            gc.collect()  # what was let go of in a cycle is closed by its loop
            for _ in range(100):
                await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, left
            assert not let_go
            return result

        return asyncio.run(checked())

    return run


@pytest.fixture
def _ctrl_c():
    """Let SIGINT raise, also where the tests run in the background and it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class _Blocking:
    """Acts with a ``Client``: ``side(lambda client: …)`` waits for what the function returns.

    ``begin`` acts in the same way, and returns a stream without waiting for it.
    """

    is_async = False

    def __init__(self, base_url, **options):
        self.client = Client(base_url=base_url, **options)

    def begin(self, act):
        return act(self.client)

    def __call__(self, act):
        result = act(self.client)
        return result.run() if isinstance(result, Observable) else result

    def close(self):
        self.client.close()


class _Awaited:
    """The same with an ``AsyncClient``, on an event loop in a thread of its own."""

    is_async = True

    def __init__(self, base_url, **options):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.client = AsyncClient(base_url=base_url, **options)

    def begin(self, act):
        async def beginning():
            return act(self.client)

        return asyncio.run_coroutine_threadsafe(beginning(), self.loop).result(10)

    def __call__(self, act):
        async def acting():
            async with asyncio.timeout(30):
                result = act(self.client)
                return await result if isawaitable(result) else result

        return asyncio.run_coroutine_threadsafe(acting(), self.loop).result(40)

    def close(self):
        async def closing():
            await self.client.close()
            for _ in range(100):
                await asyncio.sleep(0)
            return asyncio.all_tasks() - {asyncio.current_task()}

        left = asyncio.run_coroutine_threadsafe(closing(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        assert not left, left


@pytest.fixture(params=[_Blocking, _Awaited], ids=["Client", "AsyncClient"])
def connect(request):
    """Both clients, used in the same way: ``connect(service)(lambda client: …)``."""
    with ExitStack() as sides:

        def connect(service, **options):
            side = request.param(service.base_url, **options)
            sides.callback(side.close)
            return side

        yield connect


@pytest.fixture
def recording():
    """A fault that keeps the bodies of requests and changes nothing: ``recording(bodies)``."""

    def keeping(bodies):
        def around(app):
            async def kept(scope, receive, send):
                body = bytearray()

                async def received():
                    message = await receive()
                    body.extend(message.get("body", b""))
                    if message["type"] == "http.request" and not message.get("more_body"):
                        bodies.append(json.loads(body or b"null"))
                    return message

                await app(scope, received, send)

            return kept

        return Fault(around)

    return keeping


def names_of_generators_let_go_of():
    """A list that grows with each generator of the HTTP library that is not run to its end."""
    names, hooks = [], sys.get_asyncgen_hooks()

    def finalizer(generator):
        if generator.ag_frame.f_globals["__name__"].startswith(("http", "aiohttp")):
            names.append(generator.__qualname__)
        hooks.finalizer(generator)

    sys.set_asyncgen_hooks(finalizer=finalizer)
    return names


class _Raw(socketserver.ThreadingTCPServer):
    """Keeps the head and the body of each request, and answers them in order."""

    daemon_threads = True

    def __init__(self, answers):
        self.answers = answers
        self.heads = []
        self.bodies = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        head, length = b"", 0
        while (line := self.rfile.readline()) not in {b"\r\n", b""}:
            head += line.lower()
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        self.server.heads.append(head)
        self.server.bodies.append(self.rfile.read(length))
        number = min(len(self.server.bodies), len(self.server.answers))
        self.wfile.write(self.server.answers[number - 1])


@pytest.fixture
def raw():
    """Start servers that answer with given bytes, the last ones for ever, and then hang up."""
    with ExitStack() as servers:

        def serve(*answers):
            server = servers.enter_context(_Raw(answers))
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            servers.callback(thread.join)
            servers.callback(server.shutdown)
            return server

        yield serve


LIBRARIES = ["httpx"] + ["aiohttp"] * (find_spec(_AIOHTTP) is not None)
BEGIN = """
import asyncio, atexit, gc, os, signal, sys, threading, time
import rxassist
from rxassist import AsyncClient, Client
def make(**options):
    return Client(base_url=sys.argv[1], http_client=sys.argv[2], **options)
def make_async(**options):
    return AsyncClient(base_url=sys.argv[1], http_client=sys.argv[2], **options)
"""


@pytest.fixture(params=LIBRARIES)
def process(request, service):
    """Run code in a process of its own: ``process(code)`` gives what it wrote."""

    def run(code, url=service.base_url):
        done = subprocess.run(
            [sys.executable, "-W", "always", "-c", BEGIN + code, url, request.param],
            check=False,
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split()

    run.library = request.param
    return run
