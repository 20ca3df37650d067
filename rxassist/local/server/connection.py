"""The connection of one request, below what ASGI shows of it."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from typing import Any

from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_STATE = "connection"  # where a scope's state holds the transport
_PAUSE = 0.001  # seconds between two looks at what is still to be sent
_NOT_SENT = 0x894B  # SIOCOUTQNSD of Linux: bytes of a socket that have not left it
_NO_LINGERING = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Protocol(H11Protocol):
    """uvicorn's HTTP, whose requests know by which connection they came."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the transport in the state that each request gets a copy of."""
        super().connection_made(transport)
        self.app_state: dict[str, Any] = {**self.app_state, _STATE: transport}


class Connection:
    """What can be done to the connection of a request.

    Where a method says so it returns only when the client has left, or the service closes: what
    is sent afterwards reaches nobody.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._transport: asyncio.Transport = scope["state"][_STATE]
        self._receive = receive
        self._send = send

    async def send(self, message: Message) -> None:
        """Send a message of ASGI."""
        await self._send(message)

    async def send_body(self, piece: bytes, *, more: bool = True) -> None:
        """Send a piece of the body, or the last one, which ends the answer properly."""
        if piece or not more:
            await self._send({"type": "http.response.body", "body": piece, "more_body": more})

    async def read(self) -> bytes:
        """Read the whole body: a client that is still sending would not hear an answer."""
        pieces, more = list[bytes](), True
        while more:
            message = await self._receive()
            pieces.append(message.get("body", b""))
            more = message.get("more_body", False)
        return b"".join(pieces)

    async def left(self) -> None:
        """Return when the client has left."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def left_within(self, seconds: float) -> bool:
        """Wait for so long, and tell if the client has left."""
        try:
            async with asyncio.timeout(seconds):
                await self.left()
        except TimeoutError:
            return False
        return True

    def write(self, raw: bytes) -> None:
        """Write bytes that HTTP knows nothing of, after what was sent."""
        self._transport.write(raw)

    async def close(self) -> None:
        """Hang up behind what was sent (FIN), and return when the client has left."""
        self._transport.close()
        await self.left()

    async def reset(self) -> None:
        """Break the connection behind what was sent (RST), and return when the client has left."""
        while not self._transport.is_closing() and self._is_sending():  # noqa: ASYNC110 -- nobody tells
            await asyncio.sleep(_PAUSE)
        if not self._transport.is_closing():
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
            self._transport.abort()
        await self.left()

    @property
    def _socket(self) -> socket.socket:
        connected: socket.socket = self._transport.get_extra_info("socket")
        return connected

    def _is_sending(self) -> bool:
        """Whether something waits here, or in the kernel, which a reset would drop."""
        if self._transport.get_write_buffer_size():
            return True
        if sys.platform != "linux":
            return False  # elsewhere nobody tells: a reset may drop what was sent just now
        from fcntl import ioctl  # noqa: PLC0415 -- not on every system

        answer = ioctl(self._socket.fileno(), _NOT_SENT, b"\0" * 4)
        return answer != b"\0" * 4


__all__ = ["Connection", "Protocol"]
