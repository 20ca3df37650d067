"""Something that happens bit by bit, at the pace of an event loop: a leg of a run, above all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TypeAlias, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable

_BATCH = 64  # events in one turn of the loop: enough to be fast, few enough to be fair

_T = TypeVar("_T")

Beats: TypeAlias = Iterator[_T | float]
"""What happens, in order: events, or whatever it is that happens, and pauses in seconds."""


class Leg(Observable[_T]):
    """The events among the beats, one after the other, with the pauses in between.

    To be subscribed once, on the loop's thread. A run needs no task: a leg is a callback that the
    loop calls again and again until the beats end.
    """

    def __init__(self, beats: Beats[_T], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._beats = beats
        self._loop = loop
        self._observer: abc.ObserverBase[_T] | None = None
        self._next: asyncio.Handle | None = None

    def turn_to(self, beats: Beats[_T]) -> None:
        """Go on with other beats, at once."""
        self._beats = beats
        if self._next is not None:
            self._next.cancel()
            self._next = self._loop.call_soon(self._play)

    def _subscribe_core(
        self,
        observer: abc.ObserverBase[_T],
        scheduler: abc.SchedulerBase | None = None,  # noqa: ARG002 -- the leg has its own loop
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
                beat = next(self._beats, None)
            except Exception as error:  # noqa: BLE001 -- it ends the leg, for all who read it
                self._observer.on_error(error)
                return
            if beat is None:
                self._observer.on_completed()
                return
            if isinstance(beat, float | int):
                self._next = self._loop.call_later(beat, self._play)
                return
            self._observer.on_next(beat)
        self._next = self._loop.call_soon(self._play)


__all__ = ["Beats", "Leg"]
