"""The body of an answer: each read is bounded in time, each piece in size."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, cast

from rxassist.errors import APIConnectionError, APIError

if TYPE_CHECKING:  # slow to load, and not needed before the first request
    import httpx

COMPRESSIONS = "gzip, deflate"
"""The compressions that can be unpacked in steps, in the syntax of ``Accept-Encoding``."""

_STEP = 16 * 1024  # bytes: compressed data may unpack to a thousand times its size
_UNPACKED = frozenset({"gzip", "x-gzip", "deflate"})
_ANY_FRAME = 32 + zlib.MAX_WBITS  # zlib detects a gzip or a zlib header
_GZIP_MAGIC, _DEFLATED = b"\x1f\x8b", 8
_NOT_UNPACKED = frozenset({"br", "zstd", "compress", "x-compress"})
_FAREWELL_TIMEOUT = 1.0  # seconds
_MOST_LEFT = 1000  # chunks that httpx has already read
_OWN_CONNECTION = frozenset({b"HTTP/1.0", b"HTTP/1.1"})
_TIMING = "BoundAsyncStream"  # of httpx, around a stream: it notes how long that took


class Body:
    """The pieces of a response's body, unpacked; only the task that creates it may read it.

    A read that waits for longer than ``silence`` seconds raises ``TimeoutError``, whatever the
    HTTP library does about it. Compressed data is unpacked in small steps, and other tasks can run
    between two steps. Raises ``APIError`` for a compression other than gzip and deflate, and
    ``APIConnectionError`` for a body that does not match its declared encoding. ``name`` is for
    these errors.
    """

    __slots__ = (
        "_cancelling",
        "_chunks",
        "_expired",
        "_loop",
        "_next",
        "_response",
        "_silence",
        "_task",
        "_timer",
        "_unpacker",
        "_waits_since",
    )

    def __init__(self, response: httpx.Response, name: str, silence: float | None = None) -> None:
        self._response = response
        self._unpacker, self._chunks = _opened(response, name)
        self._next = self._chunks.__anext__
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._cancelling = 0
        self._expired = False
        self._waits_since: float | None = None  # when the current read began to wait
        self._silence = silence or 0.0
        self._timer = self._loop.call_later(silence, self._look) if silence else None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        unpacker = self._unpacker
        if unpacker is not None and unpacker.is_full:
            await asyncio.sleep(0)
            return unpacker.step(b"")
        self._waits_since = monotonic()
        try:
            chunk = await self._next()
        except BaseException:
            self._tell_if_expired()
            raise
        self._waits_since = None
        return chunk if unpacker is None else unpacker.step(chunk)

    def _look(self) -> None:
        """Cancel a read that has waited for too long; otherwise look again later.

        One timer that looks now and then costs a stream nothing; one for each read would be slow.
        """
        since = self._waits_since
        left = self._silence if since is None else since + self._silence - monotonic()
        if left > 0 or self._task is None:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._expired, self._cancelling = True, self._task.cancelling()
            self._task.cancel()

    def _tell_if_expired(self) -> None:
        """Raise ``TimeoutError`` if only its time limit cancelled the read."""
        if self._expired and self._task is not None:
            self._expired = False
            if self._task.uncancel() <= self._cancelling:
                raise TimeoutError from None

    async def aclose(self) -> None:
        """Close the response, and read its body to its end.

        Otherwise a task of its own would close each of the nested generators of httpx, one after
        the other, and an event loop that ends meanwhile logs an error. The body surely ends only
        if the connection belongs to one response.
        """
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self._response.aclose()
        finally:  # also if a client that closes cancels the line above
            if getattr(self._chunks, "ag_frame", self._chunks) is not None:
                with suppress(Exception):
                    async with asyncio.timeout(_FAREWELL_TIMEOUT):
                        await self._end()

    async def _end(self) -> None:
        extensions = self._response.extensions
        if "network_stream" not in extensions:  # no generators of httpx
            close = getattr(self._chunks, "aclose", None)
            if close is not None:
                await close()
        elif extensions.get("http_version") in _OWN_CONNECTION:
            for _ in range(_MOST_LEFT):
                await self._next()


def _opened(response: httpx.Response, name: str) -> tuple[_Unpacker | None, AsyncIterator[bytes]]:
    """The unpacker of a body, if it needs one, and its chunks, with few generators in between."""
    if response.is_stream_consumed:  # a hook of the user's own client has read and unpacked it
        return None, aiter(response.aiter_bytes())
    unpacker = _unpacker(response.headers.get("content-encoding", ""), name)
    stream: object = response.stream
    if type(stream).__name__ == _TIMING:  # one more generator, which a loop would have to close
        stream = getattr(stream, "_stream", stream)
    known = isinstance(stream, AsyncIterable)
    return unpacker, aiter(cast("AsyncIterable[bytes]", stream) if known else response.aiter_raw())


def _unpacker(encoding: str, name: str) -> _Unpacker | None:
    """The unpacker for an encoding; ``None`` if that is no compression, such as ``utf-8``."""
    named = [each.strip() for each in encoding.lower().split(",")]
    packed = [each for each in named if each in _UNPACKED | _NOT_UNPACKED]
    return _Unpacker(", ".join(packed), name) if packed else None


class _Unpacker:
    """Unpacks a body step by step. It ``is_full`` while its bytes can make another piece."""

    def __init__(self, encoding: str, name: str) -> None:
        self._encoding = encoding
        self._name = name
        self._decompressor = zlib.decompressobj()
        self._begun = self._ended = False
        self._left = b""  # received, and not unpacked yet
        self.is_full = False

    def step(self, chunk: bytes) -> bytes:
        """Unpack the bytes left over and a chunk, as far as one step goes."""
        self._left += chunk
        if not self._begun and not self._begin(self._left):
            self.is_full = False
            return b""
        try:
            piece = self._decompressor.decompress(self._left, _STEP)
        except zlib.error as error:
            msg = f"{self._name}: the answer cannot be unpacked as {self._encoding}: {error}"
            raise APIConnectionError(msg) from None
        self._left = self._decompressor.unconsumed_tail
        if self._decompressor.eof:
            self._begun, self._ended = False, True
            self._left = self._decompressor.unused_data
        self.is_full = bool(self._left) or len(piece) == _STEP
        return piece

    def _begin(self, packed: bytes) -> bool:
        """Begin if there are enough bytes to know the format, and they are not mere padding."""
        if self._encoding not in _UNPACKED:
            msg = (
                f"{self._name}: the answer is compressed ({self._encoding}) as nobody asked for; "
                f"only {COMPRESSIONS} can be unpacked"
            )
            raise APIError(msg)
        if len(packed) < len(_GZIP_MAGIC):
            return False
        if self._ended and not packed.startswith(_GZIP_MAGIC):  # gzip can have several members
            self._left = b""
            return False
        framed = packed[0] % 16 == _DEFLATED and int.from_bytes(packed[:2], "big") % 31 == 0
        raw = self._encoding == "deflate" and not framed  # some servers omit the zlib header
        self._decompressor = zlib.decompressobj(-zlib.MAX_WBITS if raw else _ANY_FRAME)
        self._begun = True
        return True
