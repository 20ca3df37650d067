"""Going on after ``requires_action``: the functions that a run asks for are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from inspect import iscoroutine
from typing import Any, Generic, Literal, TypeAlias, TypeVar, cast

import reactivex as rx
from attrs import evolve, frozen
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import SerialDisposable, SingleAssignmentDisposable
from reactivex.scheduler import ImmediateScheduler, TimeoutScheduler

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
from rxassist.reactive.typing import Operator
from rxassist.runs.events import run_of
from rxassist.runs.state import leaves_waiting
from rxassist.runs.tools import Tool, Toolbox, ToolResult
from rxassist.runs.tools.values import to_text
from rxassist.wire.values import type_on_wire

_T = TypeVar("_T")

Submission: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]
"""``tool_outputs`` or ``tool_approvals``, as ``submit_tool_outputs_stream`` takes them."""

Approvable: TypeAlias = FunctionToolCall | RequiredActionMCPToolCall | UnknownRequiredToolCall
"""A call that may be approved: of a function of yours, or one that the service makes itself."""

Approve: TypeAlias = Callable[[Approvable], Any]
"""Gives ``True``, or why not, or a coroutine or an Observable of that.

For a call that the service makes itself, ``{"approve": True, "headers": {…}}`` sends headers too.
"""

OnToolError: TypeAlias = Literal["tell", "raise"] | Callable[[ToolCall, Exception], Any]
"""What happens when a call fails; a function gives what the model is told instead."""

MAX_ROUNDS = 16
"""How often a run may ask for tools, by default."""


def called_here(function: Callable[[], object]) -> Observable[Any]:
    """Call a function at once, on this thread. Raises ``TypeError`` for what must be awaited."""
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
    at most ``max_rounds`` rounds. ``done`` comes once, at the end. A run that waits for what
    nobody here can give ends as without tools; one that does not say for what is an error.

    ``call`` calls a function that takes nothing and gives an Observable of what it returns: by
    default at once, on the thread that emits. Of an Observable that is returned the last item
    counts. What a call gives within ``tool_timeout``
    seconds is told the model, as JSON unless it is text, and so is why it fails. With
    ``on_tool_error="raise"`` that ends the stream instead; a function says what is told.
    ``approve`` is asked before each call: where it gives nothing or a text, the model is told of
    the refusal. ``on_result`` is told of each call that has ended.

    Sends to ``on_error``: ``ToolError``, ``ToolRoundsExceeded``, ``DecodeError``, and what the
    submission fails with before its first event, all after ``cancel(run)``, but for a connection
    that was lost, as the run may go on; other errors of the source and of ``submit``. To dispose
    frees what runs, and submits nothing.

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
    """As ``run_tools``, for items of any kind that tell of a run: events, or runs themselves.

    ``read(run)`` gives a run again that does not say what it waits for, with what that is.
    """
    check_positive("max_rounds", max_rounds, whole=True)

    def operator(source: Observable[_T]) -> Observable[_T]:
        def subscribe(
            observer: abc.ObserverBase[_T], given: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            clock = scheduler or given or TimeoutScheduler.singleton()
            rounds = _Rounds(
                calls, run_of, submit, cancel, max_rounds, on_result, read, observer, clock, given
            )
            rounds.follow(source)
            return rounds.held

        return Observable(subscribe)

    return operator


class _Rounds(Generic[_T]):
    """One subscription: the part of the run that is heard, or the tools that are called."""

    def __init__(
        self,
        calls: Calls,
        run_of: Callable[[_T], Run | None],
        submit: Callable[[Run, Submission], Observable[_T]],
        cancel: Callable[[Run], Observable[Run]] | None,
        max_rounds: int,
        on_result: Callable[[ToolResult], object] | None,
        read: Callable[[Run], Observable[Run]],
        observer: abc.ObserverBase[_T],
        clock: abc.SchedulerBase,
        scheduler: abc.SchedulerBase | None,
    ) -> None:
        self._calls = calls
        self._run_of = run_of
        self._submit = submit
        self._cancel = cancel
        self._left = max_rounds
        self._max_rounds = max_rounds
        self._on_result = on_result
        self._read = read
        self._answered: dict[FunctionToolCall, ToolResult] = {}
        self._observer = observer
        self._clock = clock
        self._scheduler = scheduler
        self.held = SerialDisposable()

    def follow(self, part: Observable[_T], waiting: Run | None = None) -> None:
        """Emit what a part of the run tells, until it waits for tools.

        ``waiting`` is the run as it waits until the first item.
        """
        observer, run_of = self._observer, self._run_of

        def on_next(item: _T) -> None:
            nonlocal waiting
            if held.is_disposed:  # by the item before, while it was being subscribed
                return
            waiting = None
            try:
                run = run_of(item)
            except Exception as error:  # noqa: BLE001 -- the subscriber is told
                observer.on_error(error)
                return
            observer.on_next(item)
            if run is not None and run.status == "requires_action" and not held.is_disposed:
                self._round(run)

        def on_error(error: Exception) -> None:
            if held.is_disposed:
                return
            if waiting is not None and leaves_waiting(error):
                self._fail(error, waiting)
            else:
                observer.on_error(error)

        def on_completed() -> None:
            if not held.is_disposed:
                observer.on_completed()

        held = self._hold()
        held.disposable = part.subscribe(on_next, on_error, on_completed, scheduler=self._scheduler)

    def _hold(self) -> SingleAssignmentDisposable:
        """Free what is held, and hold something new, before it is subscribed."""
        held = SingleAssignmentDisposable()
        self.held.disposable = held
        return held

    def _look(self, run: Run) -> None:
        """Read what a run waits for that does not say so."""

        def found(now: Run) -> None:
            if not self._round(now):
                self._observer.on_completed()

        def failed(error: Exception) -> None:
            if leaves_waiting(error):
                self._fail(error, run)
            else:
                self._observer.on_error(error)

        held = self._hold()
        held.disposable = self._read(run).subscribe(found, failed, scheduler=self._scheduler)

    def _round(self, run: Run) -> bool:
        """Answer what a run waits for. ``False`` where nobody here can."""
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
        held = self._hold()
        held.disposable = submission.subscribe(
            lambda outputs: self._go_on(run, outputs),
            lambda error: self._fail(error, run),
            scheduler=self._scheduler,
        )
        return True

    def _go_on(self, run: Run, submission: Submission) -> None:
        try:
            part = self._submit(run, submission)
        except Exception as error:  # noqa: BLE001 -- the subscriber is told
            self._fail(error, run)
            return
        self.follow(part, run)

    def _fail(self, error: Exception, run: Run) -> None:
        """Cancel the run, which nobody goes on with, and fail."""
        if isinstance(error, RxAssistError):
            error.run_id, error.thread_id = error.run_id or run.id, error.thread_id or run.thread_id
        if self._cancel is None:
            self._observer.on_error(error)
            return

        def could_not(why: Exception) -> None:
            error.add_note(f"the run could not be cancelled: {why}")
            self._observer.on_error(error)

        held = self._hold()
        held.disposable = self._cancel(run).subscribe(
            on_error=could_not,
            on_completed=lambda: self._observer.on_error(error),
            scheduler=self._scheduler,
        )


@frozen
class Calls:
    """How the calls that a run asks for are made; see ``run_tools``."""

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
        """One submission that answers all that a run waits for; ``None`` where nobody here can.

        What was ``answered`` before, and still is waited for, is answered again, and not called.
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
        """What all have answered, in the order in which they were asked."""

        def numbered(place: int) -> Observable[tuple[int, Mapping[str, Any]]]:
            return answers[place].pipe(ops.map(lambda answer: (place, answer)))

        def submission(done: list[tuple[int, Mapping[str, Any]]]) -> Submission:
            return {name: [answer for _, answer in sorted(done, key=_place)]}

        places = rx.from_iterable(range(len(answers)), ImmediateScheduler.singleton())
        begun = places.pipe(ops.map(numbered))
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

        def told(result: ToolResult) -> Mapping[str, Any]:
            if isinstance(call, FunctionToolCall):
                answered[call] = result
            if on_result is not None:
                on_result(result)
            return output(result)

        if isinstance(call, FunctionToolCall) and call in answered:
            return _just(output(answered[call]))
        return rx.defer(lambda _: self._answer(call, clock)).pipe(ops.map(told))

    def _answer(self, call: ToolCall, clock: abc.SchedulerBase) -> Observable[ToolResult]:
        began = _Began(clock)
        if not isinstance(call, FunctionToolCall):
            kind = type_on_wire(call)
            return self._failed(call, LookupError(f"no call of type {kind!r} can be made"), began)
        try:
            bound = self.toolbox.bind(call.function.name, call.function.arguments)
        except Exception as error:  # noqa: BLE001 -- the model is told
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
        """What becomes of a call that failed."""
        failure = f"{type(error).__name__}: {error}"
        result = began.result(call, to_text({"error": failure}), error)
        decide = self.on_tool_error
        if decide == "tell":
            return _just(result)
        if decide == "raise":
            told = _just(result)
            return told.pipe(ops.concat(rx.throw(ToolError(_name_of(call), call, error))))

        def instead(value: object) -> ToolResult:
            return evolve(result, output=to_text(value))

        def raised(why: Exception, _: object) -> Observable[ToolResult]:
            return rx.throw(ToolError(_name_of(call), call, why))

        decided = self._returned(partial(cast("Callable[..., Any]", decide), call, error))
        return decided.pipe(ops.map(instead), ops.catch(raised))

    def _returned(self, function: Callable[[], object]) -> Observable[Any]:
        """What a function gives: of an Observable, the last item; ``None`` where there is none."""
        called: Observable[Any] = rx.defer(lambda _: self.call(function))
        return called.pipe(ops.flat_map(_settled), ops.last_or_default(None))


class _Began:
    """When a call began, by the clock of the wall and by that which waits."""

    def __init__(self, clock: abc.SchedulerBase) -> None:
        self._clock = clock
        self._began = clock.now
        self._started_at = datetime.now(UTC).timestamp()

    def result(self, call: ToolCall, output: str, error: Exception | None = None) -> ToolResult:
        """What has become of the call until now."""
        duration = (self._clock.now - self._began).total_seconds()
        return ToolResult(call, output, error, self._started_at, duration)


def _settled(value: object) -> Observable[Any]:
    if isinstance(value, Observable):
        return value  # pyright: ignore[reportUnknownVariableType]
    return _just(value)


def _name_of(call: ToolCall | RequiredToolCall) -> str:
    if isinstance(call, FunctionToolCall):
        return call.function.name
    return str(getattr(call, "name", None) or getattr(call, "type", ""))


def _decided(decision: object) -> object:
    """What was decided, without what goes with it."""
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


def _place(numbered: tuple[int, object]) -> int:
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
