"""A log with cursors: one subscription to a source, many readers, each with its own cursor."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import Any, Generic, TypeVar

import reactivex as rx
from reactivex import Notification, Observable, abc
from reactivex import operators as ops
from reactivex.notification import OnCompleted, OnError

from rxassist.errors import ClientClosed, StreamClosed, closed_by
from rxassist.reactive.backpressure import Demand, current_demand, demanding
from rxassist.reactive.checks import check_positive
from rxassist.reactive.kernel import AtEnd
from rxassist.reactive.links import link_first

_T = TypeVar("_T")

READ_AHEAD = 1024
"""How many items a source may run ahead of its slowest demanding reader, by default."""

Post = Callable[[Callable[[], None]], object]
"""Runs a function later on the log's loop, in order; ``False`` if the loop is gone."""

Later = Callable[[Callable[[], None]], abc.DisposableBase]
"""Runs a function after a while on the log's loop. Disposing the result before prevents it."""

Report = Callable[[BaseException], object]
"""Reports an exception that a subscriber raised."""


class Reading:
    """The cursor of a reader of a log, and its memory of the items before it.

    ``log`` is a key of the log, and not the log itself, which must not keep itself alive. Of one
    that ``waits_for_end`` the cursor is at the newest item.
    """

    __slots__ = ("cursor", "log", "memo", "waits_for_end")

    def __init__(self, log: object, cursor: int = 0) -> None:
        self.log: object = log
        self.cursor: int = cursor
        self.waits_for_end: bool = False
        self.memo: Any = None


_reading: ContextVar[Reading | None] = ContextVar("rxassist_reading", default=None)
_no_context = Context()


class Log(Observable[_T], abc.ObserverBase[_T]):
    """An Observable that subscribes to its source once, however many subscribers it has.

    The first reader subscribes the source. Every reader begins at the first item that is kept, also
    after the end, and is live when it has caught up. A reader with a demand gets items only while
    the demand is open, and the source is paused when it is ``read_ahead`` items ahead of the
    slowest of these readers (``None`` never pauses). ``replay=False`` drops the items that every
    reader has read, and calls ``on_drop`` with them before. When the last reader leaves before the
    end, the source is disposed; a later reader gets the items that are kept, and then
    ``StreamClosed``. With ``linger`` the source is disposed a while after the last reader left,
    unless another one comes meanwhile; until then it is never paused. ``change_error`` gives the
    error for the readers, of that of the source.

    A reader that raises is closed, and the others go on. The exception goes to the consumer that
    waits for this reader; if none waits, it is reported. An exception such as ``SystemExit`` that
    the source raises goes to every consumer that waits; other readers get ``StreamClosed``.
    """

    def __init__(
        self,
        source: Observable[_T],
        *,
        post: Post,
        report: Report,
        replay: bool = True,
        read_ahead: int | None = READ_AHEAD,
        on_drop: Callable[[list[_T]], object] | None = None,
        linger: Later | None = None,
        change_error: Callable[[Exception], Exception] | None = None,
    ) -> None:
        check_positive("read_ahead", read_ahead, whole=True, none="to never wait")
        super().__init__()
        self.items: list[_T] = []
        self.dropped: int = 0
        self._key = object()
        self._last_reading = Reading(self._key)
        self._source: Observable[_T] | None = source  # until it is subscribed
        self._post = post
        self._report = report
        self._replay = replay
        self._read_ahead = read_ahead
        self._on_drop = on_drop
        self._linger = linger
        self._change_error = change_error
        self._lingering: abc.DisposableBase | None = None  # without a reader
        self._ending: Notification[_T] | None = None
        self._readers: list[_Reader[_T]] = []
        self._following: list[_Reader[_T]] = []  # those that read the items
        self._slow: list[_Reader[_T]] = []  # those of these that have a demand
        self._demand = Demand()
        self._subscription: abc.DisposableBase | None = None

    @property
    def ended(self) -> bool:
        """Whether the source has completed or failed, or was closed."""
        return self._ending is not None

    @property
    def is_read(self) -> bool:
        """Whether it has a reader."""
        return bool(self._readers)

    def check_open(self) -> None:
        """Raise the ``StreamClosed`` that ended it, if one did."""
        if isinstance(self._ending, OnError) and isinstance(self._ending.exception, StreamClosed):
            raise self._ending.exception

    @property
    def reading(self) -> Reading:
        """The reading of the caller: its own one in a callback or a loop, else the last."""
        reading = _reading.get()
        if reading is None or reading.log is not self._key:
            reading = self._last_reading
        if reading.waits_for_end:
            reading.cursor = self._end_of_items
        return reading

    @property
    def _end_of_items(self) -> int:
        return self.dropped + len(self.items)

    def begin_reading(self) -> Reading:
        """A reading at the first item that is kept, for a caller that reads and moves it itself."""
        reading = Reading(self._key, self.dropped)
        _reading.set(reading)
        self._last_reading = reading
        return reading

    def close(self, error: Exception) -> None:
        """End the log for all its readers with an error, as if the last one had left."""
        self._end(OnError(error))

    def _subscribe_core(
        self,
        observer: abc.ObserverBase[_T],
        scheduler: abc.SchedulerBase | None = None,  # noqa: ARG002 -- the log's home is its scheduler
    ) -> abc.DisposableBase:
        reader = _Reader(self, observer)
        if self._post(partial(self._attach, reader)) is False:
            raise ClientClosed
        return reader

    def _attach(self, reader: _Reader[_T]) -> None:
        reader.attached = True
        if reader.closed:
            return
        reader.cursor = self.dropped
        self._readers.append(reader)
        self._stop_lingering()
        if not reader.waits_for_end:
            self._following.append(reader)
            if reader.demand is not None:
                self._slow.append(reader)
        if self._source is not None and self._ending is None:
            self._begin(self._source)
        reader.deliver()
        self._balance()

    def _begin(self, source: Observable[_T]) -> None:
        self._source = None
        self._demand.failed = self._fail
        try:
            with demanding(self._demand):  # the log does what the guard of subscribe would do
                link_first(source, self, None, self._hold)
        except BaseException as error:  # noqa: BLE001 -- the readers get it
            if not self._fail(error):
                self._report(error)

    def _fail(self, error: BaseException) -> bool:
        """End with an exception that the source raised; ``False`` if that was before."""
        if self.ended:
            return False
        if isinstance(error, Exception):
            self._end(OnError(error))
            return True
        taken = [reader.fail(error) for reader in self._readers]
        self._end(OnError(closed_by(error)))
        if not any(taken):
            self._report(error)
        return True

    def _hold(self, subscription: abc.DisposableBase) -> None:
        self._subscription = subscription
        if self.ended:  # by a source that emits while it is being subscribed
            self._free()

    def _detach(self, reader: _Reader[_T]) -> None:
        if reader not in self._readers:
            return
        self._drop_what_was_read()
        for readers in (self._readers, self._following, self._slow):
            if reader in readers:
                readers.remove(reader)
        reader.let_go()
        if self._last_reading is reader:
            self._last_reading = Reading(self._key, reader.cursor)
            self._last_reading.memo = reader.memo
        if not self._readers and self._ending is None:
            if self._linger is None:
                self._leave()
                return
            self._lingering = self._linger(self._leave)
        self._balance()

    def _leave(self) -> None:
        msg = (
            "the last subscriber left before the end, which closed the stream; call again for "
            "another run, or keep the stream open for a while with linger="
        )
        self.close(StreamClosed(msg))

    def _stop_lingering(self) -> None:
        lingering, self._lingering = self._lingering, None
        if lingering is not None:
            lingering.dispose()

    def _free(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.dispose()

    def on_next(self, value: _T) -> None:
        """Keep an item of the source, and send it to the readers that have read all before it."""
        if self._ending is not None:
            return
        self.items.append(value)
        if len(self._following) == 1:  # nearly always
            self._following[0].deliver()
        else:
            for reader in tuple(self._following):
                reader.deliver()
        if not self._replay or (self._slow and self._is_behind()):
            self._balance()

    def on_error(self, error: Exception) -> None:
        """End with the error of the source, or with what ``change_error`` makes of it."""
        if self._change_error is not None and not self.ended:
            error = self._change_error(error)
        self._end(OnError(error))

    def on_completed(self) -> None:
        """End as the source has completed."""
        self._end(OnCompleted())

    def _end(self, ending: Notification[_T]) -> None:
        if self._ending is None:
            self._ending = ending
            self._demand.failed = None  # it makes a circle of references
            self._stop_lingering()
            try:
                for reader in tuple(self._readers):
                    reader.deliver()
            finally:
                self._free()

    def _is_behind(self) -> bool:
        """Whether a reader with a demand has not read all."""
        end = self.dropped + len(self.items)
        for reader in self._slow:  # noqa: SIM110 -- after each item: a generator costs more
            if reader.cursor != end:
                return True
        return False

    def _balance(self) -> None:
        """Drop the items that every reader has read, and pause or resume the source."""
        self._drop_what_was_read()
        if self._read_ahead is None:
            return
        ahead = 0
        if self._slow:
            slowest = min([reader.cursor for reader in self._waited_for()], default=None)
            ahead = 0 if slowest is None else self._end_of_items - slowest
        if ahead >= self._read_ahead:
            self._demand.close()
        elif not self._demand.is_open and ahead <= self._read_ahead // 2:
            self._demand.open()

    def _waited_for(self) -> list[_Reader[_T]]:
        """The readers that can be slow, without those whose owner waits for another reader here.

        A consumer with two readers drains one at a time; its full reader must not block the one it
        waits on.
        """
        slow, readers = self._slow, self._readers
        if len(readers) == 1:  # nearly always, and this is looked at after each item
            return slow
        waiting = {r.demand.owner for r in readers if r.demand and r.demand.is_open} - {None}
        return [r for r in slow if r.demand and (r.demand.is_open or r.demand.owner not in waiting)]

    def recorded(self) -> Observable[_T]:
        """The items that an ended log holds, and its end, for subscribers anywhere."""
        ending = self._ending
        kept: Observable[_T] = rx.from_iterable(self.items)
        if isinstance(ending, OnError):
            return kept.pipe(ops.concat(rx.throw(ending.exception)))
        return kept

    def _drop_what_was_read(self) -> None:
        if not self._replay and self._readers:
            cursors = [reader.cursor for reader in self._following]
            read = min(cursors, default=self._end_of_items) - self.dropped
            if read and self._on_drop is not None:
                self._on_drop(self.items[:read])
            del self.items[:read]
            self.dropped += read


class _Reader(Reading, abc.DisposableBase, Generic[_T]):
    """One subscriber's reading of the log, which ends when it is disposed."""

    __slots__ = (
        "_busy",
        "_context",
        "_log",
        "_observer",
        "_waits",
        "attached",
        "closed",
        "demand",
    )

    def __init__(self, log: Log[_T], observer: abc.ObserverBase[_T]) -> None:
        super().__init__(log._key)
        self._log = log
        self._observer = observer
        self.waits_for_end = type(observer) is AtEnd  # isinstance is slow for a class of abc
        self._context = copy_context()  # sources that the subscriber adds later find its demand
        self._context.run(_reading.set, self)
        self._busy = False
        self._waits = False
        self.attached: bool = False
        self.demand = current_demand()
        self.cursor = 0
        self.closed = False

    def dispose(self) -> None:
        """Read no more."""
        self.closed = True
        if self.attached:  # else it has read all, or the log will see that it is closed
            self._log._post(partial(self._log._detach, self))

    def fail(self, error: BaseException) -> bool:
        """Give an exception to the consumer that waits, and read no more, if there is one."""
        self.closed = self.demand is not None and self.demand.fail(error)
        return self.closed

    def let_go(self) -> None:
        """Forget the context: it holds this reader, which makes a circle of references."""
        self._context = _no_context
        self.attached = False

    def deliver(self) -> None:
        """Send the items that the reader has not had yet, as long as it wants more."""
        if self._busy or self.closed:
            return
        self._busy = True
        try:
            self._context.run(self._drain)
        except BaseException as error:  # noqa: BLE001 -- the subscriber's, and it is reported
            if not self.fail(error):
                self._log._report(error)
            self.closed = True
            self._log._detach(self)
        finally:
            self._busy = False

    def _resume(self) -> None:
        self._log._post(self._catch_up)

    def _catch_up(self) -> None:
        self._waits = False
        self.deliver()
        self._log._balance()

    def _drain(self) -> None:
        log, observer, demand = self._log, self._observer, self.demand
        items = log.items
        if self.waits_for_end:
            self.cursor = log._end_of_items
            log._last_reading = self
        while not self.closed:
            index = self.cursor - log.dropped
            if index >= len(items):
                break
            if demand is not None and not demand.is_open:
                if not self._waits:
                    self._waits = True
                    demand.when_open(self._resume)
                return
            self.cursor += 1
            log._last_reading = self
            observer.on_next(items[index])
        if not self.closed and log._ending is not None:
            self.closed, self.attached = True, False  # the log lets go of it in any case
            log._ending.accept(observer)
            log._detach(self)


__all__ = ["READ_AHEAD", "Log"]
