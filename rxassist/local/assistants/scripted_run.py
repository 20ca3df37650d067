"""One run of a script: moves in, typed events out, in the order of the real service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator, Mapping
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
    Expire,
    Fail,
    Incomplete,
    Mcp,
    Say,
    Script,
    Search,
    Turn,
    Wait,
    tokens,
)
from rxassist.local.scripts.playback import Beats, Leg
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


@attrs.frozen
class Pace:
    """How long things take, in seconds: a piece of text, and a cancellation."""

    token_delay: float = 0.0
    cancel_delay: float = 0.0


class Performance:
    """A run that is being performed.

    ``run`` is the run as it stands now. Each leg, from the start or from submitted outputs to the
    next ``done``, is an Observable of events that must be subscribed once.
    """

    def __init__(
        self,
        script: Script,
        turn: Turn,
        loop: asyncio.AbstractEventLoop,
        pace: Pace = Pace(),
    ) -> None:
        self.run: Run = turn.run
        self._turn = turn
        self._moves = _moves(script, turn)
        self._steps = Steps(turn.run, _prompt_tokens(turn), pace.token_delay)
        self._pace = pace
        self._single_call = False
        self._loop = loop
        self._leg: Leg[Event] = Leg(iter(()), loop)

    @property
    def awaited_calls(self) -> tuple[str, ...]:
        """The ids of the calls whose outputs or approvals the run waits for."""
        if self.run.status != "requires_action":
            return ()
        return tuple(self._steps.mcp_calls) or tuple(call.id for call in self._steps.calls)

    @property
    def awaits(self) -> Awaited:
        """The parameter that answers the calls that the run waits for."""
        return "tool_approvals" if self._steps.mcp_calls else "tool_outputs"

    @property
    def waiting_step(self) -> RunStep:
        """The step that waits for outputs, with its calls."""
        return self._steps.waiting

    def begin(self, *, new_thread: bool = False) -> Observable[Event]:
        """The first leg; with ``new_thread`` it says first that the thread was created."""
        return self._new_leg(self._begin(new_thread=new_thread))

    def submit(self, answers: Mapping[str, str | Approval]) -> Observable[Event]:
        """The next leg, from the outputs or approvals of all ``awaited_calls`` by their ids."""
        in_order = [answers[call_id] for call_id in self.awaited_calls]
        self.run = attrs.evolve(self.run, status="queued", required_action=None)
        return self._new_leg(self._resume(in_order))

    def cancel(self) -> Observable[Event] | None:
        """Begin to cancel: in the leg that is going on, else in the one that is returned."""
        waits = self.run.status == "requires_action"
        self.run = attrs.evolve(self.run, status="cancelling", required_action=None)
        if waits:
            return self._new_leg(self._cancel())
        self._leg.turn_to(self._cancel())
        return None

    def expire(self) -> Observable[Event]:
        """The last leg of a run that has waited for outputs for too long."""
        self.run = attrs.evolve(self.run, status="expired", required_action=None)
        return self._new_leg(self._expire())

    def close(self) -> None:
        """Let the script clean up: it is not resumed any more."""
        self._moves.close()

    def _new_leg(self, beats: Beats[Event]) -> Observable[Event]:
        self._leg = Leg(beats, self._loop)
        return self._leg

    def _begin(self, *, new_thread: bool) -> Beats[Event]:
        if new_thread:
            yield ThreadCreated(self._turn.thread)
        yield ThreadRunCreated(self.run)
        yield ThreadRunQueued(self.run)
        yield self._change(ThreadRunInProgress, status="in_progress", started_at=now())
        yield from self._play(None)

    def _resume(self, answers: list[str | Approval]) -> Beats[Event]:
        if self._steps.mcp_calls:
            yield self._steps.decide([each for each in answers if isinstance(each, Approval)])
        else:
            yield self._steps.answer([each for each in answers if isinstance(each, str)])
        yield ThreadRunQueued(self.run)
        yield self._change(ThreadRunInProgress, status="in_progress")
        yield from self._play(answers[0] if self._single_call else answers)

    def _play(self, answer: object) -> Beats[Event]:
        """Perform the script's moves until the run waits or ends."""
        while True:
            try:
                move = self._moves.send(answer)
            except StopIteration:
                yield from self._end(ThreadRunCompleted, status="completed", completed_at=now())
                return
            except Exception as error:  # noqa: BLE001 -- the script's, and the run tells of it
                yield from self._fail(f"The script raised {type(error).__name__}: {error}")
                return
            answer = None
            match move:
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

    def _pause_or_end(self, move: object) -> Beats[Event]:
        """Perform a move after which the leg is over."""
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
                yield from self._ask(move)

    def _ask(self, move: object) -> Beats[Event]:
        self._single_call = isinstance(move, Call | Mcp)
        given = [move] if self._single_call else as_list(move) or ()
        calls = [each for each in given if isinstance(each, Call)]
        mcp_calls = [each for each in given if isinstance(each, Mcp) and each.approval]
        if calls and len(calls) == len(given):
            yield from self._steps.call(calls)
            yield self._wait_for(RequiredActionSubmitToolOutputs(SubmitToolOutputs(self._calls())))
            yield DoneEvent()
        elif mcp_calls and len(mcp_calls) == len(given):
            yield from self._steps.mcp(mcp_calls)
            required = SubmitToolApproval(self._calls())
            yield self._wait_for(RequiredActionSubmitToolApproval(required))
            yield DoneEvent()
        else:
            yield from self._fail(f"The script yielded {move!r}, which is no move")

    def _calls(self) -> tuple[RequiredToolCall, ...]:
        """The calls of the step that is open, as the run asks for them."""
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

    def _wait_for(self, action: RequiredAction) -> Event:
        return self._change(
            ThreadRunRequiresAction, status="requires_action", required_action=action
        )

    def _fail(self, message: str, code: str = "server_error") -> Beats[Event]:
        error = LastError(code, message)
        yield from self._end(ThreadRunFailed, status="failed", last_error=error, failed_at=now())

    def _cancel(self) -> Beats[Event]:
        yield ThreadRunCancelling(self.run)
        # A turn of the loop at least: the answer to the request says that the run is cancelling.
        yield self._pace.cancel_delay
        yield from self._steps.cancel()
        yield from self._end(ThreadRunCancelled, status="cancelled", cancelled_at=now())

    def _expire(self) -> Beats[Event]:
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


def _moves(script: Script, turn: Turn) -> Generator[object, Any, None]:
    """The moves of a script, also of one that just gives a list of them."""
    moves = script(turn)
    if isinstance(moves, Generator):
        yield from moves
    else:
        for move in moves:  # noqa: UP028 -- ``yield from`` would send the outputs to the list
            yield move


def _prompt_tokens(turn: Turn) -> int:
    texts = [turn.run.instructions or ""]
    for message in turn.messages:
        texts += [part.text.value for part in message.content if isinstance(part, TextContentBlock)]
    return sum(len(tokens(text)) for text in texts)


__all__ = ["Awaited", "Pace", "Performance"]
