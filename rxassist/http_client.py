"""The HTTP library below: httpx, httpx over aiohttp, or whatever speaks like them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from time import monotonic
from typing import Any, Literal, Protocol, TypeAlias

from attrs import define

from rxassist.errors import excerpt

_AIOHTTP = "httpx_aiohttp"  # optional, and slow to load
_MOST_IN_A_POOL = 4
_KEPT_ALIVE = 5.0  # seconds, as httpx keeps a connection that is idle
_METHODS = ("build_request", "send", "aclose")
_NOT_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout"})
_NOT_CONNECTED = frozenset({"ClientConnectorError", "ConnectionTimeoutError"})


class HTTPClient(Protocol):
    """What is needed of an asynchronous HTTP client: an ``httpx.AsyncClient`` has it."""

    @property
    def build_request(self) -> Callable[..., Any]:
        """Makes a request, of a method, a URL, and what httpx takes."""
        ...

    @property
    def send(self) -> Callable[..., Awaitable[Any]]:
        """Sends it, and gives the response when its head is there."""
        ...

    @property
    def aclose(self) -> Callable[[], Awaitable[None]]:
        """Closes every connection."""
        ...


HTTPChoice: TypeAlias = "HTTPClient | Literal['httpx', 'aiohttp']"
"""``"httpx"``, ``"aiohttp"`` (the extra of that name), or a client."""


def check_choice(choice: object) -> None:
    """Raise where a choice of an HTTP client is none, or not installed."""
    if choice == "httpx":
        return
    if choice == "aiohttp":
        if find_spec(_AIOHTTP) is None:
            msg = 'http_client="aiohttp" needs an extra: pip install "rxassist[aiohttp]"'
            raise ModuleNotFoundError(msg, name=_AIOHTTP)
    elif isinstance(choice, type) or not all(hasattr(choice, name) for name in _METHODS):
        msg = (
            'http_client must be "httpx", "aiohttp" or an asynchronous client such as '
            f"httpx.AsyncClient(), got {excerpt(choice)}"
        )
        raise TypeError(msg)


@define(eq=False)
class _Pool:
    """One client, how many of its places are taken, and when one became free last."""

    client: HTTPClient
    taken: int = 0
    freed_at: float = 0.0


class Pools:
    """The clients that are used, on one event loop: as many as the connections that are open need.

    The pool of httpx looks at all its connections at each request, and at each idle one as often as
    there are idle ones, so a thousand in one cost more than all that they say. A few in each of
    many pools cost what a few cost. A pool that nobody needed for a while is closed.
    """

    def __init__(self, choice: HTTPChoice) -> None:
        self._make, self._places = _maker(choice)
        self._pools: list[_Pool] = []
        self._free: list[_Pool] = []  # once for each place, the one that was needed last behind

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[HTTPClient]:
        """A client that has a place for a connection, while it is needed."""
        if self._places is None:
            yield (self._pools[0] if self._pools else self._new()).client
            return
        if not self._free:
            self._free = [self._new()] * self._places
        pool = self._free.pop()
        pool.taken += 1
        try:
            yield pool.client
        finally:
            pool.taken -= 1
            pool.freed_at = monotonic()
            self._free.append(pool)
            await self._close_idle()

    async def _close_idle(self) -> None:
        oldest = self._free[0]
        idle = not oldest.taken and monotonic() - oldest.freed_at > _KEPT_ALIVE
        if idle and oldest in self._pools:
            self._free = [pool for pool in self._free if pool is not oldest]
            self._pools.remove(oldest)
            await oldest.client.aclose()

    def _new(self) -> _Pool:
        pool = _Pool(self._make())
        self._pools.append(pool)
        return pool

    async def close(self) -> None:
        """Close every connection."""
        pools, self._pools, self._free = self._pools, [], []
        for pool in pools:
            await pool.client.aclose()


def _maker(choice: HTTPChoice) -> tuple[Callable[[], HTTPClient], int | None]:
    """What makes clients, and how many connections each is to have, ``None`` for all."""
    if not isinstance(choice, str):
        return (lambda: choice), None
    if choice == "aiohttp":
        return _aiohttp_client, None
    import httpx  # noqa: PLC0415 -- slow to load, and not needed before the first request

    tls = httpx.create_ssl_context()  # made once: it takes longer than many requests

    def httpx_client() -> HTTPClient:
        return httpx.AsyncClient(verify=tls, limits=httpx.Limits(max_connections=None))

    return httpx_client, _MOST_IN_A_POOL


def _aiohttp_client() -> HTTPClient:
    import httpx  # noqa: PLC0415 -- as above

    unbounded = httpx.Limits(max_connections=0)
    client: HTTPClient = import_module(_AIOHTTP).HttpxAiohttpClient(limits=unbounded)
    return client


def names_of(error: BaseException) -> frozenset[str]:
    """What an error of an HTTP library is called, with all its bases; of any other, nothing.

    By name, so that the errors of every library of this family count.
    """
    if not type(error).__module__.startswith(("httpx", "aiohttp")):
        return frozenset()
    return frozenset(cls.__name__ for cls in type(error).__mro__)


def was_sent(error: BaseException) -> bool:
    """Whether a request that failed may have reached the service."""
    if not names_of(error) & _NOT_SENT:
        return True
    cause = error.__cause__  # httpx-aiohttp calls every lost connection a ConnectTimeout
    below = names_of(cause) if cause is not None else frozenset[str]()
    return "ClientError" in below and not below & _NOT_CONNECTED


__all__ = ["HTTPChoice", "HTTPClient", "Pools", "check_choice", "names_of", "was_sent"]
