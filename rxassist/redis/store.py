"""Where the logs of runs are kept: what a store is, and what it keeps.

A log is a list of entries, each with the id ``EPOCH-NUMBER``. The first producer of a run has
epoch 1, its successor 2, and so on; each begins with an entry ``take``, whose number is 0.
Everything else counts on over the epochs, by one, from 1: each event, each result of a tool, and
the end. So an id is at once the place of an entry, the fence against a producer that was thought
dead, and the cursor of a follower; and a hole in the numbers shows that something is lost.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from typing import Literal, TypeAlias

from attrs import field, frozen

Kind: TypeAlias = Literal["take", "events", "result", "end"]
"""What an entry holds: a producer's beginning, events, the result of a tool, or the run's end."""


def _size(data: bytes) -> str:
    return f"{len(data)} bytes"


@frozen
class Entry:
    """One entry of a log.

    ``number`` is that of the last thing in it, of which it has ``count``: a take has none. ``data``
    of events is their bytes as Server-Sent Events; of the others it is JSON. ``producer`` is a
    random word, by which a producer knows its own entries again.
    """

    epoch: int
    number: int
    kind: Kind
    producer: str
    data: bytes = field(repr=_size)
    count: int = 1

    @property
    def id(self) -> str:
        """The id of the entry."""
        return f"{self.epoch}-{self.number}"


@frozen
class Page:
    """A part of a log.

    ``exists``: whether there is a log at all. ``produced``: whether a producer has it, or whether
    that was not looked for, because there are entries. ``meta`` is what its producer wrote about
    the run, in the first page.
    """

    entries: tuple[Entry, ...]
    exists: bool = True
    produced: bool = True
    meta: bytes = b"{}"


@frozen(eq=False)
class Claim:
    """What a producer holds: the log of a run, in its epoch.

    ``lease`` and ``ttl`` are in seconds: how long the log has a producer, and how long it is kept,
    after the producer was last seen. ``asked_to_end`` is called when another process wants the run
    to end; it may be called more than once, and on any thread.
    """

    key: str
    producer: str
    lease: float
    ttl: float
    asked_to_end: Callable[[], object]
    epoch: int = 1


class Store(ABC):
    """Where the logs of runs are kept: four methods on a log, and the list of those without one.

    Each method may be called again with the same arguments after a failure: that changes nothing if
    it was carried out. It raises ``StoreUnavailable`` if that is worth while.
    """

    @abstractmethod
    async def acquire(self, claim: Claim, meta: bytes, *, first: bool) -> int:
        """Become the producer of a run, and return the epoch.

        ``first`` begins a log; else the log must be there, without an end and without a producer.
        Raises ``AlreadyProduced`` or ``CursorUnavailable`` where it is not so.
        """

    @abstractmethod
    async def append(self, claim: Claim, entry: Entry | None = None) -> None:
        """Add an entry; without one, only renew the lease.

        Raises ``Fenced`` if another producer has the log, ``CursorUnavailable`` if it is gone.
        """

    @abstractmethod
    async def read(self, key: str, after: str | None, wait: float) -> Page:
        """The entries after an id, if there are any within ``wait`` seconds.

        Without an id: those that are there, from the first one on, at once, with the ``meta``.
        """

    @abstractmethod
    async def end(self, key: str, claim: Claim | None = None, keep: float | None = None) -> None:
        """End a run, or the part in it of one producer.

        Without a ``claim`` it asks the producer to end the run. With one, the producer gives the
        log up, so that another one can take it over; or, with ``keep``, for good: its last entry is
        the end, and the log is kept for so many seconds.
        """

    @abstractmethod
    def orphans(self) -> AsyncGenerator[str]:
        """The keys of the logs that have neither an end nor a producer."""

    @abstractmethod
    async def close(self) -> None:
        """Free what the store holds in this process. It may be used again."""


def numbered(entry: Entry) -> Iterator[tuple[int, bytes]]:
    """The numbers and the bytes of the things in an entry."""
    if entry.kind != "events":
        return iter(((entry.number, entry.data),))
    return zip(
        range(entry.number - entry.count + 1, entry.number + 1), _cut(entry.data), strict=True
    )


def _cut(data: bytes) -> Iterable[bytes]:
    """The events in the bytes of an entry, each with the blank line that ends it."""
    return [event + b"\n\n" for event in data.split(b"\n\n")[:-1]]


__all__ = ["Claim", "Entry", "Kind", "Page", "Store", "numbered"]
