"""Keys and tokens: fetched when they are needed, kept while they are valid, never shown."""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from base64 import urlsafe_b64decode
from binascii import Error as NoBase64Error
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from math import inf
from typing import Protocol, TypeAlias, cast

from rxassist.errors import DecodeError, RxAssistError
from rxassist.errors.redaction import Secrets
from rxassist.wire.json import from_json

_MOST_TOKENS = 2  # the current one, and the one before: a server may still repeat that
_MOST_OTHERS = 1024  # each request may have its own
_CREDENTIAL = re.compile("auth|key|token|secret|cookie|password", re.IGNORECASE)
_ENDS = (StopIteration, StopAsyncIteration, asyncio.CancelledError)
_PARTS = re.compile(r"[\s,;]+|(?<=\w)=")
_TOO_LATE = 30.0  # the last seconds of a token, in which it is not used


class AccessToken(Protocol):
    """A token and its end: ``expires_on`` is in seconds since 1970."""

    @property
    def token(self) -> str:
        """The token itself."""
        ...

    @property
    def expires_on(self) -> float:
        """The end of the token."""
        ...


Credential: TypeAlias = (
    "str | Callable[[], str | AccessToken] | Callable[[], Awaitable[str | AccessToken]]"
)
"""A key or token, or a function, also an ``async`` one, that returns a token.

A function is called in a thread, so it may block; it is called again when its token ends (as the
token, or its JWT, says) and when the service refuses it with a 401.
"""


_Outcome: TypeAlias = "tuple[object, BaseException | None]"


class Tokens:
    """The token of a credential, if any. No ``repr`` and no message here shows it."""

    def __init__(self, credential: Credential | None, name: str = "api_key") -> None:
        self._name = name
        self._ask = credential if callable(credential) else None
        self._token: str | None = None
        self._end = inf
        self._secrets = Secrets(_MOST_TOKENS)
        self._others = Secrets(_MOST_OTHERS)
        self._remembered: list[str] = []
        self._asking = asyncio.Lock()
        if credential is not None and self._ask is None:
            self._token = _checked(credential, name)
            self._secrets.add(self._token)

    @property
    def is_given(self) -> bool:
        """Whether there is a credential."""
        return self._ask is not None or self._token is not None

    async def current(self) -> str | None:
        """The token to send now; fetched if there is no valid one."""
        if self._ask is None:
            return self._token
        async with self._asking:  # many requests at once fetch one token
            if self._token is None or time.time() > self._end - _TOO_LATE:
                self._keep(await _awaited_token(self._ask, self._name))
        return self._token

    def refused(self, token: str | None) -> bool:
        """Forget a token that the service refused; ``False`` if there can be no other."""
        if self._ask is None:
            return False
        if token == self._token:
            self._token = None
        return True

    def remember(self, named: Iterable[tuple[str, str]]) -> None:
        """Hide the headers, or the parts of a query, whose names mark them as credentials.

        And the parts of such a header: the token after ``Bearer``, each cookie's value.
        """
        secrets = [value for name, value in named if _is_of_a_credential(name)]
        if not secrets or secrets == self._remembered:  # as nearly always
            return
        self._remembered = secrets
        for value in secrets:
            for secret in (value, *_PARTS.split(value)):
                self._others.add(secret)

    def _keep(self, told: object) -> None:
        token = getattr(told, "token", told)
        end = getattr(told, "expires_on", None)
        checked = _checked(token, f"what {self._name} returned")
        self._end = float(end) if isinstance(end, int | float) else _end_of(checked)
        self._secrets.add(checked)
        self._token = checked


@lru_cache(_MOST_OTHERS)
def _is_of_a_credential(name: str) -> bool:
    """Whether a header, or a part of a query, of this name is a credential."""
    return _CREDENTIAL.search(name) is not None


async def _awaited_token(ask: Callable[[], object], name: str) -> object:
    """Return the result of a credential's function, or raise its error.

    ``StopIteration`` or ``CancelledError`` would end the code that waits here; so they are wrapped.
    """
    told, error = (ask(), None) if inspect.iscoroutinefunction(ask) else await _in_thread(ask)
    if error is None and inspect.isawaitable(told):
        told, error = await _awaited(told)
    if error is None:
        return told
    cause = error.__cause__ if isinstance(error, RuntimeError) else None
    raised = cause if isinstance(cause, _ENDS) else error  # Python wraps those of coroutines
    if not isinstance(raised, _ENDS):
        raise error
    msg = (
        f"{name} gave no token: it raised {type(raised).__name__}; it must return a token each time"
    )
    raise RxAssistError(msg) from error


async def _in_thread(ask: Callable[[], object]) -> _Outcome:
    def outcome() -> _Outcome:
        try:
            return ask(), None
        except BaseException as error:  # noqa: BLE001 -- raised again later, not in this thread
            return None, error

    return await asyncio.to_thread(outcome)


async def _awaited(told: Awaitable[object]) -> _Outcome:
    task = asyncio.current_task()
    try:
        return await told, None
    except BaseException as error:
        if task is not None and task.cancelling() and isinstance(error, asyncio.CancelledError):
            raise
        return None, error


def _checked(token: object, name: str) -> str:
    if not isinstance(token, str):
        msg = f"{name} must be text, got {type(token).__name__}"
        raise TypeError(msg)
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        msg = f"{name} must be a key: not empty, plain ASCII, without spaces or line ends"
        raise ValueError(msg)
    return token


def _end_of(token: str) -> float:
    """The end of a token, if it is a JWT with that claim (RFC 7519, section 4.1.4)."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 -- header, claims, signature
        return inf
    try:
        claims = from_json(urlsafe_b64decode(parts[1] + "=="), "token")
    except (NoBase64Error, ValueError, DecodeError):
        return inf
    end = cast("dict[str, object]", claims).get("exp") if isinstance(claims, dict) else None
    return float(end) if isinstance(end, int | float) else inf


__all__ = ["AccessToken", "Credential", "Tokens"]
