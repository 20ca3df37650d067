"""The HTTP library below: httpx, httpx over aiohttp, or a client with the same methods."""

from __future__ import annotations

import asyncio
import os
import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias
from weakref import WeakKeyDictionary, finalize, ref

from attrs import define, field, frozen

from rxassist.errors import excerpt
from rxassist.reactive.checks import needing
from rxassist.wire.proxies import Proxies, check_proxy

if TYPE_CHECKING:  # slow to load, and not needed before the first request
    import httpx

_AIOHTTP = "httpx_aiohttp"  # optional, and slow to load
_TIMEOUTS = ("connect", "read", "write", "pool")
_MOST_ADDRESSES = 1024  # of about 700 bytes each
_MOST_HEADS = 16  # they differ in their ``Accept`` header and in their token
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_MOST_IN_A_POOL = 4
_KEPT_ALIVE = 5.0  # seconds for an idle connection, as in httpx
_READ_FOR_TLS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
_MOST_CERTIFICATES = 4  # of about a megabyte each
_METHODS = ("build_request", "send", "aclose")
_NEVER_SENT = frozenset({"InvalidURL", "ProxyError", "UnsupportedProtocol"})
_NOT_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout"})
_NOT_WRITTEN = "Cannot write"
_NOTHING_SENT = "nothing was sent: there was no connection to the service yet"
_LONGEST_LINE = 64 * 1024  # bytes of a header; aiohttp's default is 8 KiB, httpx takes 100 KiB
_NOT_CONNECTED = frozenset({"ClientConnectorError", "ConnectionTimeoutError"})


class HTTPClient(Protocol):
    """The parts of an ``httpx.AsyncClient`` that rxassist needs."""

    @property
    def build_request(self) -> Callable[..., Any]:
        """Makes a request from a method, a URL, and the other arguments of httpx."""
        ...

    @property
    def send(self) -> Callable[..., Awaitable[Any]]:
        """Sends a request, and returns the response as soon as its head is there."""
        ...

    @property
    def aclose(self) -> Callable[[], Awaitable[None]]:
        """Closes every connection."""
        ...


HTTPChoice: TypeAlias = "HTTPClient | Literal['httpx', 'aiohttp'] | None"
"""``"httpx"``, ``"aiohttp"`` (the extra of that name), ``None`` for the best, or a client."""


def _check_choice(choice: object) -> None:
    """Raise if a choice of an HTTP client is invalid or not installed."""
    if choice is None or choice == "httpx":
        return
    if choice == "aiohttp":
        if find_spec(_AIOHTTP) is None:
            msg = needing('http_client="aiohttp"', "aiohttp", "httpx-aiohttp")
            raise ModuleNotFoundError(msg, name=_AIOHTTP)
    elif isinstance(choice, type) or not all(hasattr(choice, name) for name in _METHODS):
        msg = (
            'http_client must be "httpx", "aiohttp" or an asynchronous client such as '
            f"httpx.AsyncClient(), got {excerpt(choice)}"
        )
        raise TypeError(msg)


@frozen
class Network:
    """How a client reaches its server: the HTTP library, a proxy, the certificates it trusts.

    Raises ``TypeError`` or ``ValueError`` for invalid values, ``ModuleNotFoundError`` for a library
    that is not installed.
    """

    choice: HTTPChoice = None
    proxy: str | None = field(repr=False, default=None)
    verify: bool | str | ssl.SSLContext = True

    def __attrs_post_init__(self) -> None:
        _check_choice(self.choice)
        own = self.choice is not None and not isinstance(self.choice, str)
        if own and (self.proxy is not None or self.verify is not True):
            msg = "proxy and verify belong to the http_client of your own: set them there"
            raise TypeError(msg)
        if self.proxy is not None:
            check_proxy("proxy", self.proxy)
        if not isinstance(self.verify, bool | str | ssl.SSLContext):
            given = excerpt(self.verify)
            msg = f"verify must be True, False, a path or an ssl.SSLContext, got {given}"
            raise TypeError(msg)
        if isinstance(self.verify, str) and not Path(self.verify).exists():
            msg = f"verify must be True, False or a path, and nothing is at {excerpt(self.verify)}"
            raise ValueError(msg)

    def tls(self) -> ssl.SSLContext:
        """The certificates it trusts."""
        import httpx  # noqa: PLC0415 -- slow to load

        if isinstance(self.verify, str):
            folder = Path(self.verify).is_dir()
            file = None if folder else self.verify
            return ssl.create_default_context(cafile=file, capath=self.verify if folder else None)
        if self.verify is True:
            return _usual_tls(ssl.SSLContext, *map(_as_it_is, _READ_FOR_TLS))
        return httpx.create_ssl_context(verify=self.verify)


@lru_cache(_MOST_CERTIFICATES)
def _usual_tls(*_: object) -> ssl.SSLContext:
    """The certificates that httpx trusts, read once: that takes longer than many requests.

    They are read again if a variable or its file has changed, or the class of contexts:
    ``truststore`` puts its own in the place of Python's.
    """
    import httpx  # noqa: PLC0415 -- as above

    return httpx.create_ssl_context()


def _as_it_is(variable: str) -> tuple[str | None, int]:
    """A variable of the environment, and when its file was last changed, in nanoseconds."""
    path = os.environ.get(variable)
    with suppress(OSError):
        return path, Path(path).stat().st_mtime_ns if path else 0
    return path, 0


class _Shared:
    """The common parts of all requests of one client, made once for all its pools."""

    def __init__(self, tls: ssl.SSLContext, proxies: Proxies) -> None:
        from http.cookiejar import CookieJar  # noqa: PLC0415 -- slow to load, like all of these,

        import httpx  # noqa: PLC0415 -- and not needed before the first request

        self.tls = tls
        self._cookies = CookieJar()
        self._proxies = proxies
        usual = self._by_httpx(None).headers

        def headers(host: bytes, given: tuple[tuple[str, str], ...]) -> httpx.Headers:
            merged = usual.copy()
            merged.update(dict(given))
            return merged if "host" in merged else httpx.Headers([(b"Host", host), *merged.raw])

        def address(url: str, query: tuple[tuple[str, str], ...]) -> httpx.URL:
            return httpx.URL(url, params=query) if query else httpx.URL(url)

        self._headers = lru_cache(_MOST_HEADS)(headers)
        self._address = lru_cache(_MOST_ADDRESSES)(address)
        self._proxy = lru_cache(_MOST_HEADS)(self._proxy_of)

    def build_request(
        self,
        method: str,
        url: str,
        *,
        params: Sequence[tuple[str, str]] | None,
        headers: Mapping[str, str],
        timeout: tuple[float | None, ...],
        content: bytes = b"",
        **form: Any,
    ) -> httpx.Request:
        """The request that ``httpx.AsyncClient`` would make, from cached parts."""
        import httpx  # noqa: PLC0415 -- as above

        address = self._address(url, tuple(params or ()))
        parts: dict[str, Any] = {
            "headers": self._headers(address.netloc, tuple(headers.items())),
            "cookies": self._cookies,
            "extensions": {"timeout": dict(zip(_TIMEOUTS, timeout, strict=True))},
        }
        if form:
            return httpx.Request(method, address, **parts, **form)
        # with ``content=``, httpx would search and copy all headers several times
        request = httpx.Request(method, address, **parts, stream=httpx.ByteStream(content))
        request.read()
        if content or method in _WITH_BODY:
            request.headers["Content-Length"] = str(len(content))
        return request

    async def digest(self, request: httpx.Request, response: httpx.Response) -> httpx.Response:
        """A response, after httpx has handled its cookies and its redirect."""
        client = self._by_httpx(response)
        return await client.send(request, stream=True, follow_redirects=False)

    def _by_httpx(self, response: httpx.Response | None) -> httpx.AsyncClient:
        import httpx  # noqa: PLC0415 -- as above

        there: Any = _There(response)
        return httpx.AsyncClient(transport=there, cookies=self._cookies)

    def proxy_of(self, url: httpx.URL) -> str | None:
        """The proxy for an address."""
        return self._proxy(url.scheme, url.host, url.port) if self._proxies else None

    def _proxy_of(self, scheme: str, host: str, port: int | None) -> str | None:
        import httpx  # noqa: PLC0415 -- as above

        try:
            return self._proxies.of(scheme, host, port)
        except ValueError as error:
            raise httpx.InvalidURL(str(error)) from None


class _There:
    """A transport of httpx that only returns an existing response."""

    def __init__(self, response: httpx.Response | None) -> None:
        self._response = response

    async def handle_async_request(self, _: httpx.Request) -> httpx.Response | None:
        return self._response


class _OurClient:
    """An ``httpx.AsyncClient`` without its slowest and least needed parts.

    It belongs to the loop it is made on, and closes with that loop if no code closed it before.
    """

    def __init__(
        self,
        shared: _Shared,
        make: Callable[[str | None], httpx.AsyncBaseTransport],
    ) -> None:
        self._shared = shared
        self._make = make
        self._transports: dict[str | None, httpx.AsyncBaseTransport] = {}  # by proxy
        self._open = _until_the_loop_ends(ref(self))
        with suppress(StopIteration):
            self._open.asend(None).send(None)  # from now on the loop knows this generator
        finalize(self, _let_go, self._open, os.getpid()).atexit = False

    @property
    def build_request(self) -> Callable[..., httpx.Request]:
        return self._shared.build_request

    async def send(self, request: httpx.Request, **_: object) -> httpx.Response:
        proxy = self._shared.proxy_of(request.url)
        if not request.headers.get("cookie", "").isprintable():  # a server has set such a cookie
            del request.headers["cookie"]
        transport = self._transports.get(proxy)
        if transport is None:
            transport = self._transports[proxy] = self._make(proxy)
        try:
            response = await self._through(proxy, transport, request)
        except UnicodeError as error:  # Python's look-up of a host name with too long a label
            import httpx  # noqa: PLC0415 -- as above

            msg = f"{excerpt(request.url.host)} is no host name: {error}"
            raise httpx.InvalidURL(msg) from error
        response.request = request
        if "set-cookie" in response.headers or response.has_redirect_location:
            return await self._shared.digest(request, response)
        return response

    async def _through(
        self, proxy: str | None, transport: httpx.AsyncBaseTransport, request: httpx.Request
    ) -> httpx.Response:
        """Send a request; add a note to an error that came before a proxy had connected."""
        if proxy is None or request.url.scheme != "https":
            return await transport.handle_async_request(request)
        asked = list[bytes]()  # the methods of the requests that httpx has sent

        async def trace(event: str, info: Mapping[str, Any]) -> None:
            if event == "http11.send_request_headers.started":
                asked.append(info["request"].method)

        request.extensions["trace"] = trace
        try:
            return await transport.handle_async_request(request)
        except Exception as error:
            if asked == [b"CONNECT"]:
                error.add_note(_NOTHING_SENT)
            raise

    async def aclose(self) -> None:
        await self._open.aclose()

    async def close_transports(self) -> None:
        """Close every connection, at the end of the client or of its loop."""
        for transport in self._transports.values():
            await transport.aclose()


async def _until_the_loop_ends(client: ref[_OurClient]) -> AsyncGenerator[None]:
    """Close a client's connections at the end: an event loop closes its generators as it ends."""
    try:
        yield
    except GeneratorExit:
        open_client = client()
        if open_client is not None:
            await open_client.close_transports()
        raise


@define(eq=False)
class Pool:
    """One client, how many of its connections are taken, and when one became free last."""

    client: HTTPClient
    taken: int = 0
    freed_at: float = 0.0


class Pools:
    """The clients in use, on one event loop: as many as the open connections need.

    The pool of httpx looks at all its connections at each request, and at each idle one as often as
    there are idle ones, so a thousand in one pool cost more time than their requests. Many pools
    with a few connections each stay cheap. A pool that was not needed for a while is closed.
    """

    def __init__(self, network: Network) -> None:
        self._network: Network = network
        self._make: Callable[[], HTTPClient] | None = None
        self._places: int | None = None
        self._pools: list[Pool] = []
        self._free: list[Pool] = []  # once for each free connection; the last used one is last

    def take(self) -> Pool:
        """Take a pool that has a free connection; the caller gives it back."""
        make = self._make
        if make is None:  # at the first request: its imports are slow to load
            make, self._places = _maker(self._network)
            self._make = make
        if self._places is None:
            return self._pools[0] if self._pools else self._new(make)
        if not self._free:
            self._free = [self._new(make)] * self._places
        pool = self._free.pop()
        pool.taken += 1
        return pool

    async def give_back(self, pool: Pool) -> None:
        """Give back a connection of a pool."""
        if self._places is None:
            return
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

    def _new(self, make: Callable[[], HTTPClient]) -> Pool:
        pool = Pool(make())
        self._pools.append(pool)
        return pool

    async def close(self) -> None:
        """Close every connection."""
        pools, self._pools, self._free = self._pools, [], []
        for pool in pools:
            await pool.client.aclose()


def _maker(network: Network) -> tuple[Callable[[], HTTPClient], int | None]:
    """The function that makes clients, and the connections of each client, ``None`` for all."""
    choice = network.choice
    if choice is not None and not isinstance(choice, str):
        own = choice
        return (lambda: own), None
    proxies = Proxies(network.proxy)
    choice = choice or _default(proxies)
    shared = _Shared(network.tls(), proxies)
    if choice == "aiohttp":
        return (lambda: _aiohttp_client(shared)), None
    return (lambda: _httpx_client(shared)), _MOST_IN_A_POOL


def _default(proxies: Proxies) -> Literal["httpx", "aiohttp"]:
    """The faster one, if it is installed and supports the proxies."""
    return "httpx" if proxies.need_socks or find_spec(_AIOHTTP) is None else "aiohttp"


def _httpx_client(shared: _Shared) -> HTTPClient:
    import httpx  # noqa: PLC0415 -- as above

    limits = httpx.Limits(max_connections=None, keepalive_expiry=_KEPT_ALIVE)

    def transport(proxy: str | None) -> httpx.AsyncBaseTransport:
        return httpx.AsyncHTTPTransport(verify=shared.tls, limits=limits, proxy=proxy)

    return _OurClient(shared, transport)


def _aiohttp_client(shared: _Shared) -> HTTPClient:
    import httpx  # noqa: PLC0415 -- as above

    aiohttp, bridge = import_module("aiohttp"), import_module(_AIOHTTP)
    connector = _connector_class(aiohttp)(limit=0, ssl=shared.tls, keepalive_timeout=_KEPT_ALIVE)
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        response_class=_response_class(aiohttp),
        max_line_size=_LONGEST_LINE,
        max_field_size=_LONGEST_LINE,
    )

    def transport(proxy: str | None) -> httpx.AsyncBaseTransport:
        via = proxy and _with_a_header(httpx.Proxy(proxy))
        made: httpx.AsyncBaseTransport = bridge.AiohttpTransport(
            verify=shared.tls, client=session, proxy=via
        )
        return made

    client = _OurClient(shared, transport)
    connector.client = ref(client)
    return client


def _connector_class(aiohttp: Any) -> type:  # noqa: ANN401 -- as above
    """The connector of aiohttp, which closes quietly when its client is garbage.

    It adds a note to its errors: they came before the request was sent. Its session warns unless
    the connector is closed; without a client, the connector counts as closed. A fork does not
    close its copy, as the sockets are still the parent's.
    """
    base, process, process_now = aiohttp.TCPConnector, os.getpid(), os.getpid

    def closed(self: Any) -> bool:  # noqa: ANN401 -- as above
        client: ref[_OurClient] | None = getattr(self, "client", None)
        return bool(self._closed) or (client is not None and client() is None)

    def close_at_once(self: Any) -> None:  # noqa: ANN401 -- as above
        if process_now() != process or self._closed:
            return
        leave = partial(base.__exit__, self)  # closes without a task that waits for it
        loop = self._loop
        if loop.is_running():  # the garbage collector may run in any thread
            loop.call_soon_threadsafe(leave)
        else:
            leave()

    async def connect(self: Any, *given: Any, **named: Any) -> Any:  # noqa: ANN401 -- as above
        try:
            return await base.connect(self, *given, **named)
        except Exception as error:
            error.add_note(_NOTHING_SENT)
            raise

    def release(
        self: Any,  # noqa: ANN401 -- as above
        key: Any,  # noqa: ANN401 -- as above
        protocol: Any,  # noqa: ANN401 -- as above
        *,
        should_close: bool = False,
    ) -> None:
        if self._loop.is_closed():  # a response may be collected before its connector
            close_at_once(self)
            return
        if key.is_ssl and protocol.transport and (should_close or protocol.should_close):
            protocol.transport.abort()  # else it waits for the server's farewell, after our close
        base._release(self, key, protocol, should_close=should_close)

    parts: dict[str, Any] = {
        "closed": property(closed),
        "__del__": close_at_once,
        "_release": release,
        "connect": connect,
    }
    return type("Connector", (base,), parts)


def _with_a_header(proxy: httpx.Proxy) -> httpx.Proxy:
    """A proxy with user and password in a header: all other ways are deprecated in aiohttp."""
    import httpx  # noqa: PLC0415 -- as above

    if proxy.raw_auth is None:
        return proxy
    token = b64encode(b":".join(proxy.raw_auth)).decode()
    return httpx.Proxy(proxy.url, headers={"Authorization": f"Basic {token}"})


class _Ends:
    """Raises in the bodies of aiohttp whose connection ends before they do.

    After a malformed chunk aiohttp only closes the connection, and the body waits for ever.
    """

    def __init__(self, error: Callable[[str], Exception]) -> None:
        self._error = error
        self._last: WeakKeyDictionary[asyncio.Future[None], ref[Any]] = WeakKeyDictionary()

    def watch(self, response: Any, protocol: Any) -> None:  # noqa: ANN401 -- both of aiohttp
        """Raise in the body of a response when its connection is closed too early."""
        closed: asyncio.Future[None] | None = getattr(
            protocol, "closed", None
        )  # newer ones have it
        if closed is not None:
            if closed not in self._last:  # once for all the responses of a connection
                closed.add_done_callback(self._ended)
            self._last[closed] = ref(response)
        elif not protocol.connected:
            self._fail(response)

    def _ended(self, closed: asyncio.Future[None]) -> None:
        if not closed.cancelled():
            closed.exception()  # otherwise asyncio logs it as never retrieved
        response = self._last[closed]()
        if response is not None:
            self._fail(response)

    def _fail(self, response: Any) -> None:  # noqa: ANN401 -- as above
        body = response.content
        if not body.is_eof() and body.exception() is None:
            body.set_exception(self._error("the connection ended in the middle of the body"))


def _response_class(aiohttp: Any) -> type:  # noqa: ANN401 -- as above
    """The response of aiohttp, whose body never waits for a connection that has ended."""
    ends = _Ends(aiohttp.ClientPayloadError)
    base = aiohttp.ClientResponse

    async def start(self: Any, connection: Any) -> Any:  # noqa: ANN401 -- as above
        protocol = connection.protocol
        response = await base.start(self, connection)
        ends.watch(response, protocol)
        return response

    return type("Response", (base,), {"start": start})


def _let_go(opened: AsyncGenerator[None], process: int) -> None:
    """End the generator of a client that is garbage, without a task of its loop.

    The generator holds no reference to the client, which would otherwise live for ever. The
    garbage collector may run in any thread; a fork does not close its copy.
    """
    if os.getpid() == process:
        with suppress(StopAsyncIteration, RuntimeError):  # it has ended already, or is ending
            opened.asend(None).send(None)


def names_of(error: BaseException) -> frozenset[str]:
    """The class names of an error of an HTTP library, with all its bases; else nothing.

    Names, so that the errors of every library of this family count.
    """
    if not type(error).__module__.startswith(("httpx", "aiohttp")):
        return frozenset()
    return frozenset(cls.__name__ for cls in type(error).__mro__)


def was_sent(error: BaseException) -> bool:
    """Whether a request that failed may have reached the service.

    It did not if the address is invalid, or if a proxy refused to connect or closed the connection.
    """
    names = names_of(error)
    if names & _NEVER_SENT or _NOTHING_SENT in (*_notes(error), *_notes(error.__cause__)):
        return False
    if not names & _NOT_SENT:
        return True
    cause = error.__cause__  # httpx-aiohttp calls every lost connection a ConnectTimeout
    below = _names_below(error)
    if "ClientConnectionResetError" in below and str(cause).startswith(_NOT_WRITTEN):
        return False  # the server had closed the connection: the request was not written to its end
    return "ClientError" in below and not below & _NOT_CONNECTED


def was_lost(error: BaseException) -> bool:
    """Whether a timeout of httpx-aiohttp is in fact a connection that was refused or lost."""
    below = _names_below(error)
    return "ClientError" in below and "ServerTimeoutError" not in below


def _notes(error: BaseException | None) -> Sequence[str]:
    return getattr(error, "__notes__", ())


def has_no_server(error: BaseException) -> bool:
    """Whether no server accepted the connection; a failed TLS handshake does not count."""
    bottom = error
    while bottom.__cause__ is not None:
        bottom = bottom.__cause__
    refused = "ConnectError" in names_of(error) or "ClientConnectorError" in _names_below(error)
    return refused and not isinstance(bottom, ssl.SSLError)


def _names_below(error: BaseException) -> frozenset[str]:
    cause = error.__cause__
    return frozenset() if cause is None else names_of(cause)


__all__ = [
    "HTTPChoice",
    "HTTPClient",
    "Network",
    "Pool",
    "Pools",
    "has_no_server",
    "names_of",
    "was_lost",
    "was_sent",
]
