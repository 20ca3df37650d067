"""The ASGI application: which requests it accepts, its headers, and its error replies."""

from __future__ import annotations

import hmac
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rxassist.local.server.faults import Asked, Fault, Faults, answer
from rxassist.local.server.problems import Problem, broken, not_allowed, unknown_url, wrong_key
from rxassist.local.server.visitors import Visitors
from rxassist.local.server.watch import Watch

SERVER_NAME = "rxassist-local (scripted)"
"""The name of the service in the header ``server``: its replies come from a script."""

_EXPOSED_TO_PAGES = ("x-request-id", "openai-poll-after-ms", "retry-after")

_NOT_FOUND, _NOT_ALLOWED = 404, 405

_logger = logging.getLogger("rxassist.local")


def application(
    routes: Sequence[Route],
    watch: Watch,
    commit: Callable[[], object],
    visitors: Visitors,
    api_key: str | None,
    faults: Faults | None = None,
) -> ASGIApp:
    """The service as an ASGI application.

    ``commit`` is called before anything is sent: a reply promises that its effect is durable.
    """
    starlette = Starlette(
        routes=routes,
        exception_handlers={
            ClientDisconnect: _answer_nobody,
            Problem: _answer_problem,
            HTTPException: _answer_http_exception,
            Exception: _answer_bug,
        },
    )
    starlette.router.redirect_slashes = False
    app: ASGIApp = _Lock(starlette, api_key, faults)
    if visitors.origins:
        app = CORSMiddleware(
            app, sorted(visitors.origins), ("*",), ("*",), expose_headers=_EXPOSED_TO_PAGES
        )
    return _Door(app, watch, commit, visitors)


class _Door:
    """Counts requests, refuses those of unknown pages, and commits before each part of a reply."""

    def __init__(
        self, app: ASGIApp, watch: Watch, commit: Callable[[], object], visitors: Visitors
    ) -> None:
        self._app = app
        self._watch = watch
        self._commit = commit
        self._visitors = visitors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self._watch.request(scope["method"], scope["path"])
        problem = self._visitors.problem(Headers(scope=scope))
        app = self._app if problem is None else _refusing(problem)
        await app(scope, receive, self._committing(scope, receive, _with_headers(send)))

    def _committing(self, scope: Scope, receive: Receive, send: Send) -> Send:
        """Commit before each message; if that fails, reply with the error instead."""
        lost = False

        async def send_committed(message: Message) -> None:
            nonlocal lost
            if lost:
                return
            try:
                self._commit()
            except Exception as error:
                _logger.exception("the local service cannot write to its database")
                if message["type"] != "http.response.start":
                    raise  # the reply has begun: break it off
                lost = True
                await _answer(broken(error))(scope, receive, send)
            else:
                await send(message)

        return send_committed


class _Lock:
    """Refuses requests without the key, and calls ``faults`` for the others."""

    def __init__(self, app: ASGIApp, api_key: str | None, faults: Faults | None) -> None:
        self._app = app
        self._api_key = api_key
        self._faults = faults
        self._attempts: Counter[tuple[str, str]] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = Headers(scope=scope).get("authorization", "").removeprefix("Bearer ").strip()
        app = self._app
        if self._api_key is not None and not hmac.compare_digest(
            key.encode(), self._api_key.encode()
        ):
            app = _refusing(wrong_key(key))
        elif fault := self._fault(scope):
            app = fault.around(app)
        await app(scope, receive, send)

    def _fault(self, scope: Scope) -> Fault | None:
        """What goes wrong with a request on purpose."""
        if self._faults is None:
            return None
        method, path = scope["method"], scope["path"]
        self._attempts[method, path] += 1
        asked = Asked(
            method,
            path,
            scope["query_string"].decode("latin-1"),
            Headers(scope=scope),
            attempt=self._attempts[method, path],
            number=self._attempts.total(),
        )
        try:
            return self._faults(asked)
        except Exception as error:
            _logger.exception("the local service's `faults` raised")
            return answer(broken(error).body, "application/json", status=500)


def _with_headers(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["server"] = SERVER_NAME
            headers["openai-version"] = "2020-10-01"
            headers["x-request-id"] = f"req_{secrets.token_hex(16)}"
        await send(message)

    return send_with_headers


def _refusing(problem: Problem) -> ASGIApp:
    """An application that replies with a problem to every request, after it has read the body."""
    fault = answer(problem.body, "application/json", status=problem.status)
    return fault.around(_nothing)


async def _nothing(_: Scope, __: Receive, ___: Send) -> None:
    """The application below one that always replies itself."""


def _answer(problem: Problem) -> Response:
    return Response(problem.body, problem.status, media_type="application/json")


async def _answer_nobody(_: Request, __: Exception) -> Response:
    """A client that left in the middle of its request receives no reply."""
    return Response()


async def _answer_problem(_: Request, error: Exception) -> Response:
    return _answer(error if isinstance(error, Problem) else broken(error))


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return _answer(broken(error))
    status = error.status_code
    if status == _NOT_FOUND:
        return _answer(unknown_url(request.method, request.url.path))
    if status == _NOT_ALLOWED:
        return _answer(not_allowed(request.method, request.url.path))
    return _answer(Problem(error.detail, status=status))


async def _answer_bug(_: Request, error: Exception) -> Response:
    _logger.error("the local service has a bug", exc_info=error)
    return _answer(broken(error))


__all__ = ["SERVER_NAME", "application"]
