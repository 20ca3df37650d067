"""Requests and byte streams over HTTP: the only module that knows httpx."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO, Any

import httpx
from attrs import field, frozen

from rxassist.codec import EventDecoder, from_json, to_json
from rxassist.credentials import Tokens
from rxassist.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    DecodeError,
    api_error_fields,
    status_error_class,
)
from rxassist.events import Event
from rxassist.sse import MAX_EVENT_BYTES

_FAILED = 400
_BODY_EXCERPT = 300
_SERVER_ERROR = 500
_CONNECT_TIMEOUT = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0  # seconds
_RETRIED = frozenset({408, 409, 429})
_NOT_DONE = frozenset({429, 503})  # the service says that it did not act
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
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

_logger = logging.getLogger("rxassist")
_REQUEST_ID_HEADERS = ("x-request-id", "apim-request-id", "request-id")


@frozen
class Upload:
    """A file for a multipart body: read from disk piece by piece, anew at each try.

    ``open`` gives an open binary file, ``name`` and ``content_type`` are what the service is told.
    """

    open: Callable[[], AbstractContextManager[IO[bytes]]] = field(repr=False)
    name: str = "upload"
    content_type: str | None = None
    repeatable: bool = True


@frozen
class Request:
    """What to ask the service for: a path below the base URL, a query, a body of plain data.

    With an ``upload`` the body is multipart, of the file and the fields of ``body``. ``careful``
    is set where the request may create a run, and is tried again only if the service certainly
    did not act on it. ``timeout`` is in seconds, ``None`` for without bound; ``idle_timeout``
    takes its place for the silence of a stream.
    """

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(repr=False, factory=dict[str, str])
    upload: Upload | None = None
    careful: bool = False
    timeout: float | None = 600.0
    idle_timeout: float | None = None
    max_retries: int = 2

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@frozen
class Answer:
    """The body of a successful answer, and how many seconds the service asks polls to wait."""

    content: bytes = field(repr=False)
    poll_after: float | None = None


@frozen
class Settings:
    """Where the service is and how to speak to it.

    The headers may hold credentials, too. The query is part of every request.
    """

    base_url: str
    tokens: Tokens = field(repr=False, factory=lambda: Tokens(None))
    headers: Mapping[str, str] = field(repr=False, factory=dict[str, str])
    query: Sequence[tuple[str, str]] = ()
    max_connections: int | None = None
    max_event_bytes: int = MAX_EVENT_BYTES


class Transport:
    """One httpx client, made at the first request, on the event loop it is used on.

    A request is tried again, ``max_retries`` times, where the connection failed before it was
    sent, and for the statuses 408, 409, 429 and 5xx; one that is ``careful`` only where it was not
    sent, and for 429 and 503. Between two tries it waits as long as ``Retry-After`` says, else
    with exponential backoff and full jitter.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http: httpx.AsyncClient | None = None

    async def send(self, request: Request) -> AsyncGenerator[tuple[Answer]]:
        """Give the answer, once.

        Raises a subclass of ``APIStatusError`` for a status of 400 or above,
        ``APIConnectionError`` and ``APITimeoutError`` for the wire.
        """
        response = await self._respond(request, "application/json", whole=True)
        poll_after = _milliseconds(response.headers.get("openai-poll-after-ms"))
        yield (Answer(response.content, poll_after),)

    async def stream(self, request: Request) -> AsyncGenerator[Iterator[Event]]:
        """Give the events of an event stream, in batches as their bytes come.

        Nothing is read while a batch is not used up. Raises as ``send``, and what
        ``EventDecoder`` raises.
        """
        decoder = EventDecoder(self._settings.max_event_bytes)
        response = await self._respond(request, "text/event-stream", whole=False)
        try:
            chunks = response.aiter_bytes()
            first = True
            while True:
                with self._wire_errors(request):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    break
                if first and (begins := chunk.lstrip()[:1]) and begins in b"<{[":
                    raise self._no_stream(request, response, chunk)
                first = False
                yield decoder.feed(chunk)
            yield decoder.flush()
        finally:
            await response.aclose()

    async def close(self) -> None:
        """Close every connection."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def _respond(self, request: Request, accept: str, *, whole: bool) -> httpx.Response:
        """A successful response, after as many tries as are allowed."""
        repeatable = request.upload is None or request.upload.repeatable
        retries = request.max_retries if repeatable else 0
        tokens, may_renew = self._settings.tokens, repeatable
        attempt = 0
        while True:
            token = await tokens.current()
            try:
                return await self._try(request, accept, token, whole=whole)
            except AuthenticationError:
                if not may_renew or not tokens.refused(token):
                    raise
                may_renew = False
            except APIError as error:
                if attempt >= retries or not _may_try_again(request, error):
                    raise
                wait = _backoff(attempt, error)
                attempt += 1
                _logger.info("%s: %s; trying again in %.2f s", request, error, wait)
                await asyncio.sleep(wait)

    async def _try(
        self, request: Request, accept: str, token: str | None, *, whole: bool
    ) -> httpx.Response:
        with ExitStack() as files, self._wire_errors(request):
            built = self._build(request, accept, token, files)
            async with asyncio.timeout(_bound(request)):
                response = await self._follow(request, built)
                failed = response.status_code >= _FAILED
            if whole or failed:
                async with asyncio.timeout(request.timeout):  # of a body that only trickles
                    await response.aread()
        if failed:
            raise self._status_error(response)
        return response

    async def _follow(self, request: Request, built: httpx.Request) -> httpx.Response:
        """The response behind all redirects, which take no credentials to another host."""
        response = await self._client().send(built, stream=True)
        for _ in range(_MOST_REDIRECTS):
            following = response.next_request
            if following is None:
                return response
            await response.aclose()
            where = self._said(str(following.url))
            if following.method != built.method:
                msg = (
                    f"{request}: HTTP {response.status_code} redirects to {where} as a "
                    f"{following.method}, which would be another request; set base_url to there"
                )
                raise APIError(msg)
            if not _same_place(built.url, following.url):
                kept = [pair for pair in following.headers.raw if _for_any_host(pair[0])]
                following.headers = httpx.Headers(kept)
            response = await self._client().send(following, stream=True)
        await response.aclose()
        msg = f"{request}: redirected more than {_MOST_REDIRECTS} times"
        raise APIError(msg)

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            settings = self._settings
            self._http = httpx.AsyncClient(
                base_url=settings.base_url,
                headers=settings.headers,
                limits=httpx.Limits(
                    max_connections=settings.max_connections, max_keepalive_connections=100
                ),
                follow_redirects=False,
            )
        return self._http

    def _build(
        self, request: Request, accept: str, token: str | None, files: ExitStack
    ) -> httpx.Request:
        silence = request.timeout
        connect = _CONNECT_TIMEOUT if silence is None else min(_CONNECT_TIMEOUT, silence)
        read = silence if accept == "application/json" else request.idle_timeout
        headers = {"Accept": accept, **request.headers}
        if token is not None and not any(name.lower() == "authorization" for name in headers):
            headers["Authorization"] = f"Bearer {token}"
        how: dict[str, Any] = {
            "params": [*self._settings.query, *request.query] or None,
            "headers": headers,
            "timeout": httpx.Timeout(silence, connect=connect, read=read),
        }
        if request.upload is not None:
            upload = request.upload
            opened = files.enter_context(upload.open())
            how["files"] = {"file": (upload.name, opened, upload.content_type)}
            how["data"] = request.body
        elif request.body is not None:
            headers["Content-Type"] = "application/json"
            how["content"] = to_json(request.body)
        return self._client().build_request(request.method, request.path, **how)

    def _said(self, text: str) -> str:
        """A text for an error, without the credentials that a server may have repeated."""
        return self._settings.tokens.hidden_in(text)

    @contextmanager
    def _wire_errors(self, request: Request) -> Generator[None]:
        """Map what httpx raises to our errors, in one place."""
        try:
            yield
        except httpx.PoolTimeout as error:
            msg = (
                f"{request}: all {self._settings.max_connections} connections of this client were "
                "in use for too long; raise max_connections, or start fewer at once"
            )
            raise APITimeoutError(msg, sent=False) from error
        except (httpx.TimeoutException, TimeoutError) as error:
            msg = f"{request}: no answer in time ({type(error).__name__})"
            raise APITimeoutError(msg, sent=not isinstance(error, _NOT_SENT)) from error
        except httpx.LocalProtocolError:  # its text may be a header
            msg = f"{request}: the request cannot be sent: a header or the body is malformed"
            raise APIConnectionError(msg, sent=False) from None
        except httpx.HTTPError as error:
            msg = self._said(f"{request}: {str(error) or type(error).__name__}")
            raise APIConnectionError(msg, sent=not isinstance(error, _NOT_SENT)) from error
        except httpx.InvalidURL as error:
            msg = self._said(f"{request}: {error}")
            raise APIError(msg) from error

    def _status_error(self, response: httpx.Response) -> APIStatusError:
        body = _error_body(response)
        said = {key: value and self._said(value) for key, value in body.items()}
        headers = response.headers
        request_id = next((headers[name] for name in _REQUEST_ID_HEADERS if name in headers), None)
        return status_error_class(response.status_code)(
            said.pop("message", None) or response.reason_phrase or "no reason given",
            status_code=response.status_code,
            request_id=request_id,
            retry_after=_retry_after(headers.get("retry-after")),
            **said,
        )

    def _no_stream(self, request: Request, response: httpx.Response, chunk: bytes) -> APIError:
        kind = response.headers.get("content-type", "no content type")
        text = " ".join(chunk[:_BODY_EXCERPT].decode(errors="replace").split())
        what = f"{request}: HTTP {response.status_code}"
        return APIError(self._said(f"{what} is no event stream but {kind}: {text}"))


def _may_try_again(request: Request, error: APIError) -> bool:
    if isinstance(error, APIStatusError):
        statuses = _NOT_DONE if request.careful else _RETRIED
        server = error.status_code >= _SERVER_ERROR and not request.careful
        return server or error.status_code in statuses
    return isinstance(error.__cause__, _NOT_SENT)


def _bound(request: Request) -> float | None:
    """Seconds until an answer must have begun: one wait for a connection, and one for it.

    An upload takes as long as it takes.
    """
    return None if request.upload or request.timeout is None else 2 * request.timeout


def _same_place(one: httpx.URL, other: httpx.URL) -> bool:
    """Whether two addresses are of one service, also where it only moves on to TLS."""
    moved = (one.scheme, other.scheme) == ("http", "https") and one.port == other.port
    same = (one.scheme, one.port) == (other.scheme, other.port)
    return one.host == other.host and (same or moved)


def _for_any_host(name: bytes) -> bool:
    return name.decode("ascii").lower() in _FOR_ANY_HOST


def _backoff(attempt: int, error: APIError) -> float:
    """Seconds to wait before the next try."""
    if isinstance(error, APIStatusError) and error.retry_after is not None:
        return error.retry_after
    longest = min(_FIRST_PAUSE * 2.0**attempt, _LONGEST_PAUSE)
    return random.uniform(0, longest)  # noqa: S311 -- jitter, no secret


def _milliseconds(value: str | None) -> float | None:
    """Seconds, of a header that holds milliseconds; ``None`` if it holds something else."""
    try:
        return None if value is None else max(0.0, float(value) / 1000)
    except ValueError:
        return None


def _error_body(response: httpx.Response) -> dict[str, Any]:
    """The fields of the service's error object; of a body that is none (HTML, text), a piece."""
    try:
        said = api_error_fields(from_json(response.content))
    except DecodeError:
        said = {}
    if not said.get("message"):
        text = " ".join(response.text.split())
        kind = response.headers.get("content-type", "a body without a content type")
        if text:
            said["message"] = f"{response.reason_phrase}: {kind}: {text[:_BODY_EXCERPT]}"
    return said


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait, of a header that holds seconds or a date (RFC 9110, section 10.2.3)."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


__all__ = ["Answer", "Request", "Settings", "Transport", "Upload"]
