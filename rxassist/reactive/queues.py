"""Turns: one after the other, each with what it waits for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SerialDisposable, SingleAssignmentDisposable
from reactivex.scheduler import CurrentThreadScheduler

from rxassist.errors import ThreadBusyError
from rxassist.reactive.links import schedule_held
from rxassist.reactive.typing import Operator

_T = TypeVar("_T")


class Waiting:
    """What a call that needs a free thread waits for, until it may begin."""

    def __init__(self) -> None:
        self.turns: deque[_Turn[Any]] = deque()  # with this one, until it has begun
        self.busy: ThreadBusyError | None = None  # names the run that it waits for itself

    @property
    def in_the_way(self) -> ThreadBusyError | None:
        """The error that names the run which works or waits there, if it is known."""
        return self.turns[0].waiting.busy if self.turns else None

    def __str__(self) -> str:
        """Why the call has not begun; empty if it has, or may have."""
        busy = self.in_the_way
        if busy is not None:
            return f"the run never began: run {busy.run_id} is in its way"
        if self.turns and self.turns[0].waiting is not self:
            return "the run never began: others of this client came first"
        return ""


class Queues:
    """Who wants to start a run, in the order in which they came, for each thread."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[_Turn[Any]]] = {}

    def in_turn(self, thread_id: str, waiting: Waiting | None = None) -> Operator[_T, _T]:
        """Subscribe the source when it is its turn, and let the next have it at its first item.

        That is when its run exists. Also at its end, and when it is disposed. ``waiting`` is told
        of the queue.
        """

        def operator(source: Observable[_T]) -> Observable[_T]:
            def subscribe(
                observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None
            ) -> abc.DisposableBase:
                turn = _Turn(
                    source, observer, scheduler, waiting, lambda: self._leave(thread_id, turn)
                )
                queue = self._queues.setdefault(thread_id, deque())
                queue.append(turn)
                turn.waiting.turns = queue
                if queue[0] is turn:
                    turn.begin()
                return Disposable(turn.dispose)

            return Observable(subscribe)

        return operator

    def _leave(self, thread_id: str, turn: _Turn[Any]) -> None:
        queue = self._queues[thread_id]
        first = queue[0] is turn
        queue.remove(turn)
        turn.waiting.turns = deque()
        if not queue:
            del self._queues[thread_id]
        elif first:
            queue[0].begin_soon()


class _Turn(Generic[_T]):
    """One place in a queue."""

    def __init__(
        self,
        source: Observable[_T],
        observer: abc.ObserverBase[_T],
        scheduler: abc.SchedulerBase | None,
        waiting: Waiting | None,
        leave: Callable[[], None],
    ) -> None:
        self.waiting: Waiting = waiting or Waiting()
        self._source = source
        self._observer = observer
        self._scheduler = scheduler
        self._leave_queue = leave
        self._waits = True
        self._held = SerialDisposable()

    def begin(self, *_: object) -> None:
        held = SingleAssignmentDisposable()  # in place before an item comes
        self._held.disposable = held
        held.disposable = self._source.subscribe(
            self._on_next, self._on_error, self._on_completed, scheduler=self._scheduler
        )

    def begin_soon(self) -> None:
        """Begin behind what is going on, so that a long queue does not nest."""
        scheduler = self._scheduler or CurrentThreadScheduler.singleton()
        schedule_held(self._held, scheduler, 0.0, self.begin)

    def dispose(self) -> None:
        self._held.dispose()
        self._leave()

    def _on_next(self, item: _T) -> None:
        self._leave()
        self._observer.on_next(item)

    def _on_error(self, error: Exception) -> None:
        self._leave()
        self._observer.on_error(error)

    def _on_completed(self) -> None:
        self._leave()
        self._observer.on_completed()

    def _leave(self) -> None:
        if self._waits:
            self._waits = False
            self._leave_queue()


__all__ = ["Queues", "Waiting"]
