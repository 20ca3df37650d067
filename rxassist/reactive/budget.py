"""One budget for the runs and the requests of many clients, whatever their threads and loops."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from math import isfinite
from typing import TypeVar

import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops

from rxassist.errors import APITimeoutError, excerpt
from rxassist.reactive.checks import check_positive
from rxassist.reactive.logger import logger
from rxassist.reactive.loop import Home, from_batches
from rxassist.reactive.queues import Queues
from rxassist.reactive.typing import Operator

MINUTE: float = 60.0
"""Seconds in which requests are counted."""

_T = TypeVar("_T")


class Place(ABC):
    """A place for one run, or the wait for it."""

    @abstractmethod
    async def enter(self) -> None:
        """Wait for a place and take it."""

    @abstractmethod
    def enter_at_once(self) -> None:
        """Take a place, even if none is free: the next caller waits the longer."""

    @abstractmethod
    def leave(self) -> None:
        """Give the place back."""


class Places(Place):
    """Places: ``count`` callers have one at a time; others wait, on any thread, in their order."""

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        self._free = count  # below 0 if some took one without waiting
        self._waiting: deque[Future[None]] = deque()

    async def enter(self) -> None:
        """Wait for a place and take it."""
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return
            turn: Future[None] = Future()
            self._waiting.append(turn)
        try:
            await asyncio.wrap_future(turn)
        except asyncio.CancelledError:
            if not turn.cancel():  # it was given a place while it left
                self.leave()
            raise

    def enter_at_once(self) -> None:
        """Take a place, even if none is free: the next caller waits the longer."""
        with self._lock:
            self._free -= 1

    def leave(self) -> None:
        """Give the place to the caller that waits first."""
        with self._lock:
            turn = self._next() if self._free >= 0 else None
            if turn is None:
                self._free += 1
                return
        turn.set_result(None)

    def _next(self) -> Future[None] | None:
        while self._waiting:
            turn = self._waiting.popleft()
            if turn.set_running_or_notify_cancel():  # else it has left
                return turn
        return None


class Pause:
    """The time until which requests are held back, after an answer 429.

    ``whose`` names the budget in messages; ``clock`` gives seconds.
    """

    def __init__(self, whose: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._whose = whose
        self._clock = clock
        self._lock = threading.Lock()
        self.until: float = float("-inf")

    @property
    def left(self) -> float:
        """The seconds that are left of it; not above 0 if it is over."""
        return self.until - self._clock()

    def last(self, seconds: float) -> None:
        """Last for so long from now on. Raises ``ValueError`` unless the time is finite."""
        if not isfinite(seconds):
            msg = f"a pause must have a finite number of seconds, got {seconds}"
            raise ValueError(msg)
        with self._lock:
            now = self._clock()
            begins = self.until <= now
            self.until = max(self.until, now + seconds)
        if begins:
            logger.info("%s: nobody sends a request for %.2f s", self._whose, seconds)

    def check(self, longest: float | None) -> None:
        """Raise ``APITimeoutError`` if more than the longest pause is left."""
        if longest is not None and self.left > longest:
            msg = (
                f"not sent: the service asked (429, Retry-After) the clients of {self._whose} to "
                f"wait, and {self.left:.0f} s of that are left, more than the timeout of {longest} "
                "s"
            )
            raise APITimeoutError(msg, sent=False)


class Share(ABC):
    """What a client has of a budget: a ``Budget`` itself, or its part in one of many processes."""

    queues: Queues | None = None
    """The queues of calls on busy threads, if the client has them together with others."""

    @abstractmethod
    async def request(self, longest_pause: float | None = None) -> None:
        """Wait until one more request may be sent, and count it.

        Raises ``APITimeoutError`` if the pause lasts for more than ``longest_pause`` seconds.
        """

    @abstractmethod
    def pause(self, seconds: float) -> None:
        """Hold back all requests for so long. Raises ``ValueError`` unless the time is finite."""

    @abstractmethod
    def place(self, home: Home, *, waits: bool = True) -> Operator[_T, _T]:
        """Subscribe the source on a client's loop when there is a place for one more run.

        The place is kept until the source ends or is disposed. Without ``waits`` it is taken at
        once, as for a run that exists already.
        """

    async def close(self) -> None:  # noqa: B027 -- most have nothing to close
        """Give everything back, on the loop of the client, when it is closed."""


class Budget(Share):
    """A limit on what many runs use together: ``Client(budget=budget)``, for any number of clients.

    At most ``max_runs`` runs are followed at a time, as streams or by ``create_and_poll`` and its
    kin; others wait for a place before they are created, in the order in which they were
    subscribed. A place is kept until the stream or the poll has ended or is left; to go on with a
    run (``submit_tool_outputs_stream`` and its kin) takes one without waiting. At most
    ``requests_per_minute`` requests are sent in any 60 seconds, creations, polls and retries
    included. ``None`` is without bound.

    When a client is answered 429 with ``Retry-After``, all of them send nothing for so long; a
    request whose ``timeout`` is shorter than that fails at once with ``APITimeoutError``.

    The clients may live on different threads and event loops. ``clock`` gives seconds.

    With ``redis``, the URL of a Redis server (``redis://``, ``rediss://`` or ``unix://``), they may
    live in different processes and machines: all budgets with the same ``name`` there are one.
    They also share the queues of ``if_busy="wait"``: calls that wait for one thread, or for one
    conversation, begin in their order over all processes. What a dead process had comes back after
    ``lease`` seconds (10). If Redis is out of reach for ``patience`` seconds (10), calls that need
    it fail with ``StoreUnavailable``; runs that have begun go on. ``clock`` does not count then.
    """

    def __init__(
        self,
        *,
        max_runs: int | None = None,
        requests_per_minute: int | None = None,
        redis: str | None = None,
        name: str = "default",
        lease: float = 10.0,
        patience: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for bound, value in (("max_runs", max_runs), ("requests_per_minute", requests_per_minute)):
            check_positive(bound, value, whole=True, none="for no bound")
        for option, seconds in (("lease", lease), ("patience", patience)):
            check_positive(option, seconds)
        _check_redis(redis, name)
        self.max_runs = max_runs
        self.requests_per_minute = requests_per_minute
        self.name = name
        self.lease = lease
        self.patience = patience
        self.redis: Callable[[], str | None] = lambda: redis  # the URL may hold a password
        self._clock = clock
        self._runs = None if max_runs is None else Places(max_runs)
        self._turn = Places(1)  # its holder alone waits for the time to come
        self._sent: deque[float] = deque(maxlen=requests_per_minute or 0)
        self._pause = Pause(repr(self), clock)

    def __repr__(self) -> str:
        bounds = f"max_runs={self.max_runs}, requests_per_minute={self.requests_per_minute}"
        shared = "" if self.redis() is None else f", redis=..., name={self.name!r}"
        return f"Budget({bounds}{shared})"

    async def request(self, longest_pause: float | None = None) -> None:
        """Wait until one more request may be sent, and count it.

        Raises ``APITimeoutError`` if the pause lasts for more than ``longest_pause`` seconds.
        """
        self._pause.check(longest_pause)
        await self._turn.enter()
        try:
            while (wait := self._seconds_to_wait()) > 0:
                self._pause.check(longest_pause)
                await asyncio.sleep(wait)
            self._sent.append(self._clock())
        finally:
            self._turn.leave()

    def pause(self, seconds: float) -> None:
        """Hold back all requests for so long. Raises ``ValueError`` unless the time is finite."""
        self._pause.last(seconds)

    def _seconds_to_wait(self) -> float:
        wait = self._pause.left
        if self._sent and len(self._sent) == self._sent.maxlen:
            wait = max(wait, self._sent[0] + MINUTE - self._clock())
        return wait

    def place(self, home: Home, *, waits: bool = True) -> Operator[_T, _T]:
        """Subscribe the source on a client's loop when there is a place for one more run.

        The place is kept until the source ends or is disposed. Without ``waits`` it is taken at
        once, as for a run that exists already.
        """
        places = self._runs
        return ops.as_observable() if places is None else in_place(lambda: places, home, waits)


def _check_redis(redis: object, name: object) -> None:
    if redis is not None and not isinstance(redis, str):
        msg = f'redis must be a URL, such as "redis://localhost", got {excerpt(redis)}'
        raise TypeError(msg)
    if redis is not None and not redis.startswith(("redis://", "rediss://", "unix://")):
        scheme = excerpt(redis.partition("://")[0])  # the rest may hold a password
        msg = f'redis must be a URL that begins with "redis://", "rediss://" or "unix://": {scheme}'
        raise ValueError(msg)
    if not isinstance(name, str) or not re.fullmatch(r"[^\s{}]+", name):
        msg = f"name must be text without spaces and braces, got {excerpt(name)}"
        raise (ValueError if isinstance(name, str) else TypeError)(msg)


def in_place(place: Callable[[], Place], home: Home, waits: bool) -> Operator[_T, _T]:  # noqa: FBT001
    """Subscribe the source on a client's loop in a place; without ``waits`` it is taken at once."""

    def operator(source: Observable[_T]) -> Observable[_T]:
        return rx.defer(lambda _: _Follower(place()).follow(home, source, waits=waits))

    return operator


class _Follower:
    """One run that is followed, and whether it has a place."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._has_place = False
        self._left = False

    def follow(self, home: Home, source: Observable[_T], *, waits: bool) -> Observable[_T]:
        if not waits:
            self._place.enter_at_once()
            self._has_place = True
            return source.pipe(ops.finally_action(self._leave))

        async def turn() -> AsyncGenerator[tuple[()]]:
            await self._place.enter()
            self._has_place = True
            if self._left:  # while it got the place
                self._leave()
            yield ()

        in_turn: Observable[_T] = from_batches(home, turn)
        return in_turn.pipe(ops.concat(source), ops.finally_action(self._leave))

    def _leave(self) -> None:
        self._left = True
        if self._has_place:
            self._has_place = False
            self._place.leave()


__all__ = ["MINUTE", "Budget", "Pause", "Place", "Places", "Share", "in_place"]
