"""Create exactly one run, on a free thread.

These flows take functions, not clients: the caller binds cold Observables that request a run and
that look for one.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, repeat
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import reactivex as rx
from attrs import frozen
from reactivex import Observable, abc
from reactivex import operators as ops

from rxassist.errors import (
    APIConnectionError,
    APIStatusError,
    DecodeError,
    EventTooLargeError,
    PollTimeout,
    RunOutcomeUnknown,
    RxAssistError,
    StreamClosed,
    StreamTruncated,
    ThreadBusyError,
    WrongAnswerError,
    says_not_done,
)
from rxassist.reactive.kernel import linked
from rxassist.reactive.links import Rescue, link
from rxassist.reactive.logger import logger
from rxassist.reactive.polling import is_passing, poll
from rxassist.reactive.queues import Waiting
from rxassist.reactive.typing import Operator
from rxassist.runs.events import AnyEvent
from rxassist.runs.state import AnyRun

_T = TypeVar("_T")

SEARCH_PATIENCE = 30.0
"""Seconds to look for a run that may exist, by default."""

_PAUSES = (1.0, 2.0, 4.0)  # seconds between two looks; the last one repeats
_SERVER_ERROR = 500
_NO_REFUSALS = frozenset({408, 429})  # they may come late, or from a gateway

IfBusy: TypeAlias = Literal["fail", "wait", "cancel"]
"""The choices for a new run or message on a thread with a run that works or waits."""


# --- errors that leave the outcome open ----------------------------------------------------


def leaves_open(error: Exception) -> bool:
    """Whether it is unknown, after this error, if the service has done what the request asks.

    It is known if the service itself says that it did not act, if the request was not sent, and
    after a refusal (4xx). Everything else, such as the answer of a gateway that lost the service,
    leaves it open.
    """
    if isinstance(error, APIConnectionError):
        return error.sent
    if isinstance(error, APIStatusError):
        fails = error.status_code >= _SERVER_ERROR or error.status_code in _NO_REFUSALS
        return fails and not says_not_done(error)
    return isinstance(error, StreamTruncated | DecodeError | EventTooLargeError | WrongAnswerError)


# --- exactly one ---------------------------------------------------------------------------


@frozen
class Search(Generic[_T]):
    """How to look for a run that may exist: by its mark.

    ``runs()`` emits the runs of the thread, newest first. ``is_ours`` recognizes the run by its
    mark; then ``found(run)`` replaces the lost answer. The search lasts ``patience`` seconds;
    ``None``: it looks once.
    """

    runs: Callable[[], Observable[Any]]
    is_ours: Callable[[Any], bool]
    found: Callable[[Any], Observable[_T]]
    patience: float | None = SEARCH_PATIENCE


def one_run(
    thread_id: str | None,
    begins: Callable[[_T], bool],
    search: Search[_T] | None = None,
    thread_of: Callable[[_T], str | None] = lambda _: None,
) -> Operator[_T, _T]:
    """Never request a run again if it may exist.

    Subscribing the source requests the run, and happens once; ``begins`` is true for its first item
    that shows that there is a run. An error before that may leave open whether there is one
    (``leaves_open``). Without a ``search`` this is a ``RunOutcomeUnknown``. With one it looks for
    the run, at once and then at growing intervals, as the service may still be working; a run that
    is found continues, and if none is found in time it is a ``RunOutcomeUnknown``. All other errors
    pass. For that error, ``thread_of`` returns the id of the thread if an item shows that it was
    created. If a gateway has sent the request twice, the run that keeps the thread busy may be the
    requested one: a search checks that first.
    """

    def operator(source: Observable[_T]) -> Observable[_T]:
        def subscribe(
            observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            creation = _Creation(source, thread_id, begins, search, thread_of)
            return link(creation.events(), observer, scheduler)

        return Observable(subscribe)

    return operator


def _asking(
    source: Observable[_T],
    begins: Callable[[_T], bool],
    lost: Callable[[Exception], Observable[_T]],
) -> Observable[_T]:
    """A source that sends a request when it is subscribed.

    ``begins`` is true for the item with which the answer begins. After an error before that item,
    the Observable from ``lost`` continues; after that item, errors pass. A source that ends before
    it, or emits only ``done``, fails with ``StreamTruncated``.
    """
    asking: Operator[_T, _T] = linked(
        lambda observer, scheduler: _Asking(observer, scheduler, begins, lost)
    )
    return asking(source)


class _Asking(Rescue[_T]):
    """One subscription, which keeps its functions only until the answer has begun."""

    __slots__ = ("_begins", "_lost")

    def __init__(
        self,
        observer: abc.ObserverBase[_T],
        scheduler: abc.SchedulerBase | None,
        begins: Callable[[_T], bool],
        lost: Callable[[Exception], Observable[_T]],
    ) -> None:
        super().__init__(observer, scheduler)
        self._begins: Callable[[_T], bool] | None = begins
        self._lost: Callable[[Exception], Observable[_T]] | None = lost

    def on_next(self, value: _T) -> None:
        if self._begins is not None:
            if isinstance(value, AnyEvent) and value.is_done:
                self._end("the stream said that it is done")
                return
            if self._begins(value):
                self._begins = self._lost = None
        self.observer.on_next(value)

    def on_completed(self) -> None:
        if self._begins is None:
            self.observer.on_completed()
        else:
            self._end("the body ended")

    def _end(self, how: str) -> None:
        """Treat an end before the beginning of the answer as an error, once."""
        if not self._rescued:
            self.on_error(StreamTruncated(f"{how} before it told of a run"))

    def instead(self, error: Exception) -> Observable[_T]:
        return rx.throw(error) if self._lost is None else self._lost(error)


class _Creation(Generic[_T]):
    """One request for a run, and the search if it is unknown whether the run exists."""

    def __init__(
        self,
        source: Observable[_T],
        thread_id: str | None,
        begins: Callable[[_T], bool],
        search: Search[_T] | None,
        thread_of: Callable[[_T], str | None],
    ) -> None:
        self._thread_of = thread_of
        self._source = source
        self._thread_id = thread_id
        self._begins = begins
        self._search = search
        self._told_thread: str | None = None  # the id, if the answer began with a new thread

    def events(self) -> Observable[_T]:
        return _asking(self._source, self._begun, self._failed)

    def _begun(self, item: _T) -> bool:
        self._told_thread = self._thread_of(item) or self._told_thread
        return self._begins(item)

    def _failed(self, error: Exception) -> Observable[_T]:
        search = self._search
        if search is not None and isinstance(error, ThreadBusyError):
            return self._look(search, error)
        if not leaves_open(error):
            return rx.throw(error)
        if search is None:
            return rx.throw(self._unknown(error))
        logger.info("it is unknown if a run exists (%s); looking for it", error)
        return self._look(search, error)

    def _unknown(self, error: Exception, searched: str | None = None) -> RunOutcomeUnknown:
        unknown = RunOutcomeUnknown(self._thread_id or self._told_thread, str(error), searched)
        unknown.__cause__ = error
        return unknown

    def _look(self, search: Search[_T], error: Exception) -> Observable[_T]:
        def go_on(seen: _Seen) -> Observable[_T]:
            if seen.ours is not None:
                return search.found(seen.ours)
            if isinstance(error, ThreadBusyError) and seen.error is None:
                return rx.throw(error)  # another client's run keeps the thread busy
            return rx.throw(self._unknown(error, f"it was looked for once, {seen.not_found}"))

        def failed(why: Exception, _: Observable[_Seen]) -> Observable[_Seen]:
            if isinstance(why, StreamClosed) or not isinstance(why, RxAssistError):
                return rx.throw(why)
            if not isinstance(why, PollTimeout):
                return rx.throw(self._unknown(error, f"it could not be looked for ({why})"))
            seen = why.last if isinstance(why.last, _Seen) else _Seen(error=why.last)
            during = f"it was looked for during {why.deadline:g} seconds"
            return rx.throw(self._unknown(error, f"{during}, {seen.not_found}"))

        stays = isinstance(error, ThreadBusyError)  # a run that works or waits is stored already
        return _looked(search, once=stays).pipe(ops.catch(failed), ops.flat_map(go_on))


@frozen
class _Seen:
    """The result of one look at the runs of a thread."""

    ours: AnyRun | None = None
    newest: Any = None
    error: object = None

    @property
    def not_found(self) -> str:
        """The failure in words, with its likely reason."""
        if self.error is not None:
            return f"at last in vain ({self.error})"
        if self.newest is None or self.newest.metadata:
            return "and not found"
        return (
            f"and not found: the newest run there, {self.newest.id}, has no metadata, by which it "
            "would be found, so perhaps the server keeps none"
        )


def _looked(search: Search[Any], *, once: bool) -> Observable[_Seen]:
    """Look at the runs until ours is among them, or, with ``once``, until a look succeeds."""

    def seen(runs: list[AnyRun]) -> _Seen:
        ours = runs[-1] if runs and search.is_ours(runs[-1]) else None
        return _Seen(ours, runs[0] if runs else None)

    def no_answer(error: Exception, _: object) -> Observable[_Seen]:
        passes = is_passing(error) or isinstance(error, DecodeError)
        return rx.of(_Seen(error=error)) if passes else rx.throw(error)

    def look() -> Observable[_Seen]:
        others: Operator[AnyRun, AnyRun] = ops.take_while(
            lambda run: not search.is_ours(run), inclusive=True
        )
        return search.runs().pipe(others, ops.to_list(), ops.map(seen), ops.catch(no_answer))

    def is_last(seen: _Seen) -> bool:
        enough = seen.ours is not None or (once and seen.error is None)
        return enough or search.patience is None

    def looks(_: object) -> Observable[_Seen]:
        pauses = chain(_PAUSES, repeat(_PAUSES[-1]))
        return poll(
            look, until=is_last, interval=lambda _: next(pauses), deadline=search.patience
        ).pipe(ops.last())

    return rx.defer(looks)


def found_run(search: Search[_T], thread_id: str, why: str) -> Observable[_T]:
    """What follows a run that another program has requested, when the run is found by its mark.

    Sends ``RunOutcomeUnknown``, which says ``why`` and how long it was looked for, to ``on_error``
    if the run is not found; the error of a request if it could not be looked for.
    """

    def go_on(seen: _Seen) -> Observable[_T]:
        if seen.ours is not None:
            return search.found(seen.ours)
        if isinstance(seen.error, Exception):
            return rx.throw(seen.error)
        return rx.throw(RunOutcomeUnknown(thread_id, why, f"it was looked for, {seen.not_found}"))

    def late(error: Exception, _: object) -> Observable[_Seen]:
        if not isinstance(error, PollTimeout):
            return rx.throw(error)
        return rx.of(error.last if isinstance(error.last, _Seen) else _Seen(error=error.last))

    return _looked(search, once=False).pipe(ops.catch(late), ops.flat_map(go_on))


# --- a free thread -------------------------------------------------------------------------


def when_free(
    settled: Callable[[str], Observable[AnyRun]], waiting: Waiting | None = None
) -> Operator[_T, _T]:
    """If the thread is busy, wait and try again.

    ``settled(run_id)`` completes when the run that works there has ended. ``waiting`` keeps the
    reason for the wait. Everything else passes.
    """
    waiting = waiting or Waiting()

    def operator(source: Observable[_T]) -> Observable[_T]:
        def busy(error: Exception, _: Observable[_T]) -> Observable[_T]:
            if not isinstance(error, ThreadBusyError) or error.run_id is None:
                return rx.throw(error)
            waiting.busy = error
            ended = settled(error.run_id).pipe(ops.to_list())
            return ended.pipe(ops.flat_map(lambda _: attempt()))

        def attempt() -> Observable[_T]:
            waiting.busy = None
            return source.pipe(ops.catch(busy))

        return rx.defer(lambda _: attempt())

    return operator


__all__ = [
    "SEARCH_PATIENCE",
    "IfBusy",
    "Search",
    "found_run",
    "leaves_open",
    "one_run",
    "when_free",
]
