"""Requests and byte streams over HTTP: the only module that knows httpx."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from attrs import field, frozen

from rxassist.codec import EventDecoder, from_json, to_json
from rxassist.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    DecodeError,
    api_error_fields,
    status_error_class,
)
from rxassist.events import Event
from rxassist.sse import MAX_EVENT_BYTES

_FAILED = 400
_BODY_EXCERPT = 300
_CONNECT_TIMEOUT = 5.0
_REQUEST_ID_HEADERS = ("x-request-id", "apim-request-id", "request-id")


@frozen
class Request:
    """What to ask the service for: a path below the base URL, a query, a body of plain data."""

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    body: Mapping[str, Any] | None = None


@frozen
class Settings:
    """Where the service is and how to speak to it.

    The headers may hold credentials; ``secret`` is taken out of whatever an error says.
    """

    base_url: str
    headers: Mapping[str, str] = field(repr=False, factory=dict[str, str])
    secret: str | None = field(repr=False, default=None)
    timeout: float | None = 600.0
    max_connections: int | None = None
    max_event_bytes: int = MAX_EVENT_BYTES


class Transport:
    """One httpx client, made at the first request, on the event loop it is used on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http: httpx.AsyncClient | None = None

    async def send(self, request: Request) -> AsyncGenerator[tuple[Any]]:
        """Give the parsed JSON of the answer, once.

        Raises a subclass of ``APIStatusError`` for a status of 400 or above,
        ``APIConnectionError`` and ``APITimeoutError`` for the wire, ``DecodeError`` for a body
        that is no JSON.
        """
        with self._wire_errors(request):
            response = await self._client().send(self._build(request, "application/json"))
        if response.status_code >= _FAILED:
            raise self._status_error(response)
        yield (from_json(response.content, f"{request.method} {request.path}"),)

    async def stream(self, request: Request) -> AsyncGenerator[Iterator[Event]]:
        """Give the events of an event stream, in batches as their bytes come.

        Nothing is read while a batch is not used up. Raises as ``send``, and what
        ``EventDecoder`` raises.
        """
        decoder = EventDecoder(self._settings.max_event_bytes)
        built = self._build(request, "text/event-stream")
        with self._wire_errors(request):
            response = await self._client().send(built, stream=True)
        try:
            if response.status_code >= _FAILED:
                with self._wire_errors(request):
                    await response.aread()
                raise self._status_error(response)
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

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            settings = self._settings
            connect = (
                _CONNECT_TIMEOUT
                if settings.timeout is None
                else min(_CONNECT_TIMEOUT, settings.timeout)
            )
            self._http = httpx.AsyncClient(
                base_url=settings.base_url,
                headers=settings.headers,
                timeout=httpx.Timeout(settings.timeout, connect=connect),
                limits=httpx.Limits(
                    max_connections=settings.max_connections, max_keepalive_connections=100
                ),
                follow_redirects=True,
            )
        return self._http

    def _build(self, request: Request, accept: str) -> httpx.Request:
        headers = {"Accept": accept}
        content = None
        if request.body is not None:
            headers["Content-Type"] = "application/json"
            content = to_json(request.body)
        return self._client().build_request(
            request.method,
            request.path,
            params=list(request.query) or None,
            content=content,
            headers=headers,
        )

    def _said(self, text: str) -> str:
        """A text for an error, without the credentials that a server may have repeated."""
        secret = self._settings.secret
        return text.replace(secret, "***") if secret else text

    @contextmanager
    def _wire_errors(self, request: Request) -> Generator[None]:
        """Map what httpx raises to our errors, in one place."""
        what = f"{request.method} {request.path}"
        try:
            yield
        except httpx.TimeoutException as error:
            msg = f"{what}: no answer in time ({type(error).__name__})"
            raise APITimeoutError(msg) from error
        except httpx.LocalProtocolError:  # its text may be a header
            msg = f"{what}: the request cannot be sent: a header or the body is malformed"
            raise APIConnectionError(msg) from None
        except httpx.HTTPError as error:
            msg = self._said(f"{what}: {str(error) or type(error).__name__}")
            raise APIConnectionError(msg) from error
        except httpx.InvalidURL as error:
            msg = self._said(f"{what}: {error}")
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
        what = f"{request.method} {request.path}: HTTP {response.status_code}"
        return APIError(self._said(f"{what} is no event stream but {kind}: {text}"))


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


__all__ = ["Request", "Settings", "Transport"]
