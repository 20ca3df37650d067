"""Counts for the run that is being subscribed: retries, and lost connections that recovered.

Like the current demand, the current tally is inherited by everything that is subscribed inside,
also later, and by the tasks that it starts.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from attrs import define


@define(eq=False)
class Tally:
    """The numbers of retries and of lost connections that recovered."""

    retries: int = 0
    recoveries: int = 0


_current: ContextVar[Tally | None] = ContextVar("rxassist_tally", default=None)


@contextmanager
def tallying(tally: Tally) -> Generator[None]:
    """Count in a tally for everything that is subscribed inside."""
    token = _current.set(tally)
    try:
        yield
    finally:
        _current.reset(token)


def count_retry() -> None:
    """A request, or a run, is tried again."""
    tally = _current.get()
    if tally is not None:
        tally.retries += 1


def count_recovery() -> None:
    """A connection was lost, and its stream is being recovered."""
    tally = _current.get()
    if tally is not None:
        tally.recoveries += 1


__all__ = ["Tally", "count_recovery", "count_retry", "tallying"]
