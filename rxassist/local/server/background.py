"""A server that runs on a thread of its own, with uvicorn, and can be started and closed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from errno import EADDRINUSE
from functools import partial
from types import FrameType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from rxassist.local.server.connection import Protocol

_BACKLOG = 2048
_TURNS_TO_BEGIN = 3  # of the loop, until it knows a connection that was accepted
_TICKS_IN_A_SECOND = 10  # of uvicorn, which does some things only at every tenth
_KEEP_ALIVE = 60  # seconds; clients that poll slowly keep their connection
_CLOSE_TIMEOUT = 10.0  # seconds; closing takes a few tenths, whatever is going on


class BackgroundServer(ABC):
    """A server that runs in a background thread, from ``start`` to ``close``.

    A subclass makes the application.
    """

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._base_url: str | None = None
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._stop: Callable[[], object] | None = None

    @abstractmethod
    def _application(self) -> AbstractContextManager[ASGIApp]:
        """The application, from the start to the end of the server, on its loop."""

    @property
    def base_url(self) -> str:
        """The address for clients, such as ``http://127.0.0.1:8765/v1``."""
        if self._base_url is None:
            msg = "the service does not run; start it: with LocalService() as service: ..."
            raise RuntimeError(msg)
        return self._base_url

    def start(self) -> None:
        """Start, and return when requests can be made; does nothing if the service runs.

        Raises ``OSError`` if the port is taken, ``sqlite3.Error`` if the file is no database, or if
        another service uses it.
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
        """End everything at once, open streams too; does nothing if the service is closed."""
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

    def _run(self, listener: socket.socket) -> None:
        """The function of the thread."""
        try:
            asyncio.run(self._serve(listener))
        except BaseException as error:  # noqa: BLE001 -- ``start`` raises it
            self._error = error
        finally:
            listener.close()
            self._stop = None
            self._started.set()
            self._ended.set()

    async def _serve(self, listener: socket.socket) -> None:
        with self._application() as app:
            server = _Server(app, self._started.set)
            self._stop = partial(asyncio.get_running_loop().call_soon_threadsafe, server.stop)
            await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn that reports when it has started, and ends at once."""

    def __init__(self, app: ASGIApp, on_started: Callable[[], object]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Protocol,
                log_config=None,  # the program configures logging, not its service
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
        """Abort all connections: replies of a script need not be finished.

        First no more are accepted. A connection that was accepted just before is lost, and its
        socket left open, if the listener closes before the loop knows the connection.
        """
        loop = asyncio.get_running_loop()
        for listening in (each for listener in self.servers for each in listener.sockets):
            with suppress(NotImplementedError):  # of a loop that has no readers
                loop.remove_reader(listening.fileno())
        for _ in range(_TURNS_TO_BEGIN):
            await asyncio.sleep(0)
        for listener in self.servers:
            listener.close()
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=1.0)

    def stop(self) -> None:
        """End the server; to be called on its loop."""
        self.should_exit = True
        self._stopping.set()


@contextmanager
def _on_signals(act: Callable[[], object]) -> Generator[None]:
    """Act on Ctrl-C and SIGTERM in the main thread; other threads receive no signals."""

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
    # Name the protocol: without it, asyncio sends small replies with a delay.
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


__all__ = ["BackgroundServer"]
