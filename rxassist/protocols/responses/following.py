"""Messages and tool calls of responses, each when it can no longer change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rxassist.protocols.responses.events import (
    CallDelta,
    Event,
    Key,
    OutputItemDone,
    ResponseEvent,
    ShellDelta,
)
from rxassist.protocols.responses.models import OutputItem, OutputMessage, ToolCall, tool_call_of
from rxassist.protocols.responses.snapshots import Snapshot
from rxassist.reactive.kernel import Step
from rxassist.runs.state import SETTLED

_T = TypeVar("_T")

After = Callable[[Event], Snapshot]
"""Gives the snapshot after each event."""


def _finished_items(after: After) -> Step[Event, OutputItem]:
    """Follow the items: each once, when it is whole, at the latest when its response has ended.

    Of a response that its server began anew, those that differ from what they were come again.
    """
    seen: dict[Key, OutputItem] = {}
    finished_keys: set[Key] = set()

    def finished(event: Event) -> Iterator[OutputItem]:
        snapshot = after(event)
        run_id = event.resets()
        if run_id is not None:
            finished_keys.difference_update([key for key in seen if key[0] == run_id])
        keys: Iterable[Key] = ()
        if isinstance(event, OutputItemDone):
            keys = (event.key,)
        elif isinstance(event, ResponseEvent) and event.run_status() in SETTLED:
            keys = snapshot.keys
        for key in keys:
            item = None if key in finished_keys else snapshot.find_item(*key)
            if item is None:
                continue
            finished_keys.add(key)
            if seen.get(key) != item:
                seen[key] = item
                yield item

    return finished


def _each(after: After, pick: Callable[[OutputItem], _T | None]) -> Step[Event, _T]:
    """Follow those of the items that ``pick`` gives."""
    follow = _finished_items(after)

    def picked(event: Event) -> Iterator[_T]:
        if event.is_delta:
            after(event)
            return
        for item in follow(event):
            found = pick(item)
            if found is not None:
                yield found

    return picked


def _message(item: OutputItem) -> OutputMessage | None:
    return item if isinstance(item, OutputMessage) else None


def finished_messages(after: After) -> Step[Event, OutputMessage]:
    """Follow the messages: each once, when it is finished."""
    return _each(after, _message)


def whole_calls(after: After) -> Step[Event, ToolCall]:
    """Follow the tool calls: each once, when it is whole."""
    return _each(after, tool_call_of)


def no_run_steps(after: After) -> Step[Event, object]:
    """Follow nothing: this protocol has no run steps."""

    def nothing(event: Event) -> tuple[()]:
        after(event)
        return ()

    return nothing


def deltas_of_calls(event: Event) -> tuple[CallDelta | ShellDelta, ...]:
    """The event itself, if it is a delta of a tool call."""
    return (event,) if isinstance(event, CallDelta | ShellDelta) else ()


__all__ = ["deltas_of_calls", "finished_messages", "no_run_steps", "whole_calls"]
