"""The steps of one run as events: messages, tool calls, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from rxassist.events import (
    Event,
    ThreadMessageCompleted,
    ThreadMessageCreated,
    ThreadMessageDelta,
    ThreadMessageIncomplete,
    ThreadMessageInProgress,
    ThreadRunStepCancelled,
    ThreadRunStepCompleted,
    ThreadRunStepCreated,
    ThreadRunStepDelta,
    ThreadRunStepExpired,
    ThreadRunStepInProgress,
)
from rxassist.local.identity import new_id, now
from rxassist.local.legs import Beats
from rxassist.local.moves import Approval, Call, Code, Mcp, Say, Search, tokens
from rxassist.local.pieces import Cite, Image, Link
from rxassist.models import (
    AnnotationDelta,
    CodeInterpreterDelta,
    CodeInterpreterImage,
    CodeInterpreterImageDelta,
    CodeInterpreterLogsDelta,
    CodeInterpreterToolCallDelta,
    FileCitation,
    FileCitationDeltaAnnotation,
    FilePath,
    FilePathDeltaAnnotation,
    FileSearch,
    FileSearchToolCall,
    FileSearchToolCallDelta,
    FunctionDelta,
    FunctionToolCall,
    FunctionToolCallDelta,
    ImageFile,
    ImageFileDeltaBlock,
    ImageURL,
    ImageURLDeltaBlock,
    IncompleteDetails,
    Message,
    MessageContentDelta,
    MessageCreation,
    MessageCreationStepDetails,
    MessageDelta,
    MessageDeltaEvent,
    OutputDelta,
    RankingOptions,
    RefusalDeltaBlock,
    Run,
    RunStep,
    RunStepDelta,
    RunStepDeltaEvent,
    StepDetails,
    TextDelta,
    TextDeltaBlock,
    ToolCallDelta,
    ToolCallDeltaObject,
    ToolCallsStepDetails,
    Usage,
)
from rxassist.protocols.assistants.snapshots import Snapshot, fold
from rxassist.wire.structure import structure

_E = TypeVar("_E", bound=Event)

_RANKING = RankingOptions("default_2024_08_21", 0.0)


def usage_of(prompt_tokens: int, completion_tokens: int) -> Usage:
    """The usage object of these numbers, as complete as the service gives it."""
    return Usage(
        prompt_tokens,
        completion_tokens,
        prompt_tokens + completion_tokens,
        {"cached_tokens": 0},
        {"reasoning_tokens": 0},
    )


class Steps:
    """Performs the moves of one run that are steps, one after the other.

    What was streamed is folded as a client would fold it, and the completed objects are taken
    from the fold: what they hold and what the deltas told cannot differ.
    """

    def __init__(self, run: Run, prompt_tokens: int, token_delay: float) -> None:
        self._run = run
        self._prompt_tokens = prompt_tokens
        self._token_delay = token_delay
        self._snapshot = Snapshot()
        self._step_id = ""  # of the step that is open
        self._message_id = ""  # of the message that is open
        self._mcp_calls: dict[str, Mcp] = {}  # of the step that is open, by their ids
        self._completion_tokens = 0  # of the step that is open
        self._used = [0, 0]

    @property
    def usage(self) -> Usage:
        """What all completed steps used."""
        return usage_of(*self._used)

    @property
    def calls(self) -> tuple[FunctionToolCall, ...]:
        """The function calls of the step that is open."""
        step = self._snapshot.find_run_step(self._step_id)
        details = step.step_details if step else None
        if not isinstance(details, ToolCallsStepDetails):
            return ()
        return tuple(each for each in details.tool_calls if isinstance(each, FunctionToolCall))

    @property
    def mcp_calls(self) -> Mapping[str, Mcp]:
        """The calls of tools of MCP servers of the step that is open, by their ids."""
        return self._mcp_calls

    # --- moves -------------------------------------------------------------------------

    def say(self, move: Say) -> Beats[Event]:
        """Write a message."""
        message = Message(
            new_id("msg"),
            created_at=now(),
            thread_id=self._run.thread_id,
            status="in_progress",
            assistant_id=self._run.assistant_id,
            run_id=self._run.id,
        )
        creation = MessageCreationStepDetails(MessageCreation(message.id))
        yield from self._begin("message_creation", creation)
        self._message_id = message.id
        yield self._told(ThreadMessageCreated(message))
        yield self._told(ThreadMessageInProgress(message))
        for content in _contents(move):
            yield from self._pause()
            delta = MessageDelta(content=(content,))
            yield self._told(ThreadMessageDelta(MessageDeltaEvent(message.id, delta)))
        written = attrs.evolve(self._written(), status="completed", completed_at=now())
        yield self._told(ThreadMessageCompleted(written))
        self._message_id = ""
        yield self._complete()

    def code(self, move: Code) -> Beats[Event]:
        """Write code, and tell what came out of it."""
        yield from self._begin("tool_calls", ToolCallsStepDetails())
        opened = CodeInterpreterDelta(input="")
        yield self._grow(CodeInterpreterToolCallDelta(0, new_id("call"), opened))
        for piece in tokens(move.input):
            yield from self._pause()
            yield self._grow(
                CodeInterpreterToolCallDelta(code_interpreter=CodeInterpreterDelta(piece))
            )
        outputs: list[OutputDelta] = []
        if move.logs is not None:
            outputs.append(CodeInterpreterLogsDelta(0, move.logs))
        if move.image_file_id is not None:
            image = CodeInterpreterImage(move.image_file_id)
            outputs.append(CodeInterpreterImageDelta(len(outputs), image))
        if outputs:
            came_out = CodeInterpreterDelta(outputs=tuple(outputs))
            yield self._grow(CodeInterpreterToolCallDelta(code_interpreter=came_out))
        yield self._complete()

    def search(self, move: Search) -> Beats[Event]:
        """Search files; the results come with the completed step, as in the real service."""
        yield from self._begin("tool_calls", ToolCallsStepDetails())
        call_id, found = new_id("call"), FileSearch(_RANKING)
        yield self._grow(FileSearchToolCallDelta(0, call_id, found))
        searched = FileSearchToolCall(call_id, attrs.evolve(found, results=move.results))
        yield self._complete(ToolCallsStepDetails((searched,)))

    def call(self, calls: Sequence[Call]) -> Beats[Event]:
        """Ask for functions to be called; the step stays open until their outputs come."""
        yield from self._begin("tool_calls", ToolCallsStepDetails())
        for index, each in enumerate(calls):
            opened = FunctionDelta(each.name, "")
            yield self._grow(FunctionToolCallDelta(index, new_id("call"), opened))
            for piece in tokens(each.arguments):
                yield from self._pause()
                grown = FunctionDelta(arguments=piece)
                yield self._grow(FunctionToolCallDelta(index, function=grown))

    def answer(self, outputs: Sequence[str]) -> Event:
        """The outputs of the calls came: the step is complete."""
        made = tuple(
            attrs.evolve(each, function=attrs.evolve(each.function, output=output))
            for each, output in zip(self.calls, outputs, strict=True)
        )
        return self._complete(ToolCallsStepDetails(made))

    def mcp(self, calls: Sequence[Mcp]) -> Beats[Event]:
        """Call tools of an MCP server; the step stays open until it is told what was decided."""
        yield from self._begin("tool_calls", ToolCallsStepDetails())
        self._mcp_calls = {new_id("call"): each for each in calls}
        for index, (call_id, each) in enumerate(self._mcp_calls.items()):
            yield from self._pause()
            plain = {"index": index, **_mcp_call(call_id, each, None)}
            delta = structure({"tool_calls": [plain]}, ToolCallDeltaObject)
            grown = RunStepDeltaEvent(self._step_id, RunStepDelta(delta))
            yield self._told(ThreadRunStepDelta(grown))

    def decide(self, approvals: Sequence[Approval]) -> Event:
        """What was approved has been called: the step is complete."""
        outputs = [
            each.output if approval.approve else None
            for each, approval in zip(self._mcp_calls.values(), approvals, strict=True)
        ]
        details = self._mcp_details(outputs)
        self._mcp_calls = {}
        return self._complete(details)

    def _mcp_details(self, outputs: Sequence[str | None]) -> ToolCallsStepDetails:
        plain = [
            _mcp_call(call_id, each, output)
            for (call_id, each), output in zip(self._mcp_calls.items(), outputs, strict=True)
        ]
        return structure({"tool_calls": plain}, ToolCallsStepDetails)

    def cancel(self) -> Iterator[Event]:
        """What is open ends as it is."""
        if self._message_id:
            stopped = attrs.evolve(
                self._written(),
                status="incomplete",
                incomplete_details=IncompleteDetails("run_cancelled"),
                incomplete_at=now(),
            )
            yield self._told(ThreadMessageIncomplete(stopped))
            self._message_id = ""
        if self._step_id:
            cancelled = attrs.evolve(self._open_step(), status="cancelled", cancelled_at=now())
            self._step_id = ""
            yield self._told(ThreadRunStepCancelled(cancelled))

    def expire(self) -> Iterator[Event]:
        """The step that waits for outputs ends without them."""
        if self._step_id:
            expired = attrs.evolve(self._open_step(), status="expired", expired_at=now())
            self._step_id = ""
            yield self._told(ThreadRunStepExpired(expired))

    # --- the parts of a step -----------------------------------------------------------

    def _told(self, event: _E) -> _E:
        self._snapshot = fold(self._snapshot, event)
        return event

    def _pause(self) -> Iterator[float]:
        self._completion_tokens += 1
        if self._token_delay:
            yield self._token_delay

    def _begin(self, kind: str, details: StepDetails) -> Iterator[Event]:
        step = RunStep(
            new_id("step"),
            created_at=now(),
            assistant_id=self._run.assistant_id,
            thread_id=self._run.thread_id,
            run_id=self._run.id,
            type=kind,
            status="in_progress",
            step_details=details,
            expires_at=self._run.expires_at,
        )
        self._step_id = step.id
        self._completion_tokens = 0
        yield self._told(ThreadRunStepCreated(step))
        yield self._told(ThreadRunStepInProgress(step))

    def _grow(self, call: ToolCallDelta) -> Event:
        delta = RunStepDelta(ToolCallDeltaObject((call,)))
        return self._told(ThreadRunStepDelta(RunStepDeltaEvent(self._step_id, delta)))

    def _complete(self, details: StepDetails | None = None) -> Event:
        step = self._open_step()
        completed = attrs.evolve(
            step,
            status="completed",
            completed_at=now(),
            step_details=details or step.step_details,
            usage=usage_of(self._prompt_tokens, self._completion_tokens),
        )
        self._used[0] += self._prompt_tokens
        self._used[1] += self._completion_tokens
        self._step_id = ""
        return self._told(ThreadRunStepCompleted(completed))

    @property
    def waiting(self) -> RunStep:
        """The step that waits for outputs or approvals, with its calls."""
        step = self._open_step()
        if not self._mcp_calls:
            return step
        details = self._mcp_details([None] * len(self._mcp_calls))
        return attrs.evolve(step, step_details=details)

    def _open_step(self) -> RunStep:
        step = self._snapshot.find_run_step(self._step_id)
        if step is None:
            msg = "no step is open"
            raise LookupError(msg)
        return step

    def _written(self) -> Message:
        message = self._snapshot.find_message(self._message_id)
        if message is None:
            msg = "no message is open"
            raise LookupError(msg)
        return message


def _contents(move: Say) -> Iterator[MessageContentDelta]:
    """What each piece adds to the message: to the text that is open, or as a part of its own."""
    index, in_text, length, noted = -1, False, 0, 0
    for piece in move.pieces:
        if isinstance(piece, Image):
            index, in_text = index + 1, False
            yield _image(index, piece)
            continue
        if not in_text:
            index, in_text, length, noted = index + 1, True, 0, 0
        if isinstance(piece, str):
            length += len(piece)
            added = TextDelta(piece)
            yield RefusalDeltaBlock(index, piece) if move.refusal else TextDeltaBlock(index, added)
            continue
        annotation = _annotation(piece, noted, length)
        noted, length = noted + 1, length + len(piece.text)
        yield TextDeltaBlock(index, TextDelta(piece.text, (annotation,)))


def _image(index: int, piece: Image) -> MessageContentDelta:
    if piece.file_id is not None:
        return ImageFileDeltaBlock(index, ImageFile(piece.file_id, piece.detail))
    return ImageURLDeltaBlock(index, ImageURL(piece.url or "", piece.detail))


def _annotation(piece: Cite | Link, index: int, start: int) -> AnnotationDelta:
    """The mark on a text that begins at ``start``."""
    end = start + len(piece.text)
    if isinstance(piece, Link):
        made = FilePath(piece.file_id)
        return FilePathDeltaAnnotation(index, piece.text, made, start, end)
    cited = FileCitation(piece.file_id, piece.quote)
    return FileCitationDeltaAnnotation(index, piece.text, cited, start, end)


def _mcp_call(call_id: str, move: Mcp, output: str | None) -> dict[str, Any]:
    return {
        "id": call_id,
        "type": "mcp",
        "name": move.name,
        "arguments": move.arguments,
        "server_label": move.server_label,
        "output": output,
    }


__all__ = ["Steps", "usage_of"]
