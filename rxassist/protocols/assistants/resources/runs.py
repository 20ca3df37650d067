"""``client.threads.runs``: API reference, Runs and Run steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

from rxassist.protocols.assistants.busy import RUN, RUNS
from rxassist.protocols.assistants.known import Known
from rxassist.protocols.assistants.models import Run, RunStep
from rxassist.protocols.assistants.parameters import (
    HandlerT,
    MetadataParameters,
    OutputsPollParameters,
    OutputsStreamParameters,
    RunFollowParameters,
    RunParameters,
    RunPollParameters,
    RunStreamParameters,
    StepListParameters,
    StepParameters,
    ToolOutputsParameters,
)
from rxassist.protocols.assistants.starting import STEPS, Starting
from rxassist.reactive.loop import HomeT
from rxassist.reactive.observable import LoopObservable
from rxassist.runs.streams.options import RunPollOptions
from rxassist.runs.streams.run_stream import StreamT
from rxassist.wire.arguments import path
from rxassist.wire.calls import Connection, Listing, Resource
from rxassist.wire.options import ListParameters, RequestOptions


class Steps(Resource[HomeT]):
    """The steps of a run."""

    def retrieve(
        self, step_id: str, *, thread_id: str, run_id: str, **parameters: Unpack[StepParameters]
    ) -> LoopObservable[RunStep, HomeT]:
        """The state of the step: a cold Observable. ``GET …/steps/{step_id}``.

        Keywords:

        - ``include``: more fields to return, such as the content of the results of file search.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(STEPS + "/{step_id}", thread_id=thread_id, run_id=run_id, step_id=step_id)
        return self._call(RunStep, self._request("GET", where, parameters, StepParameters))

    def list(
        self, run_id: str, *, thread_id: str, **parameters: Unpack[StepListParameters]
    ) -> Listing[RunStep, HomeT]:
        """The steps, newest first: a cold Observable of items. ``GET …/steps``.

        Keywords:

        - ``limit``: how many items one page has, from 1 to 100.
        - ``order``: ``"asc"`` gives the oldest items first, ``"desc"`` the newest.
        - ``after``: the id of an item: the list begins after it.
        - ``before``: the id of an item: the list ends before it.
        - ``include``: more fields to return, such as the content of the results of file search.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(STEPS, thread_id=thread_id, run_id=run_id)
        return self._list(RunStep, where, parameters, StepListParameters)


class Runs(Starting[StreamT, HandlerT, HomeT]):
    """The runs of a thread, and their steps."""

    steps: Steps[HomeT]

    def __init__(self, connection: Connection[HomeT], stream_class: type[StreamT]) -> None:
        super().__init__(connection, stream_class)
        self.steps = Steps(connection)

    def create(
        self, thread_id: str, **parameters: Unpack[RunParameters]
    ) -> LoopObservable[Run, HomeT]:
        """Create a run, once, and leave it working: an Observable of it as it was created.

        It is created with the first subscription; every subscriber gets the same run.
        ``additional_messages`` are added to the thread first; ``if_busy`` says what to do if
        another run works or waits there. ``POST /threads/{thread_id}/runs``.

        Keywords:

        - ``assistant_id``, required: the id of the assistant that runs.
        - ``model``: the model of this run, instead of the assistant's.
        - ``instructions``: the instructions of this run, instead of the assistant's.
        - ``tools``: the tools of this run, instead of the assistant's: functions, mappings, models.
        - ``metadata``: up to 16 pairs of text, stored with the object.
        - ``temperature``: how random the answer is, from 0 to 2.
        - ``top_p``: the share of likely tokens that the model chooses from, from 0 to 1.
        - ``max_prompt_tokens``: how many tokens the prompts of the run may have together.
        - ``max_completion_tokens``: how many tokens the model may write in the run.
        - ``truncation_strategy``: how much of a long thread the model reads.
        - ``tool_choice``: ``"auto"``, ``"none"``, ``"required"``, or the tool that the model must
          call.
        - ``parallel_tool_calls``: whether the model may make several calls at once.
        - ``response_format``: ``"auto"`` or an object, such as ``{"type": "json_object"}``.
        - ``if_busy``: what to do on a thread with an active run: ``"fail"``, ``"wait"`` or
          ``"cancel"`` it.
        - ``idempotent``: mark the run, so that it can be found if an answer is lost: never two
          runs.
        - ``patience``: seconds for which ``idempotent`` looks for the run (30); ``None``: it looks
          once.
        - ``additional_instructions``: instructions that are added to the assistant's for this run.
        - ``additional_messages``: messages that are added to the thread before the run.
        - ``tool_resources``: the files and vector stores that the tools of this run may use.
        - ``reasoning_effort``: how much a reasoning model thinks, such as ``"low"``.
        - ``include``: more fields to return, such as the content of the results of file search.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(RUNS, thread_id=thread_id)
        call = self._begin(parameters, RunParameters, thread_id)
        return call.create(call.request(where, RunParameters))

    def retrieve(
        self, run_id: str, *, thread_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Run, HomeT]:
        """The state of the run: a cold Observable. ``GET /threads/{thread_id}/runs/{run_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(RUN, thread_id=thread_id, run_id=run_id)
        return self._call(Run, self._request("GET", where, options))

    def update(
        self, run_id: str, *, thread_id: str, **parameters: Unpack[MetadataParameters]
    ) -> LoopObservable[Run, HomeT]:
        """Change the metadata of a run: a cold Observable of it. ``POST …/runs/{run_id}``.

        Keywords:

        - ``metadata``: up to 16 pairs of text, stored with the object.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(RUN, thread_id=thread_id, run_id=run_id)
        return self._call(Run, self._request("POST", where, parameters, MetadataParameters))

    def list(self, thread_id: str, **parameters: Unpack[ListParameters]) -> Listing[Run, HomeT]:
        """The runs, newest first: a cold Observable of items. ``GET /threads/{thread_id}/runs``.

        Keywords:

        - ``limit``: how many items one page has, from 1 to 100.
        - ``order``: ``"asc"`` gives the oldest items first, ``"desc"`` the newest.
        - ``after``: the id of an item: the list begins after it.
        - ``before``: the id of an item: the list ends before it.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._list(Run, path(RUNS, thread_id=thread_id), parameters, ListParameters)

    def cancel(
        self, run_id: str, *, thread_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Run, HomeT]:
        """Cancel a run: a cold Observable of it, ``cancelling`` at first.

        ``POST /threads/{thread_id}/runs/{run_id}/cancel``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(RUN + "/cancel", thread_id=thread_id, run_id=run_id)
        return self._call(Run, self._request("POST", where, options))

    def submit_tool_outputs(
        self, run_id: str, *, thread_id: str, **parameters: Unpack[ToolOutputsParameters]
    ) -> LoopObservable[Run, HomeT]:
        """Send the outputs that a run waits for: an Observable of the run, queued again.

        They are sent once, with the first subscription. Each output is a mapping with
        ``tool_call_id`` and ``output``. ``POST …/submit_tool_outputs``.

        Keywords:

        - ``tool_outputs``: mappings with ``tool_call_id`` and ``output``, one for each call.
        - ``tool_approvals``: mappings with ``tool_call_id`` and ``approve`` (Azure AI Foundry).
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        call = self._begin(parameters, ToolOutputsParameters, thread_id)
        return call.submit(Run(run_id, thread_id=thread_id))

    # --- streams ---

    def stream(
        self, *, thread_id: str, **parameters: Unpack[RunStreamParameters[HandlerT]]
    ) -> StreamT:
        """A new run, as a stream: created with the first subscription, and only once.

        ``additional_messages`` are added to the thread first; ``if_busy`` says what to do if
        another run works or waits there. ``POST /threads/{thread_id}/runs``.

        Keywords:

        - ``assistant_id``, required: the id of the assistant that runs.
        - ``model``: the model of this run, instead of the assistant's.
        - ``instructions``: the instructions of this run, instead of the assistant's.
        - ``tools``: the tools of this run, instead of the assistant's: functions, mappings, models.
        - ``metadata``: up to 16 pairs of text, stored with the object.
        - ``temperature``: how random the answer is, from 0 to 2.
        - ``top_p``: the share of likely tokens that the model chooses from, from 0 to 1.
        - ``max_prompt_tokens``: how many tokens the prompts of the run may have together.
        - ``max_completion_tokens``: how many tokens the model may write in the run.
        - ``truncation_strategy``: how much of a long thread the model reads.
        - ``tool_choice``: ``"auto"``, ``"none"``, ``"required"``, or the tool that the model must
          call.
        - ``parallel_tool_calls``: whether the model may make several calls at once.
        - ``response_format``: ``"auto"`` or an object, such as ``{"type": "json_object"}``.
        - ``if_busy``: what to do on a thread with an active run: ``"fail"``, ``"wait"`` or
          ``"cancel"`` it.
        - ``idempotent``: mark the run, so that it can be found if an answer is lost: never two
          runs.
        - ``patience``: seconds for which ``idempotent`` looks for the run (30); ``None``: it looks
          once.
        - ``additional_instructions``: instructions that are added to the assistant's for this run.
        - ``additional_messages``: messages that are added to the thread before the run.
        - ``tool_resources``: the files and vector stores that the tools of this run may use.
        - ``reasoning_effort``: how much a reasoning model thinks, such as ``"low"``.
        - ``include``: more fields to return, such as the content of the results of file search.
        - ``recover``: whether a run is followed to its end after its connection is lost (``True``).
        - ``recovery_timeout``: seconds for which the service may be out of reach then (60).
        - ``idle_timeout``: seconds of silence after which a stream is recovered; ``None`` for no
          bound.
        - ``deadline``: seconds after which the stream ends in an error; by default never.
        - ``replay``: ``False`` drops the events that every subscriber has received.
        - ``read_ahead``: how many events the stream may read ahead of a slow reader (1,024;
          ``None``: no bound).
        - ``on_dispose``: ``"cancel"`` cancels the run when the last reader leaves; ``"detach"``
          does not.
        - ``linger``: seconds for which the stream continues after the last subscriber has left (0).
        - ``event_handler``: its callbacks are called once for each event, before any subscriber.
        - ``max_rounds``: how often the run may require tools (16); one more ends in
          ``ToolRoundsExceeded``.
        - ``max_concurrent_tools``: how many functions run at once; by default all calls of a round.
        - ``tool_timeout``: seconds for each function; by default no bound.
        - ``on_tool_error``: ``"tell"`` the model, ``"raise"`` a ``ToolError``, or a function of
          call and error.
        - ``approve``: a function that is called before each call: it returns ``True``, or a reason
          against it.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(RUNS, thread_id=thread_id)
        call = self._begin(parameters, RunStreamParameters, thread_id)
        return self._stream(call.start(where, RunParameters))

    def submit_tool_outputs_stream(
        self,
        *,
        thread_id: str,
        run_id: str,
        **parameters: Unpack[OutputsStreamParameters[HandlerT]],
    ) -> StreamT:
        """Send the outputs that a run waits for, once, and stream its events from then on.

        ``POST …/submit_tool_outputs``.

        Keywords:

        - ``tool_outputs``: mappings with ``tool_call_id`` and ``output``, one for each call.
        - ``tool_approvals``: mappings with ``tool_call_id`` and ``approve`` (Azure AI Foundry).
        - ``recover``: whether a run is followed to its end after its connection is lost (``True``).
        - ``recovery_timeout``: seconds for which the service may be out of reach then (60).
        - ``idle_timeout``: seconds of silence after which a stream is recovered; ``None`` for no
          bound.
        - ``deadline``: seconds after which the stream ends in an error; by default never.
        - ``replay``: ``False`` drops the events that every subscriber has received.
        - ``read_ahead``: how many events the stream may read ahead of a slow reader (1,024;
          ``None``: no bound).
        - ``on_dispose``: ``"cancel"`` cancels the run when the last reader leaves; ``"detach"``
          does not.
        - ``linger``: seconds for which the stream continues after the last subscriber has left (0).
        - ``event_handler``: its callbacks are called once for each event, before any subscriber.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        call = self._begin(parameters, OutputsStreamParameters, thread_id)
        return self._stream(call.resume(Run(run_id, thread_id=thread_id)))

    def follow(
        self, run_id: str, *, thread_id: str, **parameters: Unpack[RunFollowParameters[HandlerT]]
    ) -> StreamT:
        """A run that exists, as a stream: its events from the first one on, to its end.

        It may be of another program. No service streams it again, so the stream emits the events of
        an uninterrupted one, made of what is stored, when the run has ended or waits; until then
        the run is polled. With functions among ``tools`` a run that waits is resumed, and streams
        from then on. ``GET /threads/{thread_id}/runs/{run_id}``, and its steps and messages.

        Keywords:

        - ``recover``: whether a run is followed to its end after its connection is lost (``True``).
        - ``recovery_timeout``: seconds for which the service may be out of reach then (60).
        - ``idle_timeout``: seconds of silence after which a stream is recovered; ``None`` for no
          bound.
        - ``deadline``: seconds after which the stream ends in an error; by default never.
        - ``replay``: ``False`` drops the events that every subscriber has received.
        - ``read_ahead``: how many events the stream may read ahead of a slow reader (1,024;
          ``None``: no bound).
        - ``on_dispose``: ``"cancel"`` cancels the run when the last reader leaves; ``"detach"``
          does not.
        - ``linger``: seconds for which the stream continues after the last subscriber has left (0).
        - ``event_handler``: its callbacks are called once for each event, before any subscriber.
        - ``max_rounds``: how often the run may require tools (16); one more ends in
          ``ToolRoundsExceeded``.
        - ``max_concurrent_tools``: how many functions run at once; by default all calls of a round.
        - ``tool_timeout``: seconds for each function; by default no bound.
        - ``on_tool_error``: ``"tell"`` the model, ``"raise"`` a ``ToolError``, or a function of
          call and error.
        - ``approve``: a function that is called before each call: it returns ``True``, or a reason
          against it.
        - ``tools``: the functions that are called when the run requires them.
        - ``include``: more fields to return, such as the content of the results of file search.
        - ``poll_interval_ms``: milliseconds between two polls of the run (1,000).
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._follow(Known(run_id=run_id), thread_id, parameters)

    def _follow(self, known: Known, thread_id: str, parameters: Mapping[str, object]) -> StreamT:
        """A run that exists, as a stream, after the events that are known of it.

        What is known and what it emits is the whole stream, and nothing comes twice.
        """
        call = self._begin(parameters, RunFollowParameters, thread_id)
        return self._stream(call.follow(known))

    # --- polls ---

    def poll(
        self, run_id: str, *, thread_id: str, **options: Unpack[RunPollOptions]
    ) -> LoopObservable[Run, HomeT]:
        """Emits the run each time it has changed, until it has ended or waits for you.

        A cold Observable; its last item, which ``run()`` returns, is the run as it ended. With
        ``on_dispose="cancel"`` it polls once for any number of subscribers.

        Keywords:

        - ``poll_interval_ms``: milliseconds between two polls; by default the service's value, else
          1,000.
        - ``deadline``: seconds after which the poll ends in ``PollTimeout``; by default never.
        - ``at_once``: fetch at once, however many polls of the client begin together (``False``: in
          a herd, some time within the interval).
        - ``patience``: seconds for which the service may be out of reach, or not find an object it
          stores late.
        - ``on_dispose``: ``"cancel"`` cancels the run when readers leave or time is up;
          ``"detach"`` does not.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        call = self._begin(options, RunPollOptions, thread_id)
        return call.poll(Run(run_id, thread_id=thread_id))

    def create_and_poll(
        self, thread_id: str, **parameters: Unpack[RunPollParameters]
    ) -> LoopObservable[Run, HomeT]:
        """Create a run, once, and poll it: the run each time it has changed, to its end.

        ``additional_messages`` and ``if_busy`` as for ``create``; see ``RunPollOptions``.

        Keywords:

        - ``assistant_id``, required: the id of the assistant that runs.
        - ``model``: the model of this run, instead of the assistant's.
        - ``instructions``: the instructions of this run, instead of the assistant's.
        - ``tools``: the tools of this run, instead of the assistant's: functions, mappings, models.
        - ``metadata``: up to 16 pairs of text, stored with the object.
        - ``temperature``: how random the answer is, from 0 to 2.
        - ``top_p``: the share of likely tokens that the model chooses from, from 0 to 1.
        - ``max_prompt_tokens``: how many tokens the prompts of the run may have together.
        - ``max_completion_tokens``: how many tokens the model may write in the run.
        - ``truncation_strategy``: how much of a long thread the model reads.
        - ``tool_choice``: ``"auto"``, ``"none"``, ``"required"``, or the tool that the model must
          call.
        - ``parallel_tool_calls``: whether the model may make several calls at once.
        - ``response_format``: ``"auto"`` or an object, such as ``{"type": "json_object"}``.
        - ``if_busy``: what to do on a thread with an active run: ``"fail"``, ``"wait"`` or
          ``"cancel"`` it.
        - ``idempotent``: mark the run, so that it can be found if an answer is lost: never two
          runs.
        - ``patience``: seconds for which the service may be out of reach, or not find an object it
          stores late.
        - ``additional_instructions``: instructions that are added to the assistant's for this run.
        - ``additional_messages``: messages that are added to the thread before the run.
        - ``tool_resources``: the files and vector stores that the tools of this run may use.
        - ``reasoning_effort``: how much a reasoning model thinks, such as ``"low"``.
        - ``include``: more fields to return, such as the content of the results of file search.
        - ``poll_interval_ms``: milliseconds between two polls; by default the service's value, else
          1,000.
        - ``deadline``: seconds after which the poll ends in ``PollTimeout``; by default never.
        - ``at_once``: fetch at once, however many polls of the client begin together (``False``: in
          a herd, some time within the interval).
        - ``on_dispose``: ``"cancel"`` cancels the run when readers leave or time is up;
          ``"detach"`` does not.
        - ``max_rounds``: how often the run may require tools (16); one more ends in
          ``ToolRoundsExceeded``.
        - ``max_concurrent_tools``: how many functions run at once; by default all calls of a round.
        - ``tool_timeout``: seconds for each function; by default no bound.
        - ``on_tool_error``: ``"tell"`` the model, ``"raise"`` a ``ToolError``, or a function of
          call and error.
        - ``approve``: a function that is called before each call: it returns ``True``, or a reason
          against it.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(RUNS, thread_id=thread_id)
        call = self._begin(parameters, RunPollParameters, thread_id)
        return call.poll_on(call.create(call.request(where, RunParameters)))

    def submit_tool_outputs_and_poll(
        self, run_id: str, *, thread_id: str, **parameters: Unpack[OutputsPollParameters]
    ) -> LoopObservable[Run, HomeT]:
        """Send the outputs that a run waits for, once, and poll it to its end.

        Keywords:

        - ``tool_outputs``: mappings with ``tool_call_id`` and ``output``, one for each call.
        - ``tool_approvals``: mappings with ``tool_call_id`` and ``approve`` (Azure AI Foundry).
        - ``poll_interval_ms``: milliseconds between two polls; by default the service's value, else
          1,000.
        - ``deadline``: seconds after which the poll ends in ``PollTimeout``; by default never.
        - ``at_once``: fetch at once, however many polls of the client begin together (``False``: in
          a herd, some time within the interval).
        - ``patience``: seconds for which the service may be out of reach, or not find an object it
          stores late.
        - ``on_dispose``: ``"cancel"`` cancels the run when readers leave or time is up;
          ``"detach"`` does not.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        call = self._begin(parameters, OutputsPollParameters, thread_id)
        run = Run(run_id, thread_id=thread_id)
        return call.poll_on(call.submit(run), run)
