"""One run, played from a script: moves in, typed events out, in the order of the real service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias, TypeVar

import attrs
from reactivex import Observable

from rxassist.events import (
    DoneEvent,
    Event,
    ThreadCreated,
    ThreadRunCancelled,
    ThreadRunCancelling,
    ThreadRunCompleted,
    ThreadRunCreated,
    ThreadRunExpired,
    ThreadRunFailed,
    ThreadRunIncomplete,
    ThreadRunInProgress,
    ThreadRunQueued,
    ThreadRunRequiresAction,
)
from rxassist.local.assistants.steps import Steps
from rxassist.local.scripts.moves import (
    Approval,
    Call,
    Code,
    CustomCall,
    Expire,
    Fail,
    Incomplete,
    Mcp,
    Reset,
    Say,
    Search,
    Think,
    Together,
    Wait,
    WebSearch,
    tokens,
)
from rxassist.local.scripts.pieces import Source
from rxassist.local.scripts.playback import Pace, Playback, Timeline
from rxassist.local.scripts.turn import Script, Turn, moves_of
from rxassist.local.server.identity import now
from rxassist.local.server.plain import as_list
from rxassist.models import (
    FunctionCall,
    IncompleteDetails,
    LastError,
    RequiredAction,
    RequiredActionFunctionToolCall,
    RequiredActionMCPToolCall,
    RequiredActionSubmitToolApproval,
    RequiredActionSubmitToolOutputs,
    RequiredToolCall,
    Run,
    RunStep,
    SubmitToolApproval,
    SubmitToolOutputs,
    TextContentBlock,
)

_E = TypeVar("_E", bound=Event)

Awaited: TypeAlias = Literal["tool_outputs", "tool_approvals"]


class ScriptedRun:
    """A run whose events come from a script.

    ``run`` is its current state. Each of its streams, from the start or from submitted outputs to
    the next ``done``, is an Observable of events that must be subscribed once.
    """

    def __init__(
        self,
        script: Script,
        turn: Turn,
        loop: asyncio.AbstractEventLoop,
        pace: Pace,
    ) -> None:
        self.run: Run = turn.run
        self._turn = turn
        self._moves = moves_of(script, turn)
        self._steps = Steps(turn.run, _prompt_tokens(turn), pace.token_delay)
        self._pace = pace
        self._single_call = False
        self._loop = loop
        self._playback: Playback[Event] = Playback(iter(()), loop)

    @property
    def awaited_calls(self) -> tuple[str, ...]:
        """The ids of the calls whose outputs or approvals the run awaits."""
        if self.run.status != "requires_action":
            return ()
        return tuple(self._steps.mcp_calls) or tuple(call.id for call in self._steps.calls)

    @property
    def awaits(self) -> Awaited:
        """The parameter of a request that answers these calls."""
        return "tool_approvals" if self._steps.mcp_calls else "tool_outputs"

    @property
    def waiting_step(self) -> RunStep:
        """The step that awaits outputs, with its calls."""
        return self._steps.waiting

    def begin(self, *, new_thread: bool = False) -> Observable[Event]:
        """The first stream; with ``new_thread`` it begins with ``thread.created``."""
        return self._stream(self._begin(new_thread=new_thread))

    def submit(self, answers: Mapping[str, str | Approval]) -> Observable[Event]:
        """The next stream, from the outputs or approvals of all ``awaited_calls`` by their ids."""
        in_order = [answers[call_id] for call_id in self.awaited_calls]
        self.run = attrs.evolve(self.run, status="queued", required_action=None)
        return self._stream(self._resume(in_order))

    def cancel(self) -> Observable[Event] | None:
        """Begin to cancel, in the current stream; for a run that waits, in a new one: return it."""
        waits = self.run.status == "requires_action"
        self.run = attrs.evolve(self.run, status="cancelling", required_action=None)
        if waits:
            return self._stream(self._cancel())
        self._playback.switch_to(self._cancel())
        return None

    def expire(self) -> Observable[Event]:
        """The last stream of a run that has awaited outputs for too long."""
        self.run = attrs.evolve(self.run, status="expired", required_action=None)
        return self._stream(self._expire())

    def close(self) -> None:
        """Close the script, so that it can clean up."""
        self._moves.close()

    def _stream(self, timeline: Timeline[Event]) -> Observable[Event]:
        self._playback = Playback(timeline, self._loop)
        return self._playback

    def _begin(self, *, new_thread: bool) -> Timeline[Event]:
        if new_thread:
            yield ThreadCreated(self._turn.thread)
        yield ThreadRunCreated(self.run)
        yield ThreadRunQueued(self.run)
        yield self._change(ThreadRunInProgress, status="in_progress", started_at=now())
        yield from self._play(None)

    def _resume(self, answers: list[str | Approval]) -> Timeline[Event]:
        if self._steps.mcp_calls:
            yield self._steps.decide([each for each in answers if isinstance(each, Approval)])
        else:
            yield self._steps.answer([each for each in answers if isinstance(each, str)])
        yield ThreadRunQueued(self.run)
        yield self._change(ThreadRunInProgress, status="in_progress")
        yield from self._play(answers[0] if self._single_call else answers)

    def _play(self, answer: object) -> Timeline[Event]:
        """Play the moves of the script until the run waits or ends."""
        while True:
            try:
                move = self._moves.send(answer)
            except StopIteration:
                yield from self._end(ThreadRunCompleted, status="completed", completed_at=now())
                return
            except Exception as error:  # noqa: BLE001 -- the script's; it becomes the run's error
                yield from self._fail(f"The script raised {type(error).__name__}: {error}")
                return
            answer = None
            match move:
                case _ if _has_no_place(move):
                    msg = (
                        f"The script yielded {move!r}, which the Assistants protocol does not have"
                    )
                    yield from self._fail(msg)
                    return
                case Say():
                    yield from self._steps.say(move)
                case Code():
                    yield from self._steps.code(move)
                case Search():
                    yield from self._steps.search(move)
                case Mcp(approval=False):
                    yield from self._steps.mcp([move])
                    yield self._steps.decide([Approval(approve=True)])
                case Wait():
                    yield float(move.seconds)
                case _:
                    yield from self._pause_or_end(move)
                    return

    def _pause_or_end(self, move: object) -> Timeline[Event]:
        """Play a move that ends the stream."""
        match move:
            case Fail():
                yield from self._fail(move.message, move.code)
            case Incomplete():
                details = IncompleteDetails(move.reason)
                yield from self._end(
                    ThreadRunIncomplete,
                    status="incomplete",
                    incomplete_details=details,
                    completed_at=now(),
                )
            case Expire():
                yield from self._expire()
            case _:
                yield from self._request(move)

    def _request(self, move: object) -> Timeline[Event]:
        self._single_call = isinstance(move, Call | Mcp)
        given = [move] if self._single_call else as_list(move) or ()
        calls = [each for each in given if isinstance(each, Call)]
        mcp_calls = [each for each in given if isinstance(each, Mcp) and each.approval]
        if calls and len(calls) == len(given):
            yield from self._steps.call(calls)
            yield self._require(RequiredActionSubmitToolOutputs(SubmitToolOutputs(self._calls())))
            yield DoneEvent()
        elif mcp_calls and len(mcp_calls) == len(given):
            yield from self._steps.mcp(mcp_calls)
            required = SubmitToolApproval(self._calls())
            yield self._require(RequiredActionSubmitToolApproval(required))
            yield DoneEvent()
        else:
            yield from self._fail(f"The script yielded {move!r}, which is no move")

    def _calls(self) -> tuple[RequiredToolCall, ...]:
        """The calls of the open step, as the required action has them."""
        return (
            *(
                RequiredActionFunctionToolCall(
                    call.id, FunctionCall(call.function.name, call.function.arguments)
                )
                for call in self._steps.calls
            ),
            *(
                RequiredActionMCPToolCall(call_id, each.name, each.arguments, each.server_label)
                for call_id, each in self._steps.mcp_calls.items()
            ),
        )

    def _require(self, action: RequiredAction) -> Event:
        return self._change(
            ThreadRunRequiresAction, status="requires_action", required_action=action
        )

    def _fail(self, message: str, code: str = "server_error") -> Timeline[Event]:
        error = LastError(code, message)
        yield from self._end(ThreadRunFailed, status="failed", last_error=error, failed_at=now())

    def _cancel(self) -> Timeline[Event]:
        yield ThreadRunCancelling(self.run)
        # At least one turn of the loop: the reply to the request says that the run is cancelling.
        yield self._pace.cancel_delay
        yield from self._steps.cancel()
        yield from self._end(ThreadRunCancelled, status="cancelled", cancelled_at=now())

    def _expire(self) -> Timeline[Event]:
        yield from self._steps.expire()
        yield from self._end(ThreadRunExpired, status="expired")

    def _end(self, event: Callable[[Run], Event], **changes: object) -> Iterator[Event]:
        yield self._change(
            event, expires_at=None, required_action=None, usage=self._steps.usage, **changes
        )
        yield DoneEvent()

    def _change(self, event: Callable[[Run], _E], **changes: Any) -> _E:
        self.run = attrs.evolve(self.run, **changes)
        return event(self.run)


_OTHER_MOVES = (CustomCall, Reset, Think, Together, WebSearch)


def _has_no_place(move: object) -> bool:
    """Whether a move is one of the Responses protocol alone."""
    if isinstance(move, Say):
        return any(isinstance(piece, Source) for piece in move.pieces)
    given = as_list(move)
    moves = (move,) if given is None else given
    return any(
        isinstance(each, CustomCall | Reset | Think | Together | WebSearch) for each in moves
    )


def _prompt_tokens(turn: Turn) -> int:
    texts = [turn.run.instructions or ""]
    for message in turn.messages:
        texts += [part.text.value for part in message.content if isinstance(part, TextContentBlock)]
    return sum(len(tokens(text)) for text in texts)


__all__ = ["Awaited", "ScriptedRun"]
