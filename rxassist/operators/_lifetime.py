"""How a stream ends: at the right place, and honestly."""

from __future__ import annotations

from collections.abc import Iterator

from reactivex import Observable, abc
from reactivex import operators as ops

from rxassist.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    RunFailed,
    StreamTruncated,
)
from rxassist.events import DoneEvent, ErrorEvent, Event, RunEvent
from rxassist.models import FINISHED, SETTLED, Run
from rxassist.operators._kernel import Finish, Step, choose_each
from rxassist.operators._snapshots import folded
from rxassist.snapshots import Snapshot
from rxassist.typing import Operator


def _ends(event: Event) -> bool:
    """Whether an event says how the run ended: its status is the truth, not the event's name."""
    if isinstance(event, RunEvent):
        return event.data.status in SETTLED
    return isinstance(event, DoneEvent)


def _truncated(last: Event | None, cause: str = "the body ended") -> StreamTruncated:
    after = "before its first event" if last is None else f"after {last.event!r}"
    return StreamTruncated(f"{cause} {after}, and nothing said how the run ended")


def until_done() -> Operator[Event, Event]:
    """Complete right after the event that ends a run: its terminal event, or ``done``.

    A run that waits for you (``requires_action``) ends its stream too. The source is freed at
    once. Fails as ``check_ending`` does.

    Where ``c`` is ``thread.run.completed`` and ``d`` is ``done``::

        source  -p-t-c-d-|
        result  -p-t-(c|)
    """

    def operator(source: Observable[Event]) -> Observable[Event]:
        return source.pipe(check_ending(), ops.take_while(_goes_on, inclusive=True))

    return operator


def _goes_on(event: Event) -> bool:
    return not _ends(event)


def check_ending() -> Operator[Event, Event]:
    """Emit every event, and make sure that the stream ends as its run did.

    Completes with its source if a terminal run event, ``thread.run.requires_action`` or ``done``
    came; also if the connection broke after the terminal event. Sends to ``on_error``:
    ``APIError`` right after an ``error`` event; ``StreamTruncated`` for a source that completes,
    or whose connection breaks, with nothing said of how the run ended. Other errors pass, such as
    ``APITimeoutError`` after a silence.

    Where ``t`` is a delta, after which the body just ends::

        source  -p-t-|
        result  -p-t-#
    """

    def operator(source: Observable[Event]) -> Observable[Event]:
        def subscribe(
            observer: abc.ObserverBase[Event], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            ending = _Ending()
            checked = source.pipe(ending.survive, choose_each(ending.begin))
            return checked.subscribe(observer, scheduler=scheduler)

        return Observable(subscribe)

    return operator


class _Ending:
    """What one subscription knows of how its run ended."""

    def __init__(self) -> None:
        self._last: Event | None = None
        self._ended = False

    def begin(self) -> tuple[Step[Event, Event], Finish[Event]]:
        return self._step, self._finish

    def _step(self, event: Event) -> Iterator[Event]:
        self._last = event
        if isinstance(event, RunEvent | DoneEvent):
            self._ended = _ends(event)
        yield event
        if isinstance(event, ErrorEvent):
            said = event.data
            raise APIError(said.message, code=said.code, type=said.type, param=said.param)

    def _finish(self) -> tuple[()]:
        if not self._ended:
            raise _truncated(self._last)
        return ()

    def survive(self, source: Observable[Event]) -> Observable[Event]:
        """Complete where the connection breaks after the end, and say so where it does before."""

        def subscribe(
            observer: abc.ObserverBase[Event], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            def on_error(error: Exception) -> None:
                lost = isinstance(error, StreamTruncated | APIConnectionError)
                if lost and self._ended:
                    observer.on_completed()
                elif lost and self._last is not None and not isinstance(error, APITimeoutError):
                    told = _truncated(self._last, f"the connection was lost ({error})")
                    told.__cause__ = error
                    observer.on_error(told)
                else:
                    observer.on_error(error)

            return source.subscribe(
                observer.on_next, on_error, observer.on_completed, scheduler=scheduler
            )

        return Observable(subscribe)


def raise_for_status() -> Operator[Event, Event]:
    """Fail at the end if the run did: without it, a failed run is data.

    Emits every event. When the source has completed and a run ended as ``failed``, ``incomplete``,
    ``expired`` or ``cancelled``, sends ``RunFailed``, with the run and the last snapshot, to
    ``on_error``.

    Where ``f`` is ``thread.run.failed``::

        source  -p-f-d|
        result  -p-f-d#
    """

    def begin() -> tuple[Step[Event, Event], Finish[Event]]:
        fold = folded()
        failed: Run | None = None
        snapshot: Snapshot | None = None

        def step(event: Event) -> tuple[Event]:
            nonlocal failed, snapshot
            snapshot = fold(event)
            if isinstance(event, RunEvent) and event.data.status in FINISHED - {"completed"}:
                failed = event.data
            return (event,)

        def finish() -> Iterator[Event]:
            if failed is not None:
                raise RunFailed(failed, snapshot)
            return iter(())

        return step, finish

    return choose_each(begin)
