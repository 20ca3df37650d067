"""Calling the functions that a run waits for, and answering it with what they return."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from inspect import iscoroutine
from typing import Any, Generic, Literal, TypeAlias, TypeVar, cast

import reactivex as rx
from attrs import evolve, frozen
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.scheduler import ImmediateScheduler

from rxassist.errors import ToolError
from rxassist.reactive.checks import check_positive
from rxassist.runs.state import AnyToolCall
from rxassist.runs.tools.tool import Toolbox, ToolResult
from rxassist.runs.tools.values import to_text

_T = TypeVar("_T")
_CallT = TypeVar("_CallT", bound=AnyToolCall)
_SubmissionT = TypeVar("_SubmissionT")

Reply: TypeAlias = Mapping[str, Any]
"""The answer to one call, as the service takes it."""

Approve: TypeAlias = Callable[[_CallT], Any]
"""Returns ``True``, or the reason for a refusal, or a coroutine or an Observable of that."""

OnToolError: TypeAlias = Literal["tell", "raise"] | Callable[[_CallT, Exception], Any]
"""What happens when a call fails; a function returns the reply to the model."""

OnResult: TypeAlias = Callable[[ToolResult], object]
"""A function that is called with the result of each call that has ended.

If it returns an Observable, the run gets the reply only when that has completed.
"""


@frozen
class AwaitedCall:
    """One call that a run waits for.

    - ``call``: the call for users: what ``approve``, ``on_tool_error`` and ``ToolResult`` get.
    - ``name``: the name of its function, for errors.
    - ``reply``: makes the answer for the service: of the text for the model, or, for a call that
      only needs an approval, of the decision.
    - ``bind``: finds the function in a toolbox, and gives it the arguments of the model; ``None``
      if the service makes the call itself, and only an approval is missing.
    - ``key``: a call whose key was answered before is not made again; ``None`` if it always is.
    - ``id``: the id of the call by which another program may know its output.
    """

    call: AnyToolCall
    name: str
    reply: Callable[[Any], Reply]
    bind: Callable[[Toolbox], Callable[[], object]] | None = None
    key: Hashable = None
    id: str = ""


@frozen
class Awaited(Generic[_SubmissionT]):
    """All that a run waits for: ``submission`` makes one of the replies, in the calls' order."""

    calls: Sequence[AwaitedCall]
    submission: Callable[[list[Reply]], _SubmissionT]


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


@frozen
class Calls:
    """Makes the calls that a run waits for; ``ToolOptions`` says how.

    ``call`` takes a function without arguments and returns an Observable of its result.
    """

    toolbox: Toolbox
    call: Callable[[Callable[[], object]], Observable[Any]]
    approve: Approve[Any] | None = None
    on_tool_error: OnToolError[Any] = "tell"
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
        awaited: Awaited[_SubmissionT],
        clock: abc.SchedulerBase,
        answered: dict[Hashable, ToolResult],
        on_result: OnResult | None,
    ) -> Observable[_SubmissionT] | None:
        """One submission with everything that a run waits for; ``None`` if these functions cannot.

        A call that was ``answered`` before is not made again: its result is submitted again.
        """
        if not (awaited.calls and all(map(self._can_answer, awaited.calls))):
            return None
        replies = [self._replied(asked, clock, answered, on_result) for asked in awaited.calls]
        return self._together(replies).pipe(ops.map(awaited.submission))

    def _can_answer(self, asked: AwaitedCall) -> bool:
        return self.approve is not None if asked.bind is None else bool(self.toolbox)

    def _together(self, replies: list[Observable[Reply]]) -> Observable[list[Reply]]:
        """All replies, in the order of the calls."""

        def numbered(number: int) -> Observable[tuple[int, Reply]]:
            return replies[number].pipe(ops.map(lambda reply: (number, reply)))

        def in_order(given: list[tuple[int, Reply]]) -> list[Reply]:
            return [reply for _, reply in sorted(given, key=_number_of)]

        numbers = rx.from_iterable(range(len(replies)), ImmediateScheduler.singleton())
        begun = numbers.pipe(ops.map(numbered))
        most = self.max_concurrent or len(replies)
        return begun.pipe(ops.merge(max_concurrent=most), ops.to_list(), ops.map(in_order))

    def _replied(
        self,
        asked: AwaitedCall,
        clock: abc.SchedulerBase,
        answered: dict[Hashable, ToolResult],
        on_result: OnResult | None,
    ) -> Observable[Reply]:
        """The reply to one call."""
        bind = asked.bind
        if bind is None:
            return self._approved(asked)
        if asked.key is not None and asked.key in answered:
            return _just(asked.reply(answered[asked.key].output))

        def reported(result: ToolResult) -> Observable[Reply]:
            if asked.key is not None:
                answered[asked.key] = result
            kept = None if on_result is None else on_result(result)
            reply = _just(asked.reply(result.output))
            if not isinstance(kept, Observable):
                return reply
            written = cast("Observable[Reply]", kept)
            return written.pipe(ops.ignore_elements(), ops.concat(reply))

        return rx.defer(lambda _: self._answer(asked, bind, clock)).pipe(ops.flat_map(reported))

    def _approved(self, asked: AwaitedCall) -> Observable[Reply]:
        """Whether the service may make a call itself."""

        def failed(error: Exception, _: object) -> Observable[Reply]:
            return rx.throw(ToolError(asked.name, asked.call, error))

        approve = cast("Approve[Any]", self.approve)
        decided = self._returned(partial(approve, asked.call))
        return decided.pipe(ops.map(asked.reply), ops.catch(failed))

    def _answer(
        self,
        asked: AwaitedCall,
        bind: Callable[[Toolbox], Callable[[], object]],
        clock: abc.SchedulerBase,
    ) -> Observable[ToolResult]:
        """The result of a call, if it is approved."""
        began = _Began(asked, clock)
        try:
            bound = bind(self.toolbox)
        except Exception as error:  # noqa: BLE001 -- replied to the model
            return self._failed(error, began)
        if self.approve is None:
            return self._made(asked, bound, clock)

        def decided(decision: object) -> Observable[ToolResult]:
            if is_approved(decision):
                return self._made(asked, bound, clock)
            return _just(began.result(_refusal(decision)))

        def failed(error: Exception, _: object) -> Observable[Observable[ToolResult]]:
            return _just(self._failed(error, began))

        approved = self._returned(partial(self.approve, asked.call))
        return approved.pipe(ops.map(decided), ops.catch(failed), ops.merge_all())

    def _made(
        self, asked: AwaitedCall, bound: Callable[[], object], clock: abc.SchedulerBase
    ) -> Observable[ToolResult]:
        """The call, which begins when it is subscribed."""

        def begin(_: object) -> Observable[ToolResult]:
            began = _Began(asked, clock)

            def result(value: object) -> ToolResult:
                return began.result(to_text(value))

            def failed(error: Exception, _: object) -> Observable[ToolResult]:
                return self._failed(error, began)

            returned = self._returned(bound)
            if self.tool_timeout is not None:
                late = f"no answer within {self.tool_timeout:g} seconds"
                returned = returned.pipe(
                    ops.timeout(self.tool_timeout, rx.throw(TimeoutError(late)), clock)
                )
            return returned.pipe(ops.map(result), ops.catch(failed))

        return rx.defer(begin)

    def _failed(self, error: Exception, began: _Began) -> Observable[ToolResult]:
        """The result of a call that failed, or an error."""
        asked = began.asked
        result = began.result(to_text({"error": f"{type(error).__name__}: {error}"}), error)
        decide = self.on_tool_error
        if decide == "tell":
            return _just(result)
        if decide == "raise":
            failed = _just(result)
            return failed.pipe(ops.concat(rx.throw(ToolError(asked.name, asked.call, error))))

        def instead(value: object) -> ToolResult:
            return evolve(result, output=to_text(value))

        def raised(why: Exception, _: object) -> Observable[ToolResult]:
            return rx.throw(ToolError(asked.name, asked.call, why))

        decided = self._returned(partial(cast("Callable[..., Any]", decide), asked.call, error))
        return decided.pipe(ops.map(instead), ops.catch(raised))

    def _returned(self, function: Callable[[], object]) -> Observable[Any]:
        """The result of a function: of an Observable the last item, or ``None`` if it has none."""
        called: Observable[Any] = rx.defer(lambda _: self.call(function))
        return called.pipe(ops.flat_map(_as_observable), ops.last_or_default(None))


class _Began:
    """A call, and the time when it began, by the wall clock and by the scheduler."""

    def __init__(self, asked: AwaitedCall, clock: abc.SchedulerBase) -> None:
        self.asked = asked
        self._clock = clock
        self._began = clock.now
        self._started_at = datetime.now(UTC).timestamp()

    def result(self, output: str, error: Exception | None = None) -> ToolResult:
        """The result of the call, which ends now."""
        duration = (self._clock.now - self._began).total_seconds()
        return ToolResult(self.asked.call, output, error, self._started_at, duration)


def _just(value: _T) -> Observable[_T]:
    return rx.return_value(value, ImmediateScheduler.singleton())


def _as_observable(value: object) -> Observable[Any]:
    if isinstance(value, Observable):
        return value  # pyright: ignore[reportUnknownVariableType]
    return _just(value)


def _decided(decision: object) -> object:
    """The decision, without its headers."""
    if isinstance(decision, Mapping):
        return cast("Mapping[str, object]", decision).get("approve")
    return decision


def is_approved(decision: object) -> bool:
    """Whether a decision of ``approve`` lets the call be made."""
    decision = _decided(decision)
    return bool(decision) and not isinstance(decision, str)


def _refusal(decision: object) -> str:
    decision = _decided(decision)
    why = f": {decision}" if isinstance(decision, str) and decision else ""
    return to_text({"error": f"this call was refused, and not made{why}"})


def _number_of(numbered: tuple[int, object]) -> int:
    return numbered[0]


__all__ = [
    "Approve",
    "Awaited",
    "AwaitedCall",
    "Calls",
    "OnResult",
    "OnToolError",
    "Reply",
    "called_here",
    "is_approved",
]
