"""Snapshots: all that the events of a run have accumulated so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rxassist.reactive.kernel import Finish, Step, choose_each, nothing
from rxassist.reactive.typing import Operator
from rxassist.runs.events import AnyEvent, protocol_of
from rxassist.runs.protocol import Fold, Follow, Protocol


def folded(fold: Fold | None = None) -> Callable[[AnyEvent], Any]:
    """A function that folds one event after the other, for one subscription.

    Folds with the protocol of the first event, or with ``fold``.
    """
    protocol: Protocol | None = None
    snapshot: Any = None

    def after(event: AnyEvent) -> Any:  # noqa: ANN401 -- of the protocol of the event
        nonlocal protocol, snapshot, fold
        if protocol is None or fold is None:
            protocol = protocol_of(event, "a snapshot")
            fold, snapshot = fold or protocol.fold, protocol.nothing
        snapshot = fold(snapshot, event)
        return snapshot

    return after


class OnceFolded:
    """A fold that remembers its last answer: views side by side fold each event once.

    For one thread, and for folds that begin with the same snapshot.
    """

    def __init__(self, protocol: Protocol) -> None:
        self._fold = protocol.fold
        self._snapshot = self._after = protocol.nothing
        self._event: AnyEvent | None = None

    def __call__(self, snapshot: Any, event: AnyEvent) -> Any:  # noqa: ANN401 -- of the protocol
        """The snapshot after an event."""
        if event is not self._event or snapshot is not self._snapshot:
            self._after = self._fold(snapshot, event)
            self._snapshot, self._event = snapshot, event
        return self._after


def by_protocol() -> None:
    """Fold with the protocol of the first event."""


def by_fold(
    how: Callable[[Protocol], Follow], begin_fold: Callable[[], Fold | None] = by_protocol
) -> Operator[AnyEvent, Any]:
    """Follow the snapshots of a run in one of the ways of its protocol.

    Each subscription folds with its own result of ``begin_fold``.
    """

    def begin() -> tuple[Step[AnyEvent, Any], Finish[Any]]:
        after = folded(begin_fold())
        follow: Callable[[AnyEvent], Iterable[Any]] | None = None

        def step(event: AnyEvent) -> Iterable[Any]:
            nonlocal follow
            if follow is None:
                follow = how(protocol_of(event, "a snapshot"))(after)
            return follow(event)

        return step, nothing

    return choose_each(begin)


def each_snapshot(
    begin_fold: Callable[[], Fold | None] = by_protocol,
) -> Operator[AnyEvent, Any]:
    """Emit each snapshot; as ``by_fold``, with one call less for each event."""

    def begin() -> tuple[Step[AnyEvent, Any], Finish[Any]]:
        after = folded(begin_fold())
        return lambda event: (after(event),), nothing

    return choose_each(begin)


def accumulate_snapshots() -> Operator[AnyEvent, Any]:
    """Emit, for each event, the run as it stands after it.

    Each event costs the same, however much has accumulated; the snapshots are immutable and stay
    valid. Completes and fails with its source.

    Where ``t`` and ``u`` are deltas of a text, and ``T`` and ``U`` the snapshots after them::

        source  -t-u-|
        result  -T-U-|
    """
    return each_snapshot()


def text_snapshots() -> Operator[AnyEvent, str]:
    """Emit the text of the run so far, each time it has changed.

    The texts of several messages follow each other. If the service begins a response anew, the text
    is again what came since. Completes and fails with its source.

    Where ``t`` and ``u`` are deltas of a text, ``T`` the first piece of it and ``U`` both::

        source  -t-p-u-d|
        result  -T---U--|
    """

    def begin() -> tuple[Step[AnyEvent, str], Finish[str]]:
        after = folded()
        text = ""

        def changed(event: AnyEvent) -> Iterator[str]:
            nonlocal text
            snapshot = after(event)
            may_change = event.is_delta or bool(event.texts()) or event.resets() is not None
            if may_change and snapshot.text != text:
                text = snapshot.text
                yield text

        return changed, nothing

    return choose_each(begin)


def messages() -> Operator[AnyEvent, Any]:
    """Emit each message once, when it is finished (``completed`` or ``incomplete``).

    Completes and fails with its source.

    Where ``m`` is ``thread.message.created``, ``t`` a delta, and ``n``
    ``thread.message.completed``, whose message is ``N``::

        source  -m-t-n-n-d|
        result  -----N----|
    """
    return by_fold(finished_messages)


def finished_messages(protocol: Protocol) -> Follow:
    """The protocol's way to follow messages."""
    return protocol.messages


def run_steps() -> Operator[AnyEvent, Any]:
    """Emit each step once, when it is finished (``completed``, ``failed``, ``cancelled``…).

    Completes and fails with its source.

    Where ``s`` is ``thread.run.step.created`` and ``z`` ``thread.run.step.completed``, whose step
    is ``Z``::

        source  -s-t-z-z-d|
        result  -----Z----|
    """
    return by_fold(finished_run_steps)


def finished_run_steps(protocol: Protocol) -> Follow:
    """The protocol's way to follow run steps."""
    return protocol.run_steps
