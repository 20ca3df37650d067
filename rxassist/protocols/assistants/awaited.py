"""Find out what a run waits for, if it does not say so itself."""

from __future__ import annotations

from collections.abc import Callable

import reactivex as rx
from attrs import evolve
from reactivex import Observable, abc
from reactivex import operators as ops

from rxassist.errors import DecodeError, NotFoundError, PollTimeout, StreamTruncated
from rxassist.protocols.assistants.models import (
    FunctionCall,
    FunctionToolCall,
    RequiredActionFunctionToolCall,
    RequiredActionSubmitToolApproval,
    RequiredActionSubmitToolOutputs,
    Run,
    RunStep,
    SubmitToolOutputs,
    ToolCallsStepDetails,
)
from rxassist.reactive.polling import check_id, is_passing, patiently


def says_nothing(run: Run) -> bool:
    """Whether a run waits without saying what it waits for."""
    action = run.required_action
    if isinstance(action, RequiredActionSubmitToolOutputs):
        return not action.submit_tool_outputs.tool_calls
    if isinstance(action, RequiredActionSubmitToolApproval):
        return not action.submit_tool_approval.tool_calls
    return action is None or not action.wire_type


def nothing_awaited(run: Run) -> DecodeError:
    """The error for a run that waits for something that cannot be found out."""
    expected = "the calls that the run waits for, here or in its steps"
    return DecodeError("thread.run", "$.required_action", run.required_action, expected)


def awaited(
    run: Run,
    fetch_run: Callable[[], Observable[Run]],
    list_steps: Callable[[], Observable[RunStep]],
    *,
    interval: float,
    patience: float,
    scheduler: abc.SchedulerBase | None = None,
) -> Observable[Run]:
    """The run, read again, with the calls that it waits for.

    If it still does not have them, they are the functions that its open steps call. It is read
    again every ``interval`` seconds, for ``patience`` seconds, before ``DecodeError`` goes to
    ``on_error``. Sends ``StreamTruncated`` if the run waits no more.
    """

    def ask() -> Observable[Run]:
        return fetch_run().pipe(ops.flat_map(with_action))

    def with_action(now: Run) -> Observable[Run]:
        check_id("thread.run", run.id, now.id)
        if now.status != "requires_action":
            raise _went_on(now)
        if not says_nothing(now):
            return rx.of(now)
        return list_steps().pipe(ops.to_list(), ops.catch(_none), ops.map(from_steps(now)))

    def from_steps(now: Run) -> Callable[[list[RunStep]], Run]:
        def with_calls(steps: list[RunStep]) -> Run:
            calls = tuple(call for step in steps for call in _open_calls(step))
            if not calls:
                raise nothing_awaited(now)
            action = RequiredActionSubmitToolOutputs(SubmitToolOutputs(calls))
            return evolve(now, required_action=action)

        return with_calls

    found = patiently(ask, _may_come, interval, patience, scheduler=scheduler)
    return found.pipe(ops.catch(_last))


def _went_on(run: Run) -> StreamTruncated:
    msg = f"the run waited without saying for what, and went on: its status is {run.status!r}"
    return StreamTruncated(msg)


def _none(error: Exception, _: object) -> Observable[list[RunStep]]:
    """No steps if the server does not know such a list."""
    no_steps: list[RunStep] = []
    return rx.of(no_steps) if isinstance(error, NotFoundError) else rx.throw(error)


def _open_calls(step: RunStep) -> list[RequiredActionFunctionToolCall]:
    details = step.step_details
    if step.status != "in_progress" or not isinstance(details, ToolCallsStepDetails):
        return []
    return [
        RequiredActionFunctionToolCall(
            call.id, FunctionCall(call.function.name, call.function.arguments)
        )
        for call in details.tool_calls
        if isinstance(call, FunctionToolCall) and not call.function.output  # some send "" for null
    ]


def _may_come(error: Exception) -> bool:
    return isinstance(error, DecodeError) or is_passing(error)


def _last(error: Exception, _: object) -> Observable[Run]:
    """The last error of a poll that ran out of time."""
    last = error.last if isinstance(error, PollTimeout) else None
    return rx.throw(last if isinstance(last, Exception) else error)


__all__ = ["awaited", "nothing_awaited", "says_nothing"]
