"""Tool calls: as they grow, and when they are whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rxassist.reactive.kernel import choose_each, nothing
from rxassist.reactive.typing import Operator
from rxassist.runs.events import AnyEvent, protocol_of
from rxassist.runs.operators.snapshots import by_fold
from rxassist.runs.protocol import Follow, Protocol


def tool_call_deltas() -> Operator[AnyEvent, Any]:
    """Emit each delta of each tool call, as the service sent it.

    ``index`` distinguishes the parallel calls of a step. Completes and fails with its source.

    Where ``x`` is a step's delta that holds the deltas ``X`` and ``Y`` of two calls::

        source  -s-x---d|
        result  ---(XY)-|
    """
    return choose_each(lambda: (_deltas_of, nothing))


def _deltas_of(event: AnyEvent) -> Iterable[Any]:
    return protocol_of(event, "tool_call_deltas").tool_call_deltas(event)


def tool_calls() -> Operator[AnyEvent, Any]:
    """Emit each tool call exactly once, when it can no longer change.

    That is when a later call of its step began, when its step ended, or when the run requires
    action or has ended. ``function.arguments`` is whole then; ``function.output`` is known only in
    a stream that saw the outputs submitted. Completes and fails with its source.

    Where ``x`` begins a first call, ``y`` a second one, ``a`` is ``thread.run.requires_action``,
    and the capitals are the calls::

        source  -s-x-x-y-y-a-d|
        result  -------X---Y--|
    """
    return by_fold(whole_calls)


def whole_calls(protocol: Protocol) -> Follow:
    """The protocol's way to follow tool calls."""
    return protocol.tool_calls
