"""The stage: where runs are performed, one at a time on each thread."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

import attrs
from reactivex import Observable

from rxassist.errors import StreamClosed
from rxassist.events import Event, MessageEvent, RunEvent, RunStepEvent, ThreadRunRequiresAction
from rxassist.local.identity import now
from rxassist.local.moves import Approval, Script, Turn
from rxassist.local.performance import Awaited, Pace, Performance
from rxassist.local.problems import Problem
from rxassist.local.store import Store
from rxassist.local.watch import Watch
from rxassist.models import FINISHED, IncompleteDetails, LastError, Message, Run, RunStep
from rxassist.reactive.log import Log

_logger = logging.getLogger("rxassist.local")


class Stage:
    """Performs runs, writes down what happens to them, and lets readers listen.

    What is performed goes on whoever listens, as in the real service: the log of each leg has one
    reader that never leaves, the one that writes down.
    """

    def __init__(
        self,
        script: Script,
        store: Store,
        watch: Watch,
        loop: asyncio.AbstractEventLoop,
        pace: Pace,
    ) -> None:
        self._script = script
        self._store = store
        self._watch = watch
        self._loop = loop
        self._pace = pace
        self._acts: dict[str, _Act] = {}  # by thread

    def active_run(self, thread_id: str) -> Run | None:
        """The run that works or waits on a thread, if there is one."""
        act = self._acts.get(thread_id)
        return act.performance.run if act else None

    def begin(self, turn: Turn, *, new_thread: bool = False) -> Observable[Event]:
        """Begin to perform a run, on a thread on which nothing goes on."""
        performance = Performance(self._script, turn, self._loop, self._pace)
        self._acts[turn.thread.id] = act = _Act(performance)
        self._store.save(turn.run)
        self._watch.run_began(turn.run.id)
        return self._listen(act, performance.begin(new_thread=new_thread))

    def submit(
        self, run: Run, given: Awaited, answers: Mapping[str, str | Approval]
    ) -> tuple[Run, Observable[Event]]:
        """Go on with a run that waits for these outputs or approvals."""
        act = self._act(run)
        if act is None or act.performance.run.status != "requires_action":
            msg = f'Runs in status "{run.status}" do not accept tool outputs.'
            raise Problem(msg)
        expected, awaited = act.performance.awaits, act.performance.awaited_calls
        if given != expected or set(answers) != set(awaited):
            what = expected.replace("_", " ")
            got = list(answers) if given == expected else given.replace("_", " ")
            msg = f"Expected {what} for call_ids {list(awaited)}, got {got}"
            raise Problem(msg)
        log = self._listen(act, act.performance.submit(answers))
        self._store.save(act.performance.run)
        return act.performance.run, log

    def cancel(self, run: Run) -> Run:
        """Begin to cancel a run that works or waits."""
        act = self._act(run)
        if act is None or act.performance.run.status == "cancelling":
            msg = f"Cannot cancel run with status '{run.status}'."
            raise Problem(msg)
        leg = act.performance.cancel()
        if leg is not None:
            self._listen(act, leg)
        self._store.save(act.performance.run)
        return act.performance.run

    def update(self, run: Run) -> None:
        """Take over the metadata of a run that was changed from outside."""
        act = self._act(run)
        if act is not None:
            act.performance.run = attrs.evolve(act.performance.run, metadata=run.metadata)

    def drop(self, thread_id: str) -> None:
        """Stop what goes on on a thread, without another word."""
        act = self._acts.pop(thread_id, None)
        if act is None:
            return
        if act.log is not None:
            act.log.close(StreamClosed("the service stopped the run"))
        self._over(act)

    def close(self) -> None:
        """Stop everything."""
        for thread_id in tuple(self._acts):
            self.drop(thread_id)

    def _act(self, run: Run) -> _Act | None:
        act = self._acts.get(run.thread_id)
        return act if act and act.performance.run.id == run.id else None

    def _listen(self, act: _Act, leg: Observable[Event]) -> Observable[Event]:
        """Write down what a leg tells, and let others read it as well."""
        act.no_expiry()
        act.log = Log(leg, post=self._loop.call_soon, report=_report, read_ahead=None)
        act.log.subscribe(
            lambda event: self._write_down(act, event), lambda error: self._give_up(act, error)
        )
        return act.log

    def _write_down(self, act: _Act, event: Event) -> None:
        if not isinstance(event, RunEvent | RunStepEvent | MessageEvent):
            return
        if event.data is not act.written:  # created, queued, in progress: often the same object
            self._store.save(event.data)
            act.written = event.data
        if isinstance(event, RunEvent):
            if event.data.status in FINISHED:
                del self._acts[event.data.thread_id]
                self._over(act)
                return
            if isinstance(event, ThreadRunRequiresAction):
                self._store.save(act.performance.waiting_step)
            if isinstance(event, ThreadRunRequiresAction) and event.data.expires_at is not None:
                act.expiry = self._loop.call_later(
                    event.data.expires_at - time.time(), self._expire, act
                )
            self._watch.run_changed(event.data.id, finished=False)

    def _expire(self, act: _Act) -> None:
        self._listen(act, act.performance.expire())

    def _give_up(self, act: _Act, error: Exception) -> None:
        """The leg broke, which a script cannot cause: the run failed, and the log says why."""
        run = act.performance.run
        if self._act(run) is None:
            return  # it was stopped on purpose
        _logger.error("run %s broke", run.id, exc_info=error)
        self._store.save(_failed(run, f"The local service had an error: {error!r}"))
        del self._acts[run.thread_id]
        self._over(act)

    def _over(self, act: _Act) -> None:
        act.no_expiry()
        run_id = act.performance.run.id
        self._watch.run_changed(run_id, finished=True)
        try:
            act.performance.close()
        except Exception:
            _logger.exception("the script of run %s raised while it was closed", run_id)


@attrs.define(eq=False)
class _Act:
    """A performance, the log of its leg, what was written down last, and when it waits too long."""

    performance: Performance
    log: Log[Event] | None = None
    written: object = None
    expiry: asyncio.TimerHandle | None = None

    def no_expiry(self) -> None:
        """The run waits no more."""
        if self.expiry is not None:
            self.expiry.cancel()
            self.expiry = None


def fail_unfinished(store: Store) -> None:
    """Give up what an earlier process left behind: its scripts are gone."""
    message = "The service was restarted."
    for run in store.with_status(Run, ("queued", "in_progress", "requires_action", "cancelling")):
        store.save(_failed(run, message))
    for step in store.with_status(RunStep, ("in_progress",)):
        error = LastError("server_error", message)
        store.save(attrs.evolve(step, status="failed", last_error=error, failed_at=now()))
    for written in store.with_status(Message, ("in_progress",)):
        details = IncompleteDetails("run_failed")
        store.save(
            attrs.evolve(
                written, status="incomplete", incomplete_details=details, incomplete_at=now()
            )
        )


def _failed(run: Run, message: str) -> Run:
    return attrs.evolve(
        run,
        status="failed",
        last_error=LastError("server_error", message),
        failed_at=now(),
        expires_at=None,
        required_action=None,
    )


def _report(error: BaseException) -> None:
    _logger.error("a reader of a run raised", exc_info=error)


__all__ = ["Stage", "fail_unfinished"]
