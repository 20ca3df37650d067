"""The fold of a run: ``(Snapshot, event) → Snapshot``, pure and O(1) for each event.

A snapshot is immutable and valid for ever. What grows (the pieces of a text, the parts, calls,
messages and steps) is held in append-only lists which all snapshots of a run share; each snapshot
remembers how much of them is its own, and a fold that branches copies first. The models that a
snapshot gives are built when they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar, cast

import attrs
from attrs import field, frozen

from rxassist.events import (
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
from rxassist.models import (
    SETTLED,
    Annotation,
    AnnotationDelta,
    CodeInterpreter,
    CodeInterpreterImageDelta,
    CodeInterpreterLogsDelta,
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
    FunctionToolCall,
    FunctionToolCallDelta,
    ImageFile,
    ImageFileContentBlock,
    ImageFileDeltaBlock,
    ImageURL,
    ImageURLContentBlock,
    ImageURLDeltaBlock,
    Message,
    MessageContent,
    MessageContentDelta,
    MessageCreation,
    MessageCreationDelta,
    MessageCreationStepDetails,
    OutputDelta,
    RefusalContentBlock,
    RefusalDeltaBlock,
    Run,
    RunStep,
    Text,
    TextContentBlock,
    TextDeltaBlock,
    ToolCall,
    ToolCallDelta,
    ToolCallDeltaObject,
    ToolCallsStepDetails,
    UnknownAnnotation,
    UnknownCodeInterpreterOutput,
    UnknownContentBlock,
    UnknownStepDetails,
    UnknownToolCall,
)

_T = TypeVar("_T")


# --- growing values ------------------------------------------------------------------------


class _Buffer:
    """The pieces of one growing text, and the longest prefix that was joined so far."""

    __slots__ = ("joined", "pieces")

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = pieces
        self.joined: tuple[int, str] = (
            0,
            "",
        )  # replaced as one object: readers on other threads see it whole


@frozen(eq=False)
class _GrowingText:
    """The first ``count`` pieces of a shared buffer."""

    buffer: _Buffer
    count: int

    @classmethod
    def of(cls, text: str) -> _GrowingText:
        return cls(_Buffer([text] if text else []), 1 if text else 0)

    def plus(self, piece: str | None) -> _GrowingText:
        if not piece:
            return self
        pieces = self.buffer.pieces
        if len(pieces) != self.count:  # another snapshot went on from here: branch off
            return _GrowingText(_Buffer([*pieces[: self.count], piece]), self.count + 1)
        pieces.append(piece)
        return _GrowingText(self.buffer, self.count + 1)

    def text(self) -> str:
        done, joined = self.buffer.joined
        if done == self.count:
            return joined
        if done > self.count:
            return "".join(self.buffer.pieces[: self.count])
        joined += "".join(self.buffer.pieces[done : self.count])
        self.buffer.joined = (self.count, joined)
        return joined


class _Shelf(Generic[_T]):
    """All but the last of some keyed values, in order of arrival, and where each stands."""

    __slots__ = ("place", "values")

    def __init__(self, values: list[_T], place: dict[Any, int]) -> None:
        self.values = values
        self.place = place


@frozen(eq=False)
class _Keyed(Generic[_T]):
    """An ordered mapping of which the last entry, the one that grows, is replaced in O(1).

    The others stand on a shelf that is shared; ``count`` includes the last one. To replace an
    entry in the middle costs a copy: only interleaved objects do that.
    """

    shelf: _Shelf[_T] = field(factory=lambda: _Shelf[Any]([], {}))
    count: int = 0
    last_key: Any = None
    last: _T | None = None

    def get(self, key: object) -> _T | None:
        if self.count and key == self.last_key:
            return self.last
        place = self.shelf.place.get(key)
        if place is None or place >= self.count - 1:
            return None
        return self.shelf.values[place]

    def place(self, key: object) -> int:
        """Where the entry of a key stands; the place of the next one if there is none."""
        if self.count and key == self.last_key:
            return self.count - 1
        place = self.shelf.place.get(key, self.count)
        return place if place < self.count - 1 else self.count

    def put(self, key: object, value: _T) -> _Keyed[_T]:
        if not self.count:
            return (
                _Keyed(self.shelf, 1, key, value) if not self.shelf.values else _keyed(key, value)
            )
        if key == self.last_key:
            return _Keyed(self.shelf, self.count, key, value)
        place = self.shelf.place.get(key)
        if place is not None and place < self.count - 1:
            shelf = self._own_shelf()
            shelf.values[place] = value
            return _Keyed(shelf, self.count, self.last_key, self.last)
        shelf = self.shelf if len(self.shelf.values) == self.count - 1 else self._own_shelf()
        shelf.place[self.last_key] = len(shelf.values)
        shelf.values.append(cast("_T", self.last))
        return _Keyed(shelf, self.count + 1, key, value)

    def _own_shelf(self) -> _Shelf[_T]:
        own = {key: place for key, place in self.shelf.place.items() if place < self.count - 1}
        return _Shelf(self.shelf.values[: self.count - 1], own)

    def __iter__(self) -> Iterator[_T]:
        if self.count:
            yield from self.shelf.values[: self.count - 1]
            yield cast("_T", self.last)

    def in_order(self, key: Callable[[_T], int]) -> list[_T]:
        """The values by their index: they may have arrived in another order, or with gaps."""
        return sorted(self, key=lambda value: key(value) or 0)  # some servers say null for 0


def _keyed(key: object, value: _T) -> _Keyed[_T]:
    return _Keyed(_Shelf([], {}), 1, key, value)


def _merged(old: Any, new: Any) -> Any:  # noqa: ANN401 -- raw JSON of a type nobody knows
    """Add a raw delta to raw data: objects by key, lists by appending, text by joining."""
    if isinstance(old, dict) and isinstance(new, dict):
        fixed = {"index", "type", "id"}
        before, added = cast("dict[str, Any]", old), cast("dict[str, Any]", new)
        return before | {
            key: _merged(before[key], value) if key in before and key not in fixed else value
            for key, value in added.items()
        }
    if isinstance(old, list) and isinstance(new, list):
        items: list[Any] = [*old, *new]
        return items
    if isinstance(old, str) and isinstance(new, str):
        return old + new
    return cast("Any", old if new is None else new)


# --- parts of a message --------------------------------------------------------------------


@frozen(eq=False)
class _Part:
    """A part of a message: text or a refusal that grows, or any other part as it is."""

    index: int
    kind: str
    text: _GrowingText
    annotations: _Keyed[Annotation]
    whole: MessageContent | None = None

    def build(self) -> MessageContent:
        if self.kind == "text":
            return TextContentBlock(Text(self.text.text(), tuple(self.annotations)))
        if self.kind == "refusal":
            return RefusalContentBlock(self.text.text())
        return cast("MessageContent", self.whole)


def _part_of(index: int, content: MessageContent) -> _Part:
    """The part that a whole part of a message begins with."""
    annotations: _Keyed[Annotation] = _Keyed()
    text = ""
    if isinstance(content, TextContentBlock):
        text = content.text.value
        for place, annotation in enumerate(content.text.annotations):
            annotations = annotations.put(place, annotation)
    elif isinstance(content, RefusalContentBlock):
        text = content.refusal
    return _Part(index, content.type, _GrowingText.of(text), annotations, content)


def _grown_part(part: _Part | None, delta: MessageContentDelta) -> _Part:
    if part is None:
        part = _Part(delta.index, delta.type, _GrowingText.of(""), _Keyed())
    if isinstance(delta, TextDeltaBlock):
        if delta.text is None:
            return part
        annotations = part.annotations
        for added in delta.text.annotations:
            annotations = annotations.put(added.index, _annotation(added))
        return _Part(part.index, "text", part.text.plus(delta.text.value), annotations)
    if isinstance(delta, RefusalDeltaBlock):
        return _Part(part.index, "refusal", part.text.plus(delta.refusal), part.annotations)
    whole: MessageContent
    if isinstance(delta, ImageFileDeltaBlock):
        whole = ImageFileContentBlock(delta.image_file or ImageFile())
    elif isinstance(delta, ImageURLDeltaBlock):
        whole = ImageURLContentBlock(delta.image_url or ImageURL())
    else:
        before = part.whole.raw if isinstance(part.whole, UnknownContentBlock) else None
        whole = UnknownContentBlock(delta.type, _merged(before, delta.raw))
    return attrs.evolve(part, kind=delta.type, whole=whole)


def _annotation(delta: AnnotationDelta) -> Annotation:
    if isinstance(delta, FileCitationDeltaAnnotation):
        citation = delta.file_citation or FileCitation()
        return FileCitationAnnotation(delta.text, citation, delta.start_index, delta.end_index)
    if isinstance(delta, FilePathDeltaAnnotation):
        path = delta.file_path or FilePath()
        return FilePathAnnotation(delta.text, path, delta.start_index, delta.end_index)
    return UnknownAnnotation(delta.type, delta.raw)


# --- messages ------------------------------------------------------------------------------


@frozen(eq=False)
class _MessageState:
    """A message as far as it is known: what its events said, and the parts that grow."""

    said: Message
    parts: _Keyed[_Part] = field(factory=_Keyed[_Part])
    finished: bool = False

    def build(self) -> Message:
        if not self.parts.count:
            return self.said
        content = tuple(part.build() for part in self.parts.in_order(lambda part: part.index))
        return attrs.evolve(self.said, content=content)

    def text(self) -> str:
        """What the assistant said."""
        if self.said.role == "user":
            return ""
        if not self.parts.count:
            blocks = self.said.content
            return "".join(b.text.value or "" for b in blocks if isinstance(b, TextContentBlock))
        parts = self.parts.in_order(lambda part: part.index)
        return "".join(part.text.text() for part in parts if part.kind == "text")


def _said_message(state: _MessageState | None, event: MessageEvent) -> _MessageState:
    """A whole message arrived: a finished one wins, a beginning one seeds what grows."""
    message = event.data
    if isinstance(event, ThreadMessageCompleted | ThreadMessageIncomplete):
        if not message.content and state is not None:
            return _MessageState(message, state.parts, finished=True)
        return _MessageState(message, finished=True)
    if state is not None and (state.finished or state.parts.count):
        return state if state.finished else _MessageState(message, state.parts)
    parts: _Keyed[_Part] = _Keyed()
    for index, content in enumerate(message.content):
        parts = parts.put(index, _part_of(index, content))
    return _MessageState(message, parts)


def _grown_message(state: _MessageState | None, event: ThreadMessageDelta) -> _MessageState:
    delta = event.data
    if state is None:  # its beginning was never seen
        role = delta.delta.role or "assistant"
        state = _MessageState(Message(delta.id, status="in_progress", role=role))
    if state.finished:
        return state
    parts = state.parts
    for added in delta.delta.content:
        parts = parts.put(added.index, _grown_part(parts.get(added.index), added))
    return _MessageState(state.said, parts)


# --- run steps -----------------------------------------------------------------------------


@frozen(eq=False)
class _Output:
    """An output of the code interpreter: logs that grow, or any other as it is."""

    index: int
    logs: _GrowingText
    whole: CodeInterpreterOutput | None = None

    def build(self) -> CodeInterpreterOutput:
        return CodeInterpreterOutputLogs(self.logs.text()) if self.whole is None else self.whole


def _grown_output(output: _Output | None, delta: OutputDelta) -> _Output:
    if output is None:
        output = _Output(delta.index, _GrowingText.of(""))
    if isinstance(delta, CodeInterpreterLogsDelta):
        return _Output(output.index, output.logs.plus(delta.logs))
    whole: CodeInterpreterOutput
    if isinstance(delta, CodeInterpreterImageDelta):
        whole = (
            CodeInterpreterOutputImage(delta.image) if delta.image else CodeInterpreterOutputImage()
        )
    else:
        before = output.whole
        raw = before.raw if isinstance(before, UnknownCodeInterpreterOutput) else None
        whole = UnknownCodeInterpreterOutput(delta.type, _merged(raw, delta.raw))
    return _Output(output.index, output.logs, whole)


@frozen(eq=False)
class _Call:
    """A tool call: ``grows`` is a function's arguments or the interpreter's input."""

    index: int
    kind: str
    id: str = ""
    name: str = ""
    grows: _GrowingText = field(factory=lambda: _GrowingText.of(""))
    output: str | None = None
    outputs: _Keyed[_Output] = field(factory=_Keyed[_Output])
    file_search: FileSearch = FileSearch()
    raw: Any = None

    def build(self) -> ToolCall:
        if self.kind == "function":
            return FunctionToolCall(self.id, Function(self.name, self.grows.text(), self.output))
        if self.kind == "code_interpreter":
            outputs = self.outputs.in_order(lambda output: output.index)
            built = tuple(output.build() for output in outputs)
            return CodeInterpreterToolCall(self.id, CodeInterpreter(self.grows.text(), built))
        if self.kind == "file_search":
            return FileSearchToolCall(self.id, self.file_search)
        return UnknownToolCall(self.kind, self.raw)


def _call_of(index: int, call: ToolCall) -> _Call:
    """The growing call that a whole call stands for."""
    if isinstance(call, FunctionToolCall):
        function = call.function
        arguments = _GrowingText.of(function.arguments)
        return _Call(index, "function", call.id, function.name, arguments, function.output)
    if isinstance(call, CodeInterpreterToolCall):
        outputs: _Keyed[_Output] = _Keyed()
        for place, output in enumerate(call.code_interpreter.outputs):
            logs = output.logs if isinstance(output, CodeInterpreterOutputLogs) else ""
            whole = None if isinstance(output, CodeInterpreterOutputLogs) else output
            outputs = outputs.put(place, _Output(place, _GrowingText.of(logs), whole))
        code = _GrowingText.of(call.code_interpreter.input)
        return _Call(index, "code_interpreter", call.id, grows=code, outputs=outputs)
    if isinstance(call, FileSearchToolCall):
        return _Call(index, "file_search", call.id, file_search=call.file_search)
    return _Call(index, call.type, call.id, raw=call.raw)


def _grown_call(call: _Call | None, delta: ToolCallDelta) -> _Call:
    if call is None:
        call = _Call(delta.index, delta.type)
    if isinstance(delta, FunctionToolCallDelta):
        added = delta.function
        return attrs.evolve(
            call,
            id=delta.id or call.id,
            name=(added and added.name) or call.name,
            grows=call.grows.plus(added.arguments if added else None),
            output=call.output if added is None or added.output is None else added.output,
        )
    if isinstance(delta, CodeInterpreterToolCallDelta):
        code = delta.code_interpreter
        outputs = call.outputs
        for output in code.outputs if code else ():
            outputs = outputs.put(output.index, _grown_output(outputs.get(output.index), output))
        grows = call.grows.plus(code.input if code else None)
        return attrs.evolve(call, id=delta.id or call.id, grows=grows, outputs=outputs)
    if isinstance(delta, FileSearchToolCallDelta):
        found = delta.file_search
        if found is None or found == FileSearch():  # says nothing, and takes nothing back
            found = call.file_search
        return attrs.evolve(call, id=delta.id or call.id, file_search=found)
    return attrs.evolve(call, raw=_merged(call.raw or {}, delta.raw))


@frozen(eq=False)
class _StepState:
    """A step as far as it is known: what its events said, and the calls that grow."""

    said: RunStep
    calls: _Keyed[_Call] = field(factory=_Keyed[_Call])
    finished: bool = False

    def build(self) -> RunStep:
        if not self.calls.count:
            return self.said
        calls = tuple(call.build() for call in self.calls.in_order(lambda call: call.index))
        return attrs.evolve(self.said, step_details=ToolCallsStepDetails(calls))


def _said_step(state: _StepState | None, event: RunStepEvent) -> _StepState:
    """A whole step arrived: a finished one wins, a beginning one seeds what grows."""
    step = event.data
    details = step.step_details
    if not isinstance(event, ThreadRunStepCreated | ThreadRunStepInProgress):
        told = not isinstance(details, ToolCallsStepDetails) or bool(details.tool_calls)
        if state is None or (told and details is not None):
            return _StepState(step, finished=True)
        return _StepState(step, state.calls, finished=True)
    if state is not None and (state.finished or state.calls.count):
        return state if state.finished else _StepState(step, state.calls)
    calls: _Keyed[_Call] = _Keyed()
    if isinstance(details, ToolCallsStepDetails):
        for index, call in enumerate(details.tool_calls):
            calls = calls.put(index, _call_of(index, call))
    return _StepState(step, calls)


def _grown_step(state: _StepState | None, event: ThreadRunStepDelta) -> _StepState:
    delta = event.data
    details = delta.delta.step_details
    if state is None:  # its beginning was never seen
        kind = details.type if details else ""
        state = _StepState(RunStep(delta.id, type=kind, status="in_progress"))
    if state.finished or details is None:
        return state
    if isinstance(details, ToolCallDeltaObject):
        calls = state.calls
        for added in details.tool_calls:
            calls = calls.put(added.index, _grown_call(calls.get(added.index), added))
        return _StepState(state.said, calls)
    if isinstance(details, MessageCreationDelta):
        created = MessageCreationStepDetails(details.message_creation or MessageCreation())
        return _StepState(attrs.evolve(state.said, step_details=created), state.calls)
    old = state.said.step_details
    raw = _merged(old.raw if isinstance(old, UnknownStepDetails) else None, details.raw)
    unknown = UnknownStepDetails(details.type, raw)
    return _StepState(attrs.evolve(state.said, step_details=unknown), state.calls)


# --- the snapshot --------------------------------------------------------------------------


@frozen(eq=False)
class Snapshot:
    """A run as it stood after ``event``.

    ``run`` is the run as last told, ``None`` before the stream said it. Snapshots never change;
    what they give is built when it is read, and costs what its size costs.
    """

    event: Event | None = None
    run: Run | None = None
    _messages: _Keyed[_MessageState] = field(factory=_Keyed[_MessageState], repr=False)
    _steps: _Keyed[_StepState] = field(factory=_Keyed[_StepState], repr=False)
    _message_id: str | None = field(default=None, repr=False)
    _step_id: str | None = field(default=None, repr=False)
    _settled: int = field(default=0, repr=False)  # steps that began before the run waited or ended

    @property
    def message(self) -> Message | None:
        """The message that an event spoke of last, as far as it had come."""
        state = self._messages.get(self._message_id)
        return None if state is None else state.build()

    @property
    def run_step(self) -> RunStep | None:
        """The step that an event spoke of last, as far as it had come."""
        state = self._steps.get(self._step_id)
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
        return "".join(state.text() for state in self._messages)

    def find_message(self, message_id: str) -> Message | None:
        """The message of an id, ``None`` if the stream has not spoken of it."""
        state = self._messages.get(message_id)
        return None if state is None else state.build()

    def find_run_step(self, step_id: str) -> RunStep | None:
        """The step of an id, ``None`` if the stream has not spoken of it."""
        state = self._steps.get(step_id)
        return None if state is None else state.build()

    def find_tool_call(self, step_id: str, index: int) -> ToolCall | None:
        """The call of a step at an index, as far as it had come, ``None`` if it has not begun."""
        state = self._steps.get(step_id)
        if state is None:
            return None
        call = state.calls.get(index)
        if call is not None:
            return call.build()
        details = state.said.step_details
        calls = details.tool_calls if isinstance(details, ToolCallsStepDetails) else ()
        return calls[index] if 0 <= index < len(calls) else None


def fold(snapshot: Snapshot, event: Event) -> Snapshot:
    """The snapshot after an event: O(1), and the one before stays as it was.

    Objects are told apart by id and their parts by index, so messages may interleave and deltas
    may come for objects whose beginning was never seen. A finished object replaces what had
    accumulated, and later deltas do not change it.
    """
    run, messages, steps = snapshot.run, snapshot._messages, snapshot._steps
    message_id, step_id, settled = snapshot._message_id, snapshot._step_id, snapshot._settled
    if isinstance(event, ThreadMessageDelta):
        message_id = event.data.id
        messages = messages.put(message_id, _grown_message(messages.get(message_id), event))
    elif isinstance(event, ThreadRunStepDelta):
        step_id = event.data.id
        steps = steps.put(step_id, _grown_step(steps.get(step_id), event))
    elif isinstance(event, MessageEvent):
        message_id = event.data.id
        messages = messages.put(message_id, _said_message(messages.get(message_id), event))
    elif isinstance(event, RunStepEvent):
        step_id = event.data.id
        steps = steps.put(step_id, _said_step(steps.get(step_id), event))
    elif isinstance(event, RunEvent):
        run = event.data
        settled = steps.count if run.status in SETTLED else settled
    return Snapshot(event, run, messages, steps, message_id, step_id, settled)


__all__ = ["Snapshot", "fold"]
