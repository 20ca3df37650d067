"""Plays runs, one at a time on each thread, and saves what happens."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

import attrs
from reactivex import Observable

from rxassist.errors import StreamClosed
from rxassist.events import Event, MessageEvent, RunEvent, RunStepEvent, ThreadRunRequiresAction
from rxassist.local.assistants.scripted_run import Awaited, ScriptedRun
from rxassist.local.scripts.moves import Approval
from rxassist.local.scripts.playback import Pace
from rxassist.local.scripts.turn import Script, Turn
from rxassist.local.server.identity import now
from rxassist.local.server.problems import Problem
from rxassist.local.server.store import Store
from rxassist.local.server.watch import Watch
from rxassist.models import FINISHED, IncompleteDetails, LastError, Message, Run, RunStep
from rxassist.reactive.log import Log

_logger = logging.getLogger("rxassist.local")


class Runner:
    """Plays runs, saves their objects, and lets clients read their events.

    As in the real service, a run continues without clients: the log of each of its streams has one
    reader that never leaves, the one that saves.
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
        self._active: dict[str, _ActiveRun] = {}  # by thread

    def active_run(self, thread_id: str) -> Run | None:
        """The run that works or waits on a thread, if there is one."""
        active = self._active.get(thread_id)
        return active.scripted.run if active else None

    def begin(self, turn: Turn, *, new_thread: bool = False) -> Observable[Event]:
        """Begin a run on a thread without an active run."""
        scripted = ScriptedRun(self._script, turn, self._loop, self._pace)
        self._active[turn.thread.id] = active = _ActiveRun(scripted)
        self._store.save(turn.run)
        self._watch.run_began(turn.run.id)
        return self._play(active, scripted.begin(new_thread=new_thread))

    def submit(
        self, run: Run, given: Awaited, answers: Mapping[str, str | Approval]
    ) -> tuple[Run, Observable[Event]]:
        """Continue a run that awaits these outputs or approvals."""
        active = self._find(run)
        if active is None or active.scripted.run.status != "requires_action":
            msg = f'Runs in status "{run.status}" do not accept tool outputs.'
            raise Problem(msg)
        expected, awaited = active.scripted.awaits, active.scripted.awaited_calls
        if given != expected or set(answers) != set(awaited):
            what = expected.replace("_", " ")
            got = list(answers) if given == expected else given.replace("_", " ")
            msg = f"Expected {what} for call_ids {list(awaited)}, got {got}"
            raise Problem(msg)
        log = self._play(active, active.scripted.submit(answers))
        self._store.save(active.scripted.run)
        return active.scripted.run, log

    def cancel(self, run: Run) -> Run:
        """Begin to cancel a run that works or waits."""
        active = self._find(run)
        if active is None or active.scripted.run.status == "cancelling":
            msg = f"Cannot cancel run with status '{run.status}'."
            raise Problem(msg)
        stream = active.scripted.cancel()
        if stream is not None:
            self._play(active, stream)
        self._store.save(active.scripted.run)
        return active.scripted.run

    def update(self, run: Run) -> None:
        """Take the metadata of a run that a request has changed."""
        active = self._find(run)
        if active is not None:
            active.scripted.run = attrs.evolve(active.scripted.run, metadata=run.metadata)

    def drop(self, thread_id: str) -> None:
        """Stop the run of a thread; save nothing."""
        active = self._active.pop(thread_id, None)
        if active is None:
            return
        if active.log is not None:
            active.log.close(StreamClosed("the service stopped the run"))
        self._end(active)

    def close(self) -> None:
        """Stop all runs."""
        for thread_id in tuple(self._active):
            self.drop(thread_id)

    def _find(self, run: Run) -> _ActiveRun | None:
        active = self._active.get(run.thread_id)
        return active if active and active.scripted.run.id == run.id else None

    def _play(self, active: _ActiveRun, stream: Observable[Event]) -> Observable[Event]:
        """Save the objects of a stream's events, in a log that clients can read too."""
        active.cancel_expiry()
        active.log = Log(stream, post=self._loop.call_soon, report=_report, read_ahead=None)
        active.log.subscribe(
            lambda event: self._save(active, event), lambda error: self._fail(active, error)
        )
        return active.log

    def _save(self, active: _ActiveRun, event: Event) -> None:
        if not isinstance(event, RunEvent | RunStepEvent | MessageEvent):
            return
        if event.data is not active.saved:  # created, queued, in progress: often the same object
            self._store.save(event.data)
            active.saved = event.data
        if isinstance(event, RunEvent):
            if event.data.status in FINISHED:
                del self._active[event.data.thread_id]
                self._end(active)
                return
            if isinstance(event, ThreadRunRequiresAction):
                self._store.save(active.scripted.waiting_step)
            if isinstance(event, ThreadRunRequiresAction) and event.data.expires_at is not None:
                active.expiry = self._loop.call_later(
                    event.data.expires_at - time.time(), self._expire, active
                )
            self._watch.run_changed(event.data.id, finished=False)

    def _expire(self, active: _ActiveRun) -> None:
        self._play(active, active.scripted.expire())

    def _fail(self, active: _ActiveRun, error: Exception) -> None:
        """Fail a run whose stream broke. No script can cause that, so log the error."""
        run = active.scripted.run
        if self._find(run) is None:
            return  # it was stopped on purpose
        _logger.error("run %s broke", run.id, exc_info=error)
        self._store.save(_failed(run, f"The local service had an error: {error!r}"))
        del self._active[run.thread_id]
        self._end(active)

    def _end(self, active: _ActiveRun) -> None:
        active.cancel_expiry()
        run_id = active.scripted.run.id
        self._watch.run_changed(run_id, finished=True)
        try:
            active.scripted.close()
        except Exception:
            _logger.exception("the script of run %s raised while it was closed", run_id)


@attrs.define(eq=False)
class _ActiveRun:
    """An active run: the log of its stream, the object saved last, and the timer of its expiry."""

    scripted: ScriptedRun
    log: Log[Event] | None = None
    saved: object = None
    expiry: asyncio.TimerHandle | None = None

    def cancel_expiry(self) -> None:
        """Cancel the timer: the run waits no more."""
        if self.expiry is not None:
            self.expiry.cancel()
            self.expiry = None


def fail_unfinished(store: Store) -> None:
    """Fail what an earlier process left unfinished: its scripts are gone."""
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


__all__ = ["Runner", "fail_unfinished"]
