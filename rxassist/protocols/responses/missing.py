"""The events that a lost stream did not send: the stored response, compared with the heard one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from attrs import evolve

from rxassist.errors import StreamDiverged
from rxassist.protocols.responses.events import (
    AnnotationAdded,
    CallDelta,
    Event,
    Key,
    OutputItemAdded,
    OutputItemDone,
    OutputTextDelta,
    PartKey,
    ReasoningDelta,
    RefusalDelta,
    ResponseCompleted,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
)
from rxassist.protocols.responses.models import (
    ApplyPatchCall,
    CodeInterpreterCall,
    ContentPart,
    CustomToolCall,
    FunctionCall,
    MCPCall,
    OutputItem,
    OutputMessage,
    OutputText,
    Reasoning,
    Refusal,
    Response,
    UnknownPart,
)
from rxassist.protocols.responses.snapshots import Item, Part, Snapshot
from rxassist.runs.growing import text_rest


def missing_events(heard: Snapshot, stored: Response, response_id: str) -> Iterator[Event]:
    """Yield what a settled response has, and its stream did not send, the end included.

    ``heard`` is the snapshot after the last event of the stream, and ``response_id`` the id that
    its events have. Raises ``StreamDiverged`` if the stored response does not continue it.
    """
    if heard.run is None and not heard.keys:
        begun = evolve(stored, wire_status="in_progress", output=(), usage=None)
        yield ResponseCreated(None, response_id, begun)
    for index, item in enumerate(stored.output):
        key = (response_id, index)
        yield from _of_item(heard.growing(key), item, key)
    for key in heard.keys:
        known = heard.growing(key)
        is_ours = key[0] == response_id and key[1] >= len(stored.output)
        if is_ours and known is not None and not known.finished:
            raise StreamDiverged(_name(key, known.build()), known.build(), None)
    yield _end(stored, response_id)


def _end(stored: Response, response_id: str) -> Event:
    if stored.wire_status == "completed":
        return ResponseCompleted(None, response_id, stored)
    if stored.wire_status == "incomplete":
        return ResponseIncomplete(None, response_id, stored)
    return ResponseFailed(None, response_id, stored)  # its status says which


def _name(key: Key, item: OutputItem) -> str:
    return str(getattr(item, "id", None) or f"{key[0]}, item {key[1]}")


# --- items ---------------------------------------------------------------------------------


def _of_item(known: Item | None, item: OutputItem, key: Key) -> Iterator[Event]:
    if known is not None and known.finished:
        return
    if known is None:
        yield OutputItemAdded(None, *key, _at_first(item))
    name = _name(key, item)
    if isinstance(item, OutputMessage):
        yield from _of_parts(known, "content", item.content, key, name)
    elif isinstance(item, Reasoning):
        yield from _of_parts(known, "summary", item.summary, key, name)
        yield from _of_parts(known, "content", item.content, key, name)
    else:
        yield from _of_call(known, item, key, name)
    yield OutputItemDone(None, *key, item)


def _at_first(item: OutputItem) -> OutputItem:
    """An item as its stream would have begun it."""
    if isinstance(item, OutputMessage):
        return evolve(item, status="in_progress", content=())
    if isinstance(item, Reasoning):
        return evolve(item, summary=(), content=())
    name = _NAMES_OF_TEXTS.get(type(item))
    begun: Any = item if name is None else evolve(cast("Any", item), **{name: ""})
    return cast("OutputItem", evolve(begun, status="in_progress") if _has_status(begun) else begun)


def _has_status(item: object) -> bool:
    return bool(getattr(item, "status", None))


_NAMES_OF_TEXTS: dict[type[OutputItem], str] = {
    FunctionCall: "arguments",
    MCPCall: "arguments",
    CustomToolCall: "input",
    CodeInterpreterCall: "code",
}
_DELTAS_OF_CALLS: dict[type[OutputItem], Any] = {
    FunctionCall: "response.function_call_arguments.delta",
    MCPCall: "response.mcp_call_arguments.delta",
    CustomToolCall: "response.custom_tool_call_input.delta",
    CodeInterpreterCall: "response.code_interpreter_call_code.delta",
    ApplyPatchCall: "response.apply_patch_call_operation_diff.delta",
}


def _of_call(known: Item | None, item: OutputItem, key: Key, name: str) -> Iterator[Event]:
    """What the text of a call grew by: its arguments, its input, its code or its diff."""
    kind = _DELTAS_OF_CALLS.get(type(item))
    if kind is None:
        return
    rest = text_rest(_text_of(item), "" if known is None else known.text, name)
    if rest:
        yield CallDelta(None, *key, str(getattr(item, "id", None) or ""), rest, None, kind)


def _text_of(item: OutputItem) -> str:
    if isinstance(item, ApplyPatchCall):
        return str((item.operation or {}).get("diff") or "")
    return str(getattr(item, _NAMES_OF_TEXTS[type(item)]) or "")


# --- parts ---------------------------------------------------------------------------------


def _of_parts(
    known: Item | None, where: str, parts: tuple[ContentPart, ...], key: Key, name: str
) -> Iterator[Event]:
    for place, part in enumerate(parts):
        part_key = cast("PartKey", (where, place))
        before = None if known is None else known.parts.get(part_key)
        yield from _of_part(before, part, key, part_key, name)


def _of_part(
    before: Part | None, part: ContentPart, key: Key, part_key: PartKey, name: str
) -> Iterator[Event]:
    """What a part grew by."""
    if isinstance(part, UnknownPart):
        return
    where, place = part_key
    text = part.refusal if isinstance(part, Refusal) else part.text
    rest = text_rest(text, "" if before is None else before.text, name)
    if isinstance(part, OutputText):
        if rest:
            yield OutputTextDelta(None, *key, name, place, rest)
        heard = 0 if before is None else before.annotations.count
        for index, annotation in list(enumerate(part.annotations))[heard:]:
            yield AnnotationAdded(None, *key, name, place, None, index, annotation)
    elif rest and isinstance(part, Refusal):
        yield RefusalDelta(None, *key, name, place, None, rest)
    elif rest and where == "summary":
        kind: Any = "response.reasoning_summary_text.delta"
        yield ReasoningDelta(None, *key, name, None, place, rest, None, kind)
    elif rest:
        yield ReasoningDelta(None, *key, name, place, None, rest)


__all__ = ["missing_events"]
