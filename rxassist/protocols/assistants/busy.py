"""A thread takes one run at a time, and no message meanwhile: waiting for it, and freeing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops

from rxassist.errors import BadRequestError, RxAssistError
from rxassist.protocols.assistants.models import Run
from rxassist.reactive.loop import HomeT
from rxassist.reactive.queues import Waiting
from rxassist.reactive.typing import Operator
from rxassist.runs import operators
from rxassist.runs.state import FINISHED
from rxassist.runs.streams.creation import when_free
from rxassist.wire.arguments import path
from rxassist.wire.calls import Resource
from rxassist.wire.transport import Request

_P = ParamSpec("_P")
_T = TypeVar("_T")

RUNS = "/threads/{thread_id}/runs"
RUN = RUNS + "/{run_id}"

_CARRIED = ("extra_headers", "extra_query", "timeout", "max_retries", "on_response")
_IF_BUSY = ("fail", "wait", "cancel")
_CANCEL_DEADLINE = 5.0  # seconds for the service to say that a run has ended as it is cancelled


class OnThread(Resource[HomeT]):
    """A part of the API that acts on threads, which may be busy."""

    def _read(
        self,
        where: str,
        given: Mapping[str, object],
        parameters: Any,  # noqa: ANN401 -- a TypedDict
        **asked: object,
    ) -> Request:
        """A request that reads what belongs to a call, made as that call's own request."""
        return self._request("GET", where, {**carried(given), **asked}, parameters)

    def _on_free_thread(
        self,
        asked: Observable[_T],
        thread_id: str | None,
        given: Mapping[str, object],
        waiting: Waiting | None = None,
    ) -> Observable[_T]:
        """What is asked for, subscribed when the thread is free, if the call is to wait for that.

        Calls that wait come in their order.
        """
        if_busy = given.get("if_busy", "fail")
        if if_busy not in _IF_BUSY:
            msg = f'if_busy must be "fail", "wait" or "cancel", got {if_busy!r}'
            raise ValueError(msg)
        if if_busy == "fail" or thread_id is None:
            return asked
        cancel, waiting = if_busy == "cancel", waiting or Waiting()

        def ended(run_id: str) -> Observable[Run]:
            return self._ended(thread_id, run_id, given, cancel=cancel)

        free: Operator[_T, _T] = when_free(by_told_ids(ended), waiting)
        return asked.pipe(free, self._connection.queues.in_turn(thread_id, waiting))

    def _ended(
        self, thread_id: str, run_id: str, given: Mapping[str, object], *, cancel: bool = False
    ) -> Observable[Run]:
        """A run until it has ended, by itself or because it is cancelled."""
        ids, options = {"run_id": run_id, "thread_id": thread_id}, carried(given)
        ended = self._poll(Run, RUN, ids, options, _has_finished)
        if not cancel:
            return ended
        said = self._call(Run, self._request("POST", path(RUN + "/cancel", **ids), options))
        return said.pipe(ops.catch(_unless_it_ended), ops.to_list(), ops.flat_map(lambda _: ended))

    def _cancel_run(
        self, given: Mapping[str, object], thread_id: str | None, run: Run
    ) -> Observable[Run]:
        """Cancel a run, until the service says that it has ended."""
        ended = by_told_ids(self._ended)(
            run.thread_id or thread_id or "", run.id, given, cancel=True
        )
        return ended.pipe(operators.deadline(_CANCEL_DEADLINE))


def by_told_ids(ask: Callable[_P, Observable[_T]]) -> Callable[_P, Observable[_T]]:
    """What asks by ids that the service told: one that cannot be an id is an error of it."""

    def asking(*given: _P.args, **named: _P.kwargs) -> Observable[_T]:
        try:
            return ask(*given, **named)
        except ValueError as error:
            return rx.throw(RxAssistError(str(error)))

    return asking


def carried(given: Mapping[str, object]) -> dict[str, Any]:
    """The request options of a call that hold for its other requests as well."""
    return {key: given[key] for key in _CARRIED if key in given}


def _has_finished(run: Run) -> bool:
    return run.status in FINISHED


def _unless_it_ended(error: Exception, _: Observable[Run]) -> Observable[Run]:
    """A run that has ended cannot be cancelled any more, which is as well."""
    return rx.empty() if isinstance(error, BadRequestError) else rx.throw(error)


__all__ = ["RUN", "RUNS", "OnThread", "by_told_ids", "carried"]
