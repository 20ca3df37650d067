"""The steps of one run as events: messages, tool calls, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

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
from rxassist.local.moves import Call, Code, Say, Search, tokens
from rxassist.models import (
    CodeInterpreterDelta,
    CodeInterpreterImage,
    CodeInterpreterImageDelta,
    CodeInterpreterLogsDelta,
    CodeInterpreterToolCallDelta,
    FileSearch,
    FileSearchToolCall,
    FileSearchToolCallDelta,
    FunctionDelta,
    FunctionToolCall,
    FunctionToolCallDelta,
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
from rxassist.snapshots import Snapshot, fold

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
        for piece in move.pieces:
            yield from self._pause()
            delta = MessageDelta(content=(_content(piece, refusal=move.refusal),))
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
        """The step that waits for outputs, with its calls."""
        return self._open_step()

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


def _content(piece: str, *, refusal: bool) -> MessageContentDelta:
    return RefusalDeltaBlock(0, piece) if refusal else TextDeltaBlock(0, TextDelta(piece))


__all__ = ["Steps", "usage_of"]
