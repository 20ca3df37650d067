"""A store in the memory of one process: for the tests of applications."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from attrs import define, field

from rxassist.errors import AlreadyProduced, CursorUnavailable, Fenced
from rxassist.redis.store import Claim, Entry, Page, Store

_STOP_KEPT_EARLY = 5.0  # seconds


@define
class _Log:
    """One log, and what is known of it."""

    meta: bytes
    entries: list[Entry] = field(factory=list[Entry])
    claim: Claim | None = None
    leased_until: float = 0.0
    kept_until: float = 0.0
    is_to_end: bool = False

    @property
    def has_ended(self) -> bool:
        return bool(self.entries) and self.entries[-1].kind == "end"


class InMemoryStore(Store):
    """The logs of runs in the memory of this process: ``RunLog(InMemoryStore())``.

    For the tests of applications: it does what Redis does, for all the ``RunLog``s of one process
    that are given the same store, on any threads and event loops. ``clock`` gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._logs: dict[str, _Log] = {}
        self._early: dict[str, float] = {}  # stops of logs that are just being published
        self._waiting: dict[str, list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}

    async def acquire(self, claim: Claim, meta: bytes, *, first: bool) -> int:
        """As ``Store.acquire``."""
        with self._lock:
            log = self._find(claim.key)
            if log is None:
                if not first:
                    raise CursorUnavailable(claim.key, "there is no log to take over")
                log = self._logs[claim.key] = _Log(meta)
                log.is_to_end = self._early.pop(claim.key, 0.0) > self._clock()
            elif log.claim is not None and log.claim.producer == claim.producer:
                return log.claim.epoch
            elif first or self._is_leased(log):
                raise AlreadyProduced(claim.key)
            elif log.has_ended:
                raise AlreadyProduced(claim.key, "has ended")
            epoch = log.entries[-1].epoch + 1 if log.entries else 1
            log.entries.append(Entry(epoch, 0, "take", claim.producer, meta, 0))
            log.meta = meta
            log.claim = claim
            self._renew(log, claim)
        self._wake(claim.key)
        if log.is_to_end:
            claim.asked_to_end()
        return epoch

    async def append(self, claim: Claim, entry: Entry | None = None) -> None:
        """As ``Store.append``."""
        with self._lock:
            log = self._find(claim.key)
            if log is None:
                raise CursorUnavailable(claim.key, "its log is gone")
            last = log.entries[-1]
            if last.producer != claim.producer:
                raise Fenced(claim.key)
            if entry is not None and (entry.epoch, entry.number) > (last.epoch, last.number):
                log.entries.append(entry)
            elif entry is not None and entry != last:
                raise Fenced(claim.key)
            if entry is None:
                self._renew(log, claim)
        if entry is not None:
            self._wake(claim.key)
        elif log.is_to_end:
            claim.asked_to_end()

    async def read(self, key: str, after: str | None, wait: float) -> Page:
        """As ``Store.read``."""
        page = self._page(key, after)
        if page.entries or after is None:
            return page
        grown = asyncio.Event()
        waiting = (asyncio.get_running_loop(), grown)
        with self._lock:
            self._waiting.setdefault(key, []).append(waiting)
        try:
            page = self._page(key, after)  # it may have grown in between
            if not page.entries:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await grown.wait()
                page = self._page(key, after)
        finally:
            with self._lock:
                self._waiting[key].remove(waiting)
                if not self._waiting[key]:
                    del self._waiting[key]
        return page

    async def end(self, key: str, claim: Claim | None = None, keep: float | None = None) -> None:
        """As ``Store.end``."""
        asked: Claim | None = None
        with self._lock:
            log = self._find(key)
            if log is None:
                if claim is None:
                    self._early[key] = self._clock() + _STOP_KEPT_EARLY
                return
            if log.has_ended and claim is None:
                return
            if claim is None:
                log.is_to_end = True
                asked = log.claim if self._is_leased(log) else None
            elif log.entries[-1].producer == claim.producer:
                log.leased_until = 0.0
                if keep is not None:
                    log.claim = None
                    log.kept_until = self._clock() + keep
        if asked is not None:
            asked.asked_to_end()

    async def orphans(self) -> AsyncGenerator[str]:
        """As ``Store.orphans``."""
        with self._lock:
            keys = list(self._logs)
        for key in keys:
            with self._lock:
                log = self._find(key)
                is_orphan = not (log is None or log.has_ended or self._is_leased(log))
            if is_orphan:
                yield key

    async def close(self) -> None:
        """Do nothing: the logs belong to all that use this store."""

    def _find(self, key: str) -> _Log | None:
        log = self._logs.get(key)
        if log is not None and log.kept_until <= self._clock():
            del self._logs[key]
            return None
        return log

    def _is_leased(self, log: _Log) -> bool:
        return log.leased_until > self._clock()

    def _renew(self, log: _Log, claim: Claim) -> None:
        now = self._clock()
        log.leased_until = now + claim.lease
        log.kept_until = max(log.kept_until, now + claim.ttl)

    def _page(self, key: str, after: str | None) -> Page:
        with self._lock:
            log = self._find(key)
            if log is None:
                return Page((), exists=False, produced=False)
            place = (0, -1) if after is None else tuple(map(int, after.split("-")))
            entries = log.entries
            first = len(entries)
            while first and (entries[first - 1].epoch, entries[first - 1].number) > place:
                first -= 1
            return Page(tuple(entries[first:]), produced=self._is_leased(log), meta=log.meta)

    def _wake(self, key: str) -> None:
        with self._lock:
            waiting = tuple(self._waiting.get(key, ()))
        for loop, grown in waiting:
            with suppress(RuntimeError):  # its loop was closed
                loop.call_soon_threadsafe(grown.set)


__all__ = ["InMemoryStore"]
