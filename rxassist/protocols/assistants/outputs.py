"""Submitting outputs exactly once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeVar

import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops

from rxassist.errors import APIConnectionError, BadRequestError, ConflictError, StreamTruncated
from rxassist.protocols.assistants.models import (
    RequiredActionSubmitToolApproval,
    RequiredActionSubmitToolOutputs,
    Run,
)
from rxassist.reactive.typing import Operator
from rxassist.runs.state import is_lost
from rxassist.runs.streams.creation import _asking, leaves_open

_T = TypeVar("_T")


def _to_be_recovered(_: Run, lost: Exception) -> Observable[Any]:
    return rx.throw(lost)


def outputs_once(
    fetch: Callable[[], Observable[Run]],
    calls: Collection[str],
    *,
    went_on: Callable[[Run, Exception], Observable[_T]] = _to_be_recovered,
    again: bool = True,
    follow: bool = False,
) -> Operator[_T, _T]:
    """Never submit outputs twice that were taken, and never give up a run that has taken them.

    The source submits them when it is subscribed. An error before its first item may leave open
    whether they were taken: ``leaves_open``, or a conflict, or a refusal of outputs that were
    submitted before. Then ``fetch()`` reads whether the run still waits for these ``calls``. If it
    does not, ``went_on(run, lost)`` follows, by default the error ``lost``: a lost connection,
    whose rest can be recovered. If it does, and the connection broke, the source is subscribed once
    more, if ``again`` is true; after that it is an ``APIConnectionError`` that is not ``sent``. If
    it does, any other error goes to ``on_error`` as it is. If the run cannot be read, ``lost``
    does.

    With ``follow`` the run is read after every refusal: it may have ended meanwhile, or a gateway
    has sent the outputs twice. Everything else passes.
    """

    def operator(source: Observable[_T]) -> Observable[_T]:
        def attempt(left: int, before: Exception | None = None) -> Observable[_T]:
            def failed(error: Exception) -> Observable[_T]:
                broke = isinstance(error, APIConnectionError | StreamTruncated)
                refused = isinstance(error, BadRequestError) and (follow or before is not None)
                refused = refused or isinstance(error, ConflictError)
                if not (broke or refused or leaves_open(error)):
                    return rx.throw(error)
                lost = before or (error if is_lost(error) else _lost_answer(error))

                def go_on(run: Run) -> Observable[_T]:
                    if not awaits(run, calls):
                        return went_on(run, lost)
                    if not broke:
                        return rx.throw(error)
                    return attempt(left - 1, lost) if left else rx.throw(_not_taken(error))

                looked = fetch().pipe(ops.catch(lambda _, __: rx.throw(lost)))
                return looked.pipe(ops.flat_map(go_on))

            return _asking(source, _anything, failed)

        return rx.defer(lambda _: attempt(1 if again else 0))

    return operator


def _lost_answer(error: Exception) -> APIConnectionError:
    """The error for an answer that leaves open whether the outputs were taken."""
    lost = APIConnectionError(f"no answer says what became of the outputs: {error}")
    lost.__cause__ = error
    return lost


def _not_taken(error: Exception) -> APIConnectionError:
    """Nothing happened at the service: there is nothing to recover."""
    refused = APIConnectionError(f"the outputs were not taken: {error}", sent=False)
    refused.__cause__ = error
    return refused


def _anything(_: object) -> bool:
    return True


def awaits(run: Run, calls: Collection[str]) -> bool:
    """Whether a run waits for the outputs of all these calls."""
    return run.status == "requires_action" and _awaited(run) >= set(calls)


def _awaited(run: Run) -> set[str]:
    action = run.required_action
    calls: Iterable[object] = ()
    if isinstance(action, RequiredActionSubmitToolOutputs):
        calls = action.submit_tool_outputs.tool_calls
    elif isinstance(action, RequiredActionSubmitToolApproval):
        calls = action.submit_tool_approval.tool_calls
    return {getattr(call, "id", "") for call in calls}


__all__ = ["awaits", "outputs_once"]
