"""What each protocol knows about runs that needs a state, one record for each protocol."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple, TypeAlias

from attrs import frozen

from rxassist.wire.sse import ServerSentEvent

Fold: TypeAlias = Callable[[Any, Any], Any]
"""Gives the snapshot after an event, of the snapshot before it and the event."""

Follow: TypeAlias = Callable[[Callable[[Any], Any]], Callable[[Any], Iterable[Any]]]
"""Gives a step of an operator, of the function that gives the snapshot after each event."""


Callback: TypeAlias = tuple[str, tuple[object, ...]]
"""A callback of an event handler, by its name, and what it is called with."""

CALLBACKS: frozenset[str] = frozenset(
    {
        *("on_event", "on_end", "on_exception", "on_timeout", "on_image_file_done"),
        *("on_message_created", "on_message_delta", "on_message_done"),
        *("on_run_step_created", "on_run_step_delta", "on_run_step_done"),
        *("on_text_created", "on_text_delta", "on_text_done"),
        *("on_tool_call_created", "on_tool_call_delta", "on_tool_call_done"),
    }
)
"""The names of all callbacks. A handler of a protocol has those that the protocol can cause."""


@frozen
class Cited:
    """An annotation of a text, in whatever words its protocol says it.

    It names a ``text``, at ``start`` if it says so (else -1), or the place of one: from ``start``
    to ``end``.
    """

    text: str | None = None
    start: int = -1
    end: int = -1
    file_id: str | None = None
    file_name: str | None = None
    quote: str | None = None
    url: str | None = None
    title: str | None = None
    is_path: bool = False


class Citing(NamedTuple):
    """How a protocol says what a text cites.

    ``cited`` gives the annotations of an event, by the key of the message and the part; the second
    argument is what was seen of the texts before it. ``has_links``: the annotation of a link in the
    text comes right after it.
    """

    cited: Callable[[Any, Any], Iterable[tuple[tuple[Hashable, int], tuple[Cited, ...]]]]
    has_links: bool


@frozen
class Protocol:
    """What operators and streams ask the protocol of an event.

    ``nothing`` is the snapshot before the first event, and ``fold`` gives the next one.
    ``messages``, ``run_steps`` and ``tool_calls`` follow the snapshots and give each message, step
    and call once, when it can no longer change; ``tool_call_deltas`` gives the deltas of calls that
    one event holds. ``callbacks`` says which of the wanted callbacks an event causes, of the
    snapshots before and after it. ``citing`` says what texts cite. ``encode`` writes an event as
    its service does.
    """

    nothing: Any
    fold: Fold
    messages: Follow
    run_steps: Follow
    tool_calls: Follow
    tool_call_deltas: Callable[[Any], Iterable[Any]]
    callbacks: Callable[[Any, Any, Any, frozenset[str]], Iterable[Callback]]
    citing: Citing
    encode: Callable[[Any], ServerSentEvent]


__all__ = ["CALLBACKS", "Callback", "Cited", "Citing", "Fold", "Follow", "Protocol"]
