"""Following a log: one reader for each run and process, shared by all followers there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from time import monotonic
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, cast

import reactivex as rx
from attrs import frozen
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import Disposable

from rxassist.errors import CursorUnavailable, ProducerLost, StreamClosed
from rxassist.protocols.assistants import codec as assistants
from rxassist.protocols.responses import codec as responses
from rxassist.reactive.kernel import Stepping, linked
from rxassist.reactive.links import Link, link
from rxassist.reactive.log import Log
from rxassist.reactive.loop import Home, HomeT, from_batches, on_loop
from rxassist.reactive.typing import Operator
from rxassist.redis import endings
from rxassist.redis.patience import Patience
from rxassist.redis.store import Entry, Kind, Page, Store, numbered
from rxassist.runs.streams.web import END
from rxassist.wire.json import from_json
from rxassist.wire.sse import Decoder, encode

_A = TypeVar("_A")
_T = TypeVar("_T")

Place: TypeAlias = tuple[int, int]
"""The epoch and the number of a thing in a log."""

_START: Place = (0, 0)
_ID = re.compile(r"([0-9]{1,15})-([0-9]{1,15})")
_APPEARANCE = 2.0  # seconds for a log to appear, of which a follower knows already
_END = encode(END)
_ANY_SIZE = 2**62  # bytes of an event: its producer has bounded them
_LOOK_AGAIN = 0.1  # seconds between two looks for a producer, or for a log


class Item(NamedTuple):
    """One thing in a log."""

    place: Place
    kind: Kind
    data: bytes


@frozen
class After:
    """Where a follower begins: after a place, or after so many events."""

    place: Place = _START
    count: int = 0

    @classmethod
    def of(cls, given: str | int | None, *, strict: bool) -> After:
        """The beginning that an argument means; of a wrong one, the first event, or an error."""
        if given is None or given == "":
            return cls()
        if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
            return cls(count=given)
        found = _ID.fullmatch(given) if isinstance(given, str) else None
        if found is not None:
            return cls((int(found[1]), int(found[2])))
        if strict:
            msg = (
                'after must be the id of an event, such as "1-17", or how many events to leave '
                f"out, got {given!r}"
            )
            raise ValueError(msg)
        return cls()


class Course:
    """The numbers of a log, as a follower reads them: without a hole, or it says so."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._last: Place | None = None
        self.first: int | None = None
        """The number of the first thing that the log still has."""

    def items(self, entry: Entry) -> Iterator[Item]:
        """The things in an entry. Raises ``CursorUnavailable`` if one is missing before it."""
        if entry.kind == "take":
            yield Item((entry.epoch, 0), "take", entry.data)
            return
        for number, data in numbered(entry):
            if self._last is None:
                self.first = number
            elif number != self._last[1] + 1:
                why = f"number {number} follows number {self._last[1]}: the log lost some events"
                raise CursorUnavailable(self._key, why)
            self._last = (entry.epoch, number)
            yield Item(self._last, entry.kind, data)


class Reader:
    """Reads one log from its beginning to its end, however long it takes to grow.

    ``wait`` bounds, in seconds, how long one look at the store lasts, ``grace`` how long a log may
    have no producer.
    """

    def __init__(
        self, store: Store, key: str, *, wait: float, grace: float, patience: Patience
    ) -> None:
        self._store = store
        self.key: str = key
        self._wait = wait
        self._grace = grace
        self._patience = patience
        self._cursor: str | None = None
        self._alone_since: float | None = None
        self.places: list[Place] = []  # of the events
        self._sent: tuple[Item | None, bytes] = None, b""
        self.course: Course = Course(key)
        self.meta: dict[str, Any] = {}
        self.over: Callable[[], object] = lambda: None

    def with_id(self, item: Item) -> bytes:
        """An event as bytes with its id: made once for the followers that get it one by one."""
        if self._sent[0] is not item:
            self._sent = item, b"id: %d-%d\n" % item.place + item.data
        return self._sent[1]

    async def pages(self) -> AsyncGenerator[list[Item]]:
        """The things in the log, as they come. Raises how the run ended, if it failed."""
        try:
            async with aclosing(self._read()) as pages:
                async for items in pages:
                    self.places.extend(each.place for each in items if each.kind == "events")
                    yield items
        finally:
            self.over()

    async def _read(self) -> AsyncGenerator[list[Item]]:
        while True:
            page = await self._page()
            items: list[Item] = []
            try:
                for entry in page.entries:
                    items.extend(self.course.items(entry))
            except CursorUnavailable:
                yield items
                raise
            if not items:
                await self._check_alone(page)
                continue
            self._alone_since = None
            yield items
            if items[-1].kind == "end":
                error = endings.read(items[-1].data)
                if error is not None:
                    raise error
                return

    async def _page(self) -> Page:
        wait = self._wait if self._alone_since is None else _LOOK_AGAIN
        read = partial(self._store.read, self.key, self._cursor, wait)
        page = await self._patience.with_store(read)
        if page.entries:
            if self._cursor is None:
                self.meta = cast("dict[str, Any]", from_json(page.meta, "the meta of a log"))
            self._cursor = page.entries[-1].id
        return page

    async def _check_alone(self, page: Page) -> None:
        """Fail if nobody has produced the log for too long; wait a little if there is none yet."""
        if page.produced:
            self._alone_since = None
            return
        begun = self._cursor is not None
        if begun and not page.exists:
            raise CursorUnavailable(self.key, "its log is gone: it was deleted, or lost")
        now = monotonic()
        if self._alone_since is None:
            self._alone_since = now
        if now - self._alone_since >= (self._grace if begun else min(self._grace, _APPEARANCE)):
            if begun:
                raise ProducerLost(self.key, self._grace)
            why = "there is no log of it: it was never published, or is not kept any more"
            raise CursorUnavailable(self.key, why)
        if not begun:
            await asyncio.sleep(_LOOK_AGAIN)


class Shared:
    """One reader of a log, and what all its followers share: the bytes, and the events.

    It reads as long as somebody follows. No follower pauses it: the others go on.
    """

    def __init__(self, home: Home, reader: Reader) -> None:
        self._home = home
        self._reader = reader
        self._coming = 0  # followers that the logs do not know yet
        self._items: Log[Item] = self._log(from_batches(home, reader.pages))
        self._events: Log[Any] | None = None

    def _log(self, source: Observable[_T]) -> Log[_T]:
        home = self._home
        return Log(source, post=home.post, report=home.report, read_ahead=None, linger=self._left)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is read: a new follower needs another reader."""
        return self._items.ended

    def bytes_after(self, after: After) -> Observable[bytes]:
        """The events as bytes with their ids.

        They begin with the id of the last event that the follower had: a browser may forget it.
        """
        reader, skip = self._reader, _Skip(after, self._reader)
        view: Operator[Item, bytes] = linked(
            lambda observer, _: _Bytes(observer, skip, reader.with_id)
        )
        bytes_of_events = view(self._followed(self._items))
        if after.place == _START:
            return bytes_of_events
        return rx.of(b"id: %d-%d\n\n" % after.place).pipe(ops.concat(bytes_of_events))

    def events_after(self, after: After) -> Observable[Any]:
        """The events, decoded once for all followers."""
        if self._events is None or self._events.ended:
            decode: Operator[Item, Any] = linked(
                lambda observer, _: _Decoding(observer, self._reader)
            )
            self._events = self._log(decode(self._followed(self._items)))
        places, skip = self._reader.places, _Skip(after, self._reader)
        view: Operator[Any, Any] = linked(lambda observer, _: _Events(observer, skip, places))
        return view(self._followed(self._events))

    def _followed(self, log: Log[_T]) -> Observable[_T]:
        """A log, for subscriptions on the loop."""

        def subscribe(
            observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self._coming += 1
            held = link(log, observer, scheduler)
            self._home.post(self._came)  # the log knows it by then
            return held

        return Observable(subscribe)

    def _came(self) -> None:
        self._coming -= 1
        for log in (self._events, self._items) if not self._coming else ():
            if log is not None and not log.is_read:  # its last follower has left again already
                log.close(StreamClosed("the last follower left"))

    def _left(self, leave: Callable[[], None]) -> abc.DisposableBase:
        """The last follower of one of the logs has left: stop reading, if no other one comes."""
        if not self._coming:
            leave()
        return Disposable()


class _Skip:
    """What one follower has had already: it begins only after the very event that it had last.

    A log that lost its last entries may have others of the same numbers, in a later epoch.
    """

    def __init__(self, after: After, reader: Reader) -> None:
        self._left = after.count
        self._after = after.place
        self._reader = reader
        self._begun = False  # all is for the follower from now on

    def had(self, place: Place) -> bool:
        """Whether the follower had the event of a place. Raises if events are missing before it."""
        if self._begun:
            return False
        first = self._reader.course.first or 1
        if first > self._after[1] + 1:
            why = f"its log begins with number {first} now, and what came before is needed"
            raise CursorUnavailable(self._reader.key, why)
        if self._left:
            self._left -= 1
            return True
        if place[1] < self._after[1]:
            return True
        had = place == self._after
        self._begun = had or self._after == _START or place[1] == first == self._after[1] + 1
        if not self._begun:
            raise self._unknown()
        return had

    def check_begun(self) -> None:
        """Raise if the log ended before the place at which the follower was to begin."""
        is_next = self._reader.course.first == self._after[1] + 1
        if self._left or not (self._begun or self._after == _START or is_next):
            raise self._unknown()

    def _unknown(self) -> CursorUnavailable:
        epoch, number = self._after
        what = f"event {epoch}-{number}" if number else "so many events"
        return CursorUnavailable(self._reader.key, f"its log does not have {what}")


class _Follower(Link[_T, _A]):
    """One follower, which leaves out what it has had."""

    __slots__ = ("_skip",)

    def __init__(self, observer: abc.ObserverBase[_A], skip: _Skip) -> None:
        super().__init__(observer)
        self._skip = skip

    def _is_new(self, place: Place) -> bool:
        """Whether the event of a place is for this follower; fails if events are missing."""
        try:
            return not self._skip.had(place)
        except CursorUnavailable as error:
            self.observer.on_error(error)
            return False

    def on_completed(self) -> None:
        """Complete, unless the log ended before what this follower had."""
        try:
            self._skip.check_begun()
        except CursorUnavailable as error:
            self.observer.on_error(error)
        else:
            self._complete()

    def _complete(self) -> None:
        self.observer.on_completed()


class _Bytes(_Follower[Item, bytes]):
    """One follower that hands the bytes of events on."""

    __slots__ = ("_with_id",)

    def __init__(
        self, observer: abc.ObserverBase[bytes], skip: _Skip, with_id: Callable[[Item], bytes]
    ) -> None:
        super().__init__(observer, skip)
        self._with_id = with_id

    def on_next(self, value: Item) -> None:
        """Hand an event on, with its id."""
        if value.kind == "events" and self._is_new(value.place):
            self.observer.on_next(self._with_id(value))

    def _complete(self) -> None:
        """Say that nothing more comes, so that a browser does not connect again."""
        self.observer.on_next(_END)
        self.observer.on_completed()


class _Events(_Follower[Any, Any]):
    """One follower of the events."""

    __slots__ = ("_index", "_places")

    def __init__(
        self, observer: abc.ObserverBase[Any], skip: _Skip, places: Sequence[Place]
    ) -> None:
        super().__init__(observer, skip)
        self._places = places
        self._index = 0

    def on_next(self, value: Any) -> None:  # noqa: ANN401 -- an event of any protocol
        """Pass an event on."""
        place = self._places[self._index]
        self._index += 1
        if self._is_new(place):
            self.observer.on_next(value)


class _Decoding(Stepping[Item, Any]):
    """The decoder of one log, made when the protocol of its run is known."""

    __slots__ = ("_decoder", "_reader")

    def __init__(self, observer: abc.ObserverBase[Any], reader: Reader) -> None:
        super().__init__(observer, self._decoded, self._flushed)
        self._reader = reader
        self._decoder: Decoder[Any] | None = None

    def _decoded(self, item: Item) -> Iterable[Any]:
        if item.kind != "events":
            return ()
        if self._decoder is None:
            self._decoder = decoder_of(self._reader.meta)
        return self._decoder.feed(item.data)

    def _flushed(self) -> Iterable[Any]:
        return () if self._decoder is None else self._decoder.flush()

    def on_error(self, error: Exception) -> None:
        """Emit what waits for the next event, and fail."""
        let_go = tuple if self._decoder is None else self._decoder.let_go
        if self._emit_rest(let_go):
            self.observer.on_error(error)


def decoder_of(meta: Mapping[str, Any]) -> Decoder[Any]:
    """A decoder for the events of a run, of which its producer wrote the meta."""
    if meta.get("protocol") == "responses":
        return responses.EventDecoder(_ANY_SIZE, response_id=meta.get("run_id") or "")
    return assistants.EventDecoder(_ANY_SIZE)


class Followed(Generic[HomeT]):
    """The logs that are followed in this process, on one event loop."""

    def __init__(self, home: HomeT, reader_of: Callable[[str], Reader]) -> None:
        self._home = home
        self._reader_of = reader_of
        self._shared: dict[str, Shared] = {}

    def events(self, key: str, after: After) -> Observable[Any]:
        """The events of a log."""
        return self._follow(key, lambda shared: shared.events_after(after))

    def bytes(self, key: str, after: After) -> Observable[bytes]:
        """The events of a log as bytes with their ids."""
        return self._follow(key, lambda shared: shared.bytes_after(after))

    def _follow(self, key: str, view: Callable[[Shared], Observable[_T]]) -> Observable[_T]:
        """A view of a log, whose reader ends when its last follower has left."""

        def subscribe(
            observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return link(view(self._of(key)), observer, scheduler)

        return on_loop(self._home, Observable(subscribe))

    def _of(self, key: str) -> Shared:
        shared = self._shared.get(key)
        if shared is None or shared.has_ended:
            reader = self._reader_of(key)
            shared = self._shared[key] = Shared(self._home, reader)
            reader.over = partial(self._forget, key, shared)
        return shared

    def _forget(self, key: str, shared: Shared) -> None:
        if self._shared.get(key) is shared:
            del self._shared[key]


__all__ = ["After", "Course", "Followed", "Item", "Place", "Reader", "decoder_of"]
