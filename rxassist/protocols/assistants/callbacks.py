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
from rxassist.runs.protocol import CALLBACKS, Callback
from rxassist.runs.state import SETTLED

_OF_MESSAGES = frozenset(
    {
        *("on_message_created", "on_message_delta", "on_message_done", "on_image_file_done"),
        *("on_text_created", "on_text_delta", "on_text_done"),
    }
)
_OF_STEPS = CALLBACKS - _OF_MESSAGES - {"on_event", "on_end", "on_exception", "on_timeout"}


def callbacks_of(
    event: Event, before: Snapshot, after: Snapshot, wanted: frozenset[str] = CALLBACKS
) -> tuple[Callback, ...]:
    """The wanted callbacks that an event causes, in order, ``on_event`` first.

    ``before`` and ``after`` are the snapshots around the event. Over a stream, each object is
    created once, at the first event about it, and done once, when it can no longer change: a part
    of a message when the next part begins or the message ends; a tool call when the next call of
    its step begins, its step ends, or the run waits or ends. If the first event about a step is its
    end, the step began in an earlier stream, which has handled its calls: it is only done. A delta
    that comes after the end of its object causes the callbacks for deltas, if it adds something.
    """
    if isinstance(event, ThreadMessageDelta) and after._grew(before):
        return _of_grown_text(event, after, wanted)
    caused: Iterator[Callback] = iter(())
    if isinstance(event, ThreadMessageDelta | MessageEvent):
        if not wanted.isdisjoint(_OF_MESSAGES):
            caused = _of_message(event, before, after, wanted)
    elif wanted.isdisjoint(_OF_STEPS):
        pass
    elif isinstance(event, ThreadRunStepDelta | RunStepEvent):
        caused = _of_step(event, before, after, wanted)
    elif isinstance(event, RunEvent) and event.data.status in SETTLED:
        caused = _of_settled_run(event.data, before)
    calls = tuple([call for call in caused if call[0] in wanted])
    return (("on_event", (event,)), *calls) if "on_event" in wanted else calls


def _of_grown_text(
    event: ThreadMessageDelta, after: Snapshot, wanted: frozenset[str]
) -> tuple[Callback, ...]:
    """What nearly every event causes: a piece of a text that has begun, and nothing else."""
    calls: list[Callback] = [("on_event", (event,))] if "on_event" in wanted else []
    whole = event.unkept().delta if "on_message_delta" in wanted else None
    if "on_text_delta" in wanted:
        delta, text = event.text_delta(), after._grown_text
        if delta is not None and text is not None:
            calls.append(("on_text_delta", (delta, text)))
    if whole is not None:
        calls.append(("on_message_delta", (whole, after.message)))
    return tuple(calls)


def _grown(
    old: Keyed[GrowingPart], new: Keyed[GrowingPart], last: GrowingPart | None, index: int | None
) -> tuple[GrowingPart | None, GrowingPart | None]:
    """The part at an index if it has just begun, and the part before it, which has ended."""
    begun = new.get(index)
    if begun is None or old.get(index) is not None:
        return None, None
    return begun, last and new.get(last.index)


def _of_message(
    event: ThreadMessageDelta | MessageEvent,
    before: Snapshot,
    after: Snapshot,
    wanted: frozenset[str],
) -> Iterator[Callback]:
    old, new = before._messages.get(event.data.id), after._messages.get(event.data.id)
    if new is None:
        return
    if old is not None and old.finished:
        if isinstance(event, ThreadMessageDelta) and new is not old:
            message = new.build()
            yield from _of_late_parts(message, event.data.delta.content)
            yield ("on_message_delta", (event.data.delta, message))
        return
    if old is None:
        message = new.build()
        yield ("on_message_created", (message,))
        old = _MessageState(message)
    if isinstance(event, ThreadMessageDelta):
        yield from _of_parts(old, new, event.data.delta.content, wanted)
        if "on_message_delta" in wanted:
            yield ("on_message_delta", (event.data.delta, new.build()))
    elif event.begins:
        yield from _of_parts(old, new, [part.index for part in new.parts], wanted)
    else:
        yield from _of_last_parts(old, event.data.content)
        yield ("on_message_done", (new.build(),))


def _of_parts(
    old: _MessageState,
    new: _MessageState,
    deltas: tuple[MessageContentDelta, ...] | list[int | None],
    wanted: frozenset[str],
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
        if "on_text_delta" not in wanted:
            continue
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
        yield ("on_text_created", (part.text,))


def _text_grew(delta: TextDelta, part: MessageContent) -> Iterator[Callback]:
    if isinstance(part, TextContentBlock):
        yield ("on_text_delta", (delta, part.text))


def _part_done(part: MessageContent) -> Iterator[Callback]:
    if isinstance(part, TextContentBlock):
        yield ("on_text_done", (part.text,))
    elif isinstance(part, ImageFileContentBlock):
        yield ("on_image_file_done", (part.image_file,))


def _of_step(
    event: ThreadRunStepDelta | RunStepEvent,
    before: Snapshot,
    after: Snapshot,
    wanted: frozenset[str],
) -> Iterator[Callback]:
    step_id = event.data.id
    old, new = before._steps.get(step_id), after._steps.get(step_id)
    if new is None:
        return
    if old is None and not (event.is_delta or event.begins):  # it began in an earlier stream
        yield ("on_run_step_done", (new.build(),))
        return
    if old is None:
        step = new.build()
        yield ("on_run_step_created", (step,))
        old = _StepState(step)
    settled = before._steps.place(step_id) < before._settled  # its calls are done already
    last = None if settled else old.calls.last
    if isinstance(event, ThreadRunStepDelta):
        yield from _of_step_delta(event, old, new, last, before._required, wanted)
    elif old.finished:
        return
    elif event.begins:
        calls = new.calls.by_index()
        yield from _of_calls(old, new, calls, old.calls.last, before._required, wanted)
    else:
        if not settled:
            yield from _of_last_calls(old, event.data, before._required)
        yield ("on_run_step_done", (new.build(),))


def _of_step_delta(
    event: ThreadRunStepDelta,
    old: _StepState,
    new: _StepState,
    last: GrowingCall | None,
    required: frozenset[str],
    wanted: frozenset[str],
) -> Iterator[Callback]:
    if old.finished and new is old:
        return
    delta = event.unkept().delta
    details = delta.step_details
    deltas = details.tool_calls if isinstance(details, ToolCallDeltaObject) else ()
    if old.finished:
        yield from _of_late_calls(new, deltas)
    else:
        yield from _of_calls(old, new, deltas, last, required, wanted)
    if "on_run_step_delta" in wanted:
        yield ("on_run_step_delta", (delta, new.build()))


def _of_calls(
    old: _StepState,
    new: _StepState,
    deltas: Sequence[ToolCallDelta | GrowingCall],
    last: GrowingCall | None,
    required: frozenset[str],
    wanted: frozenset[str],
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
                yield ("on_tool_call_done", (ended.build(),))
            if call.id not in required:
                yield ("on_tool_call_created", (call.build(),))
            begun.add(key)
            last = call
        if "on_tool_call_delta" in wanted and not isinstance(delta, GrowingCall):
            yield ("on_tool_call_delta", (delta, call.build()))


def _of_late_calls(new: _StepState, deltas: Sequence[ToolCallDelta]) -> Iterator[Callback]:
    for delta in deltas:
        call = new.call(delta.index, delta.id)
        if call is not None:
            yield ("on_tool_call_delta", (delta, call))


def _of_last_calls(old: _StepState, step: RunStep, required: frozenset[str]) -> Iterator[Callback]:
    """The call that began last is done, and so is each call without any delta."""
    whole, last = calls_in(step.step_details), old.calls.last
    if last is not None and last.id not in required:
        final = last.build()
        place = last.index or 0  # some servers send null for 0
        by_place = whole[place] if 0 <= place < len(whole) else final
        found = next((call for call in whole if call.id and call.id == final.id), by_place)
        yield ("on_tool_call_done", (found,))
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
            yield ("on_tool_call_done", (required.get(last.id, last.build()),))
        known.update(calls)
    for call_id, call in required.items():
        if call_id not in known:
            yield from _whole_call(call)


def _whole_call(call: ToolCall) -> Iterator[Callback]:
    yield ("on_tool_call_created", (call,))
    yield ("on_tool_call_done", (call,))


__all__ = ["callbacks_of"]
