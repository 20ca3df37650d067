"""The connection of one request, below what ASGI shows of it."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from typing import Any

from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_STATE = "connection"  # the key of the transport in the state of a scope
_PAUSE = 0.001  # seconds between two checks of the bytes that wait to be sent
_NOT_SENT = 0x894B  # SIOCOUTQNSD of Linux: bytes of a socket that have not left it
_NO_LINGERING = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Protocol(H11Protocol):
    """uvicorn's HTTP, but each request knows its connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport in the state: each request gets a copy of it."""
        super().connection_made(transport)
        self.app_state: dict[str, Any] = {**self.app_state, _STATE: transport}


class Connection:
    """The connection of a request, which can send, stall, and break.

    Some methods return only when the client has left, or the service closes, as they say: nothing
    that is sent afterwards arrives.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._transport: asyncio.Transport = scope["state"][_STATE]
        self._receive = receive
        self._send = send

    async def send(self, message: Message) -> None:
        """Send an ASGI message."""
        await self._send(message)

    async def send_body(self, piece: bytes, *, more: bool = True) -> None:
        """Send a piece of the body; the last piece ends the reply properly."""
        if piece or not more:
            await self._send({"type": "http.response.body", "body": piece, "more_body": more})

    async def read(self) -> bytes:
        """Read the whole body: a client that is still sending would miss the reply."""
        pieces, more = list[bytes](), True
        while more:
            message = await self._receive()
            pieces.append(message.get("body", b""))
            more = message.get("more_body", False)
        return b"".join(pieces)

    async def left(self) -> None:
        """Return when the client has left."""
        await left(self._receive)

    async def left_within(self, seconds: float) -> bool:
        """Wait for so long; true if the client has left."""
        try:
            async with asyncio.timeout(seconds):
                await self.left()
        except TimeoutError:
            return False
        return True

    def write(self, raw: bytes) -> None:
        """Write raw bytes, past HTTP, after everything that was sent."""
        self._transport.write(raw)

    async def close(self) -> None:
        """Close after everything that was sent (FIN), and return when the client has left."""
        self._transport.close()
        await self.left()

    async def reset(self) -> None:
        """Reset after everything that was sent (RST), and return when the client has left."""
        while not self._transport.is_closing() and self._is_sending():  # noqa: ASYNC110 -- no event
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
        """Whether bytes wait here, or in the kernel: a reset would drop them."""
        if self._transport.get_write_buffer_size():
            return True
        if sys.platform != "linux":
            return False  # other systems cannot tell: a reset may drop the last bytes
        from fcntl import ioctl  # noqa: PLC0415 -- not on every system

        answer = ioctl(self._socket.fileno(), _NOT_SENT, b"\0" * 4)
        return answer != b"\0" * 4


async def left(receive: Receive) -> None:
    """Return when the client of a request has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


__all__ = ["Connection", "Protocol", "left"]
