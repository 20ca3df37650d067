"""Demand: how a slow reader pauses the source, without any operator in between knowing.

A consumer that can be slow makes its ``Demand`` current while it subscribes; a source that can
wait reads the current demand when it is subscribed, and waits for it between two items. Tasks
inherit the context they are made in, so sources that are subscribed later, by ``flat_map`` or
``concat``, find the demand of the consumer at the end of their chain too.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar


class Demand:
    """Whether a consumer wants more, open or closed.

    ``parent`` is the demand of a consumer further down: only if both are open, more is wanted.
    ``blocked_thread`` is the id of the thread that waits for the items, where one does: a source
    that lives on that very thread refuses instead of hanging. ``owner`` is the thread or the task
    that takes the items, if it takes them from one reader at a time. ``failed`` takes an exception
    that ends the consumer's wait, and returns whether the consumer still waited.
    """

    __slots__ = (
        "__weakref__",
        "_open",
        "_parent",
        "_waiting",
        "blocked_thread",
        "failed",
        "owner",
    )

    def __init__(
        self,
        parent: Demand | None = None,
        blocked_thread: int | None = None,
        owner: object = None,
        failed: Callable[[BaseException], bool] | None = None,
    ) -> None:
        self._open = True
        self._parent = parent
        self._waiting: list[Callable[[], None]] = []  # mostly empty, and small then
        self.blocked_thread: int | None = blocked_thread
        self.failed: Callable[[BaseException], bool] | None = failed
        self.owner: object = parent.owner if owner is None and parent is not None else owner

    @property
    def is_open(self) -> bool:
        """Whether an item may be sent now."""
        return self._open and (self._parent is None or self._parent.is_open)

    def blocks(self, thread: int) -> bool:
        """Whether this consumer, or one further down, blocks a thread until it has items."""
        return self.blocked_thread == thread or (
            self._parent is not None and self._parent.blocks(thread)
        )

    def fail(self, error: BaseException) -> bool:
        """End the wait of the consumer with an exception, on whichever thread it waits.

        A source calls this with an exception that an operator or a callback raised and that no
        ``on_error`` reports. Returns ``False`` where no consumer waits: then report it.
        """
        if self.failed is not None:
            return self.failed(error)
        return self._parent is not None and self._parent.fail(error)

    def close(self) -> None:
        """Want nothing more for now."""
        self._open = False

    def open(self) -> None:
        """Want more again: call the sources that wait, on this thread."""
        self._open = True
        for _ in range(len(self._waiting)):  # a source may close it and wait again meanwhile
            try:
                resume = self._waiting.pop(0)
            except IndexError:  # taken by another thread that opens it too
                break
            resume()

    def when_open(self, resume: Callable[[], None]) -> None:
        """Call ``resume`` once when the demand opens, at once if it is open.

        It may be called on any thread, and the demand may have closed again since: look again.
        """
        if not self._open:
            self._waiting.append(resume)
            if self._open:  # opened on another thread in between
                self.open()
        elif self._parent is not None and not self._parent.is_open:
            self._parent.when_open(resume)
        else:
            resume()


_current: ContextVar[Demand | None] = ContextVar("rxassist_demand", default=None)


def current_demand() -> Demand | None:
    """The demand of the consumer that is subscribing, ``None`` if it cannot be slow."""
    return _current.get()


@contextmanager
def demanding(demand: Demand | None) -> Generator[None]:
    """Make a demand current for everything that is subscribed inside."""
    token = _current.set(demand)
    try:
        yield
    finally:
        _current.reset(token)


__all__ = ["Demand", "current_demand", "demanding"]
