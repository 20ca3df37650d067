"""The cost of a run: tokens and time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import frozen
from reactivex import abc

from rxassist.reactive.kernel import Finish, Step, Stepping, choose_each, linked
from rxassist.reactive.links import clock_of
from rxassist.reactive.typing import Operator
from rxassist.runs.events import AnyEvent, check_event
from rxassist.runs.state import Usage

# --- tokens --------------------------------------------------------------------------------


def usage() -> Operator[AnyEvent, Usage | None]:
    """Emit the tokens used so far, each time the service reports more.

    Until the run itself says what it used, this is the sum over the steps that have ended, whatever
    the number of rounds. If the source has several runs, it is summed over them. When the source
    completes and the service reported nothing, emits ``None``: so the last item is the usage as far
    as it is known. A number that the service never reports is ``None``, and so are the details of a
    sum. A source without events emits nothing. Completes and fails with its source.

    Where ``y`` and ``z`` are steps that used 1 and 2 tokens, ``c`` is ``thread.run.completed`` with
    3 tokens, and the digits are tokens::

        source  -y-z-c-d|
        result  -1-3----|
    """

    def begin() -> tuple[Step[AnyEvent, Usage | None], Finish[Usage | None]]:
        counting = Counting()
        return counting.step, counting.finish

    return choose_each(begin)


class Counting:
    """The usage that each run and each step reported, and the sum that was emitted last."""

    def __init__(self) -> None:
        self._runs: dict[str, Usage] = {}
        self._steps: dict[str, dict[str, Usage]] = {}  # by run, "" where none is known
        self._run_id = ""
        self._sum: Usage | None = None
        self._has_events = False

    def step(self, event: AnyEvent) -> Iterator[Usage | None]:
        """Give the sum, if an event changes it."""
        self._has_events = True
        check_event(event, "usage")
        used = None if event.is_delta else event.used()
        if used is None:
            return
        if used.step_id is None:
            self._run_id = used.run_id
        if used.usage is None:
            return
        if used.step_id is None:
            self._runs[used.run_id] = used.usage
        else:
            self._steps.setdefault(used.run_id or self._run_id, {})[used.step_id] = used.usage
        total = self._total()
        if total != self._sum:
            self._sum = total
            yield total

    def finish(self) -> Iterator[Usage | None]:
        """Give ``None`` if the service reported no usage."""
        if self._has_events and self._sum is None:
            yield None

    def _total(self) -> Usage:
        known = list(self._runs.values())
        for run_id, steps in self._steps.items():
            if run_id not in self._runs and (run_id or not self._runs):
                known.extend(steps.values())
        return known[0] if len(known) == 1 else summed(known)


def summed(known: Iterable[Usage]) -> Usage:
    """The usage of several runs or steps, without details."""
    known = list(known)
    return Usage(
        _sum(each.prompt_tokens for each in known),
        _sum(each.completion_tokens for each in known),
        _sum(each.total_tokens for each in known),
    )


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


# --- time ----------------------------------------------------------------------------------


@frozen
class Timings:
    """When events came, in seconds from the subscription, and how far apart they were.

    ``first_event``, ``first_delta`` and ``last_delta`` are points in time; a delta is one of text,
    of arguments or of code. ``between_deltas`` is the mean time between two of the ``deltas``,
    ``longest_pause`` the longest. ``tokens_per_second`` counts the ``completion_tokens`` that the
    service reported, from the first delta to the last. ``duration`` is the time to the end. A value
    that cannot be known is ``None``.
    """

    duration: float
    first_event: float
    first_delta: float | None = None
    last_delta: float | None = None
    deltas: int = 0
    longest_pause: float | None = None
    completion_tokens: int | None = None

    @property
    def between_deltas(self) -> float | None:
        """The mean time between two deltas."""
        generating = self._generating
        return None if generating is None else generating / (self.deltas - 1)

    @property
    def tokens_per_second(self) -> float | None:
        """Completion tokens by the time from the first delta to the last."""
        generating, tokens = self._generating, self.completion_tokens
        return tokens / generating if generating and tokens is not None else None

    @property
    def _generating(self) -> float | None:
        if self.first_delta is None or self.last_delta is None or self.deltas < 2:  # noqa: PLR2004
            return None
        return self.last_delta - self.first_delta


def timings(*, scheduler: abc.SchedulerBase | None = None) -> Operator[AnyEvent, Timings]:
    """Emit once, when the source has completed, when the events of a run came.

    Reads the time from ``scheduler``, else from the scheduler of the subscription. A source
    without events emits nothing. Fails with its source.

    Where ``p`` is ``thread.run.in_progress``, ``t`` are deltas, and ``T`` says that the first event
    came after one tick, the first delta after three, and that two ticks lie between two deltas::

        source  -p-t-t-d|
        result  --------(T|)
    """

    def begin(
        observer: abc.ObserverBase[Timings], given: abc.SchedulerBase | None
    ) -> Stepping[AnyEvent, Timings]:
        clock = clock_of(scheduler, given)
        timing = _Timing(lambda: clock.to_seconds(clock.now))
        return Stepping(observer, timing.step, timing.finish)

    return linked(begin)


class _Timing:
    """The times of one subscription."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._begun = now()
        self._first_event: float | None = None
        self._first_delta: float | None = None
        self._last_delta: float | None = None
        self._longest: float | None = None
        self._deltas = 0
        self._counting = Counting()
        self._used: Usage | None = None

    def step(self, event: AnyEvent) -> tuple[()]:
        if self._first_event is None:
            self._first_event = self._passed()
        check_event(event, "timings")
        if event.is_delta:
            self._delta(self._passed())
        else:
            for used in self._counting.step(event):
                self._used = used
        return ()

    def finish(self) -> Iterator[Timings]:
        if self._first_event is not None:
            yield Timings(
                duration=self._passed(),
                first_event=self._first_event,
                first_delta=self._first_delta,
                last_delta=self._last_delta,
                deltas=self._deltas,
                longest_pause=self._longest,
                completion_tokens=self._used.completion_tokens if self._used else None,
            )

    def _delta(self, at: float) -> None:
        if self._last_delta is None:
            self._first_delta = at
        else:
            self._longest = max(self._longest or 0.0, at - self._last_delta)
        self._last_delta = at
        self._deltas += 1

    def _passed(self) -> float:
        return self._now() - self._begun
