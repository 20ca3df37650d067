"""Pick out what you want: events by their class, runs by their status."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar, overload

from rxassist.errors import StreamTruncated
from rxassist.reactive.kernel import Finish, Step, choose, choose_each, nothing
from rxassist.reactive.typing import Operator
from rxassist.runs.events import AnyEvent, check_event
from rxassist.runs.state import SETTLED, AnyRun

_A = TypeVar("_A")
_B = TypeVar("_B")
_C = TypeVar("_C")
_D = TypeVar("_D")
_T = TypeVar("_T")


@overload
def of_type(a: type[_A], /) -> Operator[object, _A]: ...
@overload
def of_type(a: type[_A], b: type[_B], /) -> Operator[object, _A | _B]: ...
@overload
def of_type(a: type[_A], b: type[_B], c: type[_C], /) -> Operator[object, _A | _B | _C]: ...
@overload
def of_type(
    a: type[_A], b: type[_B], c: type[_C], d: type[_D], /
) -> Operator[object, _A | _B | _C | _D]: ...
@overload
def of_type(*types: type[_T]) -> Operator[object, _T]: ...
def of_type(*types: type[Any]) -> Operator[object, Any]:
    """Emit the items that are instances of any of the types, and drop the others.

    Base classes work too: ``of_type(RunEvent)`` gives every event that carries a run. Completes
    and fails with its source.

    With ``of_type(ThreadMessageDelta)``, where ``t`` and ``u`` are such events::

        source  -q-t-u-d|
        result  ---t-u--|
    """
    if not types or not all(map(_is_class, types)):
        msg = f"of_type takes one class or more, got {types!r}"
        raise TypeError(msg)

    def instance(item: object) -> object:
        return item if isinstance(item, types) else None

    return choose(instance)


def _is_class(value: object) -> bool:
    return isinstance(value, type)


def runs() -> Operator[AnyEvent, AnyRun]:
    """Emit a run each time its status changes.

    Runs are distinguished by id, so merged streams may pass. Completes and fails with its source.

    Where ``k`` is ``thread.run.created`` with the status ``queued``, ``q`` ``thread.run.queued``,
    ``p`` ``thread.run.in_progress``, ``c`` ``thread.run.completed``, and the capitals are their
    runs::

        source  -k-q-p-t-c-d|
        result  -K---P---C--|
    """

    def begin() -> tuple[Step[AnyEvent, AnyRun], Finish[AnyRun]]:
        status: dict[str, str] = {}

        def step(event: AnyEvent) -> Iterator[AnyRun]:
            check_event(event, "runs")
            run = event.run()
            if run is not None and status.get(run.id) != run.status:
                status[run.id] = run.status
                yield run

        return step, nothing

    return choose_each(begin)


def final_run() -> Operator[AnyEvent, AnyRun]:
    """Emit the run as it ended, when the source has completed.

    The run has ended if it finished, or if it waits for you (``requires_action``). A source that
    completes before that ends in ``StreamTruncated``.

    Where ``p`` is ``thread.run.in_progress`` and ``c`` is ``thread.run.completed``, whose run is
    ``C``::

        source  -p-t-c-d|
        result  --------(C|)
    """

    def begin() -> tuple[Step[AnyEvent, AnyRun], Finish[AnyRun]]:
        last: AnyRun | None = None

        def step(event: AnyEvent) -> tuple[()]:
            nonlocal last
            check_event(event, "final_run")
            last = event.run() or last
            return ()

        def finish() -> tuple[AnyRun]:
            return (settled(last),)

        return step, finish

    return choose_each(begin)


def settled(run: AnyRun | None) -> AnyRun:
    """The run, if it ended or waits for you; else raises ``StreamTruncated``."""
    if run is None or run.status not in SETTLED:
        known = "nothing was told of a run" if run is None else f"it was {run.status!r}"
        msg = f"the stream completed before its run had ended: {known}"
        raise StreamTruncated(msg)
    return run
