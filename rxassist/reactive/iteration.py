"""Code that waits for an Observable: ``for``, ``async for``, ``await`` and ``run()``."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from reactivex import Observable, abc

from rxassist.errors import EmptyError
from rxassist.reactive.backpressure import Demand, current_demand, demanding
from rxassist.reactive.checks import check_positive

_T = TypeVar("_T")

BUFFER = 16
"""The number of items that an iteration holds before it pauses the source, by default."""


class _Arrivals(Generic[_T]):
    """The items that arrived for a consumer that waits, and the end of its source.

    Without a ``size`` only the last item is kept, and nothing is ever paused. ``notify`` wakes the
    consumer: it is called on the thread that emits, or that raises.
    """

    def __init__(
        self,
        notify: Callable[[], object],
        size: int | None = None,
        *,
        blocked_thread: int | None = None,
        owner: object = None,
    ) -> None:
        self._size = size
        self._notify = notify
        self._drained = True  # the consumer has taken all, and must be woken for more
        self._demand = Demand(current_demand(), blocked_thread, owner, self._fail)
        self.items: deque[_T] = deque(maxlen=1 if size is None else None)
        self.ended = False
        self.error: BaseException | None = None

    @contextmanager
    def of(
        self, source: Observable[_T], scheduler: abc.SchedulerBase | None = None
    ) -> Generator[Self]:
        """Subscribe to a source, and dispose the subscription at the end of the block."""
        with demanding(self._demand):
            subscription = source.subscribe(
                self._on_next, self._on_error, self._on_completed, scheduler=scheduler
            )
        try:
            yield self
        finally:
            self._demand.failed = None  # it makes a circle of references
            subscription.dispose()

    def take(self) -> Iterator[_T]:
        """Give the items that have arrived; want more when all were taken."""
        drained = False
        while not drained:
            while self.items:
                yield self.items.popleft()
            self._drained = True  # then look again: another thread may just have added one
            drained = not self.items
        if not self._demand.is_open:
            self._demand.open()

    def last(self, name: str) -> _T:
        """The last item of a source that has ended, or the error that ended it, raised.

        Raises ``EmptyError``, which names the source, if there was no item.
        """
        if self.error is not None:
            raise self.error
        if not self.items:
            msg = (
                f"{name} is empty, and run() and await give its last item; list(…) and to_list() "
                "of reactivex give all items, also none"
            )
            raise EmptyError(msg)
        return self.items[0]

    def _on_next(self, item: _T) -> None:
        self.items.append(item)
        if self._size is not None:
            if len(self.items) >= self._size:
                self._demand.close()
            if self._drained:  # else the consumer takes this one with those before it
                self._drained = False
                self._notify()

    def _on_error(self, error: BaseException) -> None:
        self._fail(error)

    def _on_completed(self) -> None:
        self.ended = True
        self._notify()

    def _fail(self, error: BaseException) -> bool:
        if not self.ended:
            self.error = error
            self.ended = True
            self._notify()
        return self.error is error


class _Bell:
    """Wakes one coroutine, on whichever thread it is rung."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._rung = False
        self._silent = False
        self._waiter: asyncio.Future[None] | None = None
        self._began = 0.0  # when the coroutine last began to wait
        self._timer: asyncio.TimerHandle | None = None

    def ring(self) -> None:
        if threading.get_ident() == self._thread:
            self._wake()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self, *, silent: bool = False) -> None:
        self._rung, self._silent = True, silent
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, silence: float | None = None) -> bool:
        """Wait for a ring; ``False`` if none came for so many seconds.

        One timer serves many waits: only when it is due it looks how long the last one has lasted.
        """
        if not self._rung:
            if silence is not None:
                self._began = self._loop.time()
                if self._timer is None:
                    self._timer = self._loop.call_later(silence, self._look, silence)
            self._waiter = self._loop.create_future()
            await self._waiter
        self._rung = False
        return not self._silent

    def _look(self, silence: float) -> None:
        left = self._began + silence - self._loop.time()
        if left > 0 or self._rung or self._waiter is None or self._waiter.done():
            left = left if left > 0 else silence
            self._timer = self._loop.call_later(left, self._look, silence)
        else:
            self._timer = None
            self._wake(silent=True)

    def __enter__(self) -> None:
        """Nothing happens yet."""

    def __exit__(self, *_: object) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()


class Items(Generic[_T]):
    """The items of an Observable, for ``for`` and for ``async for``. See ``iterate``."""

    def __init__(self, source: Observable[_T], buffer: int) -> None:
        self._source = source
        self._size = buffer
        self._silence: float | None = None
        self._filler: tuple[_T, ...] = ()
        self._instead: Callable[[Exception], _T | None] | None = None

    def unbroken(
        self, silence: float | None, filler: _T, instead: Callable[[Exception], _T | None]
    ) -> Self:
        """The same, with a filler after every silence, and an item or ``None`` for an error."""
        self._silence, self._filler, self._instead = silence, (filler,), instead
        return self

    def _ending(self, error: BaseException | None) -> tuple[_T, ...]:
        """The last items: none, or the one instead of an error. Else raises the error."""
        if error is None:
            return ()
        if self._instead is None or not isinstance(error, Exception):
            raise error
        item = self._instead(error)
        return () if item is None else (item,)

    def __iter__(self) -> Iterator[_T]:
        return self.until(threading.Event(), lambda: False)

    def until(self, ready: threading.Event, left: Callable[[], bool]) -> Generator[_T]:
        """The items, for a thread that leaves when ``ready`` is set and ``left`` says so."""
        thread = threading.get_ident()
        arrivals: _Arrivals[_T] = _Arrivals(
            ready.set, self._size, blocked_thread=thread, owner=thread
        )
        with arrivals.of(self._source):
            ended = False
            while not ended:
                if not ready.wait(self._silence):
                    yield from self._filler
                    continue
                ready.clear()
                if left():
                    return
                ended = arrivals.ended
                yield from arrivals.take()
        yield from self._ending(arrivals.error)

    async def __aiter__(self) -> AsyncIterator[_T]:
        bell = _Bell()
        arrivals: _Arrivals[_T] = _Arrivals(bell.ring, self._size, owner=asyncio.current_task())
        with bell, arrivals.of(self._source):
            ended = False
            while not ended:
                if not await bell.wait(self._silence):
                    for item in self._filler:
                        yield item
                    continue
                ended = arrivals.ended
                for item in arrivals.take():
                    yield item
        for item in self._ending(arrivals.error):
            yield item


class ClosableItems(Iterator[_T]):
    """The items for one thread, until it, or another one, closes them: as a WSGI server does.

    The source is subscribed with the first item. ``close()`` disposes the subscription, and ends
    the wait of a thread that waits for an item; it never waits itself.
    """

    def __init__(self, items: Items[_T]) -> None:
        self._ready = threading.Event()
        self._left = left = threading.Event()
        self._items = items.until(self._ready, left.is_set)

    def __next__(self) -> _T:
        """Wait for the next item."""
        if not self._left.is_set():
            item = next(self._items)
            if not self._left.is_set():
                return item
        self._items.close()
        raise StopIteration

    def close(self) -> None:
        """Leave."""
        self._left.set()
        self._ready.set()
        with suppress(ValueError):  # another thread runs in it, and leaves
            self._items.close()


def iterate(source: Observable[_T], *, buffer: int | None = None) -> Items[_T]:
    """The items of any Observable, for ``for`` and for ``async for``, with backpressure.

    At most ``buffer`` items wait to be taken: then the source is paused, if it is one that can
    wait. By default that is 16, and of the stream of a run, which arrives by itself, 128, unless
    its ``read_ahead`` is less. An error of the source is raised after the items before it; so is an
    exception that an operator or a callback raised, ``SystemExit`` included. To leave the loop
    disposes the subscription. A ``for`` on the thread that emits raises ``BlockingCallError``. A
    source that emits for ever inside ``subscribe`` (``rx.repeat_value(1)``) never comes back from
    there.
    """
    if buffer is None:
        buffer = source._buffer if isinstance(source, IterableObservable) else BUFFER
    check_positive("buffer", buffer, whole=True)
    return Items(source, buffer)


class IterableObservable(Observable[_T]):
    """An Observable that code can wait for: ``for``, ``async for``, ``await`` and ``run()``.

    All of RxPY works on it, and its pipes are iterable again.
    """

    _name: str = "this Observable"  # in errors
    _buffer: int = BUFFER  # of an iteration

    def _iterable(self, piped: Observable[Any]) -> Observable[Any]:
        return IterableObservable(piped._subscribe_core)

    if not TYPE_CHECKING:  # the types are those of Observable.pipe

        def pipe(self, *operators):  # noqa: ANN002, ANN201, D102 -- as Observable.pipe
            result = super().pipe(*operators)
            return self._iterable(result) if type(result) is Observable else result

    def __add__(self, other: Observable[_T]) -> Observable[_T]:
        return self._iterable(super().__add__(other))

    def __iadd__(self, other: Observable[_T]) -> Observable[_T]:
        return self + other

    def run(self, scheduler: abc.SchedulerBase | None = None) -> _T:
        """Subscribe, wait for the end, and return the last item.

        Raises what the Observable fails with, and ``EmptyError`` if it completes
        without an item. An exception while it waits, such as Ctrl-C, disposes the
        subscription; one that an operator or a callback raises is raised here. Raises
        ``BlockingCallError`` on the thread of an event loop that the items come from.
        """
        ended, thread = threading.Event(), threading.get_ident()
        arrivals: _Arrivals[_T] = _Arrivals(ended.set, blocked_thread=thread, owner=thread)
        with arrivals.of(self, scheduler):
            ended.wait()
        return arrivals.last(self._name)

    def __await__(self) -> Generator[Any, None, _T]:
        """Await the last item, on whichever thread it comes. Raises as ``run()``."""
        return self._awaited().__await__()

    async def _awaited(self) -> _T:
        bell = _Bell()
        arrivals: _Arrivals[_T] = _Arrivals(bell.ring, owner=asyncio.current_task())
        with arrivals.of(self):
            await bell.wait()
        return arrivals.last(self._name)

    def __iter__(self) -> Iterator[_T]:
        """The items, for a blocking ``for``. See ``iterate``."""
        return iter(iterate(self))

    def __aiter__(self) -> AsyncIterator[_T]:
        """The items, for an ``async for``. See ``iterate``."""
        return aiter(iterate(self))


__all__ = ["BUFFER", "ClosableItems", "Items", "IterableObservable", "iterate"]
