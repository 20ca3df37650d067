"""The fold of a run: ``(Snapshot, event) → Snapshot``, pure and O(1) for each event.

A snapshot is immutable and stays valid. All snapshots of a run share what grows: see
``runs.growing``. The models that a snapshot gives are built when code reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, cast

import attrs
from attrs import define, field, frozen

from rxassist.protocols.assistants.events import (
    Event,
    MessageEvent,
    RunEvent,
    RunStepEvent,
    ThreadMessageDelta,
    ThreadRunStepDelta,
)
from rxassist.protocols.assistants.kinds import (
    CALLS,
    PARTS,
    GrowingCall,
    GrowingPart,
    TextPart,
    raw_of_delta,
    unknown,
)
from rxassist.protocols.assistants.models import (
    Function,
    FunctionToolCall,
    Message,
    MessageContent,
    MessageContentDelta,
    MessageCreation,
    MessageCreationDelta,
    MessageCreationStepDetails,
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
    UnknownDelta,
    UnknownRequiredToolCall,
    UnknownStepDetails,
    UnknownToolCall,
)
from rxassist.runs.events import check_event
from rxassist.runs.growing import (
    NOTHING_YET,
    Growing,
    Keyed,
    filled,
    fills,
    growing_json,
    plain_text,
    shared_text,
)
from rxassist.runs.state import SETTLED, AnySnapshot
from rxassist.wire.maker import changer, maker
from rxassist.wire.values import type_on_wire

# --- messages ------------------------------------------------------------------------------


@define(eq=False)
class _MessageState:
    """A message as far as it has come: what its events said, and the parts that grow.

    The parts of a finished one came after its end: they fill its null or empty fields.
    """

    said: Message
    parts: Keyed[GrowingPart] = NOTHING_YET
    finished: bool = False

    @classmethod
    def begin(
        cls, message: Message, places: Iterable[Sequence[int]], *, finished: bool = False
    ) -> _MessageState:
        """A message that begins with parts; ``places`` as in ``SnapshotRecord.indexes``."""
        parts: Keyed[GrowingPart] = NOTHING_YET
        for place, content in zip(places, message.content, strict=False):
            parts = parts.put(place[0], PARTS.begin(place, content))
        return cls(message, parts, finished)

    @classmethod
    def after(cls, state: _MessageState | None, event: MessageEvent) -> _MessageState:
        """A whole message came: a finished one wins, one that begins brings its first parts."""
        message = event.data
        if not event.begins:
            if state is None or (message.content and not state.finished):
                return cls(message, finished=True)
            if not message.content:
                message = attrs.evolve(message, content=state.build().content)
            return cls(message, state.parts if state.finished else NOTHING_YET, finished=True)
        if state is not None and (state.finished or state.parts.count):
            return state if state.finished else cls(message, state.parts)
        return cls.begin(message, _each_index(message.content))

    @classmethod
    def plus(cls, state: _MessageState | None, event: ThreadMessageDelta) -> _MessageState:
        """The message after a delta, which may be the first event of it that came."""
        said = event.glance()
        if state is None:
            role = said.delta.role or "assistant"
            state = cls(Message(said.id, status="in_progress", role=role))
        parts, whole = state.parts, state.said.content if state.finished else ()
        for delta in said.delta.content:
            if not whole or _fills_part(whole, delta):
                parts = parts.put(delta.index, PARTS.plus(parts.get(delta.index), delta))
        return state if parts is state.parts else cls(state.said, parts, state.finished)

    def build(self) -> Message:
        if not self.parts.count:
            return self.said
        parts = self.parts.in_order(_index_of)
        content = list(self.said.content if self.finished else ())
        if not content:
            return attrs.evolve(self.said, content=tuple([part.build() for part in parts]))
        for part in parts:
            place = part.index or 0
            if 0 <= place < len(content):  # a late part may have no place in the whole message
                content[place] = filled(content[place], part.build())
        return attrs.evolve(self.said, content=tuple(content))

    def text(self) -> str:
        """The text that the assistant wrote."""
        if self.said.role == "user":
            return ""
        if self.finished or not self.parts.count:
            blocks = self.build().content
            return "".join(b.text.value or "" for b in blocks if isinstance(b, TextContentBlock))
        parts = self.parts.in_order(_index_of)
        return "".join([plain_text(part.text) for part in parts if isinstance(part, TextPart)])

    def places(self) -> tuple[tuple[int, ...], ...]:
        """Where the parts stand, of a message that has not ended: ``begin`` takes them."""
        return tuple(part.places() for part in self.parts.in_order(_index_of))


def _each_index(items: Sequence[object]) -> Iterable[tuple[int]]:
    return zip(range(len(items)), strict=True)


def _index_of(thing: GrowingPart | GrowingCall) -> int:
    return thing.index


def _fills_part(content: Sequence[MessageContent], delta: MessageContentDelta) -> bool:
    place = delta.index or 0
    return 0 <= place < len(content) and fills(content[place], PARTS.plus(None, delta).build())


# --- run steps -----------------------------------------------------------------------------


def _place_of(calls: Sequence[ToolCall], index: int | None, call_id: str | None) -> int | None:
    """The place of a call among whole ones: by its id if it has one, else by its index."""
    place = index or 0  # some servers send null for 0
    here = calls[place] if 0 <= place < len(calls) else None
    if here is not None and (not call_id or not here.id or here.id == call_id):
        return place
    return next((at for at, call in enumerate(calls) if call_id and call.id == call_id), None)


def calls_in(details: StepDetails | None) -> tuple[ToolCall, ...]:
    """The calls in the details of a step; none if it calls no tools."""
    return details.tool_calls if isinstance(details, ToolCallsStepDetails) else ()


@define(eq=False)
class _Calls(Keyed[GrowingCall]):
    """The calls of a step that grow, by index.

    A server may give several calls one index. All but the first are held by their ids as well, and
    ``named`` has, by index, the call that a delta named last: deltas without an id go on with it.
    """

    named: Mapping[int, Hashable] | None = None

    def key(self, index: int, call_id: str | None) -> Hashable:
        """The key of a call."""
        index = index or 0  # some servers send null for 0
        key = index if self.named is None else self.named.get(index, index)
        if not call_id:
            return key
        for known in (key, index):
            call = self.get(known)
            if call is None or not call.id or call.id == call_id:
                return known
        return (index, call_id)

    def call(self, index: int, call_id: str | None) -> GrowingCall | None:
        return self.get(self.key(index, call_id))

    def by_index(self) -> list[GrowingCall]:
        return self.in_order(_index_of)

    def plus(self, delta: ToolCallDelta) -> _Calls:
        index = delta.index or 0
        last = self.count and index == self.last_key
        if last and self.named is None and not delta.id:  # as nearly always
            call = CALLS.plus(self.last, delta)
            return _Calls(self.shelf, self.count, index, call, self.changed)
        key = self.key(index, delta.id)
        return self._with(index, key, CALLS.plus(self.get(key), delta))

    def names(self) -> list[str]:
        """The ids of the calls that deltas named last, where several share an index."""
        calls = [self.get(key) for key in (self.named or {}).values()]
        return [call.id for call in calls if call is not None]

    def begun(self, call: GrowingCall) -> _Calls:
        """These and another one."""
        index = call.index or 0
        return self._with(index, self.key(index, call.id), call)

    def _with(self, index: int, key: Hashable, call: GrowingCall) -> _Calls:
        named = self.named
        if key != index or named is not None:
            named = {**(named or {}), index: key}
        held = self.put(key, call)
        return _Calls(held.shelf, held.count, held.last_key, held.last, held.changed, named)


_NO_CALLS = _Calls()


@define(eq=False)
class _StepState:
    """A step as far as it has come: what its events said, and the calls that grow.

    The calls of a finished one came after its end: they fill its null or empty fields.
    """

    said: RunStep
    calls: _Calls = _NO_CALLS
    finished: bool = False
    raw: Growing[Any] | None = None  # details of an unknown type

    @classmethod
    def begin(
        cls,
        step: RunStep,
        places: Iterable[Sequence[int]],
        named: Collection[str] = (),
        *,
        finished: bool = False,
    ) -> _StepState:
        """A step that begins with calls; ``places`` and ``named`` as in ``SnapshotRecord``."""
        whole = zip(places, calls_in(step.step_details), strict=False)
        growing = [CALLS.begin(place, call) for place, call in whole]
        calls = _NO_CALLS
        for call in (*growing, *(call for call in growing if call.id in named)):
            calls = calls.begun(call)
        return cls(step, calls, finished)

    @classmethod
    def after(cls, state: _StepState | None, event: RunStepEvent) -> _StepState:
        """A whole step came: a finished one wins, one that begins brings its first calls."""
        step, details = event.data, event.data.step_details
        if event.begins:
            if state is not None and (state.finished or state.calls.count):
                return state if state.finished else cls(step, state.calls)
            return cls.begin(step, _each_index(calls_in(details)))
        is_empty = isinstance(details, ToolCallsStepDetails | None) and not calls_in(details)
        if state is None or not (is_empty or state.finished):
            return cls(step, finished=True)
        if is_empty:
            step = attrs.evolve(step, step_details=state.build().step_details or details)
        if not state.finished:
            return cls(step, finished=True)
        return cls(step, state.calls, finished=True, raw=state.raw)

    @classmethod
    def plus(cls, state: _StepState | None, event: ThreadRunStepDelta) -> _StepState:
        """The step after a delta, which may be the first event of it that came."""
        delta = event.glance()
        details = delta.delta.step_details
        if state is None:
            kind = type_on_wire(details) if details else ""
            state = cls(RunStep(delta.id, type=kind, status="in_progress"))
        if details is None:
            return state
        if state.finished:
            return state._filled(details)
        said, calls = state.said, state.calls
        if isinstance(details, UnknownDelta):
            return cls(said, calls, raw=state._raw_so_far().plus(raw_of_delta(details)))
        if details.type == "tool_calls":
            for added in details.tool_calls:
                calls = calls.plus(added)
            return cls(said, calls)
        return cls(attrs.evolve(said, step_details=_created(details)), calls)

    def _raw_so_far(self) -> Growing[Any]:
        if self.raw is not None:
            return self.raw
        details = self.said.step_details
        return growing_json(details.raw if isinstance(details, UnknownStepDetails) else None)

    def _filled(self, late: StepDetailsDelta) -> _StepState:
        """A finished step after a delta; the same if that fills nothing."""
        said = self.said.step_details
        if isinstance(late, UnknownDelta):
            raw = raw_of_delta(late)
            if not fills(said, UnknownStepDetails(late.wire_type, raw)):
                return self
            return attrs.evolve(self, raw=(self.raw or growing_json()).plus(raw))
        if late.type == "tool_calls":
            calls = self._late_calls(late.tool_calls)
            return self if calls is self.calls else attrs.evolve(self, calls=calls)
        step = attrs.evolve(self.said, step_details=filled(said, _created(late)))
        return self if step == self.said else attrs.evolve(self, said=step)

    def _late_calls(self, deltas: Iterable[ToolCallDelta]) -> _Calls:
        """The calls of a finished step that came late, and the deltas that fill anything."""
        calls, said = self.calls, self.said.step_details
        if not isinstance(said, ToolCallsStepDetails | None):
            return calls
        whole = calls_in(said)
        for delta in deltas:
            place = _place_of(whole, delta.index, delta.id)
            late = CALLS.plus(None, delta).build()
            if not whole or (place is not None and fills(whole[place], late)):
                calls = calls.plus(delta)
        return calls

    def build(self) -> RunStep:
        if not self.calls.count and self.raw is None:
            return self.said
        return attrs.evolve(self.said, step_details=self._details())

    def _details(self) -> StepDetails | None:
        details = self.said.step_details if self.finished else None
        if self.raw is not None:
            return filled(details, unknown(UnknownStepDetails, self.raw))
        calls = self.calls.by_index()
        if not isinstance(details, ToolCallsStepDetails) or not details.tool_calls:
            return ToolCallsStepDetails(tuple([call.build() for call in calls]))
        whole = list(details.tool_calls)
        for call in calls:
            place = _place_of(details.tool_calls, call.index, call.id)
            if place is not None:
                whole[place] = filled(whole[place], call.build())
        return attrs.evolve(details, tool_calls=tuple(whole))

    def call(self, index: int, call_id: str | None) -> ToolCall | None:
        """A call, as far as it has come."""
        growing = self.calls.call(index, call_id)
        built: ToolCall | None = None if growing is None else growing.build()
        if growing is not None and not self.finished:
            return built
        calls = calls_in(self.said.step_details)
        place = _place_of(calls, index, call_id)
        whole = None if place is None else calls[place]
        if growing is None or (calls and whole is None):
            return whole
        return filled(whole, built)

    def places(self) -> tuple[tuple[int, ...], ...]:
        """Where the calls stand, of a step that has not ended: ``begin`` takes them."""
        return tuple(call.places() for call in self.calls.by_index())


def _created(details: MessageCreationDelta) -> MessageCreationStepDetails:
    return MessageCreationStepDetails(details.message_creation or MessageCreation())


# --- what a run waits for ------------------------------------------------------------------


def required_calls(run: Run) -> dict[str, ToolCall]:
    """The whole calls that a run waits for, by their ids; those to approve as well."""
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
    """A call that a run waits for, as the model that steps have."""
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
    """The text that grows now, as long as deltas bring nothing but more of it.

    It is kept beside the messages, and put in its place among them when code reads them. So a
    delta, which nearly every event is, costs one piece and one snapshot.
    """

    message_id: str
    part: TextPart
    grown: Growing[str]
    text_before: str | None = None  # all text before it, once code has read it
    block: TextContentBlock | None = None  # with an earlier text, once code wants one
    newest: tuple[int, Text] = (-1, Text())  # the last text object, by the number of its pieces
    message: Message | None = None  # that has this block, once code wants one

    @classmethod
    def of(cls, messages: Keyed[_MessageState], event: ThreadMessageDelta) -> _Tail | None:
        """The text that a delta has just grown, ``None`` if it grew no text."""
        said = event.glance()
        state, content = messages.get(said.id), said.delta.content
        if state is None or state.finished or not content:
            return None
        part = state.parts.get(content[-1].index)
        if not isinstance(part, TextPart):
            return None
        return cls(said.id, part, shared_text(part.text))

    def takes(self, event: ThreadMessageDelta, count: int) -> bool:
        """Add a delta, if it is one piece of this text and nothing else; whether it is."""
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

    def text_object(self, count: int) -> Text:
        """The text object with the first ``count`` pieces of this text."""
        newest = self.newest
        if newest[0] == count:
            return newest[1]
        block = self.block = self.block or self.part.build()
        text = _with_value(block.text, Growing(self.grown.buffer, count).value)
        self.newest = (count, text)
        return text

    def message_object(self, messages: Keyed[_MessageState], count: int) -> Message | None:
        """Its message, with the first ``count`` pieces of this text."""
        state = messages.get(self.message_id)
        if state is None:
            return None
        message = self.message = self.message or state.build()
        place = 0
        if len(message.content) > 1:
            place = state.parts.in_order(_index_of).index(self.part)
        content = list(message.content)
        text = self.text_object(count)
        content[place] = _with_text(cast("TextContentBlock", content[place]), text)
        return _with_content(message, tuple(content))

    def placed(self, messages: Keyed[_MessageState], count: int) -> Keyed[_MessageState]:
        """The messages with the first ``count`` pieces of this text in their place."""
        part, state = self.part, messages.get(self.message_id)
        if state is None or count == self.grown.count:
            return messages
        text = Growing(self.grown.buffer, count)
        grown = TextPart(part.index, part.begun, text, part.annotations)
        return messages.put(
            self.message_id, _MessageState(state.said, state.parts.put(part.index, grown))
        )

    def text(self, messages: Keyed[_MessageState], count: int) -> str:
        """The text of all messages: mostly all text before this, and this."""
        own = Growing(self.grown.buffer, count).value()
        if self.text_before is None:
            everything = _text_of(self.placed(messages, count))
            if not self._is_last(messages):
                return everything
            self.text_before = everything[: len(everything) - len(own)]
        return self.text_before + own

    def _is_last(self, messages: Keyed[_MessageState]) -> bool:
        state = messages.last
        if state is None or state.said.role == "user":
            return False
        return state.parts.in_order(_index_of)[-1:] == [self.part]


def _text_of(messages: Keyed[_MessageState]) -> str:
    return "".join([state.text() for state in messages])


@define(eq=False)
class _State:
    """All of a snapshot but its event, and the number of pieces of the text that grows now."""

    run: Run | None = None
    messages: Keyed[_MessageState] = NOTHING_YET
    steps: Keyed[_StepState] = NOTHING_YET
    message_id: str | None = None
    step_id: str | None = None
    settled: int = 0  # steps that began before the run waited or ended
    required: frozenset[str] = frozenset()  # the ids of the calls that it has waited for
    tail: _Tail | None = None

    def with_run(self, run: Run) -> _State:
        settled = self.steps.count if run.status in SETTLED else self.settled
        required = self.required.union(required_calls(run))
        ids = self.message_id, self.step_id
        return _state(run, self.messages, self.steps, *ids, settled, required, self.tail)

    def with_messages(
        self, messages: Keyed[_MessageState], message_id: str, tail: _Tail | None
    ) -> _State:
        run, steps, step_id = self.run, self.steps, self.step_id
        return _state(run, messages, steps, message_id, step_id, self.settled, self.required, tail)

    def with_steps(self, steps: Keyed[_StepState], step_id: str) -> _State:
        run, messages, message_id = self.run, self.messages, self.message_id
        settled, required, tail = self.settled, self.required, self.tail
        return _state(run, messages, steps, message_id, step_id, settled, required, tail)


_state = maker(_State)
_with_value = changer(Text, "value")
_with_text = changer(TextContentBlock, "text")
_with_content = changer(Message, "content")


@frozen(eq=False, repr=False, match_args=False)
class Snapshot(AnySnapshot):
    """A run as it stood after ``event``.

    Snapshots never change. The objects that they give are built when code reads them, which costs
    time in proportion to their size.
    """

    __match_args__ = ("event", "run")

    event: Event | None = None
    _state: _State = field(factory=_State)
    _count: int = 0  # pieces of the text that grows

    def __repr__(self) -> str:
        return f"Snapshot(event={self.event!r}, run={self.run!r})"

    def _grew(self, before: Snapshot) -> bool:
        """Whether this is a snapshot with one more piece of its text, and nothing else."""
        return self._state is before._state and self._count == before._count + 1

    @property
    def _grown_text(self) -> Text | None:
        """The text that grows now, if deltas bring nothing but more of it."""
        tail = self._state.tail
        return None if tail is None else tail.text_object(self._count)

    @property
    def run(self) -> Run | None:
        """The run as it was last received, ``None`` before its first event."""
        return self._state.run

    @property
    def _messages(self) -> Keyed[_MessageState]:
        state = self._state
        tail = state.tail
        return state.messages if tail is None else tail.placed(state.messages, self._count)

    @property
    def _steps(self) -> Keyed[_StepState]:
        return self._state.steps

    @property
    def _settled(self) -> int:
        return self._state.settled

    @property
    def _required(self) -> frozenset[str]:
        return self._state.required

    @property
    def message(self) -> Message | None:
        """The message of the last event of any message, as far as it had come."""
        message_id, tail = self._state.message_id, self._state.tail
        if tail is not None and tail.message_id == message_id:
            return tail.message_object(self._state.messages, self._count)
        state = self._messages.get(message_id)
        return None if state is None else state.build()

    @property
    def run_step(self) -> RunStep | None:
        """The step of the last event of any step, as far as it had come."""
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
        """The text of all messages of the assistant, one after the other."""
        state = self._state
        if state.tail is None:
            return _text_of(state.messages)
        return state.tail.text(state.messages, self._count)

    def find_message(self, message_id: str) -> Message | None:
        """The message of an id, ``None`` if the stream has none so far."""
        state = self._messages.get(message_id)
        return None if state is None else state.build()

    def find_run_step(self, step_id: str) -> RunStep | None:
        """The step of an id, ``None`` if the stream has none so far."""
        state = self._steps.get(step_id)
        return None if state is None else state.build()

    def find_tool_call(
        self, step_id: str, index: int, call_id: str | None = None
    ) -> ToolCall | None:
        """The call of a step at an index, as far as it had come, ``None`` if it has not begun.

        Some servers give several calls one index: ``call_id`` tells them apart. Without it this
        gives the call that a delta named last.
        """
        state = self._steps.get(step_id)
        return None if state is None else state.call(index, call_id)


_snapshot = maker(Snapshot)


def fold(snapshot: Snapshot, event: Event) -> Snapshot:
    """The snapshot after an event: O(1), and the one before stays as it was.

    Objects are told apart by id and their parts by index, so messages may interleave, and deltas
    may come for an object whose beginning never came. A finished object replaces all that had
    accumulated; later deltas fill its null or empty fields, and change nothing else.
    """
    state, count = snapshot._state, snapshot._count
    if isinstance(event, ThreadMessageDelta):
        if state.tail is not None and state.tail.takes(event, count):
            return _snapshot(event, state, count + 1)
        messages, message_id = snapshot._messages, event.glance().id
        messages = messages.put(message_id, _MessageState.plus(messages.get(message_id), event))
        tail = _Tail.of(messages, event)
        state = state.with_messages(messages, message_id, tail)
        count = 0 if tail is None else tail.grown.count
    elif isinstance(event, MessageEvent):
        messages, message_id = snapshot._messages, event.data.id
        messages = messages.put(message_id, _MessageState.after(messages.get(message_id), event))
        state = state.with_messages(messages, message_id, None)
    elif isinstance(event, ThreadRunStepDelta):
        step_id = event.glance().id
        steps = state.steps.put(step_id, _StepState.plus(state.steps.get(step_id), event))
        state = state.with_steps(steps, step_id)
    elif isinstance(event, RunStepEvent):
        step_id = event.data.id
        steps = state.steps.put(step_id, _StepState.after(state.steps.get(step_id), event))
        state = state.with_steps(steps, step_id)
    elif isinstance(event, RunEvent):
        state = state.with_run(event.data)
    else:
        check_event(event, "a snapshot")
    return _snapshot(event, state, count)


@frozen
class SnapshotRecord:
    """All values of a snapshot, and all that it needs to grow further, in a form to be stored.

    ``finished`` has the ids of messages and steps that have ended. For each other one ``indexes``
    has the places of its parts or calls: the index, and those of the annotations or outputs inside.
    ``named`` has the ids of the calls that deltas without an id go on with, where several calls
    share an index.
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
    """The record of a snapshot: ``restored`` makes the snapshot again."""
    state, messages, steps = snapshot._state, list(snapshot._messages), list(snapshot._steps)
    items: list[_MessageState | _StepState] = [*messages, *steps]
    places = {item.said.id: item.places() for item in items if not item.finished}
    return SnapshotRecord(
        snapshot.event,
        state.run,
        snapshot.messages,
        snapshot.run_steps,
        state.message_id,
        state.step_id,
        frozenset(item.said.id for item in items if item.finished),
        {key: indexes for key, indexes in places.items() if indexes},
        state.settled,
        state.required,
        frozenset(id_ for step in steps if not step.finished for id_ in step.calls.names()),
    )


def restored(record: SnapshotRecord) -> Snapshot:
    """The snapshot of a record: it gives the same, and grows further as the recorded one would."""
    messages: Keyed[_MessageState] = NOTHING_YET
    for message in record.messages:
        places, ended = record.indexes.get(message.id, ()), message.id in record.finished
        messages = messages.put(message.id, _MessageState.begin(message, places, finished=ended))
    steps: Keyed[_StepState] = NOTHING_YET
    for step in record.run_steps:
        places, ended = record.indexes.get(step.id, ()), step.id in record.finished
        begun = _StepState.begin(step, places, record.named, finished=ended)
        steps = steps.put(step.id, begun)
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


Fold = Callable[[Snapshot, Event], Snapshot]
"""``fold``, or a function that gives the same."""


NOTHING = Snapshot()
"""Before the first event."""


__all__ = [
    "NOTHING",
    "Fold",
    "Snapshot",
    "SnapshotRecord",
    "calls_in",
    "fold",
    "recorded",
    "required_call",
    "required_calls",
    "restored",
]
