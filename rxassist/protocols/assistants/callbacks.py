"""Choose the callbacks of a handler that an event causes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rxassist.protocols.assistants.events import (
    Event,
    MessageEvent,
    RunEvent,
    RunStepEvent,
    ThreadMessageDelta,
    ThreadRunStepDelta,
)
from rxassist.protocols.assistants.kinds import GrowingCall, GrowingPart
from rxassist.protocols.assistants.models import (
    ImageFileContentBlock,
    Message,
    MessageContent,
    MessageContentDelta,
    Run,
    RunStep,
    TextContentBlock,
    TextDelta,
    TextDeltaBlock,
    ToolCall,
    ToolCallDelta,
    ToolCallDeltaObject,
)
from rxassist.protocols.assistants.snapshots import (
    Snapshot,
    _MessageState,
    _StepState,
    calls_in,
    required_calls,
)
from rxassist.runs.growing import Keyed
from rxassist.runs.protocol import Callback
from rxassist.runs.state import SETTLED


def callbacks_of(event: Event, before: Snapshot, after: Snapshot) -> tuple[Callback, ...]:
    """The callbacks that an event causes, in order, ``on_event`` first.

    ``before`` and ``after`` are the snapshots around the event. Over a stream, each object is
    created once, at the first event about it, and done once, when it can no longer change: a part
    of a message when the next part begins or the message ends; a tool call when the next call of
    its step begins, its step ends, or the run waits or ends. If the first event about a step is its
    end, the step began in an earlier stream, which has handled its calls: it is only done. A delta
    that comes after the end of its object causes the callbacks for deltas, if it adds something.
    """
    caused: Iterator[Callback] = iter(())
    if isinstance(event, ThreadMessageDelta | MessageEvent):
        caused = _of_message(event, before, after)
    elif isinstance(event, ThreadRunStepDelta | RunStepEvent):
        caused = _of_step(event, before, after)
    elif isinstance(event, RunEvent) and event.data.status in SETTLED:
        caused = _of_settled_run(event.data, before)
    return (Callback("on_event", (event,)), *caused)


def _grown(
    old: Keyed[GrowingPart], new: Keyed[GrowingPart], last: GrowingPart | None, index: int | None
) -> tuple[GrowingPart | None, GrowingPart | None]:
    """The part at an index if it has just begun, and the part before it, which has ended."""
    begun = new.get(index)
    if begun is None or old.get(index) is not None:
        return None, None
    return begun, last and new.get(last.index)


def _of_message(
    event: ThreadMessageDelta | MessageEvent, before: Snapshot, after: Snapshot
) -> Iterator[Callback]:
    old, new = before._messages.get(event.data.id), after._messages.get(event.data.id)
    if new is None:
        return
    message = new.build()
    if old is not None and old.finished:
        if isinstance(event, ThreadMessageDelta) and new is not old:
            yield from _of_late_parts(message, event.data.delta.content)
            yield Callback("on_message_delta", (event.data.delta, message))
        return
    if old is None:
        yield Callback("on_message_created", (message,))
        old = _MessageState(message)
    if isinstance(event, ThreadMessageDelta):
        yield from _of_parts(old, new, event.data.delta.content)
        yield Callback("on_message_delta", (event.data.delta, message))
    elif event.begins:
        yield from _of_parts(old, new, [part.index for part in new.parts])
    else:
        yield from _of_last_parts(old, event.data.content)
        yield Callback("on_message_done", (message,))


def _of_parts(
    old: _MessageState,
    new: _MessageState,
    deltas: tuple[MessageContentDelta, ...] | list[int | None],
) -> Iterator[Callback]:
    """The callbacks for the parts of a message, from deltas or only from indexes of parts."""
    parts, last = old.parts, old.parts.last
    for delta in deltas:
        index = delta if isinstance(delta, int | None) else delta.index
        begun, ended = _grown(parts, new.parts, last, index)
        if ended is not None:
            yield from _part_done(ended.build())
        if begun is not None:
            yield from _part_created(begun.build())
            parts, last = parts.put(index, begun), begun
        part = new.parts.get(index)
        if isinstance(delta, TextDeltaBlock) and delta.text is not None and part is not None:
            yield from _text_grew(delta.text, part.build())


def _of_last_parts(old: _MessageState, content: tuple[MessageContent, ...]) -> Iterator[Callback]:
    """The part that began last is done, and so is each part without any delta."""
    last, whole = old.parts.last, dict(enumerate(content))
    if last is not None:
        yield from _part_done(whole.get(last.index or 0) or last.build())
    known = {part.index or 0 for part in old.parts}  # some servers send null for 0
    for index, part in whole.items():
        if index not in known:
            yield from _part_created(part)
            yield from _part_done(part)


def _of_late_parts(message: Message, deltas: tuple[MessageContentDelta, ...]) -> Iterator[Callback]:
    for delta in deltas:
        place = delta.index or 0  # some servers send null for 0
        if isinstance(delta, TextDeltaBlock) and delta.text and place < len(message.content):
            yield from _text_grew(delta.text, message.content[place])


def _part_created(part: MessageContent) -> Iterator[Callback]:
    if isinstance(part, TextContentBlock):
        yield Callback("on_text_created", (part.text,))


def _text_grew(delta: TextDelta, part: MessageContent) -> Iterator[Callback]:
    if isinstance(part, TextContentBlock):
        yield Callback("on_text_delta", (delta, part.text))


def _part_done(part: MessageContent) -> Iterator[Callback]:
    if isinstance(part, TextContentBlock):
        yield Callback("on_text_done", (part.text,))
    elif isinstance(part, ImageFileContentBlock):
        yield Callback("on_image_file_done", (part.image_file,))


def _of_step(
    event: ThreadRunStepDelta | RunStepEvent, before: Snapshot, after: Snapshot
) -> Iterator[Callback]:
    step_id = event.data.id
    old, new = before._steps.get(step_id), after._steps.get(step_id)
    if new is None:
        return
    step, required = new.build(), before._required
    is_over = old is not None and old.finished
    settled = before._steps.place(step_id) < before._settled  # its calls are done already
    if isinstance(event, ThreadRunStepDelta):
        if is_over and new is old:
            return
        if old is None:
            yield Callback("on_run_step_created", (step,))
            old = _StepState(step)
        details = event.data.delta.step_details
        deltas = details.tool_calls if isinstance(details, ToolCallDeltaObject) else ()
        if is_over:
            yield from _of_late_calls(new, deltas)
        else:
            last = None if settled else old.calls.last
            yield from _of_calls(old, new, deltas, last, required)
        yield Callback("on_run_step_delta", (event.data.delta, step))
    elif is_over:
        return
    elif event.begins:
        if old is None:
            yield Callback("on_run_step_created", (step,))
            old = _StepState(step)
        yield from _of_calls(old, new, new.calls.by_index(), old.calls.last, required)
    else:
        if old is not None and not settled:
            yield from _of_last_calls(old, event.data, required)
        yield Callback("on_run_step_done", (step,))


def _of_calls(
    old: _StepState,
    new: _StepState,
    deltas: Sequence[ToolCallDelta | GrowingCall],
    last: GrowingCall | None,
    required: frozenset[str],
) -> Iterator[Callback]:
    """The callbacks for the tool calls of a step, from deltas or from whole calls that begin.

    Calls that the run waited for were created and done at that time.
    """
    begun = set[object]()
    for delta in deltas:
        key = new.calls.key(delta.index, delta.id)
        call = new.calls.get(key)
        if call is None:
            continue
        if old.calls.get(key) is None and key not in begun:
            ended = last and new.calls.call(last.index, last.id)
            if ended and ended.id not in required:
                yield Callback("on_tool_call_done", (ended.build(),))
            if call.id not in required:
                yield Callback("on_tool_call_created", (call.build(),))
            begun.add(key)
            last = call
        if not isinstance(delta, GrowingCall):
            yield Callback("on_tool_call_delta", (delta, call.build()))


def _of_late_calls(new: _StepState, deltas: Sequence[ToolCallDelta]) -> Iterator[Callback]:
    for delta in deltas:
        call = new.call(delta.index, delta.id)
        if call is not None:
            yield Callback("on_tool_call_delta", (delta, call))


def _of_last_calls(old: _StepState, step: RunStep, required: frozenset[str]) -> Iterator[Callback]:
    """The call that began last is done, and so is each call without any delta."""
    whole, last = calls_in(step.step_details), old.calls.last
    if last is not None and last.id not in required:
        final = last.build()
        place = last.index or 0  # some servers send null for 0
        by_place = whole[place] if 0 <= place < len(whole) else final
        found = next((call for call in whole if call.id and call.id == final.id), by_place)
        yield Callback("on_tool_call_done", (found,))
    began = old.calls.by_index()
    ids = {call.id for call in began if call.id} | required
    places = {call.index or 0 for call in began}
    for place, call in enumerate(whole):
        if call.id not in ids and place not in places:
            yield from _whole_call(call)


def _of_settled_run(run: Run, before: Snapshot) -> Iterator[Callback]:
    """The run waits or has ended: no call changes any more, and the required ones are whole."""
    required, known = required_calls(run), set(before._required)
    for place, step in enumerate(before._steps):
        calls = [] if step.finished else [call.id for call in step.calls.by_index()]
        last = step.calls.last
        if calls and last is not None and place >= before._settled and last.id not in known:
            yield Callback("on_tool_call_done", (required.get(last.id, last.build()),))
        known.update(calls)
    for call_id, call in required.items():
        if call_id not in known:
            yield from _whole_call(call)


def _whole_call(call: ToolCall) -> Iterator[Callback]:
    yield Callback("on_tool_call_created", (call,))
    yield Callback("on_tool_call_done", (call,))


__all__ = ["callbacks_of"]
