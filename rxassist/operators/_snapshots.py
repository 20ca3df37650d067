"""What has accumulated so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from rxassist.events import (
    Event,
    MessageEvent,
    RunStepEvent,
    ThreadMessageCompleted,
    ThreadMessageDelta,
    ThreadMessageIncomplete,
    ThreadRunStepCreated,
    ThreadRunStepInProgress,
)
from rxassist.models import Message, RunStep
from rxassist.operators._kernel import Finish, Step, choose_each, nothing
from rxassist.snapshots import NOTHING, Fold, Snapshot, fold
from rxassist.typing import Operator

_T = TypeVar("_T")


def folded(fold: Fold = fold) -> Callable[[Event], Snapshot]:
    """A function that folds one event after the other, for one subscription."""
    snapshot = NOTHING

    def step(event: Event) -> Snapshot:
        nonlocal snapshot
        snapshot = fold(snapshot, event)
        return snapshot

    return step


def plain_fold() -> Fold:
    """``fold`` itself."""
    return fold


def by_fold(
    follow: Callable[[Callable[[Event], Snapshot]], Step[Event, _T]],
    begin_fold: Callable[[], Fold] = plain_fold,
) -> Operator[Event, _T]:
    """What ``follow`` makes of events and of the function that gives the snapshot after each.

    Each subscription folds by what ``begin_fold`` gives.
    """
    return choose_each(lambda: (follow(folded(begin_fold())), nothing))


def each_snapshot(after: Callable[[Event], Snapshot]) -> Step[Event, Snapshot]:
    """What ``accumulate_snapshots`` follows."""
    return lambda event: (after(event),)


def accumulate_snapshots() -> Operator[Event, Snapshot]:
    """Emit, for each event, the run as it stands after it.

    Costs the same for each event however much has accumulated; the snapshots are immutable and
    stay valid. Completes and fails with its source.

    Where ``t`` and ``u`` are deltas of a text, and ``T`` and ``U`` the snapshots after them::

        source  -t-u-|
        result  -T-U-|
    """
    return by_fold(each_snapshot)


def text_snapshots() -> Operator[Event, str]:
    """Emit the text of the run so far, each time it has changed.

    The texts of several messages stand one behind the other. Completes and fails with its source.

    Where ``t`` and ``u`` are deltas of a text, ``T`` the first piece of it and ``U`` both::

        source  -t-p-u-d|
        result  -T---U--|
    """

    def begin() -> tuple[Step[Event, str], Finish[str]]:
        step = folded()
        text = ""

        def changed(event: Event) -> Iterator[str]:
            nonlocal text
            snapshot = step(event)
            if isinstance(event, ThreadMessageDelta | MessageEvent) and snapshot.text != text:
                text = snapshot.text
                yield text

        return changed, nothing

    return choose_each(begin)


def finished_messages(after: Callable[[Event], Snapshot]) -> Step[Event, Message]:
    """What ``messages`` follows."""
    seen: set[str] = set()

    def finished(event: Event) -> Iterator[Message]:
        snapshot = after(event)
        if isinstance(event, ThreadMessageCompleted | ThreadMessageIncomplete):
            message = None if event.data.id in seen else snapshot.message
            if message is not None:
                seen.add(message.id)
                yield message

    return finished


def messages() -> Operator[Event, Message]:
    """Emit each message once, when it is finished (``completed`` or ``incomplete``).

    Completes and fails with its source.

    Where ``m`` is ``thread.message.created``, ``t`` a delta, and ``n``
    ``thread.message.completed``, whose message is ``N``::

        source  -m-t-n-n-d|
        result  -----N----|
    """
    return by_fold(finished_messages)


def finished_run_steps(after: Callable[[Event], Snapshot]) -> Step[Event, RunStep]:
    """What ``run_steps`` follows."""
    seen: set[str] = set()

    def finished(event: Event) -> Iterator[RunStep]:
        snapshot = after(event)
        if isinstance(event, RunStepEvent) and not isinstance(
            event, ThreadRunStepCreated | ThreadRunStepInProgress
        ):
            run_step = None if event.data.id in seen else snapshot.run_step
            if run_step is not None:
                seen.add(run_step.id)
                yield run_step

    return finished


def run_steps() -> Operator[Event, RunStep]:
    """Emit each step once, when it is finished (``completed``, ``failed``, ``cancelled``…).

    Completes and fails with its source.

    Where ``s`` is ``thread.run.step.created`` and ``z`` ``thread.run.step.completed``, whose step
    is ``Z``::

        source  -s-t-z-z-d|
        result  -----Z----|
    """
    return by_fold(finished_run_steps)
