"""``client.threads.runs``: API reference, Runs."""

from __future__ import annotations

from typing import Unpack

from rxassist.client._arguments import checked, path, query
from rxassist.client._resource import RUN, Resource, StreamT
from rxassist.client.parameters import (
    ListParameters,
    Objects,
    RunParameters,
    RunStreamParameters,
    StreamOptions,
    ToolOutputsParameters,
)
from rxassist.consumers import LoopObservable
from rxassist.models import Run

_RUNS = "/threads/{thread_id}/runs"
_OUTPUTS = RUN + "/submit_tool_outputs"


class Runs(Resource[StreamT]):
    """The runs of a thread."""

    def create(self, thread_id: str, **parameters: Unpack[RunParameters]) -> LoopObservable[Run]:
        """Create a run and leave it working: an Observable of it as it was created.

        The run is created once, with the first subscription; every subscriber gets the same one.
        ``POST /threads/{thread_id}/runs``.
        """
        body = checked(parameters, RunParameters)
        asked = query({"include": body.pop("include", None)})
        return self._once(self._call(Run, "POST", path(_RUNS, thread_id=thread_id), body, asked))

    def retrieve(self, run_id: str, *, thread_id: str) -> LoopObservable[Run]:
        """The run as it stands: a cold Observable. ``GET /threads/{thread_id}/runs/{run_id}``."""
        return self._call(Run, "GET", path(RUN, thread_id=thread_id, run_id=run_id))

    def list(self, thread_id: str, **parameters: Unpack[ListParameters]) -> LoopObservable[Run]:
        """The runs, newest first: a cold Observable of items, fetched page by page.

        ``GET /threads/{thread_id}/runs``.
        """
        asked = checked(parameters, ListParameters)
        return self._list(Run, path(_RUNS, thread_id=thread_id), asked)

    def cancel(self, run_id: str, *, thread_id: str) -> LoopObservable[Run]:
        """Cancel a run: a cold Observable of it, ``cancelling`` at first.

        ``POST /threads/{thread_id}/runs/{run_id}/cancel``.
        """
        return self._call(Run, "POST", path(RUN + "/cancel", thread_id=thread_id, run_id=run_id))

    def submit_tool_outputs(
        self, run_id: str, *, thread_id: str, tool_outputs: Objects
    ) -> LoopObservable[Run]:
        """Send the outputs that a run waits for: an Observable of the run, queued again.

        They are sent once, with the first subscription. Each output is a mapping with
        ``tool_call_id`` and ``output``. ``POST …/submit_tool_outputs``.
        """
        where = path(_OUTPUTS, thread_id=thread_id, run_id=run_id)
        body = checked({"tool_outputs": tool_outputs}, ToolOutputsParameters)
        return self._once(self._call(Run, "POST", where, body))

    def stream(self, *, thread_id: str, **parameters: Unpack[RunStreamParameters]) -> StreamT:
        """A new run, as a stream: created with the first subscription, and only once.

        ``POST /threads/{thread_id}/runs``.
        """
        return self._stream(path(_RUNS, thread_id=thread_id), parameters, RunParameters)

    def submit_tool_outputs_stream(
        self,
        *,
        thread_id: str,
        run_id: str,
        tool_outputs: Objects,
        **options: Unpack[StreamOptions],
    ) -> StreamT:
        """Send the outputs that a run waits for, once, and stream what it does then.

        ``POST …/submit_tool_outputs``.
        """
        where = path(_OUTPUTS, thread_id=thread_id, run_id=run_id)
        return self._stream(where, {"tool_outputs": tool_outputs, **options}, ToolOutputsParameters)
