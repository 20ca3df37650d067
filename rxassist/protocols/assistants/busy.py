"""Wait for a busy thread, or free it: it takes one run at a time, and no message meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

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
from rxassist.runs.streams.given import Given, ParametersClass
from rxassist.wire.arguments import path
from rxassist.wire.calls import Connection, Requests
from rxassist.wire.transport import Request

_P = ParamSpec("_P")
_T = TypeVar("_T")

RUNS = "/threads/{thread_id}/runs"
RUN = RUNS + "/{run_id}"

_CANCEL_DEADLINE = 5.0  # seconds for the service to report the end of a run that it cancels


class ThreadCall(Requests[HomeT]):
    """One call that acts on a thread, which may be busy: its arguments, and its requests."""

    def __init__(
        self, connection: Connection[HomeT], given: Given, thread_id: str | None = None
    ) -> None:
        super().__init__(connection)
        self.given = given
        self._thread_id = thread_id
        self._waiting = Waiting()

    def on_free_thread(self, asked: Observable[_T]) -> Observable[_T]:
        """Subscribe a request when the thread is free, if the call should wait for that.

        Calls that wait are served in their order.
        """
        thread_id, if_busy = self._thread_id, self.given.start.if_busy
        if if_busy == "fail" or thread_id is None:
            return asked

        def ended(run_id: str) -> Observable[Run]:
            return self._ended(thread_id, run_id, cancel=if_busy == "cancel")

        free: Operator[_T, _T] = when_free(by_received_ids(ended), self._waiting)
        return asked.pipe(free, self._connection.queues.in_turn(thread_id, self._waiting))

    def _read(self, where: str, parameters: ParametersClass, **asked: object) -> Request:
        """A request that reads, with the options of the call."""
        return self._request("GET", where, {**self.given.carried, **asked}, parameters)

    def _ended(self, thread_id: str, run_id: str, *, cancel: bool = False) -> Observable[Run]:
        """Poll a run until it has ended, by itself or by a cancellation."""
        ids, options = {"run_id": run_id, "thread_id": thread_id}, self.given.carried
        ended = self._poll(Run, RUN, ids, options, _has_finished)
        if not cancel:
            return ended
        sent = self._call(Run, self._request("POST", path(RUN + "/cancel", **ids), options))
        return sent.pipe(ops.catch(_unless_it_ended), ops.to_list(), ops.flat_map(lambda _: ended))

    def _cancel_run(self, run: Run) -> Observable[Run]:
        """Cancel a run, and poll it until it has ended."""
        thread_id = run.thread_id or self._thread_id or ""
        ended = by_received_ids(self._ended)(thread_id, run.id, cancel=True)
        return ended.pipe(operators.deadline(_CANCEL_DEADLINE))


def by_received_ids(ask: Callable[_P, Observable[_T]]) -> Callable[_P, Observable[_T]]:
    """Report an invalid id from the service as an error of the service."""

    def asking(*given: _P.args, **named: _P.kwargs) -> Observable[_T]:
        try:
            return ask(*given, **named)
        except ValueError as error:
            return rx.throw(RxAssistError(str(error)))

    return asking


def _has_finished(run: Run) -> bool:
    return run.status in FINISHED


def _unless_it_ended(error: Exception, _: Observable[Run]) -> Observable[Run]:
    """Ignore the refusal to cancel a run: then it has ended, which is just as good."""
    return rx.empty() if isinstance(error, BadRequestError) else rx.throw(error)


__all__ = ["RUN", "RUNS", "ThreadCall", "by_received_ids"]
