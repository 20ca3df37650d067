"""Which callbacks of a handler an event causes.

They are those of the Assistants protocol. ``on_text_…`` have parts of a message that are text, and
``on_message_…`` messages, ``on_tool_call_…`` items that are calls; the deltas are the events. There
are no run steps here, and images come with the call that drew them.
"""

from __future__ import annotations

from collections.abc import Iterator

from rxassist.protocols.responses.events import (
    AnnotationAdded,
    CallDelta,
    Event,
    ItemEvent,
    OutputTextDelta,
    PartOfItemEvent,
    RefusalDelta,
    ResponseEvent,
    ShellDelta,
)
from rxassist.protocols.responses.models import OutputMessage, OutputText, tool_call_of
from rxassist.protocols.responses.snapshots import Item, Part, Snapshot
from rxassist.runs.protocol import CALLBACKS, Callback
from rxassist.runs.state import SETTLED

_OF_TEXT_DELTAS = frozenset(
    {
        *("on_message_created", "on_message_delta"),
        *("on_text_created", "on_text_delta"),
    }
)
"""What a delta of text may cause."""


def callbacks_of(
    event: Event, before: Snapshot, after: Snapshot, wanted: frozenset[str] = CALLBACKS
) -> tuple[Callback, ...]:
    """The wanted callbacks that an event causes, in order, ``on_event`` first.

    ``before`` and ``after`` are the snapshots around the event. Each object is created once, with
    its first event, and done once, when it can no longer change.
    """
    caused: list[Callback] = [("on_event", (event,))]
    if isinstance(event, OutputTextDelta) and wanted.isdisjoint(_OF_TEXT_DELTAS):
        pass
    elif isinstance(event, OutputTextDelta) and (grown := after.grown_after(before)) is not None:
        caused.append(("on_text_delta", (event, grown)))
        if "on_message_delta" in wanted:
            caused.append(("on_message_delta", (event, after.message)))
    elif isinstance(event, ItemEvent):
        item = after.growing(event.key)
        if item is not None:
            caused += _of_item(before.growing(event.key), item, event)
    elif isinstance(event, ResponseEvent) and event.run_status() in SETTLED:
        for key in after.keys:
            item = after.growing(key)
            if item is not None and key[0] == event.response_id:
                caused += _of_item(before.growing(key), item, event)
    return tuple([call for call in caused if call[0] in wanted])


def _of_item(old: Item | None, new: Item, event: Event) -> Iterator[Callback]:
    if old is not None and old.finished:
        return
    if isinstance(new.whole, OutputMessage):
        yield from _of_message(old, new, event)
        return
    call = tool_call_of(new.build())
    if call is None:
        return
    if old is None:
        yield ("on_tool_call_created", (call,))
    if isinstance(event, CallDelta | ShellDelta):
        yield ("on_tool_call_delta", (event, call))
    if new.finished:
        yield ("on_tool_call_done", (call,))


def _of_message(old: Item | None, new: Item, event: Event) -> Iterator[Callback]:
    message = new.build()
    if old is None:
        yield ("on_message_created", (message,))
    if new.finished:
        for part in new.parts:
            yield from _of_part(None if old is None else old.parts.get(part.key), part, event)
        yield ("on_message_done", (message,))
    elif isinstance(event, OutputTextDelta | PartOfItemEvent):
        key = event.part_key
        grown = new.parts.get(key)
        if grown is not None:
            yield from _of_part(None if old is None else old.parts.get(key), grown, event)
        if isinstance(event, OutputTextDelta | RefusalDelta | AnnotationAdded):
            yield ("on_message_delta", (event, message))
    else:
        for part in new.parts:
            yield from _of_part(None if old is None else old.parts.get(part.key), part, event)


def _of_part(old: Part | None, new: Part, event: Event) -> Iterator[Callback]:
    if (old is not None and old.finished) or not isinstance(new.whole, OutputText):
        return
    part = new.build()
    if old is None:
        yield ("on_text_created", (part,))
    if isinstance(event, OutputTextDelta | AnnotationAdded):
        yield ("on_text_delta", (event, part))
    if new.finished:
        yield ("on_text_done", (part,))


__all__ = ["callbacks_of"]
