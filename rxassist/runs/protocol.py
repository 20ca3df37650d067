"""What each protocol knows about runs that needs a state, one record for each protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from attrs import frozen

from rxassist.wire.sse import ServerSentEvent

Fold: TypeAlias = Callable[[Any, Any], Any]
"""Gives the snapshot after an event, of the snapshot before it and the event."""

Follow: TypeAlias = Callable[[Callable[[Any], Any]], Callable[[Any], Iterable[Any]]]
"""Gives a step of an operator, of the function that gives the snapshot after each event."""


class Callback(NamedTuple):
    """A callback of an event handler, by its name, and what it is called with."""

    name: str
    arguments: tuple[object, ...] = ()


@frozen
class Protocol:
    """What operators and streams ask the protocol of an event.

    ``nothing`` is the snapshot before the first event, and ``fold`` gives the next one.
    ``messages``, ``run_steps`` and ``tool_calls`` follow the snapshots and give each message, step
    and call once, when it can no longer change; ``tool_call_deltas`` gives the deltas of calls that
    one event holds. ``callbacks`` says which callbacks an event causes, of the snapshots before and
    after it. ``encode`` writes an event as its service does.
    """

    nothing: Any
    fold: Fold
    messages: Follow
    run_steps: Follow
    tool_calls: Follow
    tool_call_deltas: Callable[[Any], Iterable[Any]]
    callbacks: Callable[[Any, Any, Any], Iterable[Callback]]
    encode: Callable[[Any], ServerSentEvent]


__all__ = ["Callback", "Fold", "Follow", "Protocol"]
