"""The two clients: the same resources, on an event loop of their own or on yours."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping
from ssl import SSLContext
from typing import Any, ClassVar, Generic, Self, TypedDict, Unpack
from urllib.parse import SplitResult, urlsplit

import rxassist
from rxassist.client.foundry import API_VERSION, FoundryCredential, foundry_options
from rxassist.errors import excerpt
from rxassist.protocols.assistants.handler import AssistantEventHandler, AsyncAssistantEventHandler
from rxassist.protocols.assistants.parameters import HandlerT
from rxassist.protocols.assistants.resources.assistants import Assistants
from rxassist.protocols.assistants.resources.threads import Threads
from rxassist.protocols.assistants.streams import AsyncRunStream, RunStream
from rxassist.protocols.files.resources.files import Files
from rxassist.protocols.files.resources.vector_stores import VectorStores
from rxassist.protocols.responses.handler import AsyncResponseEventHandler, ResponseEventHandler
from rxassist.protocols.responses.resources.conversations import Conversations
from rxassist.protocols.responses.resources.responses import Responses
from rxassist.protocols.responses.streams import AsyncResponseStream, ResponseStream
from rxassist.reactive.budget import Budget, Share
from rxassist.reactive.checks import check_not_negative, check_positive
from rxassist.reactive.loop import HomeT, RunningLoop, ThreadLoop
from rxassist.reactive.observable import LoopObservable, note_call
from rxassist.reactive.polling import Herd
from rxassist.reactive.queues import Queues
from rxassist.runs.streams.run_stream import StreamT
from rxassist.wire.arguments import header_mapping, refuse_unknown, stated, text_mapping, timeouts
from rxassist.wire.calls import Connection, Requests
from rxassist.wire.credentials import Credential, Tokens
from rxassist.wire.http_client import HTTPChoice, Network
from rxassist.wire.options import RequestOptions, Timeout
from rxassist.wire.proxies import is_port
from rxassist.wire.sse import MAX_EVENT_BYTES
from rxassist.wire.transport import Settings, Transport

_OPENAI = "https://api.openai.com/v1"
_SERVERS = (
    "Pass base_url (or set RXASSIST_BASE_URL) to a server that speaks the protocol, such as "
    'Client(base_url="http://127.0.0.1:8765/v1"), or start one on this machine with '
    '"rxassist serve"'
)
_NO_BASE_URL = (
    f"base_url is missing: the hosted Assistants API of OpenAI ended on 2026-08-26. {_SERVERS}. "
    "With an api_key and without base_url, a client speaks to OpenAI for what is left there: "
    "responses, conversations, files and vector stores"
)
_ENDED = (
    "the hosted Assistants API of OpenAI ended on 2026-08-26, so there are no assistants and no "
    f"threads at {_OPENAI}. {_SERVERS}; or use client.responses"
)

_TIMEOUT = 600.0  # seconds

_BETA_PATHS = ("assistants", "threads", "vector_stores")  # as the official SDK
_ENDED_PATHS = ("assistants", "threads")
_MERGED = ("default_headers", "default_query")
_OF_CONNECTIONS = frozenset({"http_client", "max_connections", "proxy", "verify"})

_LABEL = r"[a-z0-9_]++(?:-++[a-z0-9_]++)*+"  # of a host name; possessive, so that none is slow
_HOST = re.compile(
    rf"{_LABEL}(?:\.{_LABEL})*+\.?|[0-9a-f.]*:[0-9a-f:.]+(?:%\w+)?", re.ASCII | re.IGNORECASE
)


def _from_environment(name: str) -> tuple[str | None, str]:
    """The value of our variable or else of the official SDK's, and the variable's name."""
    for variable in (f"RXASSIST_{name}", f"OPENAI_{name}"):
        if value := os.environ.get(variable):
            return value, variable
    return None, f"RXASSIST_{name}"


def _address(given: str) -> SplitResult | None:
    """The parts of a URL, if it can be the address of a service."""
    try:
        parts = urlsplit(given)
        host = _HOST.fullmatch(parts.hostname or "") is not None
        valid = parts.scheme in {"http", "https"} and host and is_port(parts.port)
    except ValueError:
        return None
    return parts if valid and given == given.strip() else None


def _checked_base_url(given: object, tokens: Tokens) -> str:
    if given is None:
        given, _ = _from_environment("BASE_URL")
    if given is None and tokens.is_given:
        return _OPENAI
    if given is None:
        raise ValueError(_NO_BASE_URL)
    if not isinstance(given, str):
        msg = f"base_url must be text, got {excerpt(given)}"
        raise TypeError(msg)
    wanted = 'base_url must be a URL such as "http://127.0.0.1:8765/v1"'
    parts = _address(given)
    if parts is None:
        shown = excerpt(given) if "@" not in given else "one with a user name or a password"
        msg = f"{wanted}, with a port from 1 to 65535 if any, got {shown}"
        raise ValueError(msg)
    if parts.username or parts.password:  # every repr and log would show them
        msg = "base_url must hold no user name and no password; pass them as default_headers"
        raise ValueError(msg)
    if parts.query or parts.fragment:
        msg = f"base_url must have no query and no fragment, got {excerpt(given)}"
        raise ValueError(msg)
    return given


def _tokens(given: Credential | None) -> Tokens:
    """The key to send, if any: the given one, else that of the environment."""
    if given is not None:
        return Tokens(given)
    return Tokens(*_from_environment("API_KEY"))


class ClientOptions(TypedDict, total=False):
    """The options of both clients.

    ``base_url`` and ``api_key`` come from the arguments, then from ``RXASSIST_BASE_URL`` and
    ``RXASSIST_API_KEY``, then from ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY``; if there is no key,
    none is sent. With a key alone the client speaks to OpenAI, for what is left there: responses,
    conversations, files and vector stores. The key may be a function, also an ``async`` one, that
    returns a token: it is called again when its token has ended or was refused. ``default_headers``
    and ``default_query`` are part of every request. ``timeout`` is in seconds (600) and bounds
    connecting (5 at most), waiting for a free connection, writing, and the wait for an answer;
    ``idle_timeout`` (120) bounds the silence of a stream, which any byte ends (``None``: no bound).
    ``max_connections`` bounds how many requests and streams may be open at once, by default not at
    all. ``max_event_bytes`` bounds one event (16 MiB). ``max_retries`` is how often a request is
    tried again if it failed before the service acted on it, or if the service refused it for now
    (2). ``http_client`` is ``"httpx"``, ``"aiohttp"`` (with the extra of that name), by default the
    second if it is installed, or an asynchronous client of your own, an ``httpx.AsyncClient`` or
    one like it, which serves this client alone and is closed with it. ``budget`` bounds how many
    runs are followed at once and how many requests are sent in a minute, together with all other
    clients that have the same ``Budget``.
    """

    base_url: str | None
    """The address of the server; else ``RXASSIST_BASE_URL``, ``OPENAI_BASE_URL``, or OpenAI's."""
    api_key: Credential | None
    """The key, or a function that returns one; else ``RXASSIST_API_KEY``, ``OPENAI_API_KEY``."""
    default_headers: Mapping[str, str] | None
    """Headers of every request."""
    default_query: Mapping[str, str] | None
    """Parameters of the query of every request."""
    timeout: float | Timeout | None
    """Seconds to connect (5 at most), write and wait for an answer (600); or an
    ``httpx.Timeout`` (only its ``connect`` and ``read`` count)."""
    idle_timeout: float | None
    """Seconds for which a stream may be silent (120); ``None`` for no bound."""
    max_connections: int | None
    """How many requests and streams may be open at once; by default no bound."""
    max_event_bytes: int
    """How large one event may be (16 MiB)."""
    max_retries: int
    """How often a request is sent again if the service did not act on it (2)."""
    http_client: HTTPChoice
    """``"httpx"``, ``"aiohttp"``, or an asynchronous client of your own."""
    proxy: str | None
    """The URL of a proxy for all requests; else that of the environment, as in httpx."""
    verify: bool | str | SSLContext
    """``False`` checks no certificate of a server; else the path of a file or folder of
    certificates, or an ``ssl.SSLContext``."""
    budget: Budget | None
    """A ``Budget`` that bounds runs and requests, together with other clients."""


def _connected(
    home: HomeT,
    like: Connection[HomeT] | None = None,
    *,
    base_url: str | None = None,
    api_key: Credential | None = None,
    default_headers: Mapping[str, str] | None = None,
    default_query: Mapping[str, str] | None = None,
    timeout: float | Timeout | None = _TIMEOUT,
    idle_timeout: float | None = 120.0,
    max_connections: int | None = None,
    max_event_bytes: int = MAX_EVENT_BYTES,
    max_retries: int = 2,
    http_client: HTTPChoice = None,
    proxy: str | None = None,
    verify: bool | str | SSLContext = True,
    budget: Budget | None = None,
) -> Connection[HomeT]:
    """Check a client's options, and make the connection for its resources.

    ``like`` is a connection whose pools it shares.
    """
    tokens = _tokens(api_key)
    base_url = _checked_base_url(base_url, tokens)
    for name, value, whole in (
        ("idle_timeout", idle_timeout, False),
        ("max_connections", max_connections, True),
    ):
        if value is not None:
            check_positive(name, value, whole=whole)
    network = Network(http_client, proxy, verify)
    if budget is not None and not isinstance(budget, Budget):
        msg = f"budget must be a Budget, such as Budget(max_runs=50), got {excerpt(budget)}"
        raise TypeError(msg)
    check_positive("max_event_bytes", max_event_bytes, whole=True)
    check_not_negative("max_retries", max_retries, whole=True)
    shares: dict[Budget, Share] = {} if like is None else like.shares
    share = _share_of(budget, shares)
    headers = {
        "User-Agent": f"rxassist/{rxassist.__version__}",
        **header_mapping("default_headers", default_headers),
    }
    settings = Settings(
        base_url,
        tokens,
        headers,
        tuple(text_mapping("default_query", default_query).items()),
        max_connections,
        max_event_bytes,
        network,
        share,
        {first: {"OpenAI-Beta": "assistants=v2"} for first in _BETA_PATHS},
    )
    transport = Transport(settings, None if like is None else like.transport)
    queues = Queues() if like is None else like.queues
    if share is not None and share.queues is not None:
        queues = share.queues
    polls = Herd() if like is None else like.polls
    is_openai = urlsplit(base_url).hostname == urlsplit(_OPENAI).hostname
    ended: dict[str, str] = dict.fromkeys(_ENDED_PATHS, _ENDED) if is_openai else {}
    return Connection(
        home,
        transport,
        timeouts(timeout),
        idle_timeout,
        max_retries,
        share,
        queues,
        ended,
        shares,
        polls,
    )


def _share_of(budget: Budget | None, shares: dict[Budget, Share]) -> Share | None:
    """What clients that share their connections have of a budget."""
    if budget is None:
        return None
    url = budget.redis()
    if budget not in shares and url is not None:
        from rxassist.redis.budget import RedisShare  # noqa: PLC0415 -- its package is an extra

        shares[budget] = RedisShare(budget, url)
    return shares.setdefault(budget, budget)


def _last_words(connection: Connection[Any]) -> Callable[[], Coroutine[Any, Any, None]]:
    """What closes the connections. It does not hold the client's home."""
    pools, shares = connection.transport.pools, connection.shares

    async def close() -> None:
        await pools.close()
        for share in shares.values():
            await share.close()

    return close


class _Discreet(Mapping[str, str]):
    """A mapping whose ``repr`` shows only the names: a value may be a key or a cookie."""

    __slots__ = ("_given",)

    def __init__(self, given: Mapping[str, str] | None) -> None:
        self._given = given or {}

    def __getitem__(self, name: str) -> str:
        return self._given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def __repr__(self) -> str:
        return f"{{{', '.join(f'{name!r}: ...' for name in self)}}}"


class _BaseClient(Generic[StreamT, HandlerT, HomeT]):
    """The common parts of both clients: the settings and the resources."""

    assistants: Assistants[HomeT]
    conversations: Conversations[HomeT]
    files: Files[HomeT]
    responses: Responses[Any, Any, HomeT]
    threads: Threads[StreamT, HandlerT, HomeT]
    vector_stores: VectorStores[HomeT]

    _stream_class: ClassVar[type[Any]]  # of the runs of assistants
    _response_stream_class: ClassVar[type[Any]]

    def _begin(
        self,
        home: HomeT,
        options: ClientOptions,
        like: Connection[HomeT] | None = None,
    ) -> None:
        given: Any = stated(options)
        connection = self._connection = _connected(home, like, **given)
        for name in _MERGED:
            given[name] = text_mapping(name, given.get(name))
        self._given: Callable[[], ClientOptions] = lambda: given  # the options hold a key
        self._transport = connection.transport
        self.base_url: str = connection.transport.base_url
        self.assistants = Assistants(connection)
        self.files = Files(connection)
        self.conversations = Conversations(connection)
        self.responses = Responses(connection, self._response_stream_class)
        self.threads = Threads(connection, self._stream_class)
        self.vector_stores = VectorStores(connection)

    @property
    def default_headers(self) -> Mapping[str, str]:
        """The headers given as ``default_headers``; its ``repr`` shows their names only."""
        return _Discreet(self._given().get("default_headers"))

    @property
    def default_query(self) -> Mapping[str, str]:
        """The parameters given as ``default_query``; its ``repr`` shows their names only."""
        return _Discreet(self._given().get("default_query"))

    @property
    def timeout(self) -> float | Timeout | None:
        """The ``timeout`` as given; 600 seconds by default."""
        return self._given().get("timeout", _TIMEOUT)

    @property
    def idle_timeout(self) -> float | None:
        """Seconds for which a stream may be silent; ``None`` for no bound."""
        return self._connection.idle_timeout

    @property
    def max_retries(self) -> int:
        """How often a request is sent again if the service did not act on it."""
        return self._connection.max_retries

    def is_closed(self) -> bool:
        """Whether the client, or one that shares its connections, was closed."""
        return self._connection.home.closed

    def with_options(self, **options: Unpack[ClientOptions]) -> Self:
        """The client with other options: ``client.with_options(timeout=5).threads.create()``.

        It shares the event loop and the connections of this one: closing one closes both.
        ``default_headers`` and ``default_query`` are merged into those of this client.
        Raises as the class does, and ``TypeError`` for ``http_client``, ``max_connections``,
        ``proxy`` and ``verify``, which belong to the connections.

        Keywords:

        - ``base_url``: the address of the server; else ``RXASSIST_BASE_URL``, ``OPENAI_BASE_URL``,
          or OpenAI's.
        - ``api_key``: the key, or a function that returns one; else ``RXASSIST_API_KEY``,
          ``OPENAI_API_KEY``.
        - ``default_headers``: headers of every request.
        - ``default_query``: parameters of the query of every request.
        - ``timeout``: seconds to connect (5 at most), write and wait for an answer (600); or an
          ``httpx.Timeout`` (only its ``connect`` and ``read`` count).
        - ``idle_timeout``: seconds for which a stream may be silent (120); ``None`` for no bound.
        - ``max_connections``: how many requests and streams may be open at once; by default no
          bound.
        - ``max_event_bytes``: how large one event may be (16 MiB).
        - ``max_retries``: how often a request is sent again if the service did not act on it (2).
        - ``http_client``: ``"httpx"``, ``"aiohttp"``, or an asynchronous client of your own.
        - ``proxy``: the URL of a proxy for all requests; else that of the environment, as in httpx.
        - ``verify``: ``False`` checks no certificate of a server; else the path of a file or folder
          of certificates, or an ``ssl.SSLContext``.
        - ``budget``: a ``Budget`` that bounds runs and requests, together with other clients.
        """
        call = f"{type(self).__name__}.with_options()"
        refuse_unknown(options, call, ClientOptions.__annotations__)
        for name in _OF_CONNECTIONS & options.keys():
            msg = f"{name} belongs to the connections, which are shared; make another client"
            raise TypeError(msg)
        ours: Any = self._given()
        given: Any = {"base_url": self.base_url, **ours, **stated(options)}
        for name in _MERGED:
            given[name] = ours[name] | text_mapping(name, given[name])
        like = self._connection
        other: Any = object.__new__(type(self))
        other._home = like.home
        other._begin(like.home, given, like)
        same: Self = other
        return same

    copy = with_options

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        **options: Unpack[RequestOptions],
    ) -> LoopObservable[Any, HomeT]:
        """A request to an endpoint that has no method here: an Observable of its JSON.

        ``path`` is below ``base_url`` and begins with a slash: ``client.request("POST",
        "/threads/thread_1/pin", body={"pinned": True})``. Pass a query as ``extra_query``.
        Emits ``None`` for an empty answer. A ``POST`` or a ``PATCH`` is sent once, however often it
        is subscribed; every other request is sent for each subscription.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        call = Requests(self._connection)._json(method, path, body, stated(options))
        note_call(call, "Client.request")
        return call

    @classmethod
    def _of_foundry(
        cls, endpoint: str, credential: FoundryCredential, api_version: str, options: ClientOptions
    ) -> Self:
        make: Any = cls
        client: Self = make(**(options | foundry_options(endpoint, credential, api_version)))
        return client

    @property
    def beta(self) -> Self:
        """The client itself, so that ``client.beta.threads`` works as in the official SDK."""
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r})"


class Client(_BaseClient[RunStream, AssistantEventHandler, ThreadLoop]):
    """A client for synchronous code, notebooks and GUIs.

    It runs on an event loop of its own in one background thread, and calls subscribers there;
    ``observe_on`` moves them. ``run()``, ``for`` and ``with`` block only the caller. The program
    can end even if the client is never closed.

    See ``ClientOptions`` for the arguments. Raises ``ValueError`` or ``TypeError``, naming the
    argument, before any request.

    Keywords:

    - ``base_url``: the address of the server; else ``RXASSIST_BASE_URL``, ``OPENAI_BASE_URL``, or
      OpenAI's.
    - ``api_key``: the key, or a function that returns one; else ``RXASSIST_API_KEY``,
      ``OPENAI_API_KEY``.
    - ``default_headers``: headers of every request.
    - ``default_query``: parameters of the query of every request.
    - ``timeout``: seconds to connect (5 at most), write and wait for an answer (600); or an
      ``httpx.Timeout`` (only its ``connect`` and ``read`` count).
    - ``idle_timeout``: seconds for which a stream may be silent (120); ``None`` for no bound.
    - ``max_connections``: how many requests and streams may be open at once; by default no bound.
    - ``max_event_bytes``: how large one event may be (16 MiB).
    - ``max_retries``: how often a request is sent again if the service did not act on it (2).
    - ``http_client``: ``"httpx"``, ``"aiohttp"``, or an asynchronous client of your own.
    - ``proxy``: the URL of a proxy for all requests; else that of the environment, as in httpx.
    - ``verify``: ``False`` checks no certificate of a server; else the path of a file or folder of
      certificates, or an ``ssl.SSLContext``.
    - ``budget``: a ``Budget`` that bounds runs and requests, together with other clients.
    """

    responses: Responses[ResponseStream, ResponseEventHandler | AssistantEventHandler, ThreadLoop]

    _stream_class = RunStream
    _response_stream_class = ResponseStream

    def __init__(self, **options: Unpack[ClientOptions]) -> None:
        refuse_unknown(options, "Client()", ClientOptions.__annotations__)
        home = self._home = ThreadLoop()
        self._begin(home, options)
        home.leave_with(_last_words(self._connection))

    @classmethod
    def foundry(
        cls,
        endpoint: str,
        credential: FoundryCredential,
        *,
        api_version: str = API_VERSION,
        **options: Unpack[ClientOptions],
    ) -> Self:
        """A client of a project of Azure AI Foundry Agent Service (classic).

        ``endpoint`` is ``https://<resource>.services.ai.azure.com/api/projects/<project>``.
        ``credential`` is a token, a function, also an ``async`` one, that returns a token, or a
        credential of ``azure.identity``; a new token is requested when one ends or is refused.

        Keywords:

        - ``base_url``: the address of the server; else ``RXASSIST_BASE_URL``, ``OPENAI_BASE_URL``,
          or OpenAI's.
        - ``api_key``: the key, or a function that returns one; else ``RXASSIST_API_KEY``,
          ``OPENAI_API_KEY``.
        - ``default_headers``: headers of every request.
        - ``default_query``: parameters of the query of every request.
        - ``timeout``: seconds to connect (5 at most), write and wait for an answer (600); or an
          ``httpx.Timeout`` (only its ``connect`` and ``read`` count).
        - ``idle_timeout``: seconds for which a stream may be silent (120); ``None`` for no bound.
        - ``max_connections``: how many requests and streams may be open at once; by default no
          bound.
        - ``max_event_bytes``: how large one event may be (16 MiB).
        - ``max_retries``: how often a request is sent again if the service did not act on it (2).
        - ``http_client``: ``"httpx"``, ``"aiohttp"``, or an asynchronous client of your own.
        - ``proxy``: the URL of a proxy for all requests; else that of the environment, as in httpx.
        - ``verify``: ``False`` checks no certificate of a server; else the path of a file or folder
          of certificates, or an ``ssl.SSLContext``.
        - ``budget``: a ``Budget`` that bounds runs and requests, together with other clients.
        """
        return cls._of_foundry(endpoint, credential, api_version, options)

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.close()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until no stream, call or poll is open: the last line of many scripts.

        ``timeout`` bounds the wait, in seconds. Returns whether all of them have ended. Raises
        ``BlockingCallError`` in a callback.
        """
        if timeout is not None:
            check_not_negative("timeout", timeout)
        return self._home.wait(timeout)

    def close(self) -> None:
        """End every stream and call with ``ClientClosed``, close the connections and the thread."""
        self._home.close()


class AsyncClient(_BaseClient[AsyncRunStream, AsyncAssistantEventHandler, RunningLoop]):
    """A client for asyncio code.

    It runs on the event loop in which it is first used, and calls subscribers there; in another
    loop, or after a fork, it raises ``WrongLoopError``. Everything it returns can be awaited, piped
    and iterated with ``async for``.

    See ``ClientOptions`` for the arguments. Raises ``ValueError`` or ``TypeError``, naming the
    argument, before any request.

    Keywords:

    - ``base_url``: the address of the server; else ``RXASSIST_BASE_URL``, ``OPENAI_BASE_URL``, or
      OpenAI's.
    - ``api_key``: the key, or a function that returns one; else ``RXASSIST_API_KEY``,
      ``OPENAI_API_KEY``.
    - ``default_headers``: headers of every request.
    - ``default_query``: parameters of the query of every request.
    - ``timeout``: seconds to connect (5 at most), write and wait for an answer (600); or an
      ``httpx.Timeout`` (only its ``connect`` and ``read`` count).
    - ``idle_timeout``: seconds for which a stream may be silent (120); ``None`` for no bound.
    - ``max_connections``: how many requests and streams may be open at once; by default no bound.
    - ``max_event_bytes``: how large one event may be (16 MiB).
    - ``max_retries``: how often a request is sent again if the service did not act on it (2).
    - ``http_client``: ``"httpx"``, ``"aiohttp"``, or an asynchronous client of your own.
    - ``proxy``: the URL of a proxy for all requests; else that of the environment, as in httpx.
    - ``verify``: ``False`` checks no certificate of a server; else the path of a file or folder of
      certificates, or an ``ssl.SSLContext``.
    - ``budget``: a ``Budget`` that bounds runs and requests, together with other clients.
    """

    responses: Responses[
        AsyncResponseStream, AsyncResponseEventHandler | AsyncAssistantEventHandler, RunningLoop
    ]

    _stream_class = AsyncRunStream
    _response_stream_class = AsyncResponseStream

    def __init__(self, **options: Unpack[ClientOptions]) -> None:
        refuse_unknown(options, "AsyncClient()", ClientOptions.__annotations__)
        self._home = RunningLoop()
        self._begin(self._home, options)

    @classmethod
    def foundry(
        cls,
        endpoint: str,
        credential: FoundryCredential,
        *,
        api_version: str = API_VERSION,
        **options: Unpack[ClientOptions],
    ) -> Self:
        """A client of a project of Azure AI Foundry Agent Service (classic).

        ``endpoint`` is ``https://<resource>.services.ai.azure.com/api/projects/<project>``.
        ``credential`` is a token, a function, also an ``async`` one, that returns a token, or a
        credential of ``azure.identity``; a new token is requested when one ends or is refused.

        Keywords:

        - ``base_url``: the address of the server; else ``RXASSIST_BASE_URL``, ``OPENAI_BASE_URL``,
          or OpenAI's.
        - ``api_key``: the key, or a function that returns one; else ``RXASSIST_API_KEY``,
          ``OPENAI_API_KEY``.
        - ``default_headers``: headers of every request.
        - ``default_query``: parameters of the query of every request.
        - ``timeout``: seconds to connect (5 at most), write and wait for an answer (600); or an
          ``httpx.Timeout`` (only its ``connect`` and ``read`` count).
        - ``idle_timeout``: seconds for which a stream may be silent (120); ``None`` for no bound.
        - ``max_connections``: how many requests and streams may be open at once; by default no
          bound.
        - ``max_event_bytes``: how large one event may be (16 MiB).
        - ``max_retries``: how often a request is sent again if the service did not act on it (2).
        - ``http_client``: ``"httpx"``, ``"aiohttp"``, or an asynchronous client of your own.
        - ``proxy``: the URL of a proxy for all requests; else that of the environment, as in httpx.
        - ``verify``: ``False`` checks no certificate of a server; else the path of a file or folder
          of certificates, or an ``ssl.SSLContext``.
        - ``budget``: a ``Budget`` that bounds runs and requests, together with other clients.
        """
        return cls._of_foundry(endpoint, credential, api_version, options)

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the client."""
        await self.close()

    async def close(self) -> None:
        """End every stream and call with ``ClientClosed``, and close the connections."""
        await self._home.close(_last_words(self._connection))
