"""A leg of a run: what one response tells of it, at the pace of an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TypeAlias

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxassist.events import Event

_BATCH = 64  # events in one turn of the loop: enough to be fast, few enough to be fair

Beat: TypeAlias = Event | float
"""What happens next: an event, or a pause in seconds."""

Beats: TypeAlias = Iterator[Beat]


class Leg(Observable[Event]):
    """The events among the beats, one after the other, with the pauses in between.

    To be subscribed once, on the loop's thread. A run needs no task: a leg is a callback that the
    loop calls again and again until the beats end.
    """

    def __init__(self, beats: Beats, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._beats = beats
        self._loop = loop
        self._observer: abc.ObserverBase[Event] | None = None
        self._next: asyncio.Handle | None = None

    def turn_to(self, beats: Beats) -> None:
        """Go on with other beats, at once."""
        self._beats = beats
        if self._next is not None:
            self._next.cancel()
            self._next = self._loop.call_soon(self._play)

    def _subscribe_core(
        self,
        observer: abc.ObserverBase[Event],
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


__all__ = ["Beat", "Beats", "Leg"]
