"""The service as a thing to start and stop: uvicorn on a thread of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, contextmanager, suppress
from errno import EADDRINUSE
from functools import partial
from os import PathLike, fspath
from types import FrameType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from rxassist.local.assistants.endpoints import Endpoints
from rxassist.local.assistants.runner import Stage, fail_unfinished
from rxassist.local.assistants.scripted_run import Pace
from rxassist.local.library.endpoints import LibraryEndpoints
from rxassist.local.library.ingestion import Ingest, default_ingest
from rxassist.local.library.library import Library
from rxassist.local.scripts.default import default_script
from rxassist.local.scripts.moves import Script
from rxassist.local.server.application import application
from rxassist.local.server.connection import Protocol
from rxassist.local.server.durations import check_duration
from rxassist.local.server.faults import Faults
from rxassist.local.server.store import Store
from rxassist.local.server.visitors import Visitors
from rxassist.local.server.watch import Watch

_BACKLOG = 2048
_TURNS_TO_BEGIN = 3  # of the loop, until a connection that was accepted is among those it knows
_TICKS_IN_A_SECOND = 10  # of uvicorn, which does some things only at every tenth
_KEEP_ALIVE = 60  # seconds; clients that poll slowly keep their connection
_POLL_AFTER_MS = 50  # nobody has to wait for a script as long as for a model
_CLOSE_TIMEOUT = 10.0  # seconds; closing takes a few tenths, whatever is going on


class LocalService:
    """A service that speaks the Assistants v2 protocol on this machine, from a script.

    A context manager: it runs in a background thread from ``with`` to its end. ``script`` says
    what happens in a run (see ``rxassist.local.moves``), by default an answer that says that it is
    scripted. ``port`` 0 is any free one. State is kept in memory, or in the file ``database``,
    which one service uses at a time; what it has answered is durable, also if its process is
    killed.
    ``token_delay`` is the pause before each piece of text, in seconds; ``cancel_delay`` is how long
    a run that is cancelled stays ``cancelling``. With ``api_key``, requests need that key; without,
    any or none will do.

    A page in a browser cannot speak to the service, unless its origin
    (``http://localhost:3000``) is one of ``allowed_origins``; and requests must be made to an
    address, to a name without a dot, to ``host``, or to one of the names in ``allowed_hosts``.

    ``ingest`` says what happens to a file that is added to a vector store (see
    ``rxassist.local.ingestion``): by default what is text is ``completed`` at once, and anything
    else ``failed``. ``faults`` is asked at each request what goes wrong with it: it is refused,
    answered with garbage, cut, stalled, … (see ``rxassist.local.faults`` and
    ``rxassist.local.event_faults``). ``poll_after_ms`` is what clients that poll are told to wait,
    and may be changed while the service runs; with ``None`` they are told nothing.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        database: str | PathLike[str] | None = None,
        token_delay: float = 0.0,
        cancel_delay: float = 0.0,
        api_key: str | None = None,
        allowed_hosts: Iterable[str] = (),
        allowed_origins: Iterable[str] = (),
        ingest: Ingest | None = None,
        faults: Faults | None = None,
        poll_after_ms: int | None = _POLL_AFTER_MS,
    ) -> None:
        check_duration("token_delay", token_delay)
        check_duration("cancel_delay", cancel_delay)
        if not host:
            msg = "host must be an address to listen on ('0.0.0.0' is all of them), got ''"
            raise ValueError(msg)
        if database is not None and not fspath(database):
            msg = f"database must be the path of a file, or None to keep nothing, got {database!r}"
            raise ValueError(msg)
        self.poll_after_ms = poll_after_ms
        self._script = script or default_script
        self._ingest = ingest or default_ingest
        self._faults = faults
        self._address = (host, port)
        self._database = None if database is None else fspath(database)
        self._pace = Pace(token_delay, cancel_delay)
        self._visitors = Visitors.named(host, allowed_hosts, allowed_origins)
        self._api_key = api_key
        self._watch = Watch()
        self._base_url: str | None = None
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._stop: Callable[[], object] | None = None

    @property
    def base_url(self) -> str:
        """The address for clients, such as ``http://127.0.0.1:8765/v1``."""
        if self._base_url is None:
            msg = "the service does not run; start it: with LocalService() as service: ..."
            raise RuntimeError(msg)
        return self._base_url

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Method and path of each request so far, in order: the list itself, it may be cleared."""
        return self._watch.requests

    @property
    def open_streams(self) -> int:
        """How many streamed responses are open now."""
        return self._watch.open_streams

    @property
    def runs(self) -> list[str]:
        """The ids of all runs that were created, in order: the list itself, it may be cleared."""
        return self._watch.runs

    @property
    def active_runs(self) -> frozenset[str]:
        """The ids of the runs that work or wait now."""
        return self._watch.active_runs

    def wait_for(self, condition: Callable[[], object], timeout: float = 5.0) -> None:
        """Block until a condition on what is seen from outside holds.

        It is looked at again whenever a request comes, a stream opens or closes, or a run changes
        its status. Raises ``TimeoutError``.
        """
        self._watch.wait_for(condition, timeout)

    def start(self) -> None:
        """Start, and return when requests can be made; does nothing if the service runs.

        Raises ``OSError`` if the port is taken, ``sqlite3.Error`` if the database is none, or is
        used by another service.
        """
        if self._thread is not None:
            return
        listener = _listener(*self._address)
        self._started.clear()
        self._ended.clear()
        self._error = None
        self._thread = threading.Thread(
            target=self._run, args=(listener,), name="rxassist-local", daemon=True
        )
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            self.close()
            raise self._error
        host, port = listener.getsockname()[:2]
        self._base_url = f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"

    def close(self) -> None:
        """End everything at once, also streams that are open; does nothing if it is closed."""
        thread, self._thread = self._thread, None
        self._base_url = None
        if thread is None:
            return
        if self._stop is not None:
            self._stop()
        thread.join(_CLOSE_TIMEOUT)
        if thread.is_alive():
            msg = f"the service did not end within {_CLOSE_TIMEOUT} seconds; does its script block?"
            raise TimeoutError(msg)

    def serve_forever(self) -> None:
        """Run until Ctrl-C or SIGTERM, then close."""
        self.start()
        try:
            with _on_signals(self._ended.set):
                self._ended.wait()
        finally:
            self.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _poll_after(self) -> int | None:
        return self.poll_after_ms

    def _run(self, listener: socket.socket) -> None:
        """The life of the thread."""
        try:
            asyncio.run(self._serve(listener))
        except BaseException as error:  # noqa: BLE001 -- it is raised where the service is started
            self._error = error
        finally:
            listener.close()
            self._stop = None
            self._started.set()
            self._ended.set()

    async def _serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with closing(Store(self._database, loop.call_soon)) as store:
            fail_unfinished(store)
            stage = Stage(self._script, store, self._watch, loop, self._pace)
            library = Library(self._ingest, store, loop)
            library.resume()
            routes = [
                *Endpoints(store, self._poll_after, stage, self._watch).routes(),
                *LibraryEndpoints(store, self._poll_after, library).routes(),
            ]
            app = application(
                routes, self._watch, store.commit, self._visitors, self._api_key, self._faults
            )
            server = _Server(app, self._started.set)
            self._stop = partial(loop.call_soon_threadsafe, server.stop)
            try:
                await server.serve(sockets=[listener])
            finally:
                library.drop()
                stage.close()


class _Server(uvicorn.Server):
    """uvicorn, that says when it has started, and ends at once."""

    def __init__(self, app: ASGIApp, on_started: Callable[[], object]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Protocol,
                log_config=None,  # logging belongs to the program that the service is part of
                log_level=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE,
            )
        )
        self._on_started = on_started
        self._stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    async def main_loop(self) -> None:
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += _TICKS_IN_A_SECOND
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        """Hang up on everybody: a service that only acts has nothing to finish."""
        for listener in self.servers:
            listener.close()
        for _ in range(_TURNS_TO_BEGIN):
            await asyncio.sleep(0)
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=1.0)

    def stop(self) -> None:
        """End, from within the loop."""
        self.should_exit = True
        self._stopping.set()


@contextmanager
def _on_signals(act: Callable[[], object]) -> Generator[None]:
    """Act on Ctrl-C and SIGTERM; signals belong to the main thread, elsewhere nothing is done."""

    def handle(_: int, __: FrameType | None) -> None:
        act()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, handle) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio sends small answers without delay only if it is.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two services share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except Exception as error:  # OSError, but also OverflowError or UnicodeError
        listener.close()
        if isinstance(error, OSError) and error.errno == EADDRINUSE:
            msg = f"port {port} of {host} is in use"
            raise OSError(EADDRINUSE, msg) from None
        raise
    return listener


__all__ = ["LocalService"]
