"""``client.threads.runs``: API reference, Runs and Run steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

from rxassist.client._arguments import path
from rxassist.client._busy import RUN, RUNS
from rxassist.client._resource import Connection, Listing, Resource, StreamT, poll_options
from rxassist.client._starting import OUTPUTS, STEPS, Starting, not_of_following, searching
from rxassist.client.parameters import (
    ListParameters,
    MetadataParameters,
    OutputsPollParameters,
    OutputsStreamParameters,
    RequestOptions,
    RunParameters,
    RunPollOptions,
    RunPollParameters,
    RunStreamParameters,
    StepListParameters,
    StepParameters,
    ToolOutputsParameters,
)
from rxassist.consumers import LoopObservable
from rxassist.creation import Waiting
from rxassist.models import Run, RunStep
from rxassist.operators._recovery import has_settled


def _check_outputs(given: Mapping[str, object]) -> None:
    if "tool_outputs" not in given and "tool_approvals" not in given:
        msg = "tool_outputs is missing"
        raise TypeError(msg)


class Steps(Resource[StreamT]):
    """The steps of a run."""

    def retrieve(
        self, step_id: str, *, thread_id: str, run_id: str, **parameters: Unpack[StepParameters]
    ) -> LoopObservable[RunStep]:
        """The step as it stands: a cold Observable. ``GET …/steps/{step_id}``."""
        where = path(STEPS + "/{step_id}", thread_id=thread_id, run_id=run_id, step_id=step_id)
        return self._call(RunStep, self._request("GET", where, parameters, StepParameters))

    def list(
        self, run_id: str, *, thread_id: str, **parameters: Unpack[StepListParameters]
    ) -> Listing[RunStep]:
        """The steps, newest first: a cold Observable of items. ``GET …/steps``."""
        where = path(STEPS, thread_id=thread_id, run_id=run_id)
        return self._list(RunStep, where, parameters, StepListParameters)


class Runs(Starting[StreamT]):
    """The runs of a thread, and their steps."""

    steps: Steps[StreamT]

    def __init__(self, connection: Connection[StreamT]) -> None:
        super().__init__(connection)
        self.steps = Steps(connection)

    def create(self, thread_id: str, **parameters: Unpack[RunParameters]) -> LoopObservable[Run]:
        """Create a run, once, and leave it working: an Observable of it as it was created.

        It is created with the first subscription; every subscriber gets the same run.
        ``additional_messages`` are added to the thread before; ``if_busy`` says what to do where
        another run works or waits there. ``POST /threads/{thread_id}/runs``.
        """
        where = path(RUNS, thread_id=thread_id)
        return self._create_run(where, parameters, RunParameters, thread_id)

    def retrieve(
        self, run_id: str, *, thread_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Run]:
        """The run as it stands: a cold Observable. ``GET /threads/{thread_id}/runs/{run_id}``."""
        where = path(RUN, thread_id=thread_id, run_id=run_id)
        return self._call(Run, self._request("GET", where, options))

    def update(
        self, run_id: str, *, thread_id: str, **parameters: Unpack[MetadataParameters]
    ) -> LoopObservable[Run]:
        """Change the metadata of a run: a cold Observable of it. ``POST …/runs/{run_id}``."""
        where = path(RUN, thread_id=thread_id, run_id=run_id)
        return self._call(Run, self._request("POST", where, parameters, MetadataParameters))

    def list(self, thread_id: str, **parameters: Unpack[ListParameters]) -> Listing[Run]:
        """The runs, newest first: a cold Observable of items. ``GET /threads/{thread_id}/runs``."""
        return self._list(Run, path(RUNS, thread_id=thread_id), parameters, ListParameters)

    def cancel(
        self, run_id: str, *, thread_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Run]:
        """Cancel a run: a cold Observable of it, ``cancelling`` at first.

        ``POST /threads/{thread_id}/runs/{run_id}/cancel``.
        """
        where = path(RUN + "/cancel", thread_id=thread_id, run_id=run_id)
        return self._call(Run, self._request("POST", where, options))

    def submit_tool_outputs(
        self, run_id: str, *, thread_id: str, **parameters: Unpack[ToolOutputsParameters]
    ) -> LoopObservable[Run]:
        """Send the outputs that a run waits for: an Observable of the run, queued again.

        They are sent once, with the first subscription. Each output is a mapping with
        ``tool_call_id`` and ``output``. ``POST …/submit_tool_outputs``.
        """
        where = path(OUTPUTS, thread_id=thread_id, run_id=run_id)
        _check_outputs(parameters)
        request = self._request("POST", where, parameters, ToolOutputsParameters, careful=True)
        return self._once(self._submitted(request, thread_id, run_id, parameters))

    # --- streams ---

    def stream(self, *, thread_id: str, **parameters: Unpack[RunStreamParameters]) -> StreamT:
        """A new run, as a stream: created with the first subscription, and only once.

        ``additional_messages`` are added to the thread before; ``if_busy`` says what to do where
        another run works or waits there. ``POST /threads/{thread_id}/runs``.
        """
        where = path(RUNS, thread_id=thread_id)
        given, tooling = self._tooling(parameters)
        waiting = Waiting()
        events = self._run_events(where, given, RunParameters, thread_id, waiting)
        return self._stream(events, given, thread_id, tooling=tooling, waiting=waiting)

    def submit_tool_outputs_stream(
        self, *, thread_id: str, run_id: str, **parameters: Unpack[OutputsStreamParameters]
    ) -> StreamT:
        """Send the outputs that a run waits for, once, and stream what it does then.

        ``POST …/submit_tool_outputs``.
        """
        where = path(OUTPUTS, thread_id=thread_id, run_id=run_id)
        _check_outputs(parameters)
        return self._output_stream(where, parameters, ToolOutputsParameters, thread_id, run_id)

    # --- polls ---

    def poll(
        self, run_id: str, *, thread_id: str, **options: Unpack[RunPollOptions]
    ) -> LoopObservable[Run]:
        """The run each time it has changed, until it has ended or waits for you.

        A cold Observable; its last item, which ``run()`` returns, is the run as it ended. With
        ``on_dispose="cancel"`` it polls once, whatever the number of subscribers.
        """
        following = self._following(options, thread_id, run_id)
        ids = {"run_id": run_id, "thread_id": thread_id}
        if following.on_dispose == "detach":
            given = {key: value for key, value in options.items() if key != "on_dispose"}
            return self._poll(Run, RUN, ids, given, has_settled)
        polled = self._poll(Run, RUN, ids, not_of_following(options), has_settled)
        return self._once(self._follow(polled, following))

    def create_and_poll(
        self, thread_id: str, **parameters: Unpack[RunPollParameters]
    ) -> LoopObservable[Run]:
        """Create a run, once, and poll it: the run each time it has changed, to its end.

        ``additional_messages`` and ``if_busy`` as for ``create``; see ``RunPollOptions``.
        """
        given, tooling = self._tooling(parameters)
        following = self._following(given, thread_id, calls_tools=tooling is not None)
        polls, rest = poll_options(not_of_following(given))
        where = path(RUNS, thread_id=thread_id)
        rest = {**rest, **searching(given)}
        created = self._create_run(where, rest, RunParameters, thread_id, following.waiting)
        return self._created_and_followed(
            created, following, lambda run: self._polled(run, polls, rest, tooling)
        )

    def submit_tool_outputs_and_poll(
        self, run_id: str, *, thread_id: str, **parameters: Unpack[OutputsPollParameters]
    ) -> LoopObservable[Run]:
        """Send the outputs that a run waits for, once, and poll it to its end."""
        following = self._following(parameters, thread_id, run_id)
        polls, rest = poll_options(not_of_following(parameters))
        submitted = self.submit_tool_outputs(run_id, thread_id=thread_id, **rest)
        return self._created_and_followed(
            submitted, following, lambda run: self._poll_on(run, polls), waits=False
        )
