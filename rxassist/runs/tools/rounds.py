"""Rounds of tools: a run waits, its calls are made, and the run goes on with their results."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

from attrs import field, frozen
from reactivex import Observable, Observer, abc
from reactivex.disposable import SerialDisposable

from rxassist.errors import RxAssistError, ToolRoundsExceeded
from rxassist.reactive.checks import check_positive
from rxassist.reactive.kernel import linked
from rxassist.reactive.links import Link, clock_of, subscribe_held
from rxassist.reactive.typing import Operator
from rxassist.runs.state import AnyRun, leaves_waiting
from rxassist.runs.tools.calls import Awaited, Calls, OnResult
from rxassist.runs.tools.tool import ToolResult

_T = TypeVar("_T")
_X = TypeVar("_X")
_RunT = TypeVar("_RunT", bound=AnyRun)
_SubmissionT = TypeVar("_SubmissionT")

MAX_ROUNDS = 16
"""How often a run may ask for tools, by default."""


def _says_it(_: AnyRun) -> None:
    """Every run says what it waits for."""


@frozen(kw_only=True)
class Rounds(Generic[_T, _RunT, _SubmissionT]):
    """How a run is resumed with the results of its calls: each protocol fills it in.

    - ``calls``: makes the calls.
    - ``run_of``: finds the run in an item; items are events, or runs themselves.
    - ``waits_for``: what a run that waits is waiting for; ``None`` if no function can give it.
    - ``submit``: resumes a run, and emits the items after that; they may be of another run.
    - ``cancel``: cancels a run, and completes when it has ended.
    - ``read``: reads a run again that does not say what it waits for, and adds that; ``None`` for
      a run that says it.
    - ``outputs``: the replies to calls that were made before, perhaps by another program, by the
      ids of the calls: these are not made again.
    """

    calls: Calls
    run_of: Callable[[_T], _RunT | None]
    waits_for: Callable[[_RunT], Awaited[_SubmissionT] | None]
    submit: Callable[[_RunT, _SubmissionT], Observable[_T]]
    cancel: Callable[[_RunT], Observable[_RunT]] | None = None
    max_rounds: int = MAX_ROUNDS
    on_result: OnResult | None = None
    read: Callable[[_RunT], Observable[_RunT] | None] = _says_it
    outputs: Mapping[str, str] = field(factory=dict[str, str])
    scheduler: abc.SchedulerBase | None = None

    def __attrs_post_init__(self) -> None:
        check_positive("max_rounds", self.max_rounds, whole=True)

    def operator(self) -> Operator[_T, _T]:
        """Emit the items of a run; call the functions that it waits for, and go on with it."""
        return linked(
            lambda observer, given: _Following(observer, self, clock_of(self.scheduler, given))
        )


class _Following(Link[_T, _T], Generic[_T, _RunT, _SubmissionT]):
    """One subscription: a part of the run, as it is received, or the calls of its tools."""

    _scheduler: abc.SchedulerBase | None

    def __init__(
        self,
        observer: abc.ObserverBase[_T],
        rounds: Rounds[_T, _RunT, _SubmissionT],
        clock: abc.SchedulerBase,
    ) -> None:
        super().__init__(observer)
        self._rounds = rounds
        self._left = rounds.max_rounds
        self._answered: dict[Hashable, ToolResult] = {}
        self._clock = clock
        self._held = SerialDisposable()
        self._waiting: _RunT | None = None  # the resumed run, until the first item after that

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
            run = self._rounds.run_of(value)
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

    def _look(self, run: _RunT, read: Observable[_RunT]) -> None:
        """Read what a run waits for, as the run itself does not say it."""

        def found(now: _RunT) -> None:
            if not self._round(now):
                self.observer.on_completed()

        def failed(error: Exception) -> None:
            if leaves_waiting(error):
                self._fail(error, run)
            else:
                self.observer.on_error(error)

        self._instead(read, Observer(found, failed))

    def _round(self, run: _RunT) -> bool:
        """Give a run what it waits for. ``False`` if these functions cannot."""
        read = self._rounds.read(run)
        if read is not None:
            self._look(run, read)
            return True
        rounds, awaited = self._rounds, self._rounds.waits_for(run)
        if awaited is None:
            return False
        self._take_known(awaited)
        submission = rounds.calls.submission(awaited, self._clock, self._answered, rounds.on_result)
        if submission is None:
            return False
        if not self._left:
            self._fail(ToolRoundsExceeded(self._rounds.max_rounds), run)
            return True
        self._left -= 1
        self._instead(
            submission,
            Observer(lambda given: self._go_on(run, given), lambda error: self._fail(error, run)),
        )
        return True

    def _take_known(self, awaited: Awaited[_SubmissionT]) -> None:
        """Count the calls whose output is known as answered."""
        for asked in awaited.calls:
            output = self._rounds.outputs.get(asked.id)
            if output is not None and asked.key is not None and asked.key not in self._answered:
                self._answered[asked.key] = ToolResult(asked.call, output)

    def _go_on(self, run: _RunT, submission: _SubmissionT) -> None:
        try:
            part = self._rounds.submit(run, submission)
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self._fail(error, run)
            return
        self._waiting = run
        self._instead(part, self)

    def _fail(self, error: Exception, run: _RunT) -> None:
        """Cancel the run, because nothing goes on with it, and fail."""
        if isinstance(error, RxAssistError):
            error.run_id, error.thread_id = error.run_id or run.id, error.thread_id or run.thread_id
        if self._rounds.cancel is None:
            self.observer.on_error(error)
            return

        def could_not(why: Exception) -> None:
            error.add_note(f"the run could not be cancelled: {why}")
            self.observer.on_error(error)

        cancelled = Observer[_RunT](None, could_not, lambda: self.observer.on_error(error))
        self._instead(self._rounds.cancel(run), cancelled)


__all__ = ["MAX_ROUNDS", "Rounds"]
