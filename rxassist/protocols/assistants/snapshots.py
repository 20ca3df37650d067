"""The fold of a run: ``(Snapshot, event) → Snapshot``, pure and O(1) for each event.

A snapshot is immutable and valid for ever. What grows (the pieces of a text, the parts, calls,
messages and steps) is held in append-only lists which all snapshots of a run share; each snapshot
remembers how much of them is its own, and a fold that branches copies first. The models that a
snapshot gives are built when they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar, cast

import attrs
from attrs import define, field, frozen

from rxassist.protocols.assistants.events import (
    Event,
    MessageEvent,
    RunEvent,
    RunStepEvent,
    ThreadMessageCompleted,
    ThreadMessageDelta,
    ThreadMessageIncomplete,
    ThreadRunStepCreated,
    ThreadRunStepDelta,
    ThreadRunStepInProgress,
)
from rxassist.protocols.assistants.models import (
    Annotation,
    AnnotationDelta,
    CodeInterpreter,
    CodeInterpreterDelta,
    CodeInterpreterImage,
    CodeInterpreterOutput,
    CodeInterpreterOutputImage,
    CodeInterpreterOutputLogs,
    CodeInterpreterToolCall,
    CodeInterpreterToolCallDelta,
    FileCitation,
    FileCitationAnnotation,
    FileCitationDeltaAnnotation,
    FilePath,
    FilePathAnnotation,
    FilePathDeltaAnnotation,
    FileSearch,
    FileSearchToolCall,
    FileSearchToolCallDelta,
    Function,
    FunctionDelta,
    FunctionToolCall,
    FunctionToolCallDelta,
    ImageFile,
    ImageFileContentBlock,
    ImageURL,
    ImageURLContentBlock,
    Message,
    MessageContent,
    MessageContentDelta,
    MessageCreation,
    MessageCreationDelta,
    MessageCreationStepDetails,
    OutputDelta,
    RefusalContentBlock,
    RequiredActionFunctionToolCall,
    RequiredActionSubmitToolApproval,
    RequiredActionSubmitToolOutputs,
    RequiredToolCall,
    Run,
    RunStep,
    StepDetails,
    StepDetailsDelta,
    Text,
    TextContentBlock,
    ToolCall,
    ToolCallDelta,
    ToolCallsStepDetails,
    UnknownAnnotation,
    UnknownCodeInterpreterOutput,
    UnknownContentBlock,
    UnknownDelta,
    UnknownRequiredToolCall,
    UnknownStepDetails,
    UnknownToolCall,
)
from rxassist.runs.events import check_event
from rxassist.runs.state import SETTLED, AnySnapshot
from rxassist.wire.maker import maker
from rxassist.wire.values import Unknown, type_on_wire

_T = TypeVar("_T")
_Unknown = TypeVar("_Unknown", bound=Unknown)


# --- growing values ------------------------------------------------------------------------


@define(eq=False)
class _Buffer(Generic[_T]):
    """The pieces of one growing value, and what ``join`` made of the most that was read so far."""

    join: Callable[[list[_T]], _T]
    pieces: list[_T]
    joined: tuple[int, _T]  # replaced as one object: readers on other threads see it whole


@define(eq=False)
class _Growing(Generic[_T]):
    """The first ``count`` pieces of a shared buffer."""

    buffer: _Buffer[_T]
    count: int = 0

    def plus(self, piece: _T | None) -> _Growing[_T]:
        if not piece:
            return self
        buffer, count = self.buffer, self.count
        if len(buffer.pieces) != count:  # another snapshot went on from here: branch off
            buffer = _Buffer(buffer.join, buffer.pieces[:count], (count, self.value()))
        buffer.pieces.append(piece)
        return _Growing(buffer, count + 1)

    def value(self) -> _T:
        buffer, count = self.buffer, self.count
        done, joined = buffer.joined
        if done == count:
            return joined
        if done > count:
            return buffer.join(buffer.pieces[:count])
        joined = buffer.join([joined, *buffer.pieces[done:count]])
        buffer.joined = (count, joined)
        return joined


_GrowingText = str | _Growing[str]
"""Text that may grow; while it is one piece, as of most logs, it is only that."""

_join = "".join


def _grown_text(text: _GrowingText, piece: str | None) -> _GrowingText:
    if not piece:
        return text
    return piece if text == "" else _shared(text).plus(piece)


def _shared(text: _GrowingText) -> _Growing[str]:
    return _Growing(_Buffer(_join, [text], (0, "")), 1) if isinstance(text, str) else text


def _told_text(text: _GrowingText) -> str:
    return text if isinstance(text, str) else text.value()


def _growing_raw(raw: Mapping[str, Any] | None = None) -> _Growing[Any]:
    return _Growing(_Buffer[Any](_merged, [], (0, {}))).plus(raw)


def _raw_of_delta(delta: UnknownDelta) -> Mapping[str, Any]:
    """What a delta brings: its place is no part of what the service stores."""
    return {key: value for key, value in delta.raw.items() if key != "index"}


def _merged(values: list[Any]) -> Any:  # noqa: ANN401 -- raw JSON of a type nobody knows
    """Add up raw deltas: objects by key, lists by appending, text by joining, else the last."""
    alike = values[:1]  # the last values that add up
    for value in values[1:]:
        if type(value) is type(alike[0]) and isinstance(value, str | list | dict):
            alike.append(value)
        elif value is not None:
            alike = [value]
    if isinstance(alike[0], str):
        return "".join(alike)
    if isinstance(alike[0], list):
        return [item for items in alike for item in items]
    if not isinstance(alike[0], dict):
        return alike[0]
    by_key: dict[str, list[Any]] = {}
    for added in alike:
        for key, value in added.items():
            by_key.setdefault(key, []).append(value)
    fixed = {"index", "type", "id"}
    return {key: _last(said) if key in fixed else _merged(said) for key, said in by_key.items()}


def _last(values: list[Any]) -> Any:  # noqa: ANN401 -- raw JSON of a type nobody knows
    return next((value for value in reversed(values) if value is not None), None)


class _Shelf(Generic[_T]):
    """All but the last of some keyed values, in order of arrival, and where each stands."""

    __slots__ = ("place", "values")

    def __init__(self, values: list[_T], place: dict[Any, int]) -> None:
        self.values = values
        self.place = place


_Tree = dict[int, Any]
"""Values by place, in nodes of 32 branches: what changed on a shelf that others see too."""

_LEVELS = range(25, -1, -5)  # the bits of a place that each node tells apart, from the root


def _planted(tree: _Tree, place: int, value: object, depth: int = 0) -> _Tree:
    """The tree with a value at a place; the tree it was stays."""
    branch = place >> _LEVELS[depth] & 31
    if depth < len(_LEVELS) - 1:
        value = _planted(tree.get(branch, {}), place, value, depth + 1)
    return {**tree, branch: value}


def _found(tree: _Tree, place: int) -> Any:  # noqa: ANN401 -- the values are whatever was planted
    node: Any = tree
    for bits in _LEVELS:
        node = node.get(place >> bits & 31)
        if node is None:
            return None
    return node


@define(eq=False)
class _Keyed(Generic[_T]):
    """An ordered mapping whose entries are replaced in O(1), and which stays as it was.

    The last entry, which grows mostly, is held here; the others stand on a shelf that is shared,
    and ``changed`` has what became of them since. ``count`` includes the last one.
    """

    shelf: _Shelf[_T] | None = None  # where there are two or more
    count: int = 0
    last_key: Any = None
    last: _T | None = None
    changed: _Tree | None = None

    def get(self, key: object) -> _T | None:
        if self.count and key == self.last_key:
            return self.last
        shelf = self.shelf
        place = None if shelf is None else shelf.place.get(key)
        if shelf is None or place is None or place >= self.count - 1:
            return None
        return self._at(shelf, place)

    def _at(self, shelf: _Shelf[_T], place: int) -> _T:
        found = _found(self.changed, place) if self.changed else None
        return shelf.values[place] if found is None else cast("_T", found)

    def place(self, key: object) -> int:
        """Where the entry of a key stands; the place of the next one if there is none."""
        if self.count and key == self.last_key:
            return self.count - 1
        place = self.count if self.shelf is None else self.shelf.place.get(key, self.count)
        return place if place < self.count - 1 else self.count

    def put(self, key: object, value: _T) -> _Keyed[_T]:
        shelf, count = self.shelf, self.count
        if count and key == self.last_key:
            return _Keyed(shelf, count, key, value, self.changed)
        if not count:
            return _Keyed(None, 1, key, value)
        place = None if shelf is None else shelf.place.get(key)
        if place is not None and place < count - 1:
            changed = _planted(self.changed or {}, place, value)
            return _Keyed(shelf, count, self.last_key, self.last, changed)
        if shelf is None:
            shelf = _Shelf[_T]([], {})
        elif len(shelf.values) != count - 1:  # another snapshot went on from here: branch off
            own = {key: place for key, place in shelf.place.items() if place < count - 1}
            shelf = _Shelf(shelf.values[: count - 1], own)
        shelf.place[self.last_key] = len(shelf.values)
        shelf.values.append(cast("_T", self.last))
        return _Keyed(shelf, count + 1, key, value, self.changed)

    def __iter__(self) -> Iterator[_T]:
        return iter(self._values())

    def keys(self) -> list[Any]:
        """The keys of the values, in the order in which these arrived."""
        known = () if self.shelf is None else self.shelf.place.items()
        shelved = [key for key, place in known if place < self.count - 1]
        return [*shelved, self.last_key] if self.count else []

    def _values(self) -> list[_T]:
        if not self.count:
            return []
        last = cast("_T", self.last)
        shelf = self.shelf
        if shelf is None or self.count == 1:
            return [last]
        shelved = shelf.values[: self.count - 1]
        if self.changed:
            shelved = [self._at(shelf, place) for place in range(self.count - 1)]
        return [*shelved, last]

    def in_order(self, key: Callable[[_T], int]) -> list[_T]:
        """The values by their index: they may have arrived in another order, or with gaps."""
        values = self._values()
        if self.count > 1:
            values.sort(key=lambda value: key(value) or 0)  # some servers say null for 0
        return values


_NOTHING_YET: _Keyed[Any] = _Keyed()


# --- what comes after the end --------------------------------------------------------------


def _filled(whole: _T, late: object) -> _T:
    """What is whole, with what it left null or empty as it came late."""
    kinds: set[type] = {type(whole), type(late)}
    filled: Any = whole
    if whole is None or whole in ("", (), [], {}):
        filled = whole if late is None else late
    elif kinds == {tuple}:
        items, more = cast("tuple[Any, ...]", whole), cast("tuple[Any, ...]", late)
        pairs = zip(items, more, strict=False)
        filled = (*(_filled(item, added) for item, added in pairs), *items[len(more) :])
    elif kinds == {dict}:
        said, added = cast("dict[str, Any]", whole), cast("dict[str, Any]", late)
        filled = {**said, **{key: _filled(said.get(key), added[key]) for key in added}}
    elif len(kinds) == 1 and attrs.has(type(whole)):
        fields = attrs.fields(cast("Any", type(whole)))
        told = {f.alias: _filled(getattr(whole, f.name), getattr(late, f.name)) for f in fields}
        filled = attrs.evolve(cast("Any", whole), **told)
    return cast("_T", filled)


def _with_extra(built: _T, begun: object) -> _T:
    """What has grown, with what no field is there for of what it began with and grew by."""
    return built if begun is None else _filled(built, begun)


def _fills(whole: object, late: object) -> bool:
    return bool(_filled(whole, late) != whole)


# --- parts of a message --------------------------------------------------------------------


@define(eq=False)
class _Part:
    """A part of a message: text or a refusal that grows, or any other part as it is."""

    index: int
    kind: str
    text: _GrowingText
    annotations: _Keyed[Annotation]
    whole: MessageContent | None = None
    raw: _Growing[Any] | None = None

    def build(self) -> MessageContent:
        if self.raw is not None:
            return UnknownContentBlock(self.kind, self.raw.value())
        if self.kind == "text":
            text = Text(_told_text(self.text), tuple(self.annotations))
            return _with_extra(TextContentBlock(text), self.whole)
        if self.kind == "refusal":
            return _with_extra(RefusalContentBlock(_told_text(self.text)), self.whole)
        return cast("MessageContent", self.whole)


def _part_of(index: int, content: MessageContent, inner: Iterable[int] = ()) -> _Part:
    """The part that a whole part of a message begins with; ``inner`` as in ``SnapshotRecord``."""
    annotations: _Keyed[Annotation] = _NOTHING_YET
    text = ""
    if isinstance(content, TextContentBlock):
        text = content.text.value or ""
        marks = content.text.annotations
        for place, annotation in zip(inner or range(len(marks)), marks, strict=False):
            annotations = annotations.put(place, annotation)
    elif isinstance(content, RefusalContentBlock):
        text = content.refusal or ""
    raw = _growing_raw(content.raw) if isinstance(content, UnknownContentBlock) else None
    return _Part(index, type_on_wire(content), text, annotations, content, raw)


def _grown_part(part: _Part | None, delta: MessageContentDelta) -> _Part:
    if part is None:
        part = _Part(delta.index, type_on_wire(delta), "", _NOTHING_YET)
    text, annotations = part.text, part.annotations
    if isinstance(delta, UnknownDelta):
        raw = (part.raw or _growing_raw()).plus(_raw_of_delta(delta))
        return _Part(part.index, delta.wire_type, text, annotations, None, raw)
    if delta.type == "text":
        if delta.text is None:
            return part
        for added in delta.text.annotations:
            annotations = annotations.put(added.index, _annotation(added))
        grown = _grown_text(text, delta.text.value)
        begun = part.whole
        if delta.extra or delta.text.extra:
            said = TextContentBlock(Text(extra=delta.text.extra or None), extra=delta.extra or None)
            begun = _with_extra(said, begun)
        return _Part(part.index, "text", grown, annotations, begun)
    if delta.type == "refusal":
        grown = _grown_text(text, delta.refusal)
        begun = part.whole
        if delta.extra:
            begun = _with_extra(RefusalContentBlock(extra=delta.extra), begun)
        return _Part(part.index, "refusal", grown, annotations, begun)
    if delta.type == "image_file":
        file = ImageFileContentBlock(delta.image_file or ImageFile(), extra=delta.extra or None)
        return _Part(part.index, delta.type, text, annotations, file)
    url = ImageURLContentBlock(delta.image_url or ImageURL(), extra=delta.extra or None)
    return _Part(part.index, delta.type, text, annotations, url)


def _annotation(delta: AnnotationDelta) -> Annotation:
    if isinstance(delta, FileCitationDeltaAnnotation):
        citation = delta.file_citation or FileCitation()
        place = delta.start_index, delta.end_index
        return FileCitationAnnotation(delta.text, citation, *place, extra=delta.extra or None)
    if isinstance(delta, FilePathDeltaAnnotation):
        path = delta.file_path or FilePath()
        place = delta.start_index, delta.end_index
        return FilePathAnnotation(delta.text, path, *place, extra=delta.extra or None)
    return UnknownAnnotation(delta.wire_type, _raw_of_delta(delta))


# --- messages ------------------------------------------------------------------------------


@define(eq=False)
class _MessageState:
    """A message as far as it is known: what its events said, and the parts that grow.

    Parts of a finished one came after its end: they fill what it left null or empty.
    """

    said: Message
    parts: _Keyed[_Part] = _NOTHING_YET
    finished: bool = False

    def build(self) -> Message:
        if not self.parts.count:
            return self.said
        parts = self.parts.in_order(lambda part: part.index)
        content = list(self.said.content if self.finished else ())
        if not content:
            return attrs.evolve(self.said, content=tuple([part.build() for part in parts]))
        for part in parts:
            place = part.index or 0
            if 0 <= place < len(content):  # one that came late may have no place in what was said
                content[place] = _filled(content[place], part.build())
        return attrs.evolve(self.said, content=tuple(content))

    def text(self) -> str:
        """What the assistant said."""
        if self.said.role == "user":
            return ""
        if self.finished or not self.parts.count:
            blocks = self.build().content
            return "".join(b.text.value or "" for b in blocks if isinstance(b, TextContentBlock))
        parts = self.parts.in_order(lambda part: part.index)
        return "".join([_told_text(part.text) for part in parts if part.kind == "text"])


def _said_message(state: _MessageState | None, event: MessageEvent) -> _MessageState:
    """A whole message arrived: a finished one wins, a beginning one seeds what grows."""
    message = event.data
    if isinstance(event, ThreadMessageCompleted | ThreadMessageIncomplete):
        if state is None or (message.content and not state.finished):
            return _MessageState(message, finished=True)
        if not message.content:
            message = attrs.evolve(message, content=state.build().content)
        late = state.parts if state.finished else _NOTHING_YET
        return _MessageState(message, late, finished=True)
    if state is not None and (state.finished or state.parts.count):
        return state if state.finished else _MessageState(message, state.parts)
    parts: _Keyed[_Part] = _NOTHING_YET
    for index, content in enumerate(message.content):
        parts = parts.put(index, _part_of(index, content))
    return _MessageState(message, parts)


def _grown_message(state: _MessageState | None, event: ThreadMessageDelta) -> _MessageState:
    delta = event.glance()
    if state is None:  # its beginning was never seen
        role = delta.delta.role or "assistant"
        state = _MessageState(Message(delta.id, status="in_progress", role=role))
    parts, whole = state.parts, state.said.content if state.finished else ()
    for added in delta.delta.content:
        if whole and not _fills_part(whole, added):
            continue
        parts = parts.put(added.index, _grown_part(parts.get(added.index), added))
    return state if parts is state.parts else _MessageState(state.said, parts, state.finished)


def _fills_part(content: tuple[MessageContent, ...], delta: MessageContentDelta) -> bool:
    place = delta.index or 0
    return 0 <= place < len(content) and _fills(content[place], _grown_part(None, delta).build())


# --- run steps -----------------------------------------------------------------------------


@define(eq=False)
class _Output:
    """An output of the code interpreter: logs that grow, or any other as it is."""

    index: int
    logs: _GrowingText
    whole: CodeInterpreterOutput | None = None
    raw: _Growing[Any] | None = None

    def build(self) -> CodeInterpreterOutput:
        if self.raw is not None:
            return _unknown(UnknownCodeInterpreterOutput, self.raw)
        if self.whole is not None:
            return self.whole
        return CodeInterpreterOutputLogs(_told_text(self.logs))


def _unknown(cls: type[_Unknown], raw: _Growing[Any]) -> _Unknown:
    value = raw.value()
    return cls(str(value.get("type") or ""), value)


def _output_of(index: int, output: CodeInterpreterOutput) -> _Output:
    """The growing output that a whole output stands for."""
    if isinstance(output, CodeInterpreterOutputLogs):
        return _Output(index, output.logs or "")
    raw = _growing_raw(output.raw) if isinstance(output, UnknownCodeInterpreterOutput) else None
    return _Output(index, "", output, raw)


def _begun_output(output: _Output | OutputDelta) -> _Output:
    """An output that may have been told by one delta only, and is just that delta then."""
    if isinstance(output, _Output):
        return output
    return _grown_output(_Output(output.index, ""), output)


def _grown_output(output: _Output, delta: OutputDelta) -> _Output:
    if isinstance(delta, UnknownDelta):
        raw = (output.raw or _growing_raw()).plus(_raw_of_delta(delta))
        return _Output(output.index, output.logs, None, raw)
    if delta.type == "logs":
        return _Output(output.index, _grown_text(output.logs, delta.logs))
    image = delta.image or CodeInterpreterImage()
    whole = CodeInterpreterOutputImage(image, extra=delta.extra or None)
    return _Output(output.index, output.logs, whole)


@define(eq=False)
class _FunctionCall:
    index: int
    id: str
    name: str
    arguments: _GrowingText
    output: str | None
    begun: ToolCall | None = None  # the whole call that it began with

    def build(self) -> ToolCall:
        arguments = _told_text(self.arguments)
        built = FunctionToolCall(self.id, Function(self.name, arguments, self.output))
        return _with_extra(built, self.begun)

    def plus(self, delta: FunctionToolCallDelta) -> _FunctionCall:
        added = delta.function or FunctionDelta()
        begun = self.begun
        if delta.extra or added.extra:
            function = Function(extra=added.extra or None)
            begun = _with_extra(FunctionToolCall("", function, extra=delta.extra or None), begun)
        return _FunctionCall(
            self.index,
            delta.id or self.id,
            added.name or self.name,
            _grown_text(self.arguments, added.arguments),
            self.output if added.output is None else added.output,
            begun,
        )


@define(eq=False)
class _CodeInterpreterCall:
    index: int
    id: str
    input: _GrowingText
    outputs: _Keyed[_Output | OutputDelta]
    begun: ToolCall | None = None

    def build(self) -> ToolCall:
        outputs = self.outputs.in_order(lambda output: output.index)
        built = tuple(_begun_output(output).build() for output in outputs)
        ran = CodeInterpreter(_told_text(self.input), built)
        return _with_extra(CodeInterpreterToolCall(self.id, ran), self.begun)

    def plus(self, delta: CodeInterpreterToolCallDelta) -> _CodeInterpreterCall:
        added = delta.code_interpreter or CodeInterpreterDelta()
        outputs = self.outputs
        for output in added.outputs:
            known = outputs.get(output.index)
            told = output if known is None else _grown_output(_begun_output(known), output)
            outputs = outputs.put(output.index, told)
        grown = _grown_text(self.input, added.input)
        begun = self.begun
        if delta.extra or added.extra:
            code = CodeInterpreter(extra=added.extra or None)
            begun = _with_extra(CodeInterpreterToolCall("", code, extra=delta.extra or None), begun)
        return _CodeInterpreterCall(self.index, delta.id or self.id, grown, outputs, begun)


@define(eq=False)
class _FileSearchCall:
    index: int
    id: str
    file_search: FileSearch
    begun: ToolCall | None = None

    def build(self) -> ToolCall:
        return _with_extra(FileSearchToolCall(self.id, self.file_search), self.begun)

    def plus(self, delta: FileSearchToolCallDelta) -> _FileSearchCall:
        found = delta.file_search
        if found is None or found == FileSearch():  # says nothing, and takes nothing back
            found = self.file_search
        begun = self.begun
        if delta.extra:
            begun = _with_extra(FileSearchToolCall("", FileSearch(), extra=delta.extra), begun)
        return _FileSearchCall(self.index, delta.id or self.id, found, begun)


@define(eq=False)
class _UnknownCall:
    index: int
    raw: _Growing[Any]
    id: str

    def build(self) -> ToolCall:
        return _unknown(UnknownToolCall, self.raw)


_Call = _FunctionCall | _CodeInterpreterCall | _FileSearchCall | _UnknownCall


def _call_of(index: int, call: ToolCall, inner: Iterable[int] = ()) -> _Call:
    """The growing call that a whole call stands for; ``inner`` as in ``SnapshotRecord``."""
    if isinstance(call, FunctionToolCall):
        function = call.function
        arguments = function.arguments or ""
        return _FunctionCall(index, call.id, function.name, arguments, function.output, call)
    if isinstance(call, CodeInterpreterToolCall):
        outputs: _Keyed[_Output | OutputDelta] = _NOTHING_YET
        told = call.code_interpreter.outputs
        for place, output in zip(inner or range(len(told)), told, strict=False):
            outputs = outputs.put(place, _output_of(place, output))
        code = call.code_interpreter.input or ""
        return _CodeInterpreterCall(index, call.id, code, outputs, call)
    if isinstance(call, FileSearchToolCall):
        return _FileSearchCall(index, call.id, call.file_search, call)
    return _UnknownCall(index, _growing_raw(call.raw), call.id)


def _grown_call(call: _Call | None, delta: ToolCallDelta) -> _Call:
    """The call with a delta added; one of another type than the delta's is begun anew."""
    index = delta.index if call is None else call.index
    if isinstance(delta, UnknownDelta):
        if not isinstance(call, _UnknownCall):
            call = _UnknownCall(index, _growing_raw(), "")
        return _UnknownCall(index, call.raw.plus(_raw_of_delta(delta)), delta.id or call.id)
    if delta.type == "function":
        if not isinstance(call, _FunctionCall):
            call = _FunctionCall(index, "", "", "", None)
        return call.plus(delta)
    if delta.type == "code_interpreter":
        if not isinstance(call, _CodeInterpreterCall):
            call = _CodeInterpreterCall(index, "", "", _NOTHING_YET)
        return call.plus(delta)
    if not isinstance(call, _FileSearchCall):
        call = _FileSearchCall(index, "", FileSearch())
    return call.plus(delta)


def _place_of(calls: tuple[ToolCall, ...], index: int | None, call_id: str | None) -> int | None:
    """Where a call stands among whole ones: by its id if it has one, else by its index."""
    place = index or 0  # some servers say null for 0
    here = calls[place] if 0 <= place < len(calls) else None
    if here is not None and (not call_id or not here.id or here.id == call_id):
        return place
    return next((at for at, call in enumerate(calls) if call_id and call.id == call_id), None)


@define(eq=False)
class _Calls(_Keyed[_Call]):
    """The calls of a step that grow, by index.

    A server may give several calls one index. Each but the first is held by its id as well, and
    ``named`` has, by index, the one that a delta named last: deltas without an id go on with that.
    """

    named: Mapping[int, object] | None = None

    def key(self, index: int, call_id: str | None) -> object:
        """What a call is held by."""
        index = index or 0  # some servers say null for 0
        key = index if self.named is None else self.named.get(index, index)
        if not call_id:
            return key
        for known in (key, index):
            call = self.get(known)
            if call is None or not call.id or call.id == call_id:
                return known
        return (index, call_id)

    def call(self, index: int, call_id: str | None) -> _Call | None:
        return self.get(self.key(index, call_id))

    def by_index(self) -> list[_Call]:
        return self.in_order(lambda call: call.index)

    def plus(self, delta: ToolCallDelta) -> _Calls:
        index = delta.index or 0
        last = self.count and index == self.last_key
        if last and self.named is None and not delta.id:  # as nearly always
            call = _grown_call(self.last, delta)
            return _Calls(self.shelf, self.count, index, call, self.changed)
        key = self.key(index, delta.id)
        return self._with(index, key, _grown_call(self.get(key), delta))

    def names(self) -> list[str]:
        """The ids of the calls that deltas named last, where several share an index."""
        calls = [self.get(key) for key in (self.named or {}).values()]
        return [call.id for call in calls if call is not None]

    def begun(self, call: _Call) -> _Calls:
        """These and another one."""
        index = call.index or 0
        return self._with(index, self.key(index, call.id), call)

    def _with(self, index: int, key: object, call: _Call) -> _Calls:
        named = self.named
        if key != index or named is not None:
            named = {**(named or {}), index: key}
        held = self.put(key, call)
        return _Calls(held.shelf, held.count, held.last_key, held.last, held.changed, named)


_NO_CALLS = _Calls()


@define(eq=False)
class _StepState:
    """A step as far as it is known: what its events said, and the calls that grow.

    Calls of a finished one came after its end: they fill what it left null or empty.
    """

    said: RunStep
    calls: _Calls = _NO_CALLS
    finished: bool = False
    raw: _Growing[Any] | None = None

    def build(self) -> RunStep:
        if not self.calls.count and self.raw is None:
            return self.said
        return attrs.evolve(self.said, step_details=self._details())

    def _details(self) -> StepDetails | None:
        details = self.said.step_details if self.finished else None
        if self.raw is not None:
            return _filled(details, _unknown(UnknownStepDetails, self.raw))
        calls = self.calls.by_index()
        if not isinstance(details, ToolCallsStepDetails) or not details.tool_calls:
            return ToolCallsStepDetails(tuple([call.build() for call in calls]))
        whole = list(details.tool_calls)
        for call in calls:
            place = _place_of(details.tool_calls, call.index, call.id)
            if place is not None:
                whole[place] = _filled(whole[place], call.build())
        return attrs.evolve(details, tool_calls=tuple(whole))

    def call(self, index: int, call_id: str | None) -> ToolCall | None:
        """A call, as far as it has come."""
        growing = self.calls.call(index, call_id)
        if growing is not None and not self.finished:
            return growing.build()
        details = self.said.step_details
        calls = details.tool_calls if isinstance(details, ToolCallsStepDetails) else ()
        place = _place_of(calls, index, call_id)
        whole = None if place is None else calls[place]
        if growing is None or (calls and whole is None):
            return whole
        return _filled(whole, growing.build())


def _said_step(state: _StepState | None, event: RunStepEvent) -> _StepState:
    """A whole step arrived: a finished one wins, a beginning one seeds what grows."""
    step = event.data
    details = step.step_details
    if not isinstance(event, ThreadRunStepCreated | ThreadRunStepInProgress):
        told = not isinstance(details, ToolCallsStepDetails) or bool(details.tool_calls)
        if state is None or (told and details is not None and not state.finished):
            return _StepState(step, finished=True)
        if details is None or not told:
            step = attrs.evolve(step, step_details=state.build().step_details or details)
        if not state.finished:
            return _StepState(step, finished=True)
        return _StepState(step, state.calls, finished=True, raw=state.raw)
    if state is not None and (state.finished or state.calls.count):
        return state if state.finished else _StepState(step, state.calls)
    calls = _NO_CALLS
    if isinstance(details, ToolCallsStepDetails):
        for index, call in enumerate(details.tool_calls):
            calls = calls.begun(_call_of(index, call))
    return _StepState(step, calls)


def _grown_step(state: _StepState | None, event: ThreadRunStepDelta) -> _StepState:
    delta = event.glance()
    details = delta.delta.step_details
    if state is None:  # its beginning was never seen
        kind = type_on_wire(details) if details else ""
        state = _StepState(RunStep(delta.id, type=kind, status="in_progress"))
    if details is None:
        return state
    if state.finished:
        return _filled_step(state, details)
    if isinstance(details, UnknownDelta):
        return _StepState(state.said, state.calls, raw=_raw_of(state).plus(_raw_of_delta(details)))
    if details.type == "tool_calls":
        calls = state.calls
        for added in details.tool_calls:
            calls = calls.plus(added)
        return _StepState(state.said, calls)
    return _StepState(attrs.evolve(state.said, step_details=_created(details)), state.calls)


def _created(details: MessageCreationDelta) -> MessageCreationStepDetails:
    return MessageCreationStepDetails(details.message_creation or MessageCreation())


def _filled_step(state: _StepState, late: StepDetailsDelta) -> _StepState:
    """A finished step to which a delta comes; the same where that fills nothing."""
    said = state.said.step_details
    if isinstance(late, UnknownDelta):
        raw = _raw_of_delta(late)
        if not _fills(said, UnknownStepDetails(late.wire_type, raw)):
            return state
        return attrs.evolve(state, raw=(state.raw or _growing_raw()).plus(raw))
    if late.type == "tool_calls":
        calls = _late_calls(state, late.tool_calls)
        return state if calls is state.calls else attrs.evolve(state, calls=calls)
    filled = attrs.evolve(state.said, step_details=_filled(said, _created(late)))
    return state if filled == state.said else attrs.evolve(state, said=filled)


def _late_calls(state: _StepState, deltas: tuple[ToolCallDelta, ...]) -> _Calls:
    """The calls of a finished step that came late, with what deltas fill."""
    calls, said = state.calls, state.said.step_details
    if not isinstance(said, ToolCallsStepDetails | None):
        return calls
    whole = said.tool_calls if said else ()
    for delta in deltas:
        place = _place_of(whole, delta.index, delta.id)
        late = _grown_call(None, delta).build()
        if not whole or (place is not None and _fills(whole[place], late)):
            calls = calls.plus(delta)
    return calls


def _raw_of(state: _StepState) -> _Growing[Any]:
    """What is known of the details of a step of a type that nobody knows."""
    if state.raw is not None:
        return state.raw
    details = state.said.step_details
    return _growing_raw(details.raw if isinstance(details, UnknownStepDetails) else None)


# --- what a run waits for ------------------------------------------------------------------


def required_calls(run: Run) -> dict[str, ToolCall]:
    """The calls that a run waits for, whole, by their ids: those to approve as well."""
    action = run.required_action
    if isinstance(action, RequiredActionSubmitToolOutputs):
        required = action.submit_tool_outputs.tool_calls
    elif isinstance(action, RequiredActionSubmitToolApproval):
        required = action.submit_tool_approval.tool_calls
    else:
        return {}
    calls = [required_call(each) for each in required]
    return {call.id: call for call in calls}


def required_call(required: RequiredToolCall) -> ToolCall:
    """A call that a run waits for, as the steps have it."""
    if isinstance(required, RequiredActionFunctionToolCall):
        function = Function(required.function.name, required.function.arguments)
        return FunctionToolCall(required.id, function)
    if isinstance(required, UnknownRequiredToolCall):
        return UnknownToolCall(required.wire_type, required.raw)
    said = {name: getattr(required, name) for name in ("id", "type", "name", "arguments")}
    raw = {**said, "server_label": required.server_label, **required.extra}
    return UnknownToolCall(required.type, raw)


# --- the snapshot --------------------------------------------------------------------------


@define(eq=False)
class _Tail:
    """The text that grows just now: a part of a message that deltas bring more of, and no more.

    While it grows it stands beside the messages, and is put in its place among them when they are
    read. So a delta, which nearly every event is, costs one piece and one snapshot.
    """

    message_id: str
    part: _Part
    grown: _Growing[str]
    text_before: str | None = None  # all that comes before it, once somebody has read it

    @classmethod
    def of(cls, messages: _Keyed[_MessageState], event: ThreadMessageDelta) -> _Tail | None:
        """What a delta has grown, if the next ones may only grow it further."""
        said = event.glance()
        state, content = messages.get(said.id), said.delta.content
        if state is None or state.finished or not content:
            return None
        part = state.parts.get(content[-1].index)
        if part is None or part.kind != "text":
            return None
        return cls(said.id, part, _shared(part.text))

    def takes(self, event: ThreadMessageDelta, count: int) -> bool:
        """Whether a delta brought one piece of this text and nothing else: then it is added."""
        piece = event.piece()
        if piece is None:
            return False
        message_id, index, text = piece
        pieces = self.grown.buffer.pieces
        if message_id != self.message_id or index != self.part.index or not text:
            return False
        if len(pieces) != count:  # another snapshot went on from here
            return False
        pieces.append(text)
        return True

    def placed(self, messages: _Keyed[_MessageState], count: int) -> _Keyed[_MessageState]:
        """The messages with this text in its place, as far as it had come."""
        part, state = self.part, messages.get(self.message_id)
        if state is None or count == self.grown.count:
            return messages
        text = _Growing(self.grown.buffer, count)
        grown = _Part(part.index, part.kind, text, part.annotations, part.whole)
        return messages.put(
            self.message_id, _MessageState(state.said, state.parts.put(part.index, grown))
        )

    def text(self, messages: _Keyed[_MessageState], count: int) -> str:
        """The text of all messages, which mostly is this, behind what came before."""
        own = _Growing(self.grown.buffer, count).value()
        if self.text_before is None:
            everything = _text_of(self.placed(messages, count))
            if not self._is_last(messages):
                return everything
            self.text_before = everything[: len(everything) - len(own)]
        return self.text_before + own

    def _is_last(self, messages: _Keyed[_MessageState]) -> bool:
        state = messages.last
        if state is None or state.said.role == "user":
            return False
        return state.parts.in_order(lambda part: part.index)[-1:] == [self.part]


def _text_of(messages: _Keyed[_MessageState]) -> str:
    return "".join([state.text() for state in messages])


@define(eq=False)
class _State:
    """What snapshots have in common between whose events nothing but one text grew."""

    run: Run | None = None
    messages: _Keyed[_MessageState] = _NOTHING_YET
    steps: _Keyed[_StepState] = _NOTHING_YET
    message_id: str | None = None
    step_id: str | None = None
    settled: int = 0  # steps that began before the run waited or ended
    required: frozenset[str] = frozenset()  # the ids of the calls that it has waited for
    tail: _Tail | None = None

    def with_run(self, run: Run) -> _State:
        settled = self.steps.count if run.status in SETTLED else self.settled
        required = self.required
        if run.required_action is not None:
            required = required.union(required_calls(run))
        return _state(
            run,
            self.messages,
            self.steps,
            self.message_id,
            self.step_id,
            settled,
            required,
            self.tail,
        )

    def with_messages(
        self, messages: _Keyed[_MessageState], message_id: str, tail: _Tail | None
    ) -> _State:
        return _state(
            self.run,
            messages,
            self.steps,
            message_id,
            self.step_id,
            self.settled,
            self.required,
            tail,
        )

    def with_steps(self, steps: _Keyed[_StepState], step_id: str) -> _State:
        return _state(
            self.run,
            self.messages,
            steps,
            self.message_id,
            step_id,
            self.settled,
            self.required,
            self.tail,
        )


_state = maker(_State)


@frozen(eq=False, repr=False, match_args=False)
class Snapshot(AnySnapshot):
    """A run as it stood after ``event``.

    Snapshots never change; what they give is built when it is read, and costs what its size costs.
    """

    __match_args__ = ("event", "run")

    event: Event | None = None
    _state: _State = field(factory=_State)
    _count: int = 0  # pieces of the text that grows

    def __repr__(self) -> str:
        return f"Snapshot(event={self.event!r}, run={self.run!r})"

    @property
    def run(self) -> Run | None:
        """The run as last told, ``None`` before the stream said it."""
        return self._state.run

    @property
    def _messages(self) -> _Keyed[_MessageState]:
        state = self._state
        tail = state.tail
        return state.messages if tail is None else tail.placed(state.messages, self._count)

    @property
    def _steps(self) -> _Keyed[_StepState]:
        return self._state.steps

    @property
    def _settled(self) -> int:
        return self._state.settled

    @property
    def _required(self) -> frozenset[str]:
        return self._state.required

    @property
    def message(self) -> Message | None:
        """The message that an event spoke of last, as far as it had come."""
        state = self._messages.get(self._state.message_id)
        return None if state is None else state.build()

    @property
    def run_step(self) -> RunStep | None:
        """The step that an event spoke of last, as far as it had come."""
        state = self._steps.get(self._state.step_id)
        return None if state is None else state.build()

    @property
    def messages(self) -> tuple[Message, ...]:
        """All messages of the run, in the order in which they began."""
        return tuple(state.build() for state in self._messages)

    @property
    def run_steps(self) -> tuple[RunStep, ...]:
        """All steps of the run, in the order in which they began."""
        return tuple(state.build() for state in self._steps)

    @property
    def text(self) -> str:
        """The text of all messages of the assistant, one behind the other."""
        state = self._state
        if state.tail is None:
            return _text_of(state.messages)
        return state.tail.text(state.messages, self._count)

    def find_message(self, message_id: str) -> Message | None:
        """The message of an id, ``None`` if the stream has not spoken of it."""
        state = self._messages.get(message_id)
        return None if state is None else state.build()

    def find_run_step(self, step_id: str) -> RunStep | None:
        """The step of an id, ``None`` if the stream has not spoken of it."""
        state = self._steps.get(step_id)
        return None if state is None else state.build()

    def find_tool_call(
        self, step_id: str, index: int, call_id: str | None = None
    ) -> ToolCall | None:
        """The call of a step at an index, as far as it had come, ``None`` if it has not begun.

        Some servers give several calls one index: ``call_id`` tells them apart, and without it
        this is the one that a delta named last.
        """
        state = self._steps.get(step_id)
        return None if state is None else state.call(index, call_id)


_snapshot = maker(Snapshot)


def fold(snapshot: Snapshot, event: Event) -> Snapshot:
    """The snapshot after an event: O(1), and the one before stays as it was.

    Objects are told apart by id and their parts by index, so messages may interleave and deltas
    may come for objects whose beginning was never seen. A finished object replaces what had
    accumulated; later deltas fill what it left null or empty, and change nothing else.
    """
    state, count = snapshot._state, snapshot._count
    if isinstance(event, ThreadMessageDelta):
        if state.tail is not None and state.tail.takes(event, count):
            return _snapshot(event, state, count + 1)
        messages, message_id = snapshot._messages, event.glance().id
        messages = messages.put(message_id, _grown_message(messages.get(message_id), event))
        tail = _Tail.of(messages, event)
        state = state.with_messages(messages, message_id, tail)
        count = 0 if tail is None else tail.grown.count
    elif isinstance(event, MessageEvent):
        messages, message_id = snapshot._messages, event.data.id
        messages = messages.put(message_id, _said_message(messages.get(message_id), event))
        state = state.with_messages(messages, message_id, None)
    elif isinstance(event, ThreadRunStepDelta):
        step_id = event.glance().id
        steps = state.steps.put(step_id, _grown_step(state.steps.get(step_id), event))
        state = state.with_steps(steps, step_id)
    elif isinstance(event, RunStepEvent):
        step_id = event.data.id
        steps = state.steps.put(step_id, _said_step(state.steps.get(step_id), event))
        state = state.with_steps(steps, step_id)
    elif isinstance(event, RunEvent):
        state = state.with_run(event.data)
    else:
        check_event(event, "a snapshot")
    return _snapshot(event, state, count)


@frozen
class SnapshotRecord:
    """All that a snapshot says, and what it needs to grow further, in values that can be kept.

    ``finished`` has the ids of messages and steps that have ended. Of each other one ``indexes``
    has the parts or calls: each is its index, and those of the annotations or outputs inside it.
    ``named`` has the ids of calls that go on with deltas without an id, where several share an
    index.
    """

    event: Event | None
    run: Run | None
    messages: tuple[Message, ...]
    run_steps: tuple[RunStep, ...]
    current_message_id: str | None
    current_run_step_id: str | None
    finished: frozenset[str]
    indexes: Mapping[str, tuple[tuple[int, ...], ...]]
    settled: int
    required: frozenset[str]
    named: frozenset[str] = frozenset()


def recorded(snapshot: Snapshot) -> SnapshotRecord:
    """What can be kept of a snapshot: ``restored`` makes it again."""
    state, messages, steps = snapshot._state, list(snapshot._messages), list(snapshot._steps)
    growing = {
        message.said.id: tuple(
            (part.index, *part.annotations.keys()) for part in message.parts.in_order(_index_of)
        )
        for message in messages
        if not message.finished
    }
    growing |= {
        step.said.id: tuple((call.index, *_inner(call)) for call in step.calls.by_index())
        for step in steps
        if not step.finished
    }
    return SnapshotRecord(
        snapshot.event,
        state.run,
        snapshot.messages,
        snapshot.run_steps,
        state.message_id,
        state.step_id,
        frozenset(
            [message.said.id for message in messages if message.finished]
            + [step.said.id for step in steps if step.finished]
        ),
        {key: indexes for key, indexes in growing.items() if indexes},
        state.settled,
        state.required,
        frozenset(id_ for step in steps if not step.finished for id_ in step.calls.names()),
    )


def _inner(call: _Call) -> list[int]:
    """The indexes of the outputs of a call, in their order."""
    if not isinstance(call, _CodeInterpreterCall):
        return []
    return [output.index for output in call.outputs.in_order(lambda output: output.index)]


def restored(record: SnapshotRecord) -> Snapshot:
    """The snapshot that was recorded: it says the same, and grows further as that one would."""
    messages: _Keyed[_MessageState] = _NOTHING_YET
    for message in record.messages:
        parts: _Keyed[_Part] = _NOTHING_YET
        indexes = record.indexes.get(message.id, ())
        for (index, *inner), content in zip(indexes, message.content, strict=False):
            parts = parts.put(index, _part_of(index, content, inner))
        finished = message.id in record.finished
        messages = messages.put(message.id, _MessageState(message, parts, finished))
    steps: _Keyed[_StepState] = _NOTHING_YET
    for step in record.run_steps:
        details = step.step_details
        whole = details.tool_calls if isinstance(details, ToolCallsStepDetails) else ()
        calls = _NO_CALLS
        growing = [
            _call_of(index, call, inner)
            for (index, *inner), call in zip(record.indexes.get(step.id, ()), whole, strict=False)
        ]
        for call in (*growing, *(call for call in growing if call.id in record.named)):
            calls = calls.begun(call)
        steps = steps.put(step.id, _StepState(step, calls, step.id in record.finished))
    state = _state(
        record.run,
        messages,
        steps,
        record.current_message_id,
        record.current_run_step_id,
        record.settled,
        record.required,
    )
    return _snapshot(record.event, state, 0)


def _index_of(part: _Part) -> int:
    return part.index


Fold = Callable[[Snapshot, Event], Snapshot]
"""``fold``, or what gives the same."""


NOTHING = Snapshot()
"""Before the first event."""


__all__ = [
    "NOTHING",
    "Fold",
    "Snapshot",
    "SnapshotRecord",
    "fold",
    "recorded",
    "required_call",
    "required_calls",
    "restored",
]
