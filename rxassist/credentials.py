"""Keys and tokens: asked for when they are needed, kept while they are valid, shown to nobody."""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from base64 import urlsafe_b64decode
from binascii import Error as NoBase64Error
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import Protocol, TypeAlias, cast

from rxassist.codec import from_json
from rxassist.errors import DecodeError

_MOST_OTHERS = 16
_CREDENTIAL = re.compile("auth|key|token|secret|cookie|password", re.IGNORECASE)
_TELLING = 8  # characters of a token that are too many to be shown
_TOO_LATE = 30.0  # seconds before its end in which a token is not used any more


class AccessToken(Protocol):
    """A token that knows when it ends: ``expires_on`` is in seconds since 1970."""

    @property
    def token(self) -> str:
        """The token itself."""
        ...

    @property
    def expires_on(self) -> float:
        """When it ends."""
        ...


Credential: TypeAlias = (
    "str | Callable[[], str | AccessToken] | Callable[[], Awaitable[str | AccessToken]]"
)
"""A key or token, or a function, also an ``async`` one, that returns a token.

A function is called in a thread, so it may block; it is called again when its token ends (as the
token, or its JWT, says) and when the service refuses it with a 401.
"""


class Tokens:
    """The token to send, if any, of a credential. No ``repr`` and no message here holds it."""

    def __init__(self, credential: Credential | None, name: str = "api_key") -> None:
        self._name = name
        self._ask = credential if callable(credential) else None
        self._token: str | None = None
        self._end = inf
        self._ended: str | None = None  # the one before: a server may still repeat it
        self._others: deque[str] = deque(maxlen=_MOST_OTHERS)  # secrets that are headers
        self._asking = asyncio.Lock()
        if credential is not None and self._ask is None:
            self._token = _checked(credential, name)

    async def current(self) -> str | None:
        """The token to send now, asked for if need be."""
        if self._ask is None:
            return self._token
        async with self._asking:  # many requests at once ask once
            if self._token is None or time.time() > self._end - _TOO_LATE:
                self._keep(await _told(self._ask))
        return self._token

    def refused(self, token: str | None) -> bool:
        """The service refused a token: it is forgotten; ``False`` if there is no other."""
        if self._ask is None:
            return False
        if token == self._token:
            self._ended, self._token = token, None
        return True

    def remember(self, headers: Mapping[str, str]) -> None:
        """Hide the headers, too, whose names say that they are credentials."""
        for name, value in headers.items():
            secret = value.removeprefix("Bearer ").strip()
            if secret and _CREDENTIAL.search(name) and secret not in self._others:
                self._others.append(secret)

    def hidden_in(self, text: str) -> str:
        """A text without the tokens that a server may have repeated in it, also cut ones."""
        for token in (self._token, self._ended, *self._others):
            if token is None or token[:_TELLING] not in text:
                continue
            for end in range(len(token), min(_TELLING, len(token)) - 1, -1):
                text = text.replace(token[:end], "***")
        return text

    def hide_in(self, error: Exception) -> None:
        """Take the tokens that a server may have repeated out of an error."""
        error.args = tuple(self._hidden(each) for each in error.args)
        for name, value in vars(error).items():
            setattr(error, name, self._hidden(value))

    def _hidden(self, value: object) -> object:
        return self.hidden_in(value) if isinstance(value, str) else value

    def _keep(self, told: object) -> None:
        token = getattr(told, "token", told)
        end = getattr(told, "expires_on", None)
        checked = _checked(token, f"what {self._name} returned")
        self._end = float(end) if isinstance(end, int | float) else _end_of(checked)
        self._ended, self._token = self._token or self._ended, checked


async def _told(ask: Callable[[], object]) -> object:
    if inspect.iscoroutinefunction(ask):
        return await cast("Awaitable[object]", ask())
    told = await asyncio.to_thread(ask)
    return await cast("Awaitable[object]", told) if inspect.isawaitable(told) else told


def _checked(token: object, name: str) -> str:
    if not isinstance(token, str):
        msg = f"{name} must be text, got {type(token).__name__}"
        raise TypeError(msg)
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        msg = f"{name} must be a key: not empty, plain ASCII, without spaces or line ends"
        raise ValueError(msg)
    return token


def _end_of(token: str) -> float:
    """When a token ends, if it is a JWT that says so (RFC 7519, section 4.1.4)."""
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
