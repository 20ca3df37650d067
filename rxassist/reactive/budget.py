"""One budget for the runs and the requests of many clients, whatever their threads and loops."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from math import isfinite
from typing import TypeVar

import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops

from rxassist.errors import APITimeoutError
from rxassist.reactive.checks import check_positive
from rxassist.reactive.logger import logger
from rxassist.reactive.loop import Home, from_batches
from rxassist.reactive.typing import Operator

_MINUTE = 60.0
_T = TypeVar("_T")


class _Places:
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


class Budget:
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
    """

    def __init__(
        self,
        *,
        max_runs: int | None = None,
        requests_per_minute: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value in (("max_runs", max_runs), ("requests_per_minute", requests_per_minute)):
            check_positive(name, value, whole=True, none="for no bound")
        self.max_runs = max_runs
        self.requests_per_minute = requests_per_minute
        self._clock = clock
        self._runs = None if max_runs is None else _Places(max_runs)
        self._turn = _Places(1)  # its holder alone waits for the time to come
        self._sent: deque[float] = deque(maxlen=requests_per_minute or 0)
        self._lock = threading.Lock()
        self._paused_until = float("-inf")

    def __repr__(self) -> str:
        bounds = f"max_runs={self.max_runs}, requests_per_minute={self.requests_per_minute}"
        return f"Budget({bounds})"

    async def request(self, longest_pause: float | None = None) -> None:
        """Wait until one more request may be sent, and count it.

        Raises ``APITimeoutError`` if the pause lasts for more than ``longest_pause`` seconds.
        """
        self._check_pause(longest_pause)
        await self._turn.enter()
        try:
            while (wait := self._seconds_to_wait()) > 0:
                self._check_pause(longest_pause)
                await asyncio.sleep(wait)
            self._sent.append(self._clock())
        finally:
            self._turn.leave()

    def pause(self, seconds: float) -> None:
        """Hold back all requests for so long. Raises ``ValueError`` unless the time is finite."""
        if not isfinite(seconds):
            msg = f"a pause must have a finite number of seconds, got {seconds}"
            raise ValueError(msg)
        with self._lock:
            now = self._clock()
            begins = self._paused_until <= now
            self._paused_until = max(self._paused_until, now + seconds)
        if begins:
            logger.info("%s: nobody sends a request for %.2f s", self, seconds)

    def _check_pause(self, longest: float | None) -> None:
        pause = self._paused_until - self._clock()
        if longest is not None and pause > longest:
            msg = (
                f"not sent: the service asked (429, Retry-After) the clients of {self} to wait, "
                f"and {pause:.0f} s of that are left, more than the timeout of {longest} s"
            )
            raise APITimeoutError(msg, sent=False)

    def _seconds_to_wait(self) -> float:
        until = self._paused_until
        if self._sent and len(self._sent) == self._sent.maxlen:
            until = max(until, self._sent[0] + _MINUTE)
        return until - self._clock()

    def place(self, home: Home, *, waits: bool = True) -> Operator[_T, _T]:
        """Subscribe the source on a client's loop when there is a place for one more run.

        The place is kept until the source ends or is disposed. Without ``waits`` it is taken at
        once, as for a run that exists already.
        """
        places = self._runs
        if places is None:
            return ops.as_observable()

        def operator(source: Observable[_T]) -> Observable[_T]:
            return rx.defer(lambda _: _Follower(places).follow(home, source, waits=waits))

        return operator


class _Follower:
    """One run that is followed, and whether it has a place."""

    def __init__(self, places: _Places) -> None:
        self._places = places
        self._has_place = False
        self._left = False

    def follow(self, home: Home, source: Observable[_T], *, waits: bool) -> Observable[_T]:
        if not waits:
            self._places.enter_at_once()
            self._has_place = True
            return source.pipe(ops.finally_action(self._leave))

        async def turn() -> AsyncGenerator[tuple[()]]:
            await self._places.enter()
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
            self._places.leave()


__all__ = ["Budget"]
