"""Servers for the rows over sockets, each in a process of its own.

``python -m benchmarks.servers KIND [NUMBER]`` prints its base URL and runs until its standard input
is closed. ``local`` is the local service, whose runs say what they are told and then so many words;
``canned`` streams bytes that were made before, an event at a time, to as many as ask, and
``canned-responses`` those of a response;
``silent`` begins a stream and then says nothing; ``ticking`` streams one event after each pause
of one to three milliseconds and notes when it was in the socket; ``polled`` answers polls, the
last of so many with a run that has ended, and notes when each came and was answered.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import contextmanager

from benchmarks import bodies
from benchmarks.worker import raise_limits

_STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_BACKLOG = 2_048
_SECONDS_TO_END = 10
_SHORTEST, _LONGEST = 0.001, 0.003  # seconds between two ticks
_SEED = 20_261_121


@contextmanager
def serving(kind: str, number: int) -> Generator[str]:
    """A server in another process: its base URL."""
    command = [sys.executable, "-m", "benchmarks.servers", kind, str(number)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    with process:
        assert process.stdin is not None  # noqa: S101 -- both are pipes
        assert process.stdout is not None  # noqa: S101
        try:
            base_url = process.stdout.readline().strip()
            if not base_url:
                msg = f"the server {kind!r} did not start"
                raise RuntimeError(msg)
            yield base_url
        finally:
            process.stdin.close()
            try:
                process.wait(_SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                process.kill()


class Server:
    """Plain HTTP/1.1 with streamed answers, and what it noted, under ``/stamps``."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.stamps: object = []

    async def serve(self) -> None:
        """Print the base URL and serve until standard input is closed."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=_BACKLOG)
        port = server.sockets[0].getsockname()[1]
        print(f"http://127.0.0.1:{port}/v1", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while path := await _request(reader):
                if path.endswith("/stamps"):
                    writer.write(_json(self.stamps))
                else:
                    await self.answer(path, writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has left, or the server ends
        finally:
            writer.close()

    async def answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        """Answer a request: by default, with a stream of ``events``, an event a chunk."""
        del path
        writer.write(_STREAM)
        async for event in self.events():
            writer.write(_chunk(event))
            self.sent()
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    def events(self) -> AsyncIterator[bytes]:
        """What a stream says."""
        raise NotImplementedError

    def sent(self) -> None:
        """An event is in the socket."""


class Canned(Server):
    """Many streams at once, in turns."""

    shape = "text"

    def __init__(self, number: int) -> None:
        super().__init__(number)
        (body,) = bodies.make(self.shape, number)
        self._events = body.events

    async def events(self) -> AsyncIterator[bytes]:
        for event in self._events:
            yield event
            await asyncio.sleep(0)


class CannedResponses(Canned):
    """The same, of the Responses API."""

    shape = "response"


class Silent(Server):
    """Streams that begin, and then nothing comes."""

    async def events(self) -> AsyncIterator[bytes]:
        for event in [*bodies.opening(), *bodies.message_opening(0), bodies.text_delta(0, "0 ")]:
            yield event
        await asyncio.Event().wait()


class Ticking(Server):
    """One delta after each pause; the stamps say when each was in the socket."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self._stamps = list[int]()
        self.stamps = self._stamps

    async def events(self) -> AsyncIterator[bytes]:
        random_ = random.Random(_SEED)  # noqa: S311 -- no secret
        yield b"".join([*bodies.opening(), *bodies.message_opening(0)])
        self._stamps.clear()
        for number in range(self.number):
            await asyncio.sleep(random_.uniform(_SHORTEST, _LONGEST))
            yield bodies.text_delta(0, f"{number} ")
        await asyncio.sleep(_LONGEST)
        text = "".join(f"{number} " for number in range(self.number))
        yield b"".join([*bodies.message_ending(0, text), *bodies.ending()])

    def sent(self) -> None:
        self._stamps.append(time.perf_counter_ns())


class Polled(Server):
    """Runs that end with the last of so many fetches; the stamps say when each came and went."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self._stamps = defaultdict[str, list[tuple[float, float]]](list)
        self.stamps = self._stamps

    async def answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        came = time.perf_counter()
        noted = self._stamps[path]
        status = "in_progress" if len(noted) + 1 < self.number else "completed"
        writer.write(_json(bodies.run(status)))
        noted.append((came, time.perf_counter()))


async def _request(reader: asyncio.StreamReader) -> str:
    """The path of the next request, empty if the client has left."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return ""
    first, *lines = head.decode().splitlines()
    for line in lines:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            await reader.readexactly(int(value))
    return first.split()[1]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _json(value: object) -> bytes:
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def local(words: int) -> None:
    """The local service, until standard input is closed."""
    from rxassist.local import LocalService, Turn, say
    from rxassist.local.moves import Say

    def script(turn: Turn) -> Iterable[Say]:
        yield say(*local_text(turn.text, words))

    with LocalService(script) as service:
        print(service.base_url, flush=True)
        sys.stdin.read()


def local_text(name: str, words: int) -> list[str]:
    """What a run of ``local`` says: what it was told, piece by piece, with numbers."""
    return [f"{name}.{number:03} " for number in range(words)]


def main(kind: str, number: int) -> None:
    """Run a server."""
    raise_limits()
    if kind.startswith("local"):
        local(number)
        return
    servers = {
        "canned": Canned,
        "canned-responses": CannedResponses,
        "silent": Silent,
        "ticking": Ticking,
        "polled": Polled,
    }
    asyncio.run(servers[kind](number).serve())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
