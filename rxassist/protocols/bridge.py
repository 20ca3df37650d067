"""Events of responses as events of the Assistants protocol, for code that matches on those."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from rxassist.errors import StreamDiverged, excerpt
from rxassist.protocols.assistants import codec
from rxassist.protocols.assistants.events import Event
from rxassist.protocols.responses.events import (
    EVENTS,
    AnnotationAdded,
    DoneEvent,
    ErrorEvent,
    FailureAnnounced,
    ItemEvent,
    Key,
    RefusalDelta,
    ResponseCreated,
    ResponseEvent,
    UnknownEvent,
)
from rxassist.protocols.responses.events import Event as OfResponse
from rxassist.protocols.responses.models import (
    Annotation,
    CodeInterpreterCall,
    ContainerFileCitation,
    ContentPart,
    FileCitation,
    FilePath,
    FileSearchCall,
    FunctionCall,
    MCPApprovalRequest,
    OutputItem,
    OutputMessage,
    OutputText,
    Refusal,
    Response,
    ToolCall,
    URLCitation,
    tool_call_of,
    waits,
)
from rxassist.protocols.responses.snapshots import NOTHING, Item, fold
from rxassist.reactive.kernel import Finish, Step, choose_each
from rxassist.reactive.typing import Operator
from rxassist.runs.events import check_event
from rxassist.runs.growing import plain_text
from rxassist.runs.operators.text import TextReader
from rxassist.runs.operators.usage import summed
from rxassist.runs.state import FINISHED, SETTLED, Usage
from rxassist.wire.structure import unstructure

_Object = dict[str, Any]

_NAMED = SETTLED | {"queued", "in_progress"}
"""The statuses that have an event of their own."""


def as_assistant_events() -> Operator[OfResponse, Event]:
    """Emit the events of a response as those of a run of the Assistants protocol.

    For code that matches on the classes or the names of those events. A chain of responses is one
    run: it has the id of the first response, and the usage of all. A message becomes a message, a
    call of a tool a step of its own with that call; what other calls than those of functions, of
    the code interpreter and of file searches are made of is in the ``raw`` of an
    ``UnknownToolCall``. ``error`` and unknown events pass. A ``done`` is emitted at the end if the
    run has ended and the service sent none.

    Lost are: what the model thought, images as they are drawn, sound, the progress of calls, the
    deltas of other calls, ``logprobs``, numbers of the sequence, ids of items that are no messages,
    ids of the responses after the first, and of the fields of a response those that a run does not
    have. Annotations name the text at their place; that of a file has none.

    Completes and fails with its source. Sends ``StreamDiverged`` to ``on_error`` if the service
    began the response anew and what it sends then is not what it sent before.

    Where ``k`` is ``response.created``, ``t`` a delta of a text and ``c`` ``response.completed``,
    ``K`` and ``C`` are the events of the run, ``m`` and ``p`` say that the message was created and
    is in progress, ``T`` is its delta, ``n`` the whole message, and ``d`` is ``done``::

        source  -k-t----c----|
        result  -K-(mpT)(nC)-(d|)
    """

    def begin() -> tuple[Step[OfResponse, Event], Finish[Event]]:
        bridge = _Bridge()
        return bridge.step, bridge.finish

    return choose_each(begin)


class _Bridge:
    """One subscription: the run, and what was emitted of its messages and calls."""

    def __init__(self) -> None:
        self._snapshot = NOTHING
        self._reader = TextReader()
        self._run: _Object = {"id": "", "thread_id": ""}
        self._status = ""
        self._usage: dict[str, Usage] = {}
        self._ids: dict[Key, str] = {}  # of the messages and the steps that began
        self._texts: dict[Key, str] = {}  # of calls, as far as they were emitted
        self._finished: set[Key] = set()
        self._is_done = False

    def step(self, event: OfResponse) -> Iterator[Event]:
        """The events that an event becomes."""
        check_event(event, "as_assistant_events", takes="the events of a response")
        if not isinstance(cast("object", event), EVENTS):
            msg = f"as_assistant_events takes the events of a response, got {excerpt(event)}"
            raise TypeError(msg)
        self._snapshot = fold(self._snapshot, event)
        if isinstance(event, ResponseEvent):
            yield from self._of_response(event)
        elif isinstance(event, ItemEvent):
            yield from self._of_item(event)
        elif isinstance(event, DoneEvent):
            self._is_done = True
            yield codec.event_of("done", event.data)
        elif isinstance(event, ErrorEvent):
            if not isinstance(event, FailureAnnounced):
                yield codec.event_of("error", unstructure(event.data))
        elif isinstance(event, UnknownEvent):
            yield codec.event_of(event.name, event.data)

    def finish(self) -> Iterator[Event]:
        """The end of the stream, if that of the run was emitted and the service sent none."""
        if self._status in SETTLED and not self._is_done:
            yield codec.event_of("done", "[DONE]")

    # --- the run -----------------------------------------------------------------------

    def _of_response(self, event: ResponseEvent) -> Iterator[Event]:
        run = event.run()
        if not self._run["id"]:
            conversation = run.conversation or {}
            self._run = {"id": run.id, "thread_id": str(conversation.get("id") or "")}
            is_first = True
        else:
            is_first = not self._status
        yield from self._end_all(key for key in self._ids if key[0] != event.response_id)
        yield from self._texts_of(event)
        if run.status in SETTLED:
            yield from self._of_output(event.response_id, run.status)
        if run.usage is not None:
            self._usage[run.id] = run.usage.plain()
        name = run.status if run.status in _NAMED else "in_progress"
        begins = is_first and isinstance(event, ResponseCreated)
        self._status = run.status
        yield codec.event_of(f"thread.run.{'created' if begins else name}", self._run_of(run))

    def _run_of(self, run: Response) -> _Object:
        used = list(self._usage.values())
        total = used[0] if len(used) == 1 else summed(used) if used else None
        text = run.instructions if isinstance(run.instructions, str) else None
        return {
            **self._run,
            "object": "thread.run",
            "created_at": run.created_at,
            "assistant_id": "",
            "status": run.status,
            "required_action": _required_action(run.required_calls),
            "last_error": unstructure(run.error),
            "completed_at": run.completed_at if run.status == "completed" else None,
            "incomplete_details": unstructure(run.incomplete_details),
            "model": run.model,
            "instructions": text,
            "metadata": run.metadata or {},
            "usage": unstructure(total),
            "temperature": run.temperature,
            "top_p": run.top_p,
            "reasoning_effort": (run.reasoning or {}).get("effort"),
            "max_completion_tokens": run.max_output_tokens,
            "parallel_tool_calls": run.parallel_tool_calls,
        }

    # --- messages and calls ------------------------------------------------------------

    def _of_item(self, event: ItemEvent) -> Iterator[Event]:
        item = self._snapshot.growing(event.key)
        if item is None:
            return
        yield from self._begin(item)
        yield from self._texts_of(cast("OfResponse", event))
        if event.key in self._finished:
            yield from self._grow(item)
            return
        if isinstance(item.whole, OutputMessage):
            delta = _part_delta(event, item)
            if delta is not None:
                yield self._message_delta(event.key, delta)
        yield from self._grow(item)
        if item.finished and not waits(item.whole):
            yield from self._end(item, _item_status(item.whole))

    def _of_output(self, response_id: str, status: str) -> Iterator[Event]:
        """Begin, grow and end what a response that has ended has, unless a call still waits."""
        for item in self._snapshot.growing_items:
            if item.key[0] == response_id and item.key not in self._finished:
                yield from self._begin(item)
                yield from self._grow(item)
                if status != "requires_action" or not waits(item.whole):
                    ends = (
                        _item_status(item.whole)
                        if status in {"completed", "requires_action"}
                        else status
                    )
                    yield from self._end(item, ends)

    def _begin(self, item: Item) -> Iterator[Event]:
        """The beginning of a message, or of a step with a call, if that was not emitted."""
        key, whole = item.key, item.build()
        if key in self._ids:
            return
        if isinstance(whole, OutputMessage):
            made_up = f"{whole.id or 'msg'}_{key[0]}_{key[1]}"
            is_taken = not whole.id or whole.id in self._ids.values()
            self._ids[key] = made_up if is_taken else whole.id
            message: _Object = {**self._message(key, whole, "in_progress"), "content": []}
            yield codec.event_of("thread.message.created", message)
            yield codec.event_of("thread.message.in_progress", message)
        elif tool_call_of(whole) is not None:
            self._ids[key] = f"step_{key[0]}_{key[1]}"
            self._texts[key] = ""
            step = self._step(key, (), "in_progress")
            yield codec.event_of("thread.run.step.created", step)
            yield codec.event_of("thread.run.step.in_progress", step)
            if isinstance(whole, FunctionCall | CodeInterpreterCall):
                yield self._call_delta(key, _begun(whole))

    def _texts_of(self, event: OfResponse) -> Iterator[Event]:
        """The text that an event adds to messages, as deltas of them."""
        for position, piece in self._reader.read(event):
            if position is None or piece is None:
                continue
            key, part = cast("tuple[Key, int]", position)
            item = self._snapshot.growing(key)
            if key in self._finished:
                raise StreamDiverged(self._ids[key], None, piece)
            if item is not None:
                yield from self._begin(item)
                text: _Object = {"value": piece, "annotations": []}
                yield self._message_delta(key, {"index": part, "type": "text", "text": text})

    def _grow(self, item: Item) -> Iterator[Event]:
        """The arguments or the code of a call that were not emitted."""
        key, call = item.key, item.build()
        if key not in self._texts or not isinstance(call, FunctionCall | CodeInterpreterCall):
            return
        sent, text = self._texts[key], _text_of(call)
        if text.startswith(sent):
            self._texts[key] = text
            if text != sent:
                yield self._call_delta(key, _more(call, text[len(sent) :]))
        elif not sent.startswith(text) or item.finished:
            raise StreamDiverged(self._ids[key], sent, text)

    def _end_all(self, keys: Iterable[Key]) -> Iterator[Event]:
        """End the steps of calls that waited: another response goes on with their outputs."""
        for key in [key for key in keys if key not in self._finished]:
            item = self._snapshot.growing(key)
            if item is not None:
                yield from self._end(item, "completed")

    def _end(self, item: Item, status: str) -> Iterator[Event]:
        key, whole = item.key, item.build()
        if key not in self._ids:
            return
        self._finished.add(key)
        if isinstance(whole, OutputMessage):
            status = "completed" if status == "completed" else "incomplete"
            yield codec.event_of(f"thread.message.{status}", self._message(key, whole, status))
            return
        status = status if status in {"completed", "cancelled"} else "failed"
        call = cast("ToolCall", whole)
        yield codec.event_of(
            f"thread.run.step.{status}", self._step(key, (_call_of(call),), status)
        )

    def _message(self, key: Key, whole: OutputMessage, status: str) -> _Object:
        return {
            "id": self._ids[key],
            "object": "thread.message",
            "thread_id": self._run["thread_id"],
            "run_id": self._run["id"] or None,
            "status": status,
            "role": whole.role,
            "content": list(map(_block_of, whole.content)),
        }

    def _message_delta(self, key: Key, part: _Object) -> Event:
        data = {
            "id": self._ids[key],
            "object": "thread.message.delta",
            "delta": {"content": [part]},
        }
        return codec.event_of("thread.message.delta", data)

    def _step(self, key: Key, calls: Iterable[_Object], status: str) -> _Object:
        return {
            "id": self._ids[key],
            "object": "thread.run.step",
            "thread_id": self._run["thread_id"],
            "run_id": self._run["id"],
            "type": "tool_calls",
            "status": status,
            "step_details": {"type": "tool_calls", "tool_calls": list(calls)},
        }

    def _call_delta(self, key: Key, call: _Object) -> Event:
        details = {"type": "tool_calls", "tool_calls": [{"index": 0, **call}]}
        data = {
            "id": self._ids[key],
            "object": "thread.run.step.delta",
            "delta": {"step_details": details},
        }
        return codec.event_of("thread.run.step.delta", data)


# --- parts of messages ---------------------------------------------------------------------


def _part_delta(event: ItemEvent, item: Item) -> _Object | None:
    """What a delta of a refusal or an annotation adds to its message."""
    if isinstance(event, RefusalDelta):
        index = event.content_index or 0
        return {"index": index, "type": "refusal", "refusal": event.delta}
    if not isinstance(event, AnnotationAdded):
        return None
    part = item.parts.get(event.part_key)
    text = "" if part is None else plain_text(part.text)
    annotation = {"index": event.annotation_index, **_annotation_of(event.annotation, text)}
    value = {"annotations": [annotation]}
    return {"index": event.content_index or 0, "type": "text", "text": value}


def _block_of(part: ContentPart) -> _Object:
    if isinstance(part, OutputText):
        each = [_annotation_of(annotation, part.text) for annotation in part.annotations]
        return {"type": "text", "text": {"value": part.text, "annotations": each}}
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.refusal}
    return cast("_Object", unstructure(part))


def _annotation_of(annotation: Annotation, text: str) -> _Object:
    if not isinstance(annotation, FileCitation | FilePath | URLCitation | ContainerFileCitation):
        return cast("_Object", unstructure(annotation))
    if isinstance(annotation, FileCitation | FilePath):
        start = end = annotation.index
    else:
        start, end = annotation.start_index, annotation.end_index
    said = {"text": text[start or 0 : end or 0], "start_index": start, "end_index": end}
    if isinstance(annotation, URLCitation):
        page = {"url": annotation.url, "title": annotation.title}
        return {"type": "url_citation", **said, "url_citation": page}
    kind = "file_citation" if isinstance(annotation, FileCitation) else "file_path"
    return {"type": kind, **said, kind: {"file_id": annotation.file_id}}


# --- calls ---------------------------------------------------------------------------------


def _item_status(item: OutputItem) -> str:
    """How an item ended: well, if it does not say otherwise."""
    status: object = getattr(item, "status", None)
    return str(status) if status in FINISHED else "completed"


def _text_of(call: FunctionCall | CodeInterpreterCall) -> str:
    return call.arguments if isinstance(call, FunctionCall) else call.code or ""


def _begun(call: FunctionCall | CodeInterpreterCall) -> _Object:
    if isinstance(call, FunctionCall):
        function = {"name": call.name, "arguments": ""}
        return {"id": call.call_id, "type": "function", "function": function}
    return {"id": call.id, "type": "code_interpreter", "code_interpreter": {"input": ""}}


def _more(call: FunctionCall | CodeInterpreterCall, text: str) -> _Object:
    if isinstance(call, FunctionCall):
        return {"type": "function", "function": {"arguments": text}}
    return {"type": "code_interpreter", "code_interpreter": {"input": text}}


def _call_of(call: ToolCall) -> _Object:
    if isinstance(call, FunctionCall):
        function = {"name": call.name, "arguments": call.arguments, "output": None}
        return {"id": call.call_id, "type": "function", "function": function}
    if isinstance(call, CodeInterpreterCall):
        ran = {"input": call.code or "", "outputs": list(call.outputs)}
        return {"id": call.id, "type": "code_interpreter", "code_interpreter": ran}
    if isinstance(call, FileSearchCall):
        results = list(map(_result_of, call.results))
        return {"id": call.id, "type": "file_search", "file_search": {"results": results}}
    return cast("_Object", unstructure(call))


def _result_of(result: Mapping[str, Any]) -> _Object:
    content = [{"type": "text", "text": result.get("text")}]
    said = {key: result.get(key) for key in ("file_id", "score")}
    return {**said, "file_name": result.get("filename"), "content": content}


def _required_action(calls: tuple[ToolCall, ...]) -> _Object | None:
    """What a run waits for: outputs, or only approvals."""
    if not calls:
        return None
    approvals = all(isinstance(call, MCPApprovalRequest) for call in calls)
    kind = "submit_tool_approval" if approvals else "submit_tool_outputs"
    return {"type": kind, kind: {"tool_calls": list(map(_required, calls))}}


def _required(call: ToolCall) -> _Object:
    if isinstance(call, FunctionCall):
        function = {"name": call.name, "arguments": call.arguments}
        return {"id": call.call_id, "type": "function", "function": function}
    said = cast("_Object", unstructure(call))
    return {**said, "type": "mcp"} if isinstance(call, MCPApprovalRequest) else said


__all__ = ["as_assistant_events"]
