"""The clients of both sides, over bytes in memory or over sockets, made as their users make them.

In memory, each is over a transport of its own HTTP library (httpx here, httpx2 in openai 3.x)
that hands out a list of chunks, so both pay for their library's ``aiter_bytes``. Over sockets,
openai's client is given a pool without bounds, which ours has by itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

MEMORY = "http://memory/v1"
KEY = "benchmark"
_KEPT_ALIVE = 100  # what both sides come with


def in_memory_transport(http: ModuleType) -> Any:
    """A transport of httpx or httpx2, sync and async, that answers with its ``chunks``."""
    return _class_of_transports(http)()


@cache  # a fresh client is measured, and no class that is made for it
def _class_of_transports(http: ModuleType) -> type:
    class Chunks(http.SyncByteStream, http.AsyncByteStream):  # type: ignore[misc, name-defined]
        def __init__(self, chunks: list[bytes]) -> None:
            self._chunks = chunks

        def __iter__(self) -> Iterator[bytes]:
            return iter(self._chunks)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for chunk in self._chunks:
                yield chunk

    class InMemory(http.BaseTransport, http.AsyncBaseTransport):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.chunks = list[bytes]()

        def handle_request(self, request: object) -> Any:
            headers = {"content-type": "text/event-stream; charset=utf-8"}
            answer = http.Response(200, headers=headers, stream=Chunks(self.chunks))
            answer.request = request
            return answer

        async def handle_async_request(self, request: object) -> Any:
            return self.handle_request(request)

    return InMemory


def _ours(mode: str, base_url: str, http_client: object = "httpx") -> Any:
    import rxassist

    client = rxassist.AsyncClient if mode == "async" else rxassist.Client
    return client(base_url=base_url, api_key=KEY, http_client=http_client)  # type: ignore[arg-type]


def _openai(mode: str, base_url: str, **options: Any) -> Any:
    import openai

    client = openai.AsyncOpenAI if mode == "async" else openai.OpenAI
    return client(base_url=base_url, api_key=KEY, **options)


def _theirs(mode: str, base_url: str, transport: object = None) -> Any:
    import httpx2

    http_class = httpx2.AsyncClient if mode == "async" else httpx2.Client
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=_KEPT_ALIVE)
    http = http_class(transport=transport, limits=limits, timeout=600, follow_redirects=True)  # type: ignore[arg-type]
    return _openai(mode, base_url, http_client=http)


def in_memory(side: str, mode: str) -> tuple[Any, Any]:
    """A client, and the transport whose ``chunks`` it will get."""
    if side.startswith("openai"):
        import httpx2

        transport = in_memory_transport(httpx2)
        return _theirs(mode, MEMORY, transport), transport
    import httpx

    transport = in_memory_transport(httpx)
    return _ours(mode, MEMORY, httpx.AsyncClient(transport=transport)), transport


def usual(side: str, mode: str, base_url: str) -> Any:
    """A client of a server, made of a base URL and a key."""
    if side.startswith("rxassist"):
        return _ours(mode, base_url)
    return _openai(mode, base_url)


def over_sockets(side: str, base_url: str) -> Any:
    """An asynchronous client of a server."""
    if side.startswith("rxassist"):
        return _ours("async", base_url, "aiohttp" if side.endswith("aiohttp") else "httpx")
    if side.startswith("openai"):
        return _theirs("async", base_url)
    import httpx

    if side == "httpx-aiohttp":
        http_class: Any = import_module("httpx_aiohttp").HttpxAiohttpClient
        unbounded = httpx.Limits(max_connections=0)
        return http_class(base_url=base_url, limits=unbounded, timeout=600)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=_KEPT_ALIVE)
    return httpx.AsyncClient(base_url=base_url, limits=limits, timeout=600)
