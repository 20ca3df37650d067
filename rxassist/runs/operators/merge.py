"""Merged runs: one of them, each by itself, the snapshots of all, a summary of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, NoReturn, TypeVar

from attrs import frozen
from reactivex import GroupedObservable, Notification, Observable, Subject, abc
from reactivex import operators as ops
from reactivex.disposable import RefCountDisposable, SingleAssignmentDisposable
from reactivex.notification import OnCompleted, OnError, OnNext

from rxassist.errors import excerpt
from rxassist.reactive.kernel import Finish, Step, choose, choose_each, linked, nothing
from rxassist.reactive.links import Link
from rxassist.reactive.typing import Operator
from rxassist.runs.events import AnyEvent, protocol_of
from rxassist.runs.growing import NOTHING_YET, Keyed
from rxassist.runs.state import AnyRun, AnySnapshot, Usage

KeyT = TypeVar("KeyT")


@frozen
class RunSummary(Generic[KeyT]):
    """The outcome of one of many runs.

    ``run`` is the run as it was last received, ``None`` if it never was; ``error`` is the error of
    its stream. ``usage`` is summed over its rounds, and over its attempts if it was started anew;
    ``None`` if the service reported none. ``duration`` and ``time_to_first_delta`` (of a text or of
    a tool call, ``None`` without any) are in seconds since the stream was subscribed, so they
    include the wait for a place in a ``Budget``. ``retries`` counts the requests and the runs that
    were tried again, ``recoveries`` the lost connections that were recovered.
    """

    key: KeyT
    run: Any = None  # of its protocol
    error: Exception | None = None
    usage: Usage | None = None
    duration: float = 0.0
    time_to_first_delta: float | None = None
    retries: int = 0
    recoveries: int = 0

    @property
    def status(self) -> str | None:
        """The status of the run as it was last received, such as ``completed``."""
        run: AnyRun | None = self.run
        return None if run is None else run.status


@frozen
class MergedEvent(Generic[KeyT]):
    """An event of one of many runs, or the end of its stream.

    The last one of each run has no ``event`` but a ``summary``, and the ``error`` of its stream, if
    that failed.
    """

    key: KeyT
    event: Any = None  # of its protocol
    error: Exception | None = None
    summary: RunSummary[KeyT] | None = None


def _check_merged(item: object, name: str) -> None:
    if not isinstance(item, MergedEvent):
        msg = f"{name} takes what merge_runs gives, got {excerpt(item)}"
        raise TypeError(msg)


# --- one of them, or each ------------------------------------------------------------------


def of_run(key: KeyT) -> Operator[MergedEvent[KeyT], Any]:
    """Emit the events of one of many runs, and end as its stream does.

    Takes what ``merge_runs`` gives. Completes when the run has ended, or with its source; fails
    with the error that ended the run's stream, or with that of its source.

    With ``of_run(1)``, where ``a`` is an event of run 0, ``t`` and ``u`` are ``T`` and ``U`` of
    run 1, and ``e`` is the end of run 1::

        source  -a-t-u-e-a-|
        result  ---T-U-|
    """

    def notification(item: MergedEvent[KeyT]) -> Notification[Any] | None:
        _check_merged(item, "of_run")
        if item.key != key:
            return None
        if item.event is not None:
            return OnNext(item.event)
        return OnCompleted() if item.error is None else OnError(item.error)

    def operator(source: Observable[MergedEvent[KeyT]]) -> Observable[Any]:
        return source.pipe(choose(notification), ops.dematerialize())

    return operator


def group_by_run() -> Operator[MergedEvent[KeyT], GroupedObservable[KeyT, Any]]:
    """Emit an Observable of the events of each of many runs, when the run begins.

    Each has the ``key`` of its run and ends as its stream does; subscribe it at once (with
    ``flat_map``, or in the callback), for it keeps nothing. Takes what ``merge_runs`` gives.
    Completes and fails with its source; so do the Observables that have not ended.

    Where ``a`` and ``b`` are the first events of two runs, ``t`` is a later one of the first run,
    and the capitals are the Observables::

        source  -a-t-b-|
        result  -A---B-|
    """
    return linked(lambda observer, _: _Groups[KeyT](observer))


class _Group(GroupedObservable[KeyT, Any]):
    """The events of one run, as they come."""

    def __iter__(self) -> NoReturn:
        """Refuse a ``for``: in RxPY it would loop for ever, and the group keeps nothing."""
        msg = (
            f"the group of {self.key!r} keeps no events, so a for would miss them; read it with "
            "flat_map, or one run with merged.pipe(of_run(key))"
        )
        raise TypeError(msg)


class _Groups(Link[MergedEvent[KeyT], GroupedObservable[KeyT, Any]]):
    """One subscription: the runs under way. The source is held as long as one has a subscriber."""

    def __init__(self, observer: abc.ObserverBase[GroupedObservable[KeyT, Any]]) -> None:
        super().__init__(observer)
        self._groups: dict[KeyT, Subject[Any]] = {}
        self._held = SingleAssignmentDisposable()
        self._shared = RefCountDisposable(self._held)

    def follow(
        self, source: Observable[MergedEvent[KeyT]], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        self._held.disposable = source.subscribe(self, scheduler=scheduler)
        return self._shared

    def on_next(self, value: MergedEvent[KeyT]) -> None:
        try:
            _check_merged(value, "group_by_run")
            key, event = value.key, value.event
            group = self._groups.get(key)
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self.on_error(error)
            return
        if group is None:
            group = self._groups[key] = Subject()
            self.observer.on_next(_Group(key, group, self._shared))
        if event is not None:
            group.on_next(event)
            return
        del self._groups[key]
        if value.error is None:
            group.on_completed()
        else:
            group.on_error(value.error)

    def on_error(self, error: Exception) -> None:
        for group in tuple(self._groups.values()):
            group.on_error(error)
        self.observer.on_error(error)

    def on_completed(self) -> None:
        for group in tuple(self._groups.values()):
            group.on_completed()
        self.observer.on_completed()


def run_summaries() -> Callable[[Observable[MergedEvent[KeyT]]], Observable[RunSummary[KeyT]]]:
    """Emit a summary of each of many runs, when it has ended.

    Takes what ``merge_runs`` gives. Completes and fails with its source.

    Where ``t`` is an event and ``e`` the end of a run, whose summary is ``E``::

        source  -t-e-t-|
        result  ---E---|
    """

    def summary(item: MergedEvent[KeyT]) -> RunSummary[KeyT] | None:
        _check_merged(item, "run_summaries")
        return item.summary

    return choose(summary)


# --- all of them ---------------------------------------------------------------------------


class _Latest(Mapping[KeyT, Any]):
    """The latest snapshot of each run, by its key: an immutable mapping."""

    __slots__ = ("_runs",)

    def __init__(self, runs: Keyed[Any] = NOTHING_YET) -> None:
        self._runs = runs

    def __getitem__(self, key: KeyT) -> Any:  # noqa: ANN401 -- a snapshot of any protocol
        snapshot = self._runs.get(key)
        if snapshot is None:
            raise KeyError(key)
        return snapshot

    def __iter__(self) -> Iterator[KeyT]:
        return iter(self._runs.keys())

    def __len__(self) -> int:
        return self._runs.count

    def __repr__(self) -> str:
        return f"<the snapshots of {len(self)} runs>"

    def plus(self, key: KeyT, event: AnyEvent | None) -> _Latest[KeyT]:
        """The mapping after an event of a run, or after the end of one without events."""
        snapshot = self._runs.get(key)
        if event is not None:
            protocol = protocol_of(event, "latest_snapshots")
            snapshot = protocol.fold(snapshot or protocol.nothing, event)
        return _Latest(self._runs.put(key, snapshot or AnySnapshot()))


def latest_snapshots() -> Operator[MergedEvent[KeyT], Mapping[KeyT, Any]]:
    """Emit, for each event of any of many runs, the snapshots of all runs by their keys.

    The runs are in the order of their first events; those that have ended stay, and one that ended
    before its first event comes in with an empty snapshot: ``run_summaries`` has its error. The
    mappings are immutable and stay valid. A mapping costs nearly the same for any number of runs: a
    tuple of up to 32 entries is copied for up to 32 runs, two for up to 1,024, three for up to
    32,768. Takes what ``merge_runs`` gives. Completes and fails with its source.

    Where ``t`` and ``u`` are deltas of a text of run 0 and ``v`` is one of run 1, ``T`` is the
    mapping with the first snapshot of run 0, ``U`` that with its second, and ``V`` has both runs::

        source  -t-u-v-|
        result  -T-U-V-|
    """

    def begin() -> tuple[Step[MergedEvent[KeyT], Mapping[KeyT, Any]], Finish[Mapping[KeyT, Any]]]:
        latest: _Latest[KeyT] = _Latest()

        def step(item: MergedEvent[KeyT]) -> tuple[Mapping[KeyT, Any], ...]:
            nonlocal latest
            _check_merged(item, "latest_snapshots")
            if item.event is None and item.key in latest:
                return ()
            latest = latest.plus(item.key, item.event)
            return (latest,)

        return step, nothing

    return choose_each(begin)


__all__ = [
    "KeyT",
    "MergedEvent",
    "RunSummary",
    "group_by_run",
    "latest_snapshots",
    "of_run",
    "run_summaries",
]
