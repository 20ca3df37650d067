"""The streams of responses."""

from __future__ import annotations

from rxassist.protocols.responses.events import Event, ResponseEvent
from rxassist.protocols.responses.models import OutputMessage, Response, ToolCall
from rxassist.protocols.responses.snapshots import Snapshot
from rxassist.reactive.kernel import choose
from rxassist.reactive.loop import HomeT, RunningLoop, ThreadLoop
from rxassist.reactive.observable import LoopObservable
from rxassist.runs.state import SETTLED
from rxassist.runs.streams.run_stream import AwaitedRunStream, BlockingRunStream, RunObservable


class _OfResponses(RunObservable[Event, Snapshot, Response, OutputMessage, ToolCall, HomeT]):
    """What both kinds of stream have: the responses of the run."""

    @property
    def responses(self) -> LoopObservable[Response, HomeT]:
        """Each response, when it has ended or waits: one, or one for each round of tools."""
        return self._view(self.pipe(choose(_settled)))


def _settled(event: Event) -> Response | None:
    if not isinstance(event, ResponseEvent):
        return None
    run = event.run()
    return run if run.status in SETTLED else None


class ResponseStream(
    _OfResponses[ThreadLoop],
    BlockingRunStream[Event, Snapshot, Response, OutputMessage, ToolCall],
):
    """The stream of a response of a ``Client``: its sugar blocks the caller.

    An Observable of the events (see ``RunObservable``), and iterable: ``for event in stream``. As a
    context manager it is closed when the block is left. With tools it is one run of several
    responses, whose ``get_final_run()`` is the last one.
    """


class AsyncResponseStream(
    _OfResponses[RunningLoop],
    AwaitedRunStream[Event, Snapshot, Response, OutputMessage, ToolCall],
):
    """The stream of a response of an ``AsyncClient``: its sugar is awaited.

    An Observable of the events (see ``RunObservable``), and iterable: ``async for event in
    stream``. As an async context manager it is closed when the block is left. With tools it is one
    run of several responses, whose ``get_final_run()`` is the last one.
    """


__all__ = ["AsyncResponseStream", "ResponseStream"]
