"""The streams of runs of assistants."""

from __future__ import annotations

from rxassist.protocols.assistants.events import Event
from rxassist.protocols.assistants.models import Message, Run, RunStep, ToolCall
from rxassist.protocols.assistants.snapshots import Snapshot
from rxassist.reactive.loop import HomeT, RunningLoop, ThreadLoop
from rxassist.reactive.observable import LoopObservable
from rxassist.runs.operators.snapshots import finished_run_steps
from rxassist.runs.streams.run_stream import (
    AwaitedRunStream,
    BlockingRunStream,
    RunObservable,
    all_of,
)


class _WithSteps(RunObservable[Event, Snapshot, Run, Message, ToolCall, HomeT]):
    """What both kinds of stream have: the steps of the run."""

    @property
    def run_steps(self) -> LoopObservable[RunStep, HomeT]:
        """Each step, when it is finished. See ``operators.run_steps``."""
        return self._view(self._followed(finished_run_steps))

    @property
    def current_run_step_snapshot(self) -> RunStep | None:
        """The step that the latest events belong to, as far as it has come."""
        return self.snapshot.run_step


class RunStream(_WithSteps[ThreadLoop], BlockingRunStream[Event, Snapshot, Run, Message, ToolCall]):
    """The stream of a run of a ``Client``: its sugar blocks the caller.

    An Observable of the run's events (see ``RunObservable``), and iterable: ``for event in
    stream``. As a context manager it is closed when the block is left.
    """

    def get_final_run_steps(self) -> list[RunStep]:
        """Wait for the end and return the steps of the run."""
        return _final_run_steps(self.final_snapshot.run())


class AsyncRunStream(
    _WithSteps[RunningLoop], AwaitedRunStream[Event, Snapshot, Run, Message, ToolCall]
):
    """The stream of a run of an ``AsyncClient``: its sugar is awaited.

    An Observable of the run's events (see ``RunObservable``), and iterable: ``async for event in
    stream``. As an async context manager it is closed when the block is left.
    """

    async def get_final_run_steps(self) -> list[RunStep]:
        """Wait for the end and return the steps of the run."""
        return _final_run_steps(await self.final_snapshot)


def _final_run_steps(snapshot: Snapshot) -> list[RunStep]:
    return all_of(snapshot, snapshot.run_steps, "run step")


__all__ = ["AsyncRunStream", "RunStream"]
