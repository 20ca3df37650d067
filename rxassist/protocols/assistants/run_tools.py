"""Going on after ``requires_action``: call the functions that a run asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias, TypeVar, cast

import reactivex as rx
from reactivex import Observable, abc

from rxassist.protocols.assistants.awaited import nothing_awaited, says_nothing
from rxassist.protocols.assistants.events import Event
from rxassist.protocols.assistants.models import (
    FunctionToolCall,
    RequiredActionFunctionToolCall,
    RequiredActionMCPToolCall,
    RequiredActionSubmitToolApproval,
    RequiredActionSubmitToolOutputs,
    RequiredToolCall,
    Run,
    ToolCall,
    UnknownRequiredToolCall,
)
from rxassist.protocols.assistants.snapshots import required_call
from rxassist.reactive.typing import Operator
from rxassist.runs.events import run_of
from rxassist.runs.tools import Tool, Toolbox, ToolResult
from rxassist.runs.tools.calls import (
    Approve,
    Awaited,
    AwaitedCall,
    Calls,
    OnResult,
    OnToolError,
    Reply,
    called_here,
    is_approved,
)
from rxassist.runs.tools.rounds import MAX_ROUNDS, Rounds
from rxassist.wire.values import type_on_wire

_T = TypeVar("_T")

Submission: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]
"""``tool_outputs`` or ``tool_approvals``, as ``submit_tool_outputs_stream`` takes them."""

Approvable: TypeAlias = FunctionToolCall | RequiredActionMCPToolCall | UnknownRequiredToolCall
"""A call that may be approved: of a function of yours, or one that the service makes itself.

For one that the service makes itself, the decision may be a mapping
``{"approve": True, "headers": {…}}``, which sends headers too.
"""


def run_tools(
    toolbox: Toolbox | Iterable[Tool[..., Any] | Callable[..., Any]],
    submit: Callable[[Run, Submission], Observable[Event]],
    *,
    cancel: Callable[[Run], Observable[Run]] | None = None,
    call: Callable[[Callable[[], object]], Observable[Any]] = called_here,
    approve: Approve[Approvable] | None = None,
    on_tool_error: OnToolError[ToolCall] = "tell",
    tool_timeout: float | None = None,
    max_concurrent_tools: int | None = None,
    max_rounds: int = MAX_ROUNDS,
    on_result: Callable[[ToolResult[ToolCall]], object] | None = None,
    scheduler: abc.SchedulerBase | None = None,
) -> Operator[Event, Event]:
    """Call the functions that a run asks for, and go on with its events, until it ends.

    Emits every event, ``thread.run.requires_action`` too; there the source is freed, and the
    functions of ``toolbox`` are called, all at a time or ``max_concurrent_tools`` of them. Then
    ``submit(run, {"tool_outputs": […]})`` is subscribed once, whose events follow, and so on, for
    at most ``max_rounds`` rounds. ``done`` comes once, at the end. A run that waits for something
    else than these functions can give ends as without tools; one that does not say what it waits
    for is an error.

    ``call`` takes a function without arguments and returns an Observable of its result: by default
    the function is called at once, on the thread that emits. If a function returns an Observable,
    its last item counts. The reply to the model is the result, as JSON unless it is text, or the
    failure; no result within ``tool_timeout`` seconds is a failure. With ``on_tool_error="raise"``
    a failure ends the stream instead; a function returns the reply. ``approve`` is called before
    each call: if it returns nothing or a text, the reply to the model is a refusal. ``on_result``
    is called with the result of each call.

    Sends to ``on_error``: ``ToolError``, ``ToolRoundsExceeded``, ``DecodeError``, and an error of
    the submission before its first event, all after ``cancel(run)``, except for a lost connection,
    as the run may go on; other errors of the source and of ``submit``. Disposing frees the calls
    that run, and submits nothing.

    Where ``a`` is ``thread.run.requires_action``, the function takes two ticks and the submission
    two more, ``p`` is ``thread.run.in_progress``, ``c`` ``thread.run.completed``, and ``d``
    ``done``::

        source  -q-a-d|
        result  -q-a---(pcd|)
    """
    box = toolbox if isinstance(toolbox, Toolbox) else Toolbox(toolbox)
    calls = Calls(box, call, approve, on_tool_error, tool_timeout, max_concurrent_tools)
    return tool_rounds(
        calls,
        run_of,
        submit,
        cancel=cancel,
        max_rounds=max_rounds,
        on_result=on_result,
        scheduler=scheduler,
    )


def _unread(run: Run) -> Observable[Run]:
    return rx.throw(nothing_awaited(run))


def tool_rounds(
    calls: Calls,
    run_of: Callable[[_T], Run | None],
    submit: Callable[[Run, Submission], Observable[_T]],
    *,
    cancel: Callable[[Run], Observable[Run]] | None = None,
    max_rounds: int = MAX_ROUNDS,
    on_result: OnResult | None = None,
    read: Callable[[Run], Observable[Run]] = _unread,
    outputs: Mapping[str, str] | None = None,
    scheduler: abc.SchedulerBase | None = None,
) -> Operator[_T, _T]:
    """``run_tools`` for any items that ``run_of`` finds a run in: events, or runs themselves.

    ``read(run)`` reads a run again that does not say what it waits for, and adds that. ``outputs``
    are the replies to calls that were made before, by the ids of the calls.
    """
    rounds = Rounds(
        calls=calls,
        run_of=run_of,
        waits_for=waits_for,
        submit=submit,
        cancel=cancel,
        max_rounds=max_rounds,
        on_result=on_result,
        read=lambda run: read(run) if says_nothing(run) else None,
        outputs=outputs or {},
        scheduler=scheduler,
    )
    return rounds.operator()


def waits_for(run: Run) -> Awaited[Submission] | None:
    """The calls that a run waits for, and how their replies are submitted."""
    action = run.required_action
    if isinstance(action, RequiredActionSubmitToolOutputs):
        calls = [_output(required_call(each)) for each in action.submit_tool_outputs.tool_calls]
        return Awaited(calls, lambda replies: {"tool_outputs": replies})
    if isinstance(action, RequiredActionSubmitToolApproval):
        calls = [_approval(each) for each in action.submit_tool_approval.tool_calls]
        return Awaited(calls, lambda replies: {"tool_approvals": replies})
    return None


def _output(call: ToolCall) -> AwaitedCall:
    """A call whose output the run waits for."""

    def reply(output: str) -> Reply:
        return {"tool_call_id": call.id, "output": output}

    def bind(toolbox: Toolbox) -> Callable[[], object]:
        if isinstance(call, FunctionToolCall):
            return toolbox.bind(call.function.name, call.function.arguments)
        msg = f"no call of type {type_on_wire(call)!r} can be made"
        raise LookupError(msg)

    key = call if isinstance(call, FunctionToolCall) else None
    return AwaitedCall(call, _name_of(call), reply, bind, key, call.id)


def _approval(required: RequiredToolCall) -> AwaitedCall:
    """A call that the service makes itself, if it may."""
    is_function = isinstance(required, RequiredActionFunctionToolCall)
    call = required_call(required) if is_function else required
    return AwaitedCall(call, _name_of(call), partial(_decided, call.id))


def _decided(call_id: str, decision: object) -> Reply:
    answer = {"tool_call_id": call_id, "approve": is_approved(decision)}
    if not isinstance(decision, Mapping):
        return answer
    return {**cast("Mapping[str, Any]", decision), **answer}


def _name_of(call: ToolCall | RequiredToolCall) -> str:
    if isinstance(call, FunctionToolCall):
        return call.function.name
    return str(getattr(call, "name", None) or getattr(call, "type", ""))


__all__ = [
    "MAX_ROUNDS",
    "Approvable",
    "Calls",
    "Submission",
    "called_here",
    "run_tools",
    "tool_rounds",
    "waits_for",
]
