"""Timelines, and how an event loop plays them: items and pauses, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TypeAlias, TypeVar

from attrs import frozen
from reactivex import Observable, abc
from reactivex.disposable import Disposable

_BATCH = 64  # items in one turn of the loop: enough to be fast, few enough to be fair

_T = TypeVar("_T")

Timeline: TypeAlias = Iterator[_T | float]
"""Items (events, mostly) and pauses in seconds, in order."""


@frozen
class Pace:
    """How long things take, in seconds: a piece of text, and a cancellation."""

    token_delay: float = 0.0
    cancel_delay: float = 0.0


class Playback(Observable[_T]):
    """Emits the items of a timeline, with the pauses between them.

    It must be subscribed once, on the thread of the loop. It needs no task: the loop calls back
    again and again until the timeline ends.
    """

    def __init__(self, timeline: Timeline[_T], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._timeline = timeline
        self._loop = loop
        self._observer: abc.ObserverBase[_T] | None = None
        self._next: asyncio.Handle | None = None

    def switch_to(self, timeline: Timeline[_T]) -> None:
        """Continue with another timeline, at once."""
        self._timeline = timeline
        if self._next is not None:
            self._next.cancel()
            self._next = self._loop.call_soon(self._play)

    def _subscribe_core(
        self,
        observer: abc.ObserverBase[_T],
        scheduler: abc.SchedulerBase | None = None,  # noqa: ARG002 -- it has its own loop
    ) -> abc.DisposableBase:
        self._observer = observer
        self._next = self._loop.call_soon(self._play)
        return Disposable(self._stop)

    def _stop(self) -> None:
        self._observer = None
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _play(self) -> None:
        for _ in range(_BATCH):
            if self._observer is None:
                return
            try:
                item = next(self._timeline, None)
            except Exception as error:  # noqa: BLE001 -- all subscribers receive it
                self._observer.on_error(error)
                return
            if item is None:
                self._observer.on_completed()
                return
            if isinstance(item, float | int):
                self._next = self._loop.call_later(item, self._play)
                return
            self._observer.on_next(item)
        self._next = self._loop.call_soon(self._play)


__all__ = ["Pace", "Playback", "Timeline"]
