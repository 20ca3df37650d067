"""Requests and byte streams over HTTP: sent, retried, redirected, and read."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from time import monotonic
from typing import IO, TYPE_CHECKING, Any, NoReturn, TypeVar, cast
from urllib.parse import urlsplit

from attrs import field, frozen

from rxassist.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    DecodeError,
    Headers,
    RateLimitError,
    RxAssistError,
    WrongAnswerError,
    api_error_fields,
    says_not_done,
    stand_alone,
    status_error,
)
from rxassist.errors.redaction import HIDDEN, beginning, redacted
from rxassist.reactive.budget import Share
from rxassist.reactive.logger import logger
from rxassist.reactive.tally import count_retry
from rxassist.wire.body import COMPRESSIONS, Body
from rxassist.wire.credentials import Tokens
from rxassist.wire.http_client import (
    HTTPClient,
    Network,
    Pools,
    has_no_server,
    names_of,
    was_lost,
    was_sent,
)
from rxassist.wire.json import from_json, to_json
from rxassist.wire.proxies import is_port
from rxassist.wire.sse import MAX_EVENT_BYTES, Decoder

if TYPE_CHECKING:  # slow to load, and not needed before the first request
    import httpx

_T = TypeVar("_T")

_SCHEMES = frozenset({"http", "https"})
_NO_LOCATION = "Invalid URL in location"  # the text of httpx
_REDIRECTS, _FAILED = 300, 400
_MOST_BYTES = 256 * 1024 * 1024  # of an answer that is neither a file nor a stream
_BODY_EXCERPT = 300
_SERVER_ERROR = 500
CONNECT_TIMEOUT = 5.0
"""Seconds for connecting, by default."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0  # seconds
_RETRIED = frozenset({408, 409, 429})
_MOST_REDIRECTS = 20  # as httpx
_FOR_ANY_HOST = frozenset(
    {
        "accept",
        "accept-encoding",
        "content-length",
        "content-type",
        "host",
        "openai-beta",
        "transfer-encoding",
        "user-agent",
    }
)

_SECRET_HEADERS = frozenset({"set-cookie", "set-cookie2"})
_NO_SERVER = 'check base_url, or start one on this machine with "rxassist serve"'
_REQUEST_ID_HEADERS = ("x-request-id", "apim-request-id", "request-id")


@frozen
class Upload:
    """A file for a multipart body: read from disk piece by piece, anew at each try.

    ``open`` gives an open binary file; ``name`` and ``content_type`` are sent to the service.
    """

    open: Callable[[], AbstractContextManager[IO[bytes]]] = field(repr=False)
    name: str = "upload"
    content_type: str | None = None
    repeatable: bool = True


@frozen
class ResponseHead:
    """The head of an answer: the argument of ``on_response=``.

    ``seconds`` is how long it took to come, ``request_id`` the service's id of the request,
    ``None`` if it sent none. Names of ``headers`` may be in any case; credentials in them are
    masked.
    """

    method: str
    path: str
    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    request_id: str | None
    seconds: float


@frozen
class Request:
    """A request to the service: a path below the base URL, a query, a body of plain data.

    With an ``upload`` the body is multipart, of the file and the fields of ``body``. A request that
    may create a run or a message is ``careful``: it is tried again only if it was not sent, or if
    the service itself says that it did not act. ``timeout`` is in seconds, ``None`` for no bound;
    for the silence of a stream, ``idle_timeout`` replaces it. ``max_bytes`` bounds an answer that
    is no stream. ``connect_timeout`` bounds connecting, and is never longer than ``timeout``.
    ``on_response`` is called with the head of each answer.
    """

    method: str
    path: str
    query: Sequence[tuple[str, str]] = field(repr=False, default=())
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(repr=False, factory=dict[str, str])
    upload: Upload | None = None
    careful: bool = False
    timeout: float | None = 600.0
    idle_timeout: float | None = None
    max_retries: int = 2
    max_bytes: int | None = _MOST_BYTES
    connect_timeout: float | None = CONNECT_TIMEOUT
    on_response: Callable[[ResponseHead], object] | None = field(repr=False, default=None)

    @property
    def shown_path(self) -> str:
        """The path without a query, which may hold a secret."""
        return self.path.partition("?")[0]

    def __str__(self) -> str:
        return f"{self.method} {self.shown_path}"


@frozen
class Answer:
    """The body of a successful answer, and the seconds that the service wants polls to wait."""

    content: bytes = field(repr=False)
    poll_after: float | None = None


@frozen
class Settings:
    """The service's address, and the settings for all requests to it.

    The headers may hold credentials, too. The query is part of every request. ``path_headers`` are
    headers by the first part of a path: of requests to such paths alone, unless ``headers`` has
    others.
    """

    base_url: str
    tokens: Tokens = field(repr=False, factory=lambda: Tokens(None))
    headers: Mapping[str, str] = field(repr=False, factory=dict[str, str])
    query: Sequence[tuple[str, str]] = field(repr=False, default=())
    max_connections: int | None = None
    max_event_bytes: int = MAX_EVENT_BYTES
    network: Network = field(repr=False, factory=Network)
    budget: Share | None = None
    path_headers: Mapping[str, Mapping[str, str]] = field(factory=dict[str, Mapping[str, str]])


class Transport:
    """One HTTP client, made at the first request, on the event loop that sends it.

    A transport that is ``like`` another shares its connections.

    A request is tried again, ``max_retries`` times, if the connection failed before it was sent
    (a request that only reads: also if it failed later), and for the statuses 408, 409, 429 and
    5xx. A ``careful`` request is tried again only if it was not sent, and for 429 and 503 with the
    service's error object. Between two tries it waits as long as ``Retry-After`` says, unless that
    is longer than its timeout, else with exponential backoff and full jitter.
    """

    def __init__(self, settings: Settings, like: Transport | None = None) -> None:
        self._settings = settings
        self._host = urlsplit(settings.base_url).netloc.rpartition("@")[2]
        settings.tokens.remember(settings.headers.items())
        settings.tokens.remember(settings.query)
        most = settings.max_connections
        places = None if most is None else asyncio.Semaphore(most)
        self._places: asyncio.Semaphore | None = places if like is None else like._places
        self.pools: Pools = Pools(settings.network) if like is None else like.pools

    @property
    def base_url(self) -> str:
        """The service's address."""
        return self._settings.base_url

    async def send(self, request: Request) -> Answer:
        """Send a request, and return the answer.

        Raises a subclass of ``APIStatusError`` for a status of 400 or above,
        ``APIConnectionError`` and ``APITimeoutError`` for errors of the connection.
        """
        async with _Place(self, request) as http:
            response = await self._respond(http, request, "application/json", whole=True)
        poll_after = _milliseconds(response.headers.get("openai-poll-after-ms"))
        return Answer(response.content, poll_after)

    async def stream(
        self, request: Request, decoder_of: Callable[[int], Decoder[_T]]
    ) -> AsyncGenerator[Iterable[_T]]:
        """Yield the events of an event stream, in batches as their bytes come.

        ``decoder_of`` makes the decoder of one body; its argument is the largest size of an event,
        in bytes. Nothing is read until a batch is used up. Raises the errors of ``send`` and those
        of the decoder.
        """
        decoder = decoder_of(self._settings.max_event_bytes)
        async with _Place(self, request) as http:
            response = await self._respond(http, request, "text/event-stream", whole=False)
            begun = False
            try:
                async with aclosing(
                    Body(response, self.name_of(request), request.idle_timeout)
                ) as body:
                    async for chunk in body:
                        if not chunk:
                            continue
                        if not begun:
                            self._check_beginning(request, response, chunk)
                            begun = True
                        yield decoder.feed(chunk)
                    yield decoder.flush()
            except Exception as error:  # noqa: BLE001 -- raised again; the reader has no part in it
                yield decoder.let_go()
                self._fail(request, error)

    async def _wait_for_place(self, request: Request, places: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(request.timeout):
                await places.acquire()
        except TimeoutError:
            msg = (
                f"{request}: all {self._settings.max_connections} connections of this client were "
                "in use for too long; raise max_connections, or start fewer at once"
            )
            raise APITimeoutError(msg, sent=False) from None

    async def close(self) -> None:
        """Close every connection."""
        await self.pools.close()

    async def _respond(
        self, http: HTTPClient, request: Request, accept: str, *, whole: bool
    ) -> httpx.Response:
        """A successful response, after as many tries as are allowed."""
        repeatable = request.upload is None or request.upload.repeatable
        retries = request.max_retries if repeatable else 0
        tokens, may_renew = self._settings.tokens, repeatable
        attempt = 0
        while True:
            await self._draw_on_budget(request)
            token = await tokens.current()
            try:
                return await self._try(http, request, accept, token, whole=whole)
            except AuthenticationError:
                if not may_renew or not tokens.refused(token):
                    raise
                may_renew = False
            except APIError as error:
                self._pause_budget(error)
                if attempt >= retries or not _may_try_again(request, error):
                    raise
                wait = _backoff(attempt, error)
                if request.timeout is not None and wait > request.timeout:
                    raise  # longer than the caller's timeout: fail now, with the reason
                attempt += 1
                count_retry()
                logger.info("%s; trying again in %.2f s", error, wait)
                await asyncio.sleep(wait)

    async def _draw_on_budget(self, request: Request) -> None:
        budget = self._settings.budget
        if budget is not None:
            await budget.request(request.timeout)

    def _pause_budget(self, error: APIError) -> None:
        """After a 429 with ``Retry-After``, all requests that share the budget wait."""
        budget = self._settings.budget
        if budget is not None and isinstance(error, RateLimitError) and error.retry_after:
            budget.pause(error.retry_after)

    async def _try(
        self, http: HTTPClient, request: Request, accept: str, token: str | None, *, whole: bool
    ) -> httpx.Response:
        upload = request.upload
        began = monotonic()
        taken: _PutsOff | None = None
        try:
            with nullcontext() if upload is None else upload.open() as file:
                async with asyncio.timeout(_bound(request)) as bound:
                    taken = None if file is None else _putting_off(bound, request, file)
                    body = cast("IO[bytes] | None", taken)
                    built = self._build(http, request, accept, token, body)
                    response = await self._follow(http, request, built)
                    _let_body_wait(built)
                    seconds = monotonic() - began
                    failed = response.status_code >= _FAILED
                    if whole or failed:
                        bound.reschedule(_from_now(request.timeout))  # a body may come slowly
                        await self._read(request, response)
        except Exception as error:  # noqa: BLE001 -- raised again
            if taken is not None and taken.raised is not None:  # libraries replace this error
                raise taken.raised from None
            self._fail(request, error)
        if not (failed or request.on_response or logger.isEnabledFor(logging.DEBUG)):
            return response  # nearly always
        head = _head(request, response, seconds)
        try:
            _note(request, head)
        except BaseException:
            await response.aclose()
            raise
        if failed:
            raise _status_error(head, response)
        return response

    async def _read(self, request: Request, response: httpx.Response) -> None:
        """Read the whole answer. Raises ``WrongAnswerError`` if it is too large."""
        most = request.max_bytes
        read = 0
        whole: list[bytes] = []
        async with aclosing(Body(response, self.name_of(request))) as body:
            async for chunk in body:
                whole.append(chunk)
                read += len(chunk)
                if most is not None and read > most:
                    break
        if most is not None and read > most:
            msg = f"{request}: the answer is larger than {most} bytes"
            raise WrongAnswerError(msg)
        response._content = b"".join(whole)  # as ``aread`` does

    async def _follow(
        self, http: HTTPClient, request: Request, built: httpx.Request
    ) -> httpx.Response:
        """Follow all redirects to the response; another host receives no credentials."""
        how = {"stream": True, "follow_redirects": False}
        response: httpx.Response = await http.send(built, **how)
        for _ in range(_MOST_REDIRECTS):
            following = response.next_request
            if following is None and not _REDIRECTS <= response.status_code < _FAILED:
                return response
            await response.aclose()
            if following is None:
                msg = (
                    f"{request}: HTTP {response.status_code} is no answer, and has no Location to "
                    "go to; check base_url"
                )
                raise WrongAnswerError(msg)  # the service may have acted all the same
            where = following.url
            shown = where.copy_with(query=None)
            if where.scheme not in _SCHEMES or not where.host or not is_port(where.port):
                msg = (
                    f"{request}: HTTP {response.status_code} redirects to {shown}, which is "
                    "no address of a service: its scheme must be http or https, its port from 1 "
                    "to 65535"
                )
                raise APIError(msg)
            if following.method != built.method:
                msg = (
                    f"{request}: HTTP {response.status_code} redirects to {shown} as a "
                    f"{following.method}, which would be another request; set base_url to there"
                )
                raise APIError(msg)
            if not _same_place(built.url, following.url):
                for name in set(following.headers.keys()) - _FOR_ANY_HOST:
                    del following.headers[name]
            following.url = where.copy_with(userinfo=b"")  # else the library sends it
            response = await http.send(following, **how)
        await response.aclose()
        msg = f"{request}: redirected more than {_MOST_REDIRECTS} times"
        raise APIError(msg)

    def _build(
        self,
        http: HTTPClient,
        request: Request,
        accept: str,
        token: str | None,
        file: IO[bytes] | None,
    ) -> httpx.Request:
        silence, connect = request.timeout, request.connect_timeout
        if silence is not None:
            connect = silence if connect is None else min(connect, silence)
        whole = accept == "application/json"
        read = silence if whole else request.idle_timeout
        how: dict[str, Any] = {
            "params": [*self._settings.query, *request.query] or None,
            "timeout": (connect, read, silence, silence),
        }
        ours = {"Accept": accept, "Accept-Encoding": COMPRESSIONS if whole else "identity"}
        if request.upload is not None:
            how["files"] = {"file": (request.upload.name, file, request.upload.content_type)}
            how["data"] = request.body
        elif request.body is not None:
            ours["Content-Type"] = "application/json"
            how["content"] = to_json(request.body)
        self._settings.tokens.remember(request.headers.items())
        self._settings.tokens.remember(request.query)
        credential = {} if token is None else {"Authorization": f"Bearer {token}"}
        usual = self._settings.path_headers.get(request.path.lstrip("/").partition("/")[0], {})
        how["headers"] = _merged(credential, usual, self._settings.headers, ours, request.headers)
        url = self._settings.base_url.rstrip("/") + request.path
        built: httpx.Request = http.build_request(request.method, url, **how)
        if not isinstance(self._settings.network.choice, str | None):  # such a client adds headers
            self._settings.tokens.remember(built.headers.items())
        return built

    def _fail(self, request: Request, error: Exception) -> NoReturn:
        """Raise our error in place of one of httpx, and any other error as it is."""
        asked = self.name_of(request)
        if isinstance(error, TimeoutError):
            msg = f"{asked}: no answer in time"
            raise APITimeoutError(msg) from error
        if isinstance(error, ExceptionGroup):  # anyio, below httpx, raises it while connecting
            group = cast("ExceptionGroup[Exception]", error)
            msg = f"{asked}: cannot connect: {group.exceptions[0]}"
            raise APIConnectionError(msg, sent=False) from None
        names = names_of(error)
        if not names:
            raise error
        if "RemoteProtocolError" in names and str(error).startswith(_NO_LOCATION):
            msg = f"{asked}: the answer redirects, and its Location is no URL"  # it may be secret
            raise APIError(msg) from None
        if "LocalProtocolError" in names:  # its text may be a header
            msg = f"{asked}: the request cannot be sent: a header or the body is malformed"
            raise APIConnectionError(msg, sent=False) from None
        if "ClientResponseError" in names:  # of aiohttp: it holds the headers and the whole URL
            why = " ".join(str(getattr(error, "message", "")).split())
            msg = f"{asked}: the answer is malformed: {why}"
            raise APIConnectionError(msg, sent=was_sent(error)) from None
        sent = was_sent(error)
        lasted = "ConnectTimeout" not in names or not was_lost(error)
        if "TimeoutException" in names and lasted:
            msg = f"{asked}: no answer in time ({type(error).__name__})"
            raise APITimeoutError(msg, sent=sent) from error
        why = " ".join(f"{str(error) or type(error).__name__}{_below(error)}".split())
        msg = f"{asked}: {why}"
        if not sent and has_no_server(error):
            msg = f"{request}: no server answers at {self._host}: {_NO_SERVER} ({why})"
        raise APIConnectionError(msg, sent=sent and "InvalidURL" not in names) from error

    def name_of(self, request: Request) -> str:
        """The request and the host, for an error of the connection."""
        return f"{request} at {self._host}"

    def _check_beginning(self, request: Request, response: httpx.Response, chunk: bytes) -> None:
        """Raise if an answer begins like a page or like JSON: it is no event stream."""
        begins = chunk.lstrip()[:1]
        if begins not in {b"<", b"{", b"["}:
            return
        kind = response.headers.get("content-type", "no content type")
        said = " ".join(chunk.decode(errors="replace").split())
        text = beginning(said, _BODY_EXCERPT)
        what = f"{request}: HTTP {response.status_code}"
        msg = f"{what} is no event stream but {kind}: {text}"
        raise WrongAnswerError(msg)


class _Place:
    """One of the connections that may be open at once, while it is needed.

    Detaches errors of ours that leave it from errors of other libraries.
    """

    __slots__ = ("_pool", "_pools", "_request", "_transport")

    def __init__(self, transport: Transport, request: Request) -> None:
        self._transport = transport
        self._request = request

    async def __aenter__(self) -> HTTPClient:
        transport = self._transport
        self._pools = transport.pools
        if transport._places is not None:
            await transport._wait_for_place(self._request, transport._places)
        try:
            self._pool = self._pools.take()
        except BaseException:
            self._release()
            raise
        return self._pool.client

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, RxAssistError):
            stand_alone(error)
        try:
            await self._pools.give_back(self._pool)
        finally:
            self._release()

    def _release(self) -> None:
        if self._transport._places is not None:
            self._transport._places.release()


def _head(request: Request, response: httpx.Response, seconds: float) -> ResponseHead:
    headers = Headers({name: _shown(name, value) for name, value in response.headers.items()})
    return ResponseHead(
        request.method,
        request.shown_path,
        response.status_code,
        headers,
        next((headers[name] for name in _REQUEST_ID_HEADERS if name in headers), None),
        seconds,
    )


def _note(request: Request, head: ResponseHead) -> None:
    """Log an answer, and call ``on_response`` with its head."""
    logger.debug(
        "%s: HTTP %s in %.0f ms (request %s)",
        request,
        head.status_code,
        head.seconds * 1000,
        head.request_id,
    )
    if request.on_response is not None:
        request.on_response(head)


def _status_error(head: ResponseHead, response: httpx.Response) -> APIStatusError:
    said, of_service = _error_body(response)
    return status_error(
        said.pop("message", None) or response.reason_phrase or "no reason given",
        status_code=head.status_code,
        request_id=head.request_id,
        retry_after=_retry_after(response.headers),
        of_service=of_service,
        method=head.method,
        path=head.path,
        headers=head.headers,
        **said,
    )


def _shown(name: str, value: str) -> str:
    """The value of a header of an answer, without credentials."""
    return HIDDEN if name.lower() in _SECRET_HEADERS else redacted(value)


def _may_try_again(request: Request, error: APIError) -> bool:
    if isinstance(error, APIStatusError):
        if request.careful:
            return says_not_done(error)
        return error.status_code >= _SERVER_ERROR or error.status_code in _RETRIED
    if isinstance(error, APIConnectionError) and request.method == "GET":
        return not isinstance(error, APITimeoutError)  # reading twice does no harm
    if isinstance(error, APIConnectionError) and not error.sent:
        return bool(names_of(error.__cause__ or error) & {"ConnectError", "ConnectTimeout"})
    return False


def _below(error: BaseException) -> str:
    """The deepest cause of an error of the HTTP library, if the error's text omits it."""
    bottom = error
    while bottom.__cause__ is not None:
        bottom = bottom.__cause__
    return "" if bottom is error or str(bottom) in str(error) else f" ({bottom})"


def _bound(request: Request) -> float | None:
    """Seconds until an answer must begin: one wait for a connection, and one for the answer.

    An upload has no limit of its own: the time begins anew with each piece that is read of it.
    """
    return None if request.timeout is None else 2 * request.timeout


def _let_body_wait(built: httpx.Request) -> None:
    """Leave the time limits of a body to us alone, once the answer has begun.

    If a limit of the library is due at the same time, as on uvloop with its clock of milliseconds,
    ours interrupts the library while it closes the connection, which then stays open.
    """
    limits: object = built.extensions.get("timeout")
    if isinstance(limits, dict):
        limits["read"] = None


def _putting_off(bound: asyncio.Timeout, request: Request, file: IO[bytes]) -> _PutsOff:
    """The file; each read of a piece of it moves the time limit."""
    return _PutsOff(file, lambda: bound.reschedule(_from_now(_bound(request))))


class _PutsOff:
    def __init__(self, file: IO[bytes], taken: Callable[[], object]) -> None:
        self._file = file
        self._taken = taken
        self.raised: Exception | None = None  # by the file, or by the progress callback

    def read(self, size: int = -1) -> bytes:
        try:
            piece = self._file.read(size)
        except Exception as error:
            self.raised = error
            raise
        if piece:
            self._taken()
        return piece

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


def _merged(*headers: Mapping[str, str]) -> dict[str, str]:
    """All headers; the last one of each name wins, whatever its case."""
    last = {name.lower(): (name, value) for each in headers for name, value in each.items()}
    return dict(last.values())


def _from_now(seconds: float | None) -> float | None:
    """A point in time of the event loop."""
    return None if seconds is None else asyncio.get_running_loop().time() + seconds


def _same_place(one: httpx.URL, other: httpx.URL) -> bool:
    """Whether two addresses are of one service, also if it only moves to TLS."""
    moved = (one.scheme, other.scheme) == ("http", "https") and one.port == other.port
    same = (one.scheme, one.port) == (other.scheme, other.port)
    return one.host == other.host and (same or moved)


def _backoff(attempt: int, error: APIError) -> float:
    """Seconds to wait before the next try."""
    if isinstance(error, APIStatusError) and error.retry_after is not None:
        return error.retry_after
    longest = min(_FIRST_PAUSE * 2.0**attempt, _LONGEST_PAUSE)
    return random.uniform(0, longest)  # noqa: S311 -- jitter, no secret


def _milliseconds(value: str | None) -> float | None:
    """The seconds of a header in milliseconds; ``None`` if it holds something else."""
    seconds = _number(value)
    return None if seconds is None else seconds / 1000


def _number(value: str | None) -> float | None:
    """The finite number in a header, at least 0; ``None`` if it holds something else."""
    try:
        number = float(value or "")
    except ValueError:
        return None
    return max(0.0, number) if isfinite(number) else None


def _error_body(response: httpx.Response) -> tuple[dict[str, Any], bool]:
    """The fields of the service's error object, or else a piece of the body; and which it is."""
    try:
        body = from_json(response.content)
    except DecodeError:
        body = None
    said = api_error_fields(body)
    if not said.get("message"):
        text = " ".join(response.text.split())
        kind = response.headers.get("content-type", "a body without a content type")
        if text:
            said["message"] = f"{response.reason_phrase}: {kind}: {beginning(text, _BODY_EXCERPT)}"
    return said, _is_of_service(body)


def _is_of_service(body: object) -> bool:
    """Whether a body is the service's: gateways send ``{"message": …}`` without ``error``."""
    error = cast("dict[str, object]", body).get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return False
    said = cast("dict[str, object]", error)
    return bool(said.get("message") or said.get("code"))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from the header in milliseconds, or from ``Retry-After``.

    ``Retry-After`` holds seconds or a date (RFC 9110, section 10.2.3).
    """
    exact = _milliseconds(headers.get("retry-after-ms"))
    if exact is not None:
        return exact
    value = headers.get("retry-after", "")
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


__all__ = ["Answer", "Request", "Settings", "Transport", "Upload"]
