"""Polling: fetch states again and again, until the last ones come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from inspect import iscoroutinefunction
from itertools import count
from math import ceil
from operator import attrgetter
from typing import Generic, ParamSpec, TypeVar, cast

import reactivex as rx
from attrs import frozen
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import (
    CompositeDisposable,
    Disposable,
    SerialDisposable,
    SingleAssignmentDisposable,
)
from reactivex.internal import SequenceContainsNoElementsError

from rxassist.errors import APIConnectionError, APIStatusError, DecodeError, PollTimeout, excerpt
from rxassist.reactive.checks import check_not_negative, check_positive
from rxassist.reactive.iteration import IterableObservable
from rxassist.reactive.links import Hold, clock_of, link_first, schedule_held
from rxassist.reactive.logger import logger

_K = TypeVar("_K")
_P = ParamSpec("_P")
_T = TypeVar("_T")

_PAGE = 100  # items of a list that one request gives
_SPREAD = 1.0  # seconds for the first requests, where the interval depends on the state
_TOGETHER = 0.01  # seconds: ids that are due within them are fetched together
_AT_ONCE = 20  # polls that begin together and fetch at once; more of them are a herd

_SERVER_ERROR = 500
_FOR_NOW = frozenset({404, 408, 409, 429})


# --- one -----------------------------------------------------------------------------------


def poll(
    fetch: Callable[[], Observable[_T]],
    *,
    until: Callable[[_T], bool],
    interval: float | Callable[[_T], float] = 1.0,
    deadline: float | None = None,
    scheduler: abc.SchedulerBase | None = None,
) -> Observable[_T]:
    """Fetch a state at once and then again and again, and emit it each time it has changed.

    ``fetch`` returns an Observable of one state. After each, ``interval`` seconds pass before the
    next fetch (a function of the state may return them), so there are never two requests at a time.
    Completes with the first state for which ``until`` is true, which is emitted in any case. After
    ``deadline`` seconds without one, sends ``PollTimeout``, with the last state, to ``on_error``;
    an error of ``fetch`` goes there at once. To dispose frees the request and the timers. Waits on
    ``scheduler``, else on the one of the subscription.

    Where each fetch takes no time, every interval is two ticks, and ``c`` is the last state::

        states  a-a-b-c
        result  a---b-(c|)
    """
    _check(interval, deadline)
    pause = interval if callable(interval) else _always(interval)

    def subscribe(
        observer: abc.ObserverBase[_T], given: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        clock = clock_of(scheduler, given)
        polling = _Polling(fetch, until, pause, clock, observer)
        polling.begin(deadline, None)
        return polling.held

    return Observable(subscribe)


def poll_beside_others(
    fetch: Callable[[], Observable[_T]],
    *,
    until: Callable[[_T], bool],
    interval: Callable[[_T], float],
    deadline: float | None,
    herd: Herd | None,
    over: float,
) -> Observable[_T]:
    """As ``poll``, but one of many: a herd of them spreads its first fetches ``over`` seconds.

    They are spread over half the deadline if that is shorter. ``None`` is a poll that does not care
    for others, and fetches at once.
    """
    _check(interval, deadline)
    over = over if deadline is None else min(over, deadline / 2)

    def subscribe(
        observer: abc.ObserverBase[_T], given: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        polling = _Polling(fetch, until, interval, clock_of(None, given), observer)
        polling.begin(deadline, herd, over)
        return polling.held

    return Observable(subscribe)


class Herd:
    """Polls that begin together: the first ones fetch at once, the others one after the other.

    It is a herd if more than ``_AT_ONCE`` polls begin within ``_TOGETHER`` seconds. All polls must
    begin on one thread.
    """

    def __init__(self) -> None:
        self._begun = 0
        self._waiting: list[Callable[[float], object]] = []

    def enter(self, ask_at: Callable[[float], object], clock: abc.SchedulerBase) -> None:
        """Let a poll ask at its place in the time over which the herd is spread: from 0 to 1."""
        if not self._begun:
            clock.schedule_relative(_TOGETHER, self._spread)
        self._begun += 1
        if self._begun <= _AT_ONCE:
            ask_at(0.0)
        else:
            self._waiting.append(ask_at)

    def _spread(self, *_: object) -> None:
        waiting, self._waiting, self._begun = self._waiting, [], 0
        for number, ask_at in enumerate(waiting):
            ask_at(number / len(waiting))


def _check(interval: object, deadline: float | None) -> None:
    if isinstance(interval, int | float):
        check_not_negative("interval", interval)
    check_positive("deadline", deadline, none="for none")


def _always(seconds: float) -> Callable[[object], float]:
    return lambda _: seconds


class _First(Hold[_T, _T]):
    """One request: its first item is the state, and then it is disposed."""

    __slots__ = ("_answered",)

    def __init__(self, observer: abc.ObserverBase[_T], answered: Callable[[_T], object]) -> None:
        super().__init__(observer)
        self._answered = answered

    def ask(self, request: Observable[_T], clock: abc.SchedulerBase) -> None:
        try:
            link_first(request, self, clock, self.hold)
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber, also its own
            self.is_disposed = True
            self.observer.on_error(error)

    def on_next(self, value: _T) -> None:
        if not self.is_disposed:
            self.dispose()
            self._answered(value)

    def on_error(self, error: Exception) -> None:
        if not self.is_disposed:
            self.is_disposed = True
            self.observer.on_error(error)

    def on_completed(self) -> None:
        msg = "a fetch of a poll completed without a state"
        self.on_error(SequenceContainsNoElementsError(msg))


class _Polling(Generic[_T]):
    """One subscription: the request or the timer that is under way, and the last state."""

    def __init__(
        self,
        fetch: Callable[[], Observable[_T]],
        until: Callable[[_T], bool],
        pause: Callable[[_T], float],
        clock: abc.SchedulerBase,
        observer: abc.ObserverBase[_T],
    ) -> None:
        self._fetch = fetch
        self._until = until
        self._pause = pause
        self._clock = clock
        self._observer = observer
        self._under_way = SerialDisposable()
        self._states: list[_T] = []  # the last one, if there was one
        self.held = CompositeDisposable(self._under_way)

    def begin(self, deadline: float | None, herd: Herd | None, over: float = 0.0) -> None:
        if deadline is not None:
            self.held.add(self._clock.schedule_relative(deadline, self.give_up, deadline))
        if herd is None:
            self.ask()
            return

        def ask_at(place: float) -> None:
            if not place:
                self.ask()
            elif not self.held.is_disposed:
                schedule_held(self._under_way, self._clock, over * place, self.ask)

        herd.enter(ask_at, self._clock)

    def ask(self, *_: object) -> None:
        if self.held.is_disposed:
            return
        try:
            request = self._fetch()
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self._observer.on_error(error)
            return
        first = _First(self._observer, self._state)
        self._under_way.disposable = first  # before a state comes and sets the timer
        first.ask(request, self._clock)

    def give_up(self, _: abc.SchedulerBase, deadline: float | None) -> None:
        last = self._states[0] if self._states else None
        self.held.dispose()
        self._observer.on_error(PollTimeout(deadline or 0.0, last))

    def _state(self, state: _T) -> None:
        try:
            last = self._until(state)
            pause = 0.0 if last else self._pause(state)
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self._observer.on_error(error)
            return
        changed = self._states != [state]
        self._states = [state]
        if changed or last:
            self._observer.on_next(state)
        if last:
            self._observer.on_completed()
        elif not self.held.is_disposed:
            schedule_held(self._under_way, self._clock, pause, self.ask)


# --- patience ------------------------------------------------------------------------------

PATIENCE = 60.0
"""Seconds for which the service may be out of reach before a recovery gives up, by default."""


def patiently(
    ask: Callable[[], Observable[_T]],
    passes: Callable[[Exception], bool],
    interval: float,
    patience: float,
    *,
    scheduler: abc.SchedulerBase | None = None,
) -> Observable[_T]:
    """Ask for a state, and again every ``interval`` seconds as long as ``passes(error)`` is true.

    ``ask`` returns an Observable of one state. After ``patience`` seconds without one sends
    ``PollTimeout`` to ``on_error``, whose ``last`` is the last error; an error for which ``passes``
    is false goes there at once.
    """

    def no_answer(error: Exception, _: object) -> Observable[_T | Exception]:
        return rx.of(error) if passes(error) else rx.throw(error)

    def answer() -> Observable[_T | Exception]:
        asked: Observable[_T | Exception] = ask()
        return asked.pipe(ops.catch(no_answer))

    asked = poll(
        answer, until=_is_answer, interval=interval, deadline=patience, scheduler=scheduler
    )
    return cast("Observable[_T]", asked.pipe(ops.filter(_is_answer)))


def _is_answer(answer: object) -> bool:
    return not isinstance(answer, Exception)


class AnotherError(DecodeError):
    """The service replied with another object than the requested one."""


def check_id(name: str, asked: str, answered: str) -> None:
    """Raise unless the id of an answer is the requested one, or is missing."""
    if answered not in {asked, ""}:
        raise AnotherError(name, "$.id", answered, repr(asked))


def is_passing(error: Exception) -> bool:
    """Whether an error about an object that exists may be over soon: it may be stored late."""
    if isinstance(error, APIStatusError):
        return error.status_code >= _SERVER_ERROR or error.status_code in _FOR_NOW
    return isinstance(error, APIConnectionError | AnotherError)


# --- many ----------------------------------------------------------------------------------


@frozen
class PollEvent(Generic[_K, _T]):
    """The state of one of many things that are polled, or the error with which its polls ended."""

    key: _K
    state: _T | None = None
    error: Exception | None = None


def poll_many(
    fetch: Callable[[_K], Observable[_T]],
    ids: Iterable[_K],
    *,
    until: Callable[[_T], bool],
    interval: float | Callable[[_T], float] = 1.0,
    at_once: bool = False,
    deadline: float | None = None,
    max_concurrent: int | None = None,
    fetch_list: Callable[[Sequence[_K]], Observable[_T]] | None = None,
    id_of: Callable[[_T], _K] = attrgetter("id"),
    page_size: int = _PAGE,
    scheduler: abc.SchedulerBase | None = None,
) -> Observable[PollEvent[_K, _T]]:
    """Poll the states of many things: each state when it has changed, with its id.

    ``fetch(id)`` gives an Observable of one state. The first requests are spread evenly over the
    ``interval`` (over a second, if that is a function of the state), and each id is fetched again
    ``interval`` seconds after its answer: so requests never come in a herd, and there are never two
    at a time for one id, nor more than ``max_concurrent`` at all. There is one timer. With
    ``at_once=True`` all are requested at once at first, which may make later ones late.

    ``fetch_list(ids)`` returns an Observable of the states of these ids and perhaps of others;
    ``id_of`` returns the id of a state. It replaces ``fetch`` as long as its pages, of
    ``page_size`` states, are fewer than the ids that are open; it is disposed as soon as it gave
    them all. Ids that it does not have, and all ids once it failed, are fetched one by one.

    The polls of an id end with the first state for which ``until`` is true, which is emitted in any
    case, or with an error of ``fetch``, which is emitted as the ``error`` of a ``PollEvent``: the
    others go on. After ``deadline`` seconds all that are open end with ``PollTimeout``. Completes
    when all have ended. An exception of ``until``, ``interval`` or ``id_of`` goes to ``on_error``.
    Waits on ``scheduler``, else on the one of the subscription.

    Where there are two ids, the interval is four ticks, each fetch takes no time, and the last
    states are ``z``::

        first   a---a---b---z
        second  --a---z
        result  a-a---z-b---(z|)
    """
    _check(interval, deadline)
    check_positive("max_concurrent", max_concurrent, whole=True, none="for no bound")
    check_positive("page_size", page_size, whole=True)
    for name, function in (("fetch", fetch), ("fetch_list", fetch_list)):
        if iscoroutinefunction(function):
            msg = (
                f"{name} must give an Observable, and is a coroutine function: {excerpt(function)}"
            )
            raise TypeError(msg)
    every = list(dict.fromkeys(ids))

    def subscribe(
        observer: abc.ObserverBase[PollEvent[_K, _T]], given: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        clock = clock_of(scheduler, given)
        how = _How(fetch, until, interval, max_concurrent, fetch_list, id_of, page_size)
        polls = _Polls(how, every, clock, observer)
        polls.begin(deadline, at_once=at_once)
        return Disposable(polls.dispose)

    return IterableObservable(subscribe)


@frozen
class _How(Generic[_K, _T]):
    """The arguments of ``poll_many``."""

    fetch: Callable[[_K], Observable[_T]]
    until: Callable[[_T], bool]
    interval: float | Callable[[_T], float]
    most: int | None
    fetch_list: Callable[[Sequence[_K]], Observable[_T]] | None
    id_of: Callable[[_T], _K]
    page_size: int

    def pause(self, state: _T) -> float:
        return self.interval(state) if callable(self.interval) else self.interval


class _Polls(Generic[_K, _T]):
    """One subscription: when each id is due, the requests under way, and the last states.

    A key is the id in a tuple, or ``None`` for the list.
    """

    def __init__(
        self,
        how: _How[_K, _T],
        ids: list[_K],
        clock: abc.SchedulerBase,
        observer: abc.ObserverBase[PollEvent[_K, _T]],
    ) -> None:
        self._how = how
        self._clock = clock
        self._observer = observer
        self._open = dict.fromkeys(ids)
        self._listed = set(ids) if how.fetch_list is not None else set[_K]()
        self._states: dict[_K, _T] = {}
        self._due: list[tuple[float, int, tuple[_K] | None]] = []
        self._order = count()
        self._under_way: dict[tuple[_K] | None, abc.DisposableBase] = {}
        self._timer = SerialDisposable()
        self._deadline = SerialDisposable()
        self._over = False
        self._waking = False
        self._lock = Disposable().lock  # answers and timers may come on several threads

    def begin(self, deadline: float | None, *, at_once: bool) -> None:
        with self._lock:
            if deadline is not None:
                self._deadline.disposable = self._clock.schedule_relative(
                    deadline, self._give_up, deadline
                )
            if len(self._listed) > 1:
                self._is_due(None, 0.0)
            elif at_once:
                for each in self._open:
                    self._is_due((each,), 0.0)
            else:
                self._fetch_singly(list(self._open))
            self._wake()

    def dispose(self) -> None:
        self._over = True
        self._timer.dispose()
        self._deadline.dispose()
        for request in tuple(self._under_way.values()):
            request.dispose()

    # --- time ---

    def _now(self) -> float:
        return self._clock.to_seconds(self._clock.now)

    def _is_due(self, what: tuple[_K] | None, after: float) -> None:
        heappush(self._due, (self._now() + after, next(self._order), what))

    def _fetch_singly(self, ids: Sequence[_K], after: float = 0.0) -> None:
        """Poll these ids one by one from now on, spread over the interval."""
        self._listed.difference_update(ids)
        interval = self._how.interval
        over = _SPREAD if callable(interval) else interval
        for number, each in enumerate(ids):
            self._is_due((each,), after + over * number / len(ids))

    def _wake(self, *_timer: object) -> None:
        """Fetch all that is due, set the timer for the next, and end when no id is open."""
        with self._lock:
            if self._waking or self._over:
                return
            self._waking = True
            now = self._now() + _TOGETHER
            for _ in range(len(self._due)):  # a fetched id may be due again at once
                if not self._has_room() or self._due[0][0] > now:
                    break
                self._ask(heappop(self._due)[-1])
            self._waking = False
            if self._open and self._has_room():
                pause = max(0.0, self._due[0][0] - self._now())
                schedule_held(self._timer, self._clock, pause, self._wake)
            elif not self._open and not self._over:
                self.dispose()
                self._observer.on_completed()

    def _has_room(self) -> bool:
        most = self._how.most
        room = most is None or len(self._under_way) < most
        return bool(self._due) and room and not self._over

    def _give_up(self, _: abc.SchedulerBase, deadline: float | None) -> None:
        with self._lock:
            for each in tuple(self._open):
                self._failed(each, PollTimeout(deadline or 0.0, self._states.get(each)))
            self._wake()

    # --- requests ---

    def _ask(self, what: tuple[_K] | None) -> None:
        if what is None:
            self._ask_for_list()
        elif what[0] in self._open:
            self._ask_for(what)

    def _ask_for(self, what: tuple[_K]) -> None:
        (each,) = what

        def answered(state: _T) -> None:
            del self._under_way[what]
            pause = self._emit_state(each, state)
            if pause is not None:
                self._is_due(what, pause)

        def failed(error: Exception) -> None:
            del self._under_way[what]
            self._failed(each, error)

        self._send(
            what, lambda: self._how.fetch(each).pipe(ops.first()), answered, failed, _nothing
        )

    def _ask_for_list(self) -> None:
        wanted = [each for each in self._open if each in self._listed]
        missing, pauses = dict.fromkeys(wanted), list[float]()
        seen = 0

        def answered(state: _T) -> None:
            nonlocal seen
            seen += 1
            each = self._id_of(state)
            if each in missing:
                del missing[each]
                pause = self._emit_state(each, state)
                pauses.extend(() if pause is None else (pause,))
                if not missing:  # the pages after it are not needed
                    completed()

        def completed() -> None:
            self._under_way.pop(None).dispose()
            self._fetch_singly(list(missing))
            rest = [each for each in wanted if each in self._open and each not in missing]
            pause = min(pauses, default=0.0)
            if ceil(seen / self._how.page_size) < len(rest):
                self._is_due(None, pause)
            else:
                self._fetch_singly(rest, pause)

        def failed(error: Exception) -> None:
            logger.info("the list that is polled failed, fetching one by one: %s", error)
            del self._under_way[None]
            self._fetch_singly([each for each in wanted if each in self._open])

        fetch_list = self._how.fetch_list
        if fetch_list is not None:
            self._send(None, lambda: fetch_list(wanted), answered, failed, completed)

    def _send(
        self,
        what: tuple[_K] | None,
        make: Callable[[], Observable[_T]],
        answered: Callable[[_T], None],
        failed: Callable[[Exception], None],
        completed: Callable[[], None],
    ) -> None:
        """Subscribe a request, and handle its answers as long as it is under way."""
        held = SingleAssignmentDisposable()  # in place before an answer comes
        self._under_way[what] = held

        def in_turn(handle: Callable[_P, None]) -> Callable[_P, None]:
            def handle_in_turn(*args: _P.args, **kwargs: _P.kwargs) -> None:
                with self._lock:
                    if self._under_way.get(what) is held and not self._over:
                        handle(*args, **kwargs)
                        self._wake()

            return handle_in_turn

        try:
            request = make()
        except Exception as error:  # noqa: BLE001 -- as if the request had failed
            failed(error)
            return
        held.disposable = request.subscribe(
            in_turn(answered), in_turn(failed), in_turn(completed), scheduler=self._clock
        )

    # --- answers ---

    def _id_of(self, state: _T) -> _K | None:
        try:
            return self._how.id_of(state)
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self._fail(error)
            return None

    def _emit_state(self, each: _K, state: _T) -> float | None:
        """Emit a state if it has changed or is the last; return the seconds to the next fetch."""
        try:
            pause = None if self._how.until(state) else self._how.pause(state)
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self._fail(error)
            return None
        changed = each not in self._states or self._states[each] != state
        self._states[each] = state
        if pause is None:
            del self._open[each]
        if changed or pause is None:
            self._observer.on_next(PollEvent(each, state))
        return pause

    def _failed(self, each: _K, error: Exception) -> None:
        del self._open[each]
        self._observer.on_next(PollEvent(each, None, error))

    def _fail(self, error: Exception) -> None:
        if not self._over:
            self.dispose()
            self._observer.on_error(error)


def _nothing() -> None:
    """A request that gave its state has ended: do nothing."""


__all__ = [
    "PATIENCE",
    "AnotherError",
    "Herd",
    "PollEvent",
    "check_id",
    "is_passing",
    "patiently",
    "poll",
    "poll_beside_others",
    "poll_many",
]
