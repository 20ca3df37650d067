"""Waiting for a store that cannot be reached, within a bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import TypeVar

from attrs import frozen

from rxassist.errors import StoreUnavailable
from rxassist.reactive.logger import logger

_T = TypeVar("_T")

_FIRST, _LONGEST = 0.05, 1.0  # seconds between two attempts


@asynccontextmanager
async def in_time(seconds: float) -> AsyncGenerator[None]:
    """Raise ``TimeoutError`` if the commands inside are not answered in so many seconds.

    The timeouts of redis-py itself are not used for that: it writes with ``asyncio.wait_for``,
    which before Python 3.12 loses a cancellation that comes while it ends.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        msg = f"no answer within {seconds:g} s"
        raise TimeoutError(msg) from None


@frozen
class Patience:
    """How long a store may be out of reach: in seconds, for each call."""

    seconds: float

    async def with_store(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """Call until the store answers.

        Raises ``StoreUnavailable`` when that has lasted too long, or at once if no other attempt
        can succeed. All other errors pass.
        """
        began, pause = monotonic(), _FIRST
        while True:
            try:
                return await call()
            except StoreUnavailable as error:
                if not error.passes:
                    raise
                away = monotonic() - began
                if away >= self.seconds:
                    msg = f"{error}; it was tried for {self.seconds:g} s"
                    raise StoreUnavailable(msg) from None
                if pause == _FIRST:
                    logger.warning("%s; trying again for %g s", error, self.seconds)
                await asyncio.sleep(min(pause, max(self.seconds - away, 0.001)))
                pause = min(pause * 2, _LONGEST)


def answer_in(error: Exception, kind: type[Exception]) -> Exception:
    """The error that Redis answered, of a kind, where another one wraps it; or that other one.

    redis-py 8 wraps what is answered while it connects: that a password is wrong, or missing. An
    error of a command that ``MULTI`` has queued has a cause, too, which says less than it does.
    """
    cause = error.__cause__
    return cause if isinstance(cause, kind) and error.args == (cause,) else error


__all__ = ["Patience", "answer_in", "in_time"]
