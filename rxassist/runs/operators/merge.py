"""Of many runs, merged: one of them, each by itself, how all of them stand, how each went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from attrs import frozen
from reactivex import GroupedObservable, Notification, Observable, Subject, abc
from reactivex import operators as ops
from reactivex.disposable import RefCountDisposable, SingleAssignmentDisposable
from reactivex.notification import OnCompleted, OnError, OnNext

from rxassist.errors import excerpt
from rxassist.reactive.kernel import Finish, Step, choose, choose_each, nothing
from rxassist.reactive.typing import Operator
from rxassist.runs.events import protocol_of
from rxassist.runs.growing import NOTHING_YET, Keyed
from rxassist.runs.state import AnySnapshot, Usage

if TYPE_CHECKING:  # as the Assistants protocol has them, which other protocols extend
    from rxassist.protocols.assistants.events import Event
    from rxassist.protocols.assistants.models import Run
    from rxassist.protocols.assistants.snapshots import Snapshot

_K = TypeVar("_K")


@frozen
class RunSummary(Generic[_K]):
    """How one of many runs went.

    ``run`` is the run as it was last told, ``None`` where nothing was; ``error`` is what its stream
    failed with. ``usage`` is summed over its rounds, and over its attempts if it was started anew;
    ``None`` where the service said nothing. ``duration`` and ``time_to_first_delta`` (of a text or
    of a tool call, ``None`` without any) are in seconds since the stream was subscribed, so they
    include the wait for a place in a ``Budget``. ``retries`` counts the requests and the runs that
    were tried again, ``recoveries`` the lost connections that were made good.
    """

    key: _K
    run: Run | None = None
    error: Exception | None = None
    usage: Usage | None = None
    duration: float = 0.0
    time_to_first_delta: float | None = None
    retries: int = 0
    recoveries: int = 0

    @property
    def status(self) -> str | None:
        """The status of the run as it was last told, such as ``completed``."""
        return None if self.run is None else self.run.status


@frozen
class MergedEvent(Generic[_K]):
    """What happened in one of many runs: an event of its stream, or the end of it.

    The last one of each run has no ``event`` but a ``summary``, and the ``error`` that its stream
    failed with, if it did.
    """

    key: _K
    event: Event | None = None
    error: Exception | None = None
    summary: RunSummary[_K] | None = None


def _check_merged(item: object, name: str) -> None:
    if not isinstance(item, MergedEvent):
        msg = f"{name} takes what merge_runs gives, got {excerpt(item)}"
        raise TypeError(msg)


# --- one of them, or each ------------------------------------------------------------------


def of_run(key: _K) -> Operator[MergedEvent[_K], Event]:
    """Emit the events of one of many runs, and end as its stream did.

    Takes what ``merge_runs`` gives. Completes when the run has ended, or with its source; fails
    with the error that ended the run's stream, or with that of its source.

    With ``of_run(1)``, where ``a`` is an event of run 0, ``t`` and ``u`` are ``T`` and ``U`` of
    run 1, and ``e`` is the end of run 1::

        source  -a-t-u-e-a-|
        result  ---T-U-|
    """

    def told(item: MergedEvent[_K]) -> Notification[Event] | None:
        _check_merged(item, "of_run")
        if item.key != key:
            return None
        if item.event is not None:
            return OnNext(item.event)
        return OnCompleted() if item.error is None else OnError(item.error)

    def operator(source: Observable[MergedEvent[_K]]) -> Observable[Event]:
        return source.pipe(choose(told), ops.dematerialize())

    return operator


def group_by_run() -> Operator[MergedEvent[_K], GroupedObservable[_K, Event]]:
    """Emit an Observable of its events for each of many runs, when it begins.

    Each has the ``key`` of its run and ends as its stream did; subscribe it at once (with
    ``flat_map``, or in the callback), for it keeps nothing. Takes what ``merge_runs`` gives.
    Completes and fails with its source, and all that are under way with it.

    Where ``a`` and ``b`` are the first events of two runs, ``t`` is a later one of the first run,
    and the capitals are the Observables::

        source  -a-t-b-|
        result  -A---B-|
    """

    def operator(source: Observable[MergedEvent[_K]]) -> Observable[GroupedObservable[_K, Event]]:
        def subscribe(
            observer: abc.ObserverBase[GroupedObservable[_K, Event]],
            scheduler: abc.SchedulerBase | None = None,
        ) -> abc.DisposableBase:
            groups = _Groups(observer)
            groups.held.disposable = source.subscribe(
                groups.on_next, groups.on_error, groups.on_completed, scheduler=scheduler
            )
            return groups.shared

        return Observable(subscribe)

    return operator


class _Group(GroupedObservable[_K, Any]):
    """The events of one run, as they come."""

    def __iter__(self) -> NoReturn:
        """Refuse a ``for``: by itself RxPY would loop for ever, and the group keeps nothing."""
        msg = (
            f"the group of {self.key!r} keeps no events, so a for would miss them; read it with "
            "flat_map, or one run with merged.pipe(of_run(key))"
        )
        raise TypeError(msg)


class _Groups(Generic[_K]):
    """One subscription: the runs that are under way. The source is held as long as one is read."""

    def __init__(self, observer: abc.ObserverBase[GroupedObservable[_K, Event]]) -> None:
        self._observer = observer
        self._groups: dict[_K, Subject[Event]] = {}
        self.held = SingleAssignmentDisposable()
        self.shared = RefCountDisposable(self.held)

    def on_next(self, item: MergedEvent[_K]) -> None:
        try:
            _check_merged(item, "group_by_run")
            key, event = item.key, item.event
            group = self._groups.get(key)
        except Exception as error:  # noqa: BLE001 -- the subscriber is told
            self.on_error(error)
            return
        if group is None:
            group = self._groups[key] = Subject()
            self._observer.on_next(_Group(key, group, self.shared))
        if event is not None:
            group.on_next(event)
            return
        del self._groups[key]
        if item.error is None:
            group.on_completed()
        else:
            group.on_error(item.error)

    def on_error(self, error: Exception) -> None:
        for group in tuple(self._groups.values()):
            group.on_error(error)
        self._observer.on_error(error)

    def on_completed(self) -> None:
        for group in tuple(self._groups.values()):
            group.on_completed()
        self._observer.on_completed()


def run_summaries() -> Operator[MergedEvent[_K], RunSummary[_K]]:
    """Emit a summary of each of many runs, when it has ended.

    Takes what ``merge_runs`` gives. Completes and fails with its source.

    Where ``t`` is an event and ``e`` the end of a run, whose summary is ``E``::

        source  -t-e-t-|
        result  ---E---|
    """

    def summary(item: MergedEvent[_K]) -> RunSummary[_K] | None:
        _check_merged(item, "run_summaries")
        return item.summary

    return choose(summary)


# --- all of them ---------------------------------------------------------------------------


class _Latest(Mapping[_K, Any]):
    """The latest snapshot of each run, by its key: an immutable mapping."""

    __slots__ = ("_runs",)

    def __init__(self, runs: Keyed[Any] = NOTHING_YET) -> None:
        self._runs = runs

    def __getitem__(self, key: _K) -> Any:  # noqa: ANN401 -- a snapshot of any protocol
        snapshot = self._runs.get(key)
        if snapshot is None:
            raise KeyError(key)
        return snapshot

    def __iter__(self) -> Iterator[_K]:
        return iter(self._runs.keys())

    def __len__(self) -> int:
        return self._runs.count

    def __repr__(self) -> str:
        return f"<the snapshots of {len(self)} runs>"

    def plus(self, key: _K, event: Event | None) -> _Latest[_K]:
        """The mapping after an event of a run, or after the end of one without events."""
        snapshot = self._runs.get(key)
        if event is not None:
            protocol = protocol_of(event, "latest_snapshots")
            snapshot = protocol.fold(snapshot or protocol.nothing, event)
        return _Latest(self._runs.put(key, snapshot or AnySnapshot()))


def latest_snapshots() -> Operator[MergedEvent[_K], Mapping[_K, Snapshot]]:
    """Emit, for each event of any of many runs, how all of them stand: snapshots by their keys.

    The runs are in the order of their first events; those that have ended stay, and one that ended
    before its first event comes in with an empty snapshot: why it failed is in ``run_summaries``.
    The mappings are
    immutable and stay valid. To make one costs nearly the same however many runs there are: a tuple
    of up to 32 entries is copied for up to 32 runs, two for up to 1,024, three for up to 32,768.
    Takes what ``merge_runs`` gives. Completes and fails with its source.

    Where ``t`` and ``u`` are deltas of a text of run 0 and ``v`` is one of run 1, ``T`` is the
    mapping with the first snapshot of run 0, ``U`` that with its second, and ``V`` has both runs::

        source  -t-u-v-|
        result  -T-U-V-|
    """

    def begin() -> tuple[
        Step[MergedEvent[_K], Mapping[_K, Snapshot]], Finish[Mapping[_K, Snapshot]]
    ]:
        latest: _Latest[_K] = _Latest()

        def step(item: MergedEvent[_K]) -> tuple[Mapping[_K, Snapshot], ...]:
            nonlocal latest
            _check_merged(item, "latest_snapshots")
            if item.event is None and item.key in latest:
                return ()
            latest = latest.plus(item.key, item.event)
            return (latest,)

        return step, nothing

    return choose_each(begin)


__all__ = [
    "MergedEvent",
    "RunSummary",
    "group_by_run",
    "latest_snapshots",
    "of_run",
    "run_summaries",
]
