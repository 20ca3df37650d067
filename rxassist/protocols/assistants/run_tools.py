"""Going on after ``requires_action``: call the functions that a run asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from inspect import iscoroutine
from typing import Any, Literal, TypeAlias, TypeVar, cast

import reactivex as rx
from attrs import evolve, frozen
from reactivex import Observable, Observer, abc
from reactivex import operators as ops
from reactivex.disposable import SerialDisposable
from reactivex.scheduler import ImmediateScheduler

from rxassist.errors import RxAssistError, ToolError, ToolRoundsExceeded
from rxassist.protocols.assistants.awaited import nothing_awaited, says_nothing
from rxassist.protocols.assistants.events import Event
from rxassist.protocols.assistants.models import (
    FunctionToolCall,
    RequiredAction,
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
from rxassist.reactive.checks import check_positive
from rxassist.reactive.kernel import linked
from rxassist.reactive.links import Link, clock_of, subscribe_held
from rxassist.reactive.typing import Operator
from rxassist.runs.events import run_of
from rxassist.runs.state import leaves_waiting
from rxassist.runs.tools import Tool, Toolbox, ToolResult
from rxassist.runs.tools.values import to_text
from rxassist.wire.values import type_on_wire

_T = TypeVar("_T")
_X = TypeVar("_X")

Submission: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]
"""``tool_outputs`` or ``tool_approvals``, as ``submit_tool_outputs_stream`` takes them."""

Approvable: TypeAlias = FunctionToolCall | RequiredActionMCPToolCall | UnknownRequiredToolCall
"""A call that may be approved: of a function of yours, or one that the service makes itself."""

Approve: TypeAlias = Callable[[Approvable], Any]
"""Returns ``True``, or the reason for a refusal, or a coroutine or an Observable of that.

For a call that the service makes itself, ``{"approve": True, "headers": {…}}`` sends headers too.
"""

OnToolError: TypeAlias = Literal["tell", "raise"] | Callable[[ToolCall, Exception], Any]
"""What happens when a call fails; a function returns the reply to the model."""

MAX_ROUNDS = 16
"""How often a run may ask for tools, by default."""


def called_here(function: Callable[[], object]) -> Observable[Any]:
    """Call a function at once, on this thread. Raises ``TypeError`` for a coroutine."""
    value = function()
    if iscoroutine(value):
        value.close()
        msg = (
            "an async def needs to be awaited: pass run_tools(…, "
            "call=lambda function: rx.from_future(asyncio.ensure_future(function())))"
        )
        raise TypeError(msg)
    return _just(value)


def _just(value: _T) -> Observable[_T]:
    return rx.return_value(value, ImmediateScheduler.singleton())


def run_tools(
    toolbox: Toolbox | Iterable[Tool[..., Any] | Callable[..., Any]],
    submit: Callable[[Run, Submission], Observable[Event]],
    *,
    cancel: Callable[[Run], Observable[Run]] | None = None,
    call: Callable[[Callable[[], object]], Observable[Any]] = called_here,
    approve: Approve | None = None,
    on_tool_error: OnToolError = "tell",
    tool_timeout: float | None = None,
    max_concurrent_tools: int | None = None,
    max_rounds: int = MAX_ROUNDS,
    on_result: Callable[[ToolResult], object] | None = None,
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
    on_result: Callable[[ToolResult], object] | None = None,
    read: Callable[[Run], Observable[Run]] = _unread,
    scheduler: abc.SchedulerBase | None = None,
) -> Operator[_T, _T]:
    """``run_tools`` for any items that ``run_of`` finds a run in: events, or runs themselves.

    ``read(run)`` reads a run again that does not say what it waits for, and adds that.
    """
    check_positive("max_rounds", max_rounds, whole=True)

    return linked(
        lambda observer, given: _Rounds(
            observer,
            calls,
            run_of,
            submit,
            cancel,
            max_rounds,
            on_result,
            read,
            clock_of(scheduler, given),
        )
    )


class _Rounds(Link[_T, _T]):
    """One subscription: a part of the run, as it is received, or the calls of its tools."""

    _scheduler: abc.SchedulerBase | None

    def __init__(
        self,
        observer: abc.ObserverBase[_T],
        calls: Calls,
        run_of: Callable[[_T], Run | None],
        submit: Callable[[Run, Submission], Observable[_T]],
        cancel: Callable[[Run], Observable[Run]] | None,
        max_rounds: int,
        on_result: Callable[[ToolResult], object] | None,
        read: Callable[[Run], Observable[Run]],
        clock: abc.SchedulerBase,
    ) -> None:
        super().__init__(observer)
        self._calls = calls
        self._run_of = run_of
        self._submit = submit
        self._cancel = cancel
        self._left = max_rounds
        self._max_rounds = max_rounds
        self._on_result = on_result
        self._read = read
        self._answered: dict[FunctionToolCall, ToolResult] = {}
        self._clock = clock
        self._held = SerialDisposable()
        self._waiting: Run | None = None  # the run that got outputs, until the first item after it

    def follow(
        self, source: Observable[_T], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        """Emit the items of the first part of the run."""
        self._scheduler = scheduler
        self._instead(source, self)
        return self._held

    def on_next(self, value: _T) -> None:
        """Emit an item, and begin a round if it says that the run waits for tools."""
        self._waiting = None
        try:
            run = self._run_of(value)
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self.observer.on_error(error)
            return
        self.observer.on_next(value)
        if run is not None and run.status == "requires_action" and not self._held.is_disposed:
            self._round(run)

    def on_error(self, error: Exception) -> None:
        """Fail; first cancel the run if it still waits for the outputs."""
        if self._waiting is not None and leaves_waiting(error):
            self._fail(error, self._waiting)
        else:
            self.observer.on_error(error)

    def _instead(self, source: Observable[_X], observer: abc.ObserverBase[_X]) -> None:
        """Subscribe to this source instead of the one that is held."""
        subscribe_held(self._held, source, observer, self._scheduler)

    def _look(self, run: Run) -> None:
        """Read what a run waits for, if the run itself does not say it."""

        def found(now: Run) -> None:
            if not self._round(now):
                self.observer.on_completed()

        def failed(error: Exception) -> None:
            if leaves_waiting(error):
                self._fail(error, run)
            else:
                self.observer.on_error(error)

        self._instead(self._read(run), Observer(found, failed))

    def _round(self, run: Run) -> bool:
        """Give a run what it waits for. ``False`` if these functions cannot."""
        if says_nothing(run):
            self._look(run)
            return True
        submission = self._calls.submission(run, self._clock, self._answered, self._on_result)
        if submission is None:
            return False
        if not self._left:
            self._fail(ToolRoundsExceeded(self._max_rounds), run)
            return True
        self._left -= 1
        self._instead(
            submission,
            Observer(
                lambda outputs: self._go_on(run, outputs), lambda error: self._fail(error, run)
            ),
        )
        return True

    def _go_on(self, run: Run, submission: Submission) -> None:
        try:
            part = self._submit(run, submission)
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self._fail(error, run)
            return
        self._waiting = run
        self._instead(part, self)

    def _fail(self, error: Exception, run: Run) -> None:
        """Cancel the run, because nothing goes on with it, and fail."""
        if isinstance(error, RxAssistError):
            error.run_id, error.thread_id = error.run_id or run.id, error.thread_id or run.thread_id
        if self._cancel is None:
            self.observer.on_error(error)
            return

        def could_not(why: Exception) -> None:
            error.add_note(f"the run could not be cancelled: {why}")
            self.observer.on_error(error)

        cancelled = Observer[Run](None, could_not, lambda: self.observer.on_error(error))
        self._instead(self._cancel(run), cancelled)


@frozen
class Calls:
    """Makes the calls that a run asks for; see ``run_tools``."""

    toolbox: Toolbox
    call: Callable[[Callable[[], object]], Observable[Any]]
    approve: Approve | None = None
    on_tool_error: OnToolError = "tell"
    tool_timeout: float | None = None
    max_concurrent: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.on_tool_error not in ("tell", "raise") and not callable(self.on_tool_error):
            msg = f'on_tool_error must be "tell", "raise" or a function, got {self.on_tool_error!r}'
            raise ValueError(msg)
        if self.tool_timeout is not None:
            check_positive("tool_timeout", self.tool_timeout)
        if self.max_concurrent is not None:
            check_positive("max_concurrent_tools", self.max_concurrent, whole=True)
        if self.approve is not None and not callable(self.approve):
            msg = f"approve must be a function, got {self.approve!r}"
            raise TypeError(msg)

    def submission(
        self,
        run: Run,
        clock: abc.SchedulerBase,
        answered: dict[FunctionToolCall, ToolResult],
        on_result: Callable[[ToolResult], object] | None,
    ) -> Observable[Submission] | None:
        """One submission with everything that a run waits for; ``None`` if these functions cannot.

        A call that was ``answered`` before is not made again: its result is submitted again.
        """
        action: RequiredAction | None = run.required_action
        if isinstance(action, RequiredActionSubmitToolOutputs) and len(self.toolbox):
            required = action.submit_tool_outputs.tool_calls
            asked = map(required_call, required)
            answers = [self._output(each, clock, answered, on_result) for each in asked]
            return self._together("tool_outputs", answers) if answers else None
        if isinstance(action, RequiredActionSubmitToolApproval) and self.approve is not None:
            required = action.submit_tool_approval.tool_calls
            answers = [self._approval(self.approve, each) for each in required]
            return self._together("tool_approvals", answers) if answers else None
        return None

    def _together(
        self, name: str, answers: list[Observable[Mapping[str, Any]]]
    ) -> Observable[Submission]:
        """All answers, in the order of the calls."""

        def numbered(number: int) -> Observable[tuple[int, Mapping[str, Any]]]:
            return answers[number].pipe(ops.map(lambda answer: (number, answer)))

        def submission(given: list[tuple[int, Mapping[str, Any]]]) -> Submission:
            return {name: [answer for _, answer in sorted(given, key=_number_of)]}

        numbers = rx.from_iterable(range(len(answers)), ImmediateScheduler.singleton())
        begun = numbers.pipe(ops.map(numbered))
        most = self.max_concurrent or len(answers)
        return begun.pipe(ops.merge(max_concurrent=most), ops.to_list(), ops.map(submission))

    # --- approvals ---

    def _approval(self, approve: Approve, call: RequiredToolCall) -> Observable[Mapping[str, Any]]:
        """Whether the service may make a call itself."""
        asked = required_call(call) if isinstance(call, RequiredActionFunctionToolCall) else call

        def said(decision: object) -> Mapping[str, Any]:
            answer = {"tool_call_id": call_id, "approve": _is_approved(decision)}
            if not isinstance(decision, Mapping):
                return answer
            return {**cast("Mapping[str, Any]", decision), **answer}

        def failed(error: Exception, _: object) -> Observable[Mapping[str, Any]]:
            return rx.throw(ToolError(_name_of(asked), asked, error))

        call_id = asked.id
        decided = self._returned(partial(approve, cast("Approvable", asked)))
        return decided.pipe(ops.map(said), ops.catch(failed))

    # --- calls ---

    def _output(
        self,
        call: ToolCall,
        clock: abc.SchedulerBase,
        answered: dict[FunctionToolCall, ToolResult],
        on_result: Callable[[ToolResult], object] | None,
    ) -> Observable[Mapping[str, Any]]:
        def output(result: ToolResult) -> Mapping[str, Any]:
            return {"tool_call_id": call.id, "output": result.output}

        def reported(result: ToolResult) -> Mapping[str, Any]:
            if isinstance(call, FunctionToolCall):
                answered[call] = result
            if on_result is not None:
                on_result(result)
            return output(result)

        if isinstance(call, FunctionToolCall) and call in answered:
            return _just(output(answered[call]))
        return rx.defer(lambda _: self._answer(call, clock)).pipe(ops.map(reported))

    def _answer(self, call: ToolCall, clock: abc.SchedulerBase) -> Observable[ToolResult]:
        began = _Began(clock)
        if not isinstance(call, FunctionToolCall):
            kind = type_on_wire(call)
            return self._failed(call, LookupError(f"no call of type {kind!r} can be made"), began)
        try:
            bound = self.toolbox.bind(call.function.name, call.function.arguments)
        except Exception as error:  # noqa: BLE001 -- replied to the model
            return self._failed(call, error, began)
        if self.approve is None:
            return self._made(call, bound, clock)

        def decided(decision: object) -> Observable[ToolResult]:
            if _is_approved(decision):
                return self._made(call, bound, clock)
            return _just(began.result(call, _refusal(decision)))

        def failed(error: Exception, _: object) -> Observable[Observable[ToolResult]]:
            return _just(self._failed(call, error, began))

        asked = self._returned(partial(self.approve, call))
        return asked.pipe(ops.map(decided), ops.catch(failed), ops.merge_all())

    def _made(
        self, call: FunctionToolCall, bound: Callable[[], object], clock: abc.SchedulerBase
    ) -> Observable[ToolResult]:
        """The call, which begins when it is subscribed."""

        def begin(_: object) -> Observable[ToolResult]:
            began = _Began(clock)

            def result(value: object) -> ToolResult:
                return began.result(call, to_text(value))

            def failed(error: Exception, _: object) -> Observable[ToolResult]:
                return self._failed(call, error, began)

            returned = self._returned(bound)
            if self.tool_timeout is not None:
                late = f"no answer within {self.tool_timeout:g} seconds"
                returned = returned.pipe(
                    ops.timeout(self.tool_timeout, rx.throw(TimeoutError(late)), clock)
                )
            return returned.pipe(ops.map(result), ops.catch(failed))

        return rx.defer(begin)

    def _failed(self, call: ToolCall, error: Exception, began: _Began) -> Observable[ToolResult]:
        """The result of a call that failed, or an error."""
        failure = f"{type(error).__name__}: {error}"
        result = began.result(call, to_text({"error": failure}), error)
        decide = self.on_tool_error
        if decide == "tell":
            return _just(result)
        if decide == "raise":
            failed = _just(result)
            return failed.pipe(ops.concat(rx.throw(ToolError(_name_of(call), call, error))))

        def instead(value: object) -> ToolResult:
            return evolve(result, output=to_text(value))

        def raised(why: Exception, _: object) -> Observable[ToolResult]:
            return rx.throw(ToolError(_name_of(call), call, why))

        decided = self._returned(partial(cast("Callable[..., Any]", decide), call, error))
        return decided.pipe(ops.map(instead), ops.catch(raised))

    def _returned(self, function: Callable[[], object]) -> Observable[Any]:
        """The result of a function: of an Observable the last item, or ``None`` if it has none."""
        called: Observable[Any] = rx.defer(lambda _: self.call(function))
        return called.pipe(ops.flat_map(_as_observable), ops.last_or_default(None))


class _Began:
    """The time when a call began, by the wall clock and by the scheduler."""

    def __init__(self, clock: abc.SchedulerBase) -> None:
        self._clock = clock
        self._began = clock.now
        self._started_at = datetime.now(UTC).timestamp()

    def result(self, call: ToolCall, output: str, error: Exception | None = None) -> ToolResult:
        """The result of the call, which ends now."""
        duration = (self._clock.now - self._began).total_seconds()
        return ToolResult(call, output, error, self._started_at, duration)


def _as_observable(value: object) -> Observable[Any]:
    if isinstance(value, Observable):
        return value  # pyright: ignore[reportUnknownVariableType]
    return _just(value)


def _name_of(call: ToolCall | RequiredToolCall) -> str:
    if isinstance(call, FunctionToolCall):
        return call.function.name
    return str(getattr(call, "name", None) or getattr(call, "type", ""))


def _decided(decision: object) -> object:
    """The decision, without its headers."""
    if isinstance(decision, Mapping):
        return cast("Mapping[str, object]", decision).get("approve")
    return decision


def _is_approved(decision: object) -> bool:
    decision = _decided(decision)
    return bool(decision) and not isinstance(decision, str)


def _refusal(decision: object) -> str:
    decision = _decided(decision)
    why = f": {decision}" if isinstance(decision, str) and decision else ""
    return to_text({"error": f"this call was refused, and not made{why}"})


def _number_of(numbered: tuple[int, object]) -> int:
    return numbered[0]


__all__ = [
    "MAX_ROUNDS",
    "Approvable",
    "Approve",
    "Calls",
    "OnToolError",
    "Submission",
    "run_tools",
    "tool_rounds",
]
