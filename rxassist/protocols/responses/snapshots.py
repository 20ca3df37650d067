"""The fold of a response: ``(Snapshot, event) → Snapshot``, pure and O(1) for each delta.

A snapshot is immutable and stays valid. Its items are built when they are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, cast

from attrs import define, evolve, frozen

from rxassist.protocols.responses.events import (
    AnnotationAdded,
    CallDelta,
    CallDone,
    Event,
    ItemEvent,
    ItemProgress,
    Key,
    OutputItemAdded,
    OutputItemDone,
    OutputTextDelta,
    OutputTextDone,
    PartAdded,
    PartDone,
    PartEvent,
    PartKey,
    PartOfItemEvent,
    ReasoningDelta,
    ReasoningDone,
    RefusalDelta,
    RefusalDone,
    ResponseEvent,
    ResponseInProgress,
)
from rxassist.protocols.responses.models import (
    Annotation,
    ApplyPatchCall,
    CodeInterpreterCall,
    Compaction,
    ContentPart,
    CustomToolCall,
    FileSearchCall,
    FunctionCall,
    ImageGenerationCall,
    MCPCall,
    MCPListTools,
    OutputItem,
    OutputMessage,
    OutputText,
    Reasoning,
    ReasoningText,
    Refusal,
    Response,
    ShellCall,
    SummaryText,
    ToolCall,
    UnknownPart,
    WebSearchCall,
    tool_call_of,
)
from rxassist.runs.events import check_event
from rxassist.runs.growing import (
    NOTHING_YET,
    Growing,
    GrowingText,
    Keyed,
    grown_text,
    plain_text,
    shared_text,
)
from rxassist.runs.state import SETTLED, AnySnapshot
from rxassist.wire.maker import changer, maker

# --- parts of items ------------------------------------------------------------------------


@define(eq=False)
class Part:
    """A part of an item: ``whole`` has what was sent whole, ``text`` the text that grows."""

    key: PartKey
    whole: ContentPart
    text: GrowingText = ""
    annotations: Keyed[Annotation] = NOTHING_YET
    finished: bool = False

    def build(self) -> ContentPart:
        """The part, as far as it has come."""
        whole = self.whole
        if self.finished or isinstance(whole, UnknownPart):
            return whole
        text = plain_text(self.text)
        if isinstance(whole, OutputText):
            return evolve(whole, text=text, annotations=tuple(self.annotations))
        if isinstance(whole, Refusal):
            return evolve(whole, refusal=text)
        return evolve(whole, text=text)


_part = maker(Part)


def _part_of(key: PartKey, whole: ContentPart, *, finished: bool = False) -> Part:
    """The growing part that a whole part stands for."""
    text = ""
    annotations: Keyed[Annotation] = NOTHING_YET
    if isinstance(whole, Refusal):
        text = whole.refusal
    elif not isinstance(whole, UnknownPart):
        text = whole.text
    if isinstance(whole, OutputText):
        for place, annotation in enumerate(whole.annotations):
            annotations = annotations.put(place, annotation)
    return Part(key, whole, text or "", annotations, finished)


# --- items ---------------------------------------------------------------------------------

_CALLS: dict[str, OutputItem] = {
    "function_call": FunctionCall(),
    "custom_tool_call": CustomToolCall(),
    "mcp_call": MCPCall(),
    "mcp_list_tools": MCPListTools(),
    "code_interpreter_call": CodeInterpreterCall(),
    "apply_patch_call": ApplyPatchCall(),
    "web_search_call": WebSearchCall(),
    "file_search_call": FileSearchCall(),
    "image_generation_call": ImageGenerationCall(),
    "shell_call": ShellCall(),
    "compaction": Compaction(),
}
"""An empty item of each kind but messages and thoughts, by how the names of its events begin."""


@define(eq=False)
class Item:
    """An item of the output: what was sent whole of it, its parts, and the text of a call."""

    key: Key
    whole: OutputItem
    parts: Keyed[Part] = NOTHING_YET
    text: GrowingText = ""
    finished: bool = False

    def build(self) -> OutputItem:
        """The item, as far as it has come."""
        whole = self.whole
        if self.finished:
            return whole
        if isinstance(whole, OutputMessage):
            return evolve(whole, content=self._list("content"))
        if isinstance(whole, Reasoning):
            return evolve(whole, content=self._list("content"), summary=self._list("summary"))
        if not self.text:
            return whole
        return _with_text(whole, plain_text(self.text))

    def texts(self) -> str:
        """The text of the item, if it is a message."""
        if not isinstance(self.whole, OutputMessage):
            return ""
        if self.finished:
            return self.whole.text
        parts = self._in_order("content")
        return "".join(
            plain_text(part.text) for part in parts if isinstance(part.whole, OutputText)
        )

    def ends_with(self, key: Key, part_key: PartKey) -> bool:
        """Whether a part is text, and the last one of this item, which is a message."""
        if self.key != key or not isinstance(self.whole, OutputMessage):
            return False
        last = self._in_order("content")[-1]
        return last.key == part_key and isinstance(last.whole, OutputText)

    def _in_order(self, where: str) -> list[Part]:
        parts = self.parts.in_order(lambda part: part.key[1])
        return [part for part in parts if part.key[0] == where]

    def _list(self, where: str) -> tuple[ContentPart, ...]:
        return tuple(part.build() for part in self._in_order(where))

    def with_part(self, part: Part) -> Item:
        """The item with another part, or with one in place of what it was."""
        return _item(self.key, self.whole, self.parts.put(part.key, part), self.text)


_item = maker(Item)


def _with_text(whole: OutputItem, text: str) -> OutputItem:
    """A call with its arguments, its input, its code or its diff."""
    if isinstance(whole, FunctionCall | MCPCall):
        return evolve(whole, arguments=text)
    if isinstance(whole, CustomToolCall):
        return evolve(whole, input=text)
    if isinstance(whole, CodeInterpreterCall):
        return evolve(whole, code=text)
    if isinstance(whole, ApplyPatchCall):
        return evolve(whole, operation={**(whole.operation or {}), "diff": text})
    return whole


def item_of(key: Key, whole: OutputItem, *, finished: bool = False) -> Item:
    """The growing item that a whole item stands for."""
    parts: Keyed[Part] = NOTHING_YET
    lists: Mapping[Any, Sequence[ContentPart]] = {}
    if isinstance(whole, OutputMessage):
        lists = {"content": whole.content}
    elif isinstance(whole, Reasoning):
        lists = {"summary": whole.summary, "content": whole.content}
    for where, each in lists.items():
        for place, part in enumerate(each):
            part_key: PartKey = (where, place)
            parts = parts.put(part_key, _part_of(part_key, part, finished=finished))
    return Item(key, whole, parts, finished=finished)


def _begun(event: ItemEvent) -> Item:
    """An item whose beginning was never seen."""
    item_id = str(getattr(event, "item_id", None) or "")
    kind = event.name.split(".")[1]
    whole = next((call for name, call in _CALLS.items() if kind.startswith(name)), None)
    if whole is None:
        is_thought = kind.startswith("reasoning") or (
            isinstance(event, PartEvent) and isinstance(event.part, ReasoningText | SummaryText)
        )
        whole = Reasoning() if is_thought else OutputMessage()
    begun: Any = evolve(cast("Any", whole), id=item_id)
    return Item(event.key, evolve(begun, status="in_progress") if _has_status(begun) else begun)


def _has_status(item: OutputItem) -> bool:
    return hasattr(item, "status")


# --- how they grow -------------------------------------------------------------------------


def _grown(item: Item, key: PartKey, piece: str, empty: ContentPart) -> Item:
    """The item with one more piece of a part, which may be its first."""
    part = item.parts.get(key)
    if part is None:
        return item.with_part(_part(key, empty, piece or ""))
    if part.finished:
        return item
    return item.with_part(_part(key, part.whole, grown_text(part.text, piece), part.annotations))


def _changed(item: Item, event: ItemEvent) -> Item:
    """The item after an event."""
    if isinstance(event, OutputItemDone):
        return item_of(event.key, event.item, finished=True)
    if item.finished:
        return item
    return _grown_by(item, event) if event.is_delta else _corrected(item, event)


def _grown_by(item: Item, event: ItemEvent) -> Item:
    """The item after a delta; what a shell prints comes with the whole item."""
    if isinstance(event, ReasoningDelta):
        empty = ReasoningText() if event.summary_index is None else SummaryText()
        return _grown(item, event.part_key, event.delta, empty)
    if isinstance(event, CallDelta):
        return _item(item.key, item.whole, item.parts, grown_text(item.text, event.delta))
    if isinstance(event, RefusalDelta):
        return _grown(item, event.part_key, event.delta, Refusal())
    return item


def _corrected(item: Item, event: ItemEvent) -> Item:
    """The item after an event that is no delta, and does not end it."""
    if isinstance(event, PartOfItemEvent):
        return item.with_part(_changed_part(item.parts.get(event.part_key), event))
    if isinstance(event, CallDone):
        return evolve(item, text=event.whole or item.text)
    if isinstance(event, ItemProgress) and _has_status(item.whole):
        return evolve(item, whole=evolve(cast("Any", item.whole), status=event.status))
    if isinstance(event, OutputItemAdded):  # deltas came before it
        begun = item_of(event.key, event.item)
        return evolve(begun, parts=item.parts if item.parts.count else begun.parts, text=item.text)
    return item


def _changed_part(part: Part | None, event: PartOfItemEvent) -> Part:
    """The part after an event that is no delta."""
    if isinstance(event, PartDone):
        whole = event.part
        known = None if part is None else part.whole
        if isinstance(whole, OutputText) and isinstance(known, OutputText) and not whole.logprobs:
            whole = evolve(whole, logprobs=known.logprobs)  # only the event before had them
        return _part_of(event.part_key, whole, finished=True)
    if isinstance(event, PartAdded):
        return part or _part_of(event.part_key, event.part)
    if part is None:
        part = Part(event.part_key, _empty_part(event))
    if part.finished:
        return part
    if isinstance(event, AnnotationAdded):
        annotations = part.annotations.put(event.annotation_index, event.annotation)
        return evolve(part, annotations=annotations)
    whole, text = part.whole, event.refusal if isinstance(event, RefusalDone) else ""
    if isinstance(event, OutputTextDone | ReasoningDone):
        text = event.text
    if isinstance(event, OutputTextDone) and isinstance(whole, OutputText):
        whole = evolve(whole, logprobs=event.logprobs)
    return evolve(part, whole=whole, text=text or part.text)


def _empty_part(event: PartOfItemEvent) -> ContentPart:
    """A part whose beginning was never seen."""
    if isinstance(event, RefusalDone):
        return Refusal()
    if isinstance(event, ReasoningDone):
        return ReasoningText() if event.summary_index is None else SummaryText()
    return OutputText()


# --- the snapshot --------------------------------------------------------------------------


def _in_order(items: Keyed[Item]) -> list[Item]:
    """All items: response by response, in the order of the output."""
    listed = list(items)
    if len(listed) > 1:
        response_ids = dict.fromkeys(item.key[0] for item in listed)
        order = {response_id: place for place, response_id in enumerate(response_ids)}
        listed.sort(key=lambda item: (order[item.key[0]], item.key[1]))
    return listed


@define(eq=False)
class _Tail:
    """The text that grows now, by deltas that bring nothing else.

    It stands beside the items, and is put in its place among them when they are read. So a delta,
    which nearly every event is, costs one piece and one snapshot.
    """

    key: Key
    part_key: PartKey
    grown: Growing[str]
    text_before: str | None = None  # all text before it, once code has read it
    said: OutputText | None = None  # the part, but for its text, once code wants it

    @classmethod
    def of(cls, item: Item, part_key: PartKey) -> _Tail | None:
        """A part that a delta has grown, if the next ones may only grow it further."""
        part = None if item.finished else item.parts.get(part_key)
        if part is None or part.finished:
            return None
        return cls(item.key, part_key, shared_text(part.text))

    def takes(self, event: OutputTextDelta, count: int) -> bool:
        """Whether a delta brings a piece of this text, as it stands: then it is added."""
        (response_id, output_index), pieces = self.key, self.grown.buffer.pieces
        if event.output_index != output_index or event.response_id != response_id:
            return False
        if event.content_index != self.part_key[1] or not event.delta:
            return False
        if len(pieces) != count:  # another snapshot went on from here
            return False
        pieces.append(event.delta)
        return True

    def part(self, items: Keyed[Item], count: int) -> OutputText | None:
        """The part with this text, as far as it had come."""
        item = items.get(self.key)
        part = None if item is None else item.parts.get(self.part_key)
        if part is None or not isinstance(part.whole, OutputText):
            return None
        said = self.said = self.said or evolve(
            part.whole, text="", annotations=tuple(part.annotations)
        )
        return _with_late_text(said, Growing(self.grown.buffer, count).value)

    def text(self, items: Keyed[Item], count: int) -> str:
        """The text of all messages: mostly all text before this, and this."""
        own = Growing(self.grown.buffer, count).value()
        if self.text_before is None:
            in_order = _in_order(self.placed(items, count))
            everything = "".join([item.texts() for item in in_order])
            if not in_order[-1].ends_with(self.key, self.part_key):
                return everything
            self.text_before = everything[: len(everything) - len(own)]
        return self.text_before + own

    def placed(self, items: Keyed[Item], count: int) -> Keyed[Item]:
        """The items with this text in its place, as far as it had come."""
        item = items.get(self.key)
        part = None if item is None else item.parts.get(self.part_key)
        if item is None or part is None or count == self.grown.count:
            return items
        text = Growing(self.grown.buffer, count)
        return items.put(self.key, item.with_part(evolve(part, text=text)))


@define(eq=False)
class _State:
    """What snapshots have in common between whose events nothing but one text grew."""

    run: Response | None = None
    items: Keyed[Item] = NOTHING_YET
    key: Key | None = None
    tail: _Tail | None = None


_NO_STATE = _State()


@frozen(eq=False, repr=False)
class Snapshot(AnySnapshot):
    """A response as it stood after ``event``; several, if one body has several.

    Snapshots never change; what they give is built when it is read, and costs what its size costs.
    """

    __match_args__ = ("event", "run")
    shown: ClassVar[tuple[str, ...]] = ("run", "messages", "tool_calls")

    event: Event | None = None
    _state: _State = _NO_STATE
    _count: int = 0  # pieces of the text that grows

    def __repr__(self) -> str:
        return f"Snapshot(event={self.event!r}, run={self.run!r})"

    @property
    def run(self) -> Response | None:
        """The response that was sent last, as it was sent: ``output`` is what came since."""
        return self._state.run

    @property
    def _items(self) -> Keyed[Item]:
        state = self._state
        return state.items if state.tail is None else state.tail.placed(state.items, self._count)

    @property
    def items(self) -> tuple[OutputItem, ...]:
        """All items, as far as they have come: response by response, in the order of the output."""
        return tuple(item.build() for item in self._in_order())

    @property
    def output(self) -> tuple[OutputItem, ...]:
        """The items of the last response, as far as they have come."""
        return tuple(item.build() for item in self._in_order() if item.key[0] == self._response_id)

    @property
    def item(self) -> OutputItem | None:
        """The item that an event was of last, as far as it had come."""
        key = self.current_key
        return None if key is None else self.find_item(*key)

    @property
    def message(self) -> OutputMessage | None:
        """The message that an event was of last, or else the last one, as far as it had come."""
        current = self.item
        if isinstance(current, OutputMessage):
            return current
        messages = (each for each in self._in_order() if isinstance(each.whole, OutputMessage))
        last = next(reversed(list(messages)), None)
        return None if last is None else cast("OutputMessage", last.build())

    @property
    def messages(self) -> tuple[OutputMessage, ...]:
        """All messages."""
        return tuple(item for item in self.items if isinstance(item, OutputMessage))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """All calls of tools."""
        calls = map(tool_call_of, self.items)
        return tuple(call for call in calls if call is not None)

    @property
    def text(self) -> str:
        """The text of all messages, joined."""
        state = self._state
        if state.tail is None:
            return "".join([item.texts() for item in self._in_order()])
        return state.tail.text(state.items, self._count)

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys of all items, in their order."""
        return tuple(item.key for item in self._in_order())

    @property
    def growing_items(self) -> tuple[Item, ...]:
        """All items with what they need to grow further, in the order in which they came."""
        return tuple(self._items)

    @property
    def current_key(self) -> Key | None:
        """The key of the item that an event was of last."""
        return self._state.key

    def growing(self, key: Key) -> Item | None:
        """An item, and what it needs to grow further."""
        return self._items.get(key)

    def grown_after(self, before: Snapshot) -> OutputText | None:
        """The text that grew since a snapshot, if nothing else has changed; else ``None``."""
        state = self._state
        if state.tail is None or state is not before._state or self._count != before._count + 1:
            return None
        return state.tail.part(state.items, self._count)

    def find_item(self, response_id: str, output_index: int) -> OutputItem | None:
        """The item at a place of a response, ``None`` if it has not begun."""
        item = self._items.get((response_id, output_index))
        return None if item is None else item.build()

    @property
    def _response_id(self) -> str:
        """The stamped id of the last response."""
        return "" if self.event is None else self.event.response_id

    def _in_order(self) -> list[Item]:
        return _in_order(self._items)


_snapshot = maker(Snapshot)
_TEXT = OutputText()
_with_late_text = changer(OutputText, "text")


def fold(snapshot: Snapshot, event: Event) -> Snapshot:
    """The snapshot after an event: O(1) for deltas, and the one before stays as it was.

    Items are told apart by response and place. A whole item replaces what has grown; what comes for
    it later changes nothing.
    """
    state, count = snapshot._state, snapshot._count
    if isinstance(event, OutputTextDelta):
        if state.tail is not None and state.tail.takes(event, count):
            return _snapshot(event, state, count + 1)
        item = snapshot.growing(event.key) or _begun(event)
        if not item.finished:
            item = _grown(item, event.part_key, event.delta, _TEXT)
        tail = _Tail.of(item, event.part_key)
        state = _State(state.run, snapshot._items.put(event.key, item), event.key, tail)
        return _snapshot(event, state, 0 if tail is None else tail.grown.count)
    if isinstance(event, ItemEvent):
        known = snapshot.growing(event.key)
        if known is None and isinstance(event, OutputItemAdded):
            changed = item_of(event.key, event.item)
        else:
            changed = _changed(known or _begun(event), event)
        state = _State(state.run, snapshot._items.put(event.key, changed), event.key)
    elif isinstance(event, ResponseEvent):
        state = _State(event.run(), _with_response(snapshot._items, event), state.key)
    else:
        check_event(event, "a snapshot")
        return _snapshot(event, state, count)
    return _snapshot(event, state)


def _with_response(items: Keyed[Item], event: ResponseEvent) -> Keyed[Item]:
    """The items after an event that carries a response.

    One that ended has its items whole. One that is in progress after items came was reset by its
    server: only what it carries is left.
    """
    own = [item for item in items if item.key[0] == event.response_id]
    ended = event.run_status() in SETTLED
    if isinstance(event, ResponseInProgress) and own:
        kept = [item for item in items if item.key[0] != event.response_id]
        items = NOTHING_YET
        for item in kept:
            items = items.put(item.key, item)
    elif ended:
        for item in own:
            items = items.put(item.key, item_of(item.key, item.build(), finished=True))
    for index, whole in enumerate(event.response.output):
        key = event.response_id, index
        items = items.put(key, item_of(key, whole, finished=ended))
    return items


def snapshot_of(
    event: Event | None, run: Response | None, items: Iterable[Item], current: Key | None
) -> Snapshot:
    """The snapshot that was kept as its parts."""
    kept: Keyed[Item] = NOTHING_YET
    for item in items:
        kept = kept.put(item.key, item)
    return Snapshot(event, _State(run, kept, current))


NOTHING = Snapshot()
"""Before the first event."""

__all__ = ["NOTHING", "Item", "Part", "Snapshot", "fold", "item_of", "snapshot_of"]
