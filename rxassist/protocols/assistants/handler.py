"""The event handlers of runs of assistants."""

from __future__ import annotations

from rxassist.protocols.assistants.events import Event
from rxassist.protocols.assistants.models import (
    ImageFile,
    Message,
    MessageDelta,
    Run,
    RunStep,
    RunStepDelta,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
)
from rxassist.protocols.assistants.snapshots import NOTHING
from rxassist.runs.streams.handlers import AwaitedHandler, BlockingHandler, Handler

_NAMES = ("AssistantEventHandler", "AsyncAssistantEventHandler")


class _WithSteps(Handler[Event, Run, Message]):
    """What both kinds of handler have: the step that grows."""

    _nothing = NOTHING
    _names = _NAMES

    @property
    def current_run_step_snapshot(self) -> RunStep | None:
        """The step of the latest event about one, as far as it has come."""
        run_step: RunStep | None = self._snapshot.run_step
        return run_step


class AssistantEventHandler(
    _WithSteps,
    BlockingHandler[Event, Run, Message, MessageDelta, Text, TextDelta, ToolCall, ToolCallDelta],
    base=True,
):
    """Callbacks for the events of a run: override those that you need.

    An Rx observer of events, ``stream.subscribe(MyHandler())``, and the argument of
    ``event_handler=`` on a ``Client``. It may follow several streams, one after the other or at
    once: each has a state of its own. (Plain Observables only one after the other: see
    ``observer``.)

    A class with a method that is meant as a callback but is none (``on_text_dleta``, an ``async
    def``, a ``yield``) raises ``TypeError`` when it is defined.

    An exception in a callback goes to ``on_exception``, closes the stream, and is raised in code
    that waits for the stream. ``on_end`` is always the last callback, even if the stream is left
    early.
    """

    def on_run_step_created(self, run_step: RunStep) -> None:
        """Called once when a step begins."""

    def on_run_step_delta(self, delta: RunStepDelta, snapshot: RunStep) -> None:
        """Called when a step grows: with the addition, and the step as far as it has come."""

    def on_run_step_done(self, run_step: RunStep) -> None:
        """Called once when a step ends in any way: its ``status`` and ``usage`` are final."""

    def on_image_file_done(self, image_file: ImageFile) -> None:
        """Called once for an image, when the next part begins or the message ends."""

    def get_final_run_steps(self) -> list[RunStep]:
        """Wait for the end and return the steps of the run."""
        steps: list[RunStep] = self._stream_heard().get_final_run_steps()
        return steps


class AsyncAssistantEventHandler(
    _WithSteps,
    AwaitedHandler[Event, Run, Message, MessageDelta, Text, TextDelta, ToolCall, ToolCallDelta],
    base=True,
):
    """As ``AssistantEventHandler``, with callbacks that are awaited, one after the other.

    One task awaits all callbacks of a stream; while one runs, the stream waits, and its source is
    paused when a few events wait. Subscribe it to streams of a client and to Observables piped from
    them, ``stream.subscribe(MyHandler())``, or pass it as ``event_handler=`` on an ``AsyncClient``.
    If the stream is left early, a running callback is cancelled, but not ``on_exception`` and
    ``on_end``.
    """

    async def on_run_step_created(self, run_step: RunStep) -> None:
        """Called once when a step begins."""

    async def on_run_step_delta(self, delta: RunStepDelta, snapshot: RunStep) -> None:
        """Called when a step grows: with the addition, and the step as far as it has come."""

    async def on_run_step_done(self, run_step: RunStep) -> None:
        """Called once when a step ends in any way: its ``status`` and ``usage`` are final."""

    async def on_image_file_done(self, image_file: ImageFile) -> None:
        """Called once for an image, when the next part begins or the message ends."""

    async def get_final_run_steps(self) -> list[RunStep]:
        """Wait for the end and return the steps of the run."""
        steps: list[RunStep] = await self._stream_heard().get_final_run_steps()
        return steps


__all__ = ["AssistantEventHandler", "AsyncAssistantEventHandler"]
