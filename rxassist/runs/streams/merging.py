"""Many runs as one Observable, with the key of its run at each event."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import copy_context
from datetime import datetime
from typing import Any, TypeVar, cast, overload

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable
from reactivex.scheduler import NewThreadScheduler, TimeoutScheduler

from rxassist.errors import excerpt
from rxassist.reactive.backpressure import Demand, current_demand, demanding
from rxassist.reactive.iteration import IterableObservable
from rxassist.reactive.tally import Tally, tallying
from rxassist.runs.events import AnyEvent
from rxassist.runs.operators.merge import MergedEvent, RunSummary
from rxassist.runs.operators.usage import Counting
from rxassist.runs.state import AnyRun, Usage
from rxassist.wire.maker import maker

_K = TypeVar("_K")


_merged_event: Callable[[object, Any], MergedEvent[Any]] = maker(MergedEvent)
_PAIR = 2


# --- merging -------------------------------------------------------------------------------


@overload
def merge_runs(  # type: ignore[overload-overlap] # of a mapping whose keys are streams
    streams: Mapping[_K, Observable[AnyEvent]],
    /,
    *,
    max_concurrent: int | None = ...,
    delay_errors: bool = ...,
    scheduler: abc.SchedulerBase | None = ...,
) -> IterableObservable[MergedEvent[_K]]: ...
@overload
def merge_runs(
    streams: Iterable[tuple[_K, Observable[AnyEvent]]]
    | Observable[tuple[_K, Observable[AnyEvent]]],
    /,
    *,
    max_concurrent: int | None = ...,
    delay_errors: bool = ...,
    scheduler: abc.SchedulerBase | None = ...,
) -> IterableObservable[MergedEvent[_K]]: ...
@overload
def merge_runs(
    streams: Iterable[Observable[AnyEvent]] | Observable[Observable[AnyEvent]],
    /,
    *,
    max_concurrent: int | None = ...,
    delay_errors: bool = ...,
    scheduler: abc.SchedulerBase | None = ...,
) -> IterableObservable[MergedEvent[int]]: ...
@overload
def merge_runs(
    *streams: Observable[AnyEvent],
    max_concurrent: int | None = ...,
    delay_errors: bool = ...,
    scheduler: abc.SchedulerBase | None = ...,
) -> IterableObservable[MergedEvent[int]]: ...
def merge_runs(
    *streams: Any,
    max_concurrent: int | None = None,
    delay_errors: bool = True,
    scheduler: abc.SchedulerBase | None = None,
) -> IterableObservable[MergedEvent[Any]]:
    """Merge the events of many runs, each with the key of its run.

    Takes streams, whose keys are 0, 1, 2…; or a mapping of streams; or one iterable or Observable
    of streams, or of pairs of a key and a stream. At most ``max_concurrent`` streams are subscribed
    at a time; it takes the next stream when one ends, so an iterable may make thousands, and an
    Observable of streams is paused while one of its streams waits. The first item of a single
    Observable decides: if it is an event, the Observable is the stream of one run; if it is a
    stream or a pair, an Observable of streams. If it fails before that, it counts as a run that
    failed; if it is empty, there are no runs.

    The last item of each run has a ``RunSummary`` instead of an event. If a run's stream fails, the
    summary also has the error, and the other runs continue; with ``delay_errors=False`` the first
    error ends everything, as with RxPY's ``merge``. Completes when all have ended. An error of the
    iterable or of the Observable of streams ends everything. While the consumer is slow every
    stream is paused. Times are those of ``scheduler``, else of the subscription's.

    Raises ``TypeError`` for an item that is no stream, ``ValueError`` for a ``max_concurrent``
    below 1 and for a key that is given twice. If such an item comes later, from an iterable or an
    Observable, these errors go to ``on_error``.
    """
    if max_concurrent is not None and max_concurrent < 1:
        msg = f"max_concurrent must be at least 1, or None for no bound, got {max_concurrent}"
        raise ValueError(msg)
    given: Iterable[object] | Observable[object] = streams
    if len(streams) == 1:
        (only,) = streams
        given = _items(only)
    if isinstance(given, str | bytes) or not isinstance(given, Observable | Iterable):
        raise _no_stream(given)
    if isinstance(given, list | tuple):
        keyed = _Keyed()
        for item in cast("Iterable[object]", given):
            keyed.take(item)

    def subscribe(
        observer: abc.ObserverBase[MergedEvent[Any]], lent: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        merging = _Merging(observer, max_concurrent, lent, scheduler, delay_errors=delay_errors)
        if isinstance(given, Observable):
            merging.listen(given)
        else:
            merging.begin(given)
        return Disposable(merging.dispose)

    return IterableObservable(subscribe)


def _items(given: object) -> Any:  # noqa: ANN401 -- whatever was given
    return cast("Mapping[object, object]", given).items() if isinstance(given, Mapping) else given


def _entries(item: object) -> tuple[object, ...]:
    return cast("tuple[object, ...]", item) if isinstance(item, tuple) else ()


def _no_stream(item: object) -> TypeError:
    return TypeError(
        "merge_runs takes streams, or one mapping, iterable or Observable of streams or of pairs "
        f"of a key and a stream, got {excerpt(item)}"
    )


class _Keyed:
    """Streams with their keys; a stream without a key has its number."""

    def __init__(self) -> None:
        self._keys = set[object]()

    def take(self, item: object) -> tuple[object, Observable[AnyEvent]]:
        pair = _entries(item) or (len(self._keys), item)
        if len(pair) != _PAIR or not isinstance(pair[1], Observable):
            raise _no_stream(item)
        key, stream = pair[0], cast("Observable[AnyEvent]", pair[1])
        if key in self._keys:
            msg = (
                f"merge_runs was given the key {excerpt(key)} twice; each run needs one of its own"
            )
            raise ValueError(msg)
        self._keys.add(key)
        return key, stream


def _brings_a_stream(item: object) -> bool:
    return isinstance(item, Observable | tuple)


class _Merging:
    """One subscription: the current runs, and the source of the next ones."""

    def __init__(
        self,
        observer: abc.ObserverBase[MergedEvent[Any]],
        most: int | None,
        lent: abc.SchedulerBase | None,
        clock: abc.SchedulerBase | None,
        *,
        delay_errors: bool,
    ) -> None:
        self.observer = observer
        self.delay_errors = delay_errors
        self.clock: abc.SchedulerBase = clock or lent or TimeoutScheduler.singleton()
        # RxPY's run() passes a scheduler that starts a thread for each action
        self.scheduler = None if isinstance(lent, NewThreadScheduler) else lent
        self.lock = Disposable().lock  # streams of several clients come on several threads
        self.over = False
        self._most = most
        self._context = copy_context()  # so that every stream finds the demand of the consumer
        self._runs: set[_Run] = set()
        self._streams: Iterator[object] | None = None
        self._waiting: deque[object] = deque()  # streams beyond ``max_concurrent``
        self._more = True
        self._keyed = _Keyed()
        self._filling = False
        self._demand = Demand(current_demand())
        self._outer = SingleAssignmentDisposable()

    # --- the source of the streams ---

    def begin(self, streams: Iterable[object]) -> None:
        """Take the next stream whenever one may begin."""
        with self.lock:
            try:
                self._streams = iter(streams)
            except Exception as error:  # noqa: BLE001 -- it goes to ``on_error``
                self.fail(error)
            else:
                self._fill()

    def listen(self, source: Observable[object]) -> None:
        """Take streams as they come; if the first item is an event, this is the only stream."""
        only = _Run(self, 0)
        brings_streams = False

        def on_next(item: object) -> None:
            nonlocal brings_streams
            brings_streams = brings_streams or (not only.told and _brings_a_stream(item))
            if brings_streams:
                self._offer(item)
            elif not (only.told or isinstance(item, AnyEvent)):
                self.fail(_no_stream(item))
            else:
                only.on_next(cast("AnyEvent", item))

        def on_error(error: Exception) -> None:
            if brings_streams:
                self.fail(error)
            else:
                self._more = False
                only.on_error(error)

        def on_completed() -> None:
            self._more = False
            if only.told:
                only.on_completed()
            else:
                with self.lock:
                    self._fill()

        with demanding(self._demand), tallying(only.tally):
            self._outer.disposable = source.subscribe(
                on_next, on_error, on_completed, scheduler=self.scheduler
            )

    def _offer(self, item: object) -> None:
        with self.lock:
            self._waiting.append(item)
            self._fill()
            if self._waiting:
                self._demand.close()

    def _take(self) -> Iterator[_Run]:
        """Begin the next run, if there is a stream for it by now."""
        if self._waiting:
            item = self._waiting.popleft()
        elif self._streams is None:
            return
        else:
            try:
                item = next(self._streams)
            except StopIteration:
                self._more = False
                return
        key, stream = self._keyed.take(item)
        yield _Run(self, key, stream)

    def _fill(self) -> None:
        """Begin as many runs as may run at once, and complete when none is left."""
        if self._filling:
            return
        self._filling = True
        while not self.over and (self._most is None or len(self._runs) < self._most):
            try:
                taken = list(self._take())
            except Exception as error:  # noqa: BLE001 -- it goes to ``on_error``
                self.fail(error)
                break
            for run in taken:
                self._begin(run)
            if not taken:
                break
        self._filling = False
        if not self._waiting and not self._demand.is_open:
            self._demand.open()
        if not (self.over or self._more or self._runs or self._waiting):
            self.over = True
            self.observer.on_completed()

    def _begin(self, run: _Run) -> None:
        self._runs.add(run)
        try:
            self._context.copy().run(run.begin)
        except BaseException:
            self.dispose()  # the other streams: no other code can dispose them now
            raise

    # --- how they end ---

    def ended(self, run: _Run) -> None:
        """A run has ended: the next one may begin."""
        self._runs.discard(run)
        self._fill()

    def fail(self, error: Exception) -> None:
        """End everything."""
        with self.lock:
            if not self.over:
                self.dispose()
                self.observer.on_error(error)

    def dispose(self) -> None:
        """Leave every stream."""
        self.over = True
        self._outer.dispose()
        for run in tuple(self._runs):
            run.held.dispose()


class _Run:
    """One of the runs: emits its events, and sums them up."""

    def __init__(
        self, merging: _Merging, key: object, stream: Observable[AnyEvent] | None = None
    ) -> None:
        self.tally = Tally()
        self.told = False
        self.held = SingleAssignmentDisposable()
        self._key = key
        self._stream = stream
        self._merging = merging
        self._since: datetime = merging.clock.now
        self._first_delta: float | None = None
        self._run: AnyRun | None = None
        self._counting = Counting()
        self._usage: Usage | None = None

    def begin(self) -> None:
        if self._stream is not None:
            with tallying(self.tally):
                self.held.disposable = self._stream.subscribe(
                    self.on_next,
                    self.on_error,
                    self.on_completed,
                    scheduler=self._merging.scheduler,
                )
            if self._merging.over:
                self.held.dispose()

    def on_next(self, event: AnyEvent) -> None:
        merging = self._merging
        with merging.lock:
            if not merging.over:
                self._look(event)
                merging.observer.on_next(_merged_event(self._key, event))

    def on_error(self, error: Exception) -> None:
        if self._merging.delay_errors:
            self._end(error)
        else:
            self._merging.fail(error)

    def on_completed(self) -> None:
        self._end(None)

    def _look(self, event: AnyEvent) -> None:
        self.told = True
        if not isinstance(event, AnyEvent):  # a stream may emit anything
            return
        if event.is_delta:
            if self._first_delta is None:
                self._first_delta = self._passed()
            return
        self._run = event.run() or self._run
        for usage in self._counting.step(event):
            self._usage = usage

    def _passed(self) -> float:
        return (self._merging.clock.now - self._since).total_seconds()

    def _end(self, error: Exception | None) -> None:
        merging, tally = self._merging, self.tally
        with merging.lock:
            if merging.over:
                return
            summary = RunSummary(
                self._key,
                self._run,
                error,
                self._usage,
                self._passed(),
                self._first_delta,
                tally.retries,
                tally.recoveries,
            )
            merging.observer.on_next(MergedEvent(self._key, None, error, summary))
            merging.ended(self)


__all__ = ["MergedEvent", "RunSummary", "merge_runs"]
