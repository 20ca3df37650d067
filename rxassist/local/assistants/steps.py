"""The steps of one run as events: messages and tool calls, from start to end."""

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
from rxassist.local.scripts.moves import Approval, Call, Code, Found, Mcp, Say, Search, tokens
from rxassist.local.scripts.pieces import Cite, Image, Link, Source
from rxassist.local.scripts.playback import Timeline
from rxassist.local.server.identity import new_id, now
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
    FileSearchResult,
    FileSearchResultContent,
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
    """The usage object of these numbers, with all the fields that the real service sends."""
    return Usage(
        prompt_tokens,
        completion_tokens,
        prompt_tokens + completion_tokens,
        {"cached_tokens": 0},
        {"reasoning_tokens": 0},
    )


class Steps:
    """Plays the moves of one run that are steps, one after the other.

    It folds its events as a client would, and takes the completed objects from the fold: they
    cannot differ from the deltas.
    """

    def __init__(self, run: Run, prompt_tokens: int, token_delay: float) -> None:
        self._run = run
        self._prompt_tokens = prompt_tokens
        self._token_delay = token_delay
        self._snapshot = Snapshot()
        self._step_id = ""  # of the open step
        self._message_id = ""  # of the open message
        self._mcp_calls: dict[str, Mcp] = {}  # of the open step, by their ids
        self._completion_tokens = 0  # of the open step
        self._used = [0, 0]

    @property
    def usage(self) -> Usage:
        """The usage of all completed steps."""
        return usage_of(*self._used)

    @property
    def calls(self) -> tuple[FunctionToolCall, ...]:
        """The function calls of the open step."""
        step = self._snapshot.find_run_step(self._step_id)
        details = step.step_details if step else None
        if not isinstance(details, ToolCallsStepDetails):
            return ()
        return tuple(each for each in details.tool_calls if isinstance(each, FunctionToolCall))

    @property
    def mcp_calls(self) -> Mapping[str, Mcp]:
        """The calls of tools of MCP servers of the open step, by their ids."""
        return self._mcp_calls

    # --- moves -------------------------------------------------------------------------

    def say(self, move: Say) -> Timeline[Event]:
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
        yield self._folded(ThreadMessageCreated(message))
        yield self._folded(ThreadMessageInProgress(message))
        for content in _contents(move):
            yield from self._pause()
            delta = MessageDelta(content=(content,))
            yield self._folded(ThreadMessageDelta(MessageDeltaEvent(message.id, delta)))
        written = attrs.evolve(self._written(), status="completed", completed_at=now())
        yield self._folded(ThreadMessageCompleted(written))
        self._message_id = ""
        yield self._complete()

    def code(self, move: Code) -> Timeline[Event]:
        """Write code, and its outputs."""
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
            outcome = CodeInterpreterDelta(outputs=tuple(outputs))
            yield self._grow(CodeInterpreterToolCallDelta(code_interpreter=outcome))
        yield self._complete()

    def search(self, move: Search) -> Timeline[Event]:
        """Search files; the completed step has the results, as in the real service."""
        yield from self._begin("tool_calls", ToolCallsStepDetails())
        call_id, found = new_id("call"), FileSearch(_RANKING)
        yield self._grow(FileSearchToolCallDelta(0, call_id, found))
        results = tuple(map(_result, move.results))
        searched = FileSearchToolCall(call_id, attrs.evolve(found, results=results))
        yield self._complete(ToolCallsStepDetails((searched,)))

    def call(self, calls: Sequence[Call]) -> Timeline[Event]:
        """Request the calls of functions; the step stays open until their outputs come."""
        yield from self._begin("tool_calls", ToolCallsStepDetails())
        for index, each in enumerate(calls):
            opened = FunctionDelta(each.name, "")
            yield self._grow(FunctionToolCallDelta(index, new_id("call"), opened))
            for piece in tokens(each.arguments):
                yield from self._pause()
                grown = FunctionDelta(arguments=piece)
                yield self._grow(FunctionToolCallDelta(index, function=grown))

    def answer(self, outputs: Sequence[str]) -> Event:
        """Complete the step with the outputs of its calls."""
        made = tuple(
            attrs.evolve(each, function=attrs.evolve(each.function, output=output))
            for each, output in zip(self.calls, outputs, strict=True)
        )
        return self._complete(ToolCallsStepDetails(made))

    def mcp(self, calls: Sequence[Mcp]) -> Timeline[Event]:
        """Call tools of an MCP server; the step stays open until the approvals come."""
        yield from self._begin("tool_calls", ToolCallsStepDetails())
        self._mcp_calls = {new_id("call"): each for each in calls}
        for index, (call_id, each) in enumerate(self._mcp_calls.items()):
            yield from self._pause()
            plain = {"index": index, **_mcp_call(call_id, each, None)}
            delta = structure({"tool_calls": [plain]}, ToolCallDeltaObject)
            grown = RunStepDeltaEvent(self._step_id, RunStepDelta(delta))
            yield self._folded(ThreadRunStepDelta(grown))

    def decide(self, approvals: Sequence[Approval]) -> Event:
        """Complete the step: the approved calls have outputs."""
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
        """End the open message and the open step as they are."""
        if self._message_id:
            stopped = attrs.evolve(
                self._written(),
                status="incomplete",
                incomplete_details=IncompleteDetails("run_cancelled"),
                incomplete_at=now(),
            )
            yield self._folded(ThreadMessageIncomplete(stopped))
            self._message_id = ""
        if self._step_id:
            cancelled = attrs.evolve(self._open_step(), status="cancelled", cancelled_at=now())
            self._step_id = ""
            yield self._folded(ThreadRunStepCancelled(cancelled))

    def expire(self) -> Iterator[Event]:
        """End the step that awaits outputs without them."""
        if self._step_id:
            expired = attrs.evolve(self._open_step(), status="expired", expired_at=now())
            self._step_id = ""
            yield self._folded(ThreadRunStepExpired(expired))

    # --- the parts of a step -----------------------------------------------------------

    def _folded(self, event: _E) -> _E:
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
        yield self._folded(ThreadRunStepCreated(step))
        yield self._folded(ThreadRunStepInProgress(step))

    def _grow(self, call: ToolCallDelta) -> Event:
        delta = RunStepDelta(ToolCallDeltaObject((call,)))
        return self._folded(ThreadRunStepDelta(RunStepDeltaEvent(self._step_id, delta)))

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
        return self._folded(ThreadRunStepCompleted(completed))

    @property
    def waiting(self) -> RunStep:
        """The step that awaits outputs or approvals, with its calls."""
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
    """What each piece adds to the message: to the current text, or as a part of its own."""
    index, in_text, length, annotations = -1, False, 0, 0
    for piece in move.pieces:
        if isinstance(piece, Image):
            index, in_text = index + 1, False
            yield _image(index, piece)
            continue
        if not in_text:
            index, in_text, length, annotations = index + 1, True, 0, 0
        if isinstance(piece, str):
            length += len(piece)
            added = TextDelta(piece)
            yield RefusalDeltaBlock(index, piece) if move.refusal else TextDeltaBlock(index, added)
            continue
        if isinstance(piece, Source):
            continue  # such a message is refused before it begins
        annotation = _annotation(piece, annotations, length)
        annotations, length = annotations + 1, length + len(piece.text)
        yield TextDeltaBlock(index, TextDelta(piece.text, (annotation,)))


def _image(index: int, piece: Image) -> MessageContentDelta:
    if piece.file_id is not None:
        return ImageFileDeltaBlock(index, ImageFile(piece.file_id, piece.detail))
    return ImageURLDeltaBlock(index, ImageURL(piece.url or "", piece.detail))


def _result(found: Found) -> FileSearchResult:
    """A file that was found, as this protocol has it."""
    if isinstance(found, FileSearchResult):
        return found
    content = tuple(FileSearchResultContent("text", part.text) for part in found.content)
    return FileSearchResult(found.file_id, found.file_name, found.score or 0, content)


def _annotation(piece: Cite | Link, index: int, start: int) -> AnnotationDelta:
    """The annotation of a piece that begins at ``start``."""
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
