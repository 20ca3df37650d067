"""Queues of calls that begin one after the other."""

from __future__ import annotations

from collections import deque
from typing import Any, Self, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import SerialDisposable
from reactivex.scheduler import CurrentThreadScheduler

from rxassist.errors import ThreadBusyError
from rxassist.reactive.kernel import linked
from rxassist.reactive.links import Link, schedule_held, subscribe_held
from rxassist.reactive.typing import Operator

_T = TypeVar("_T")


class Waiting:
    """The obstacle of a call that needs a free thread, until it may begin."""

    def __init__(self) -> None:
        self.turns: deque[Turn[Any]] = deque()  # with this one, until it has begun
        self.busy: ThreadBusyError | None = None  # names the run that it waits for itself
        self.elsewhere: bool = False  # whether it waits for calls of other programs

    @property
    def in_the_way(self) -> ThreadBusyError | None:
        """The error that names the run which keeps the thread busy, if it is known."""
        return self.turns[0].waiting.busy if self.turns else None

    def __str__(self) -> str:
        """Why the call has not begun; empty if it has, or may have."""
        busy = self.in_the_way
        if busy is not None:
            return f"the run never began: run {busy.run_id} is in its way"
        if self.turns and self.turns[0].waiting is not self:
            return "the run never began: others of this client came first"
        return "the run never began: others came first" if self.turns and self.elsewhere else ""


class Queues:
    """The calls that want to start a run, in their order, for each thread."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Turn[Any]]] = {}

    def in_turn(self, thread_id: str, waiting: Waiting | None = None) -> Operator[_T, _T]:
        """Subscribe the source when it is its turn; its first item begins the next turn.

        At the first item its run exists. Its end, and disposing it, begin the next turn too.
        ``waiting`` gets the queue.
        """
        return linked(lambda observer, _: Turn(observer, self, thread_id, waiting or Waiting()))

    def enter(self, thread_id: str, turn: Turn[Any]) -> None:
        """Add a turn at the end of the queue, and begin it if it is the only one."""
        queue = self._queues.setdefault(thread_id, deque())
        queue.append(turn)
        turn.waiting.turns = queue
        if queue[0] is turn:
            turn.begin()

    def leave(self, thread_id: str, turn: Turn[Any]) -> None:
        """Remove a turn, and begin the next one if it was the first."""
        queue = self._queues[thread_id]
        first = queue[0] is turn
        queue.remove(turn)
        turn.waiting.turns = deque()
        if not queue:
            del self._queues[thread_id]
        elif first:
            queue[0].begin_soon()


class Turn(Link[_T, _T], abc.DisposableBase):
    """One subscription: it is in a queue until its source has emitted, ended, or is left."""

    _source: Observable[_T]
    _scheduler: abc.SchedulerBase | None

    def __init__(
        self, observer: abc.ObserverBase[_T], queues: Queues, thread_id: str, waiting: Waiting
    ) -> None:
        super().__init__(observer)
        self.waiting: Waiting = waiting
        self._queues = queues
        self._thread_id = thread_id
        self._waits = True
        self._held = SerialDisposable()

    def follow(self, source: Observable[_T], scheduler: abc.SchedulerBase | None) -> Self:
        """Enter the queue."""
        self._source = source
        self._scheduler = scheduler
        self._queues.enter(self._thread_id, self)
        return self

    def begin(self, *_: object) -> None:
        """Subscribe to the source."""
        subscribe_held(self._held, self._source, self, self._scheduler)

    def begin_soon(self) -> None:
        """Begin after the current call returns, so that a long queue does not recurse."""
        scheduler = self._scheduler or CurrentThreadScheduler.singleton()
        schedule_held(self._held, scheduler, 0.0, self.begin)

    def dispose(self) -> None:
        """Leave the queue."""
        self._held.dispose()
        self._leave()

    def on_next(self, value: _T) -> None:
        """Let the next turn begin, and emit the item."""
        self._leave()
        self.observer.on_next(value)

    def on_error(self, error: Exception) -> None:
        """Let the next turn begin, and fail."""
        self._leave()
        self.observer.on_error(error)

    def on_completed(self) -> None:
        """Let the next turn begin, and complete."""
        self._leave()
        self.observer.on_completed()

    def _leave(self) -> None:
        if self._waits:
            self._waits = False
            self._queues.leave(self._thread_id, self)


__all__ = ["Queues", "Turn", "Waiting"]
