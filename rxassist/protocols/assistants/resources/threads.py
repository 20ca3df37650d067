"""``client.threads``: API reference, Threads and Messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, Unpack

import reactivex as rx
from attrs import evolve
from reactivex import Observable
from reactivex import operators as ops

from rxassist.protocols.assistants.busy import RUNS, ThreadCall
from rxassist.protocols.assistants.events import Event, ThreadCreated
from rxassist.protocols.assistants.models import Message, Run, Thread
from rxassist.protocols.assistants.parameters import (
    HandlerT,
    MessageListParameters,
    MessageParameters,
    MetadataParameters,
    RunParameters,
    ThreadAndRunParameters,
    ThreadAndRunPollParameters,
    ThreadAndRunStreamParameters,
    ThreadParameters,
    ThreadUpdateParameters,
)
from rxassist.protocols.assistants.resources.runs import Runs
from rxassist.protocols.assistants.starting import MESSAGES, RunCall, Starting
from rxassist.reactive.loop import HomeT
from rxassist.reactive.observable import LoopObservable
from rxassist.runs.streams.given import Given
from rxassist.runs.streams.run_stream import StreamT
from rxassist.wire.arguments import path
from rxassist.wire.calls import Connection, Listing, Resource
from rxassist.wire.options import RequestOptions
from rxassist.wire.transport import Request
from rxassist.wire.values import Deleted

_T = TypeVar("_T")

_THREAD = "/threads/{thread_id}"
_MESSAGE = MESSAGES + "/{message_id}"
_THREAD_AND_RUN = "/threads/runs"


class Messages(Resource[HomeT]):
    """The messages of a thread."""

    def create(
        self, thread_id: str, **parameters: Unpack[MessageParameters]
    ) -> LoopObservable[Message, HomeT]:
        """Add a message, once: an Observable of it. ``POST /threads/{thread_id}/messages``.

        A thread takes no message while a run works or waits there: ``if_busy`` says what to do
        then. To start a run with messages, pass them as its ``additional_messages``. The request is
        tried again only if it was not sent, or if the service itself says that it did not act.

        Keywords:

        - ``role``, required: ``"user"`` or ``"assistant"``.
        - ``content``, required: the text, or a list of parts.
        - ``if_busy``: what to do on a thread with an active run: ``"fail"``, ``"wait"`` or
          ``"cancel"`` it.
        - ``attachments``: files for the tools: mappings with ``file_id`` and ``tools``.
        - ``metadata``: up to 16 pairs of text, stored with the object.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(MESSAGES, thread_id=thread_id)
        given = Given.of(self._connection, parameters, MessageParameters)
        request = self._request("POST", where, given.asked, MessageParameters, careful=True)
        call = ThreadCall(self._connection, given, thread_id)
        return self._once(call.on_free_thread(self._call(Message, request)))

    def retrieve(
        self, message_id: str, *, thread_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Message, HomeT]:
        """The message: a cold Observable. ``GET …/messages/{message_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_MESSAGE, thread_id=thread_id, message_id=message_id)
        return self._call(Message, self._request("GET", where, options))

    def update(
        self, message_id: str, *, thread_id: str, **parameters: Unpack[MetadataParameters]
    ) -> LoopObservable[Message, HomeT]:
        """Change the metadata of a message. ``POST …/messages/{message_id}``.

        Keywords:

        - ``metadata``: up to 16 pairs of text, stored with the object.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_MESSAGE, thread_id=thread_id, message_id=message_id)
        return self._call(Message, self._request("POST", where, parameters, MetadataParameters))

    def list(
        self, thread_id: str, **parameters: Unpack[MessageListParameters]
    ) -> Listing[Message, HomeT]:
        """The messages, newest first: a cold Observable of items, fetched page by page.

        ``GET /threads/{thread_id}/messages``.

        Keywords:

        - ``limit``: how many items one page has, from 1 to 100.
        - ``order``: ``"asc"`` gives the oldest items first, ``"desc"`` the newest.
        - ``after``: the id of an item: the list begins after it.
        - ``before``: the id of an item: the list ends before it.
        - ``run_id``: only the messages that this run wrote.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(MESSAGES, thread_id=thread_id)
        return self._list(Message, where, parameters, MessageListParameters)

    def delete(
        self, message_id: str, *, thread_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Deleted, HomeT]:
        """Delete a message: a cold Observable. ``DELETE …/messages/{message_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._delete(path(_MESSAGE, thread_id=thread_id, message_id=message_id), options)


class Threads(Starting[StreamT, HandlerT, HomeT]):
    """Conversations, their messages and their runs."""

    messages: Messages[HomeT]
    runs: Runs[StreamT, HandlerT, HomeT]

    def __init__(self, connection: Connection[HomeT], stream_class: type[StreamT]) -> None:
        super().__init__(connection, stream_class)
        self.messages = Messages(connection)
        self.runs = Runs(connection, stream_class)

    def create(self, **parameters: Unpack[ThreadParameters]) -> LoopObservable[Thread, HomeT]:
        """Create a thread, once: an Observable of it. ``POST /threads``.

        Keywords:

        - ``messages``: the messages that the thread begins with.
        - ``tool_resources``: the files and vector stores that tools may use on this thread.
        - ``metadata``: up to 16 pairs of text, stored with the object.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._create(Thread, self._request("POST", "/threads", parameters, ThreadParameters))

    def retrieve(
        self, thread_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Thread, HomeT]:
        """The thread: a cold Observable. ``GET /threads/{thread_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_THREAD, thread_id=thread_id)
        return self._call(Thread, self._request("GET", where, options))

    def update(
        self, thread_id: str, **parameters: Unpack[ThreadUpdateParameters]
    ) -> LoopObservable[Thread, HomeT]:
        """Change a thread: a cold Observable of it. ``POST /threads/{thread_id}``.

        Keywords:

        - ``metadata``: up to 16 pairs of text, stored with the object.
        - ``tool_resources``: the files and vector stores that tools may use on this thread.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_THREAD, thread_id=thread_id)
        return self._call(Thread, self._request("POST", where, parameters, ThreadUpdateParameters))

    def delete(
        self, thread_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Deleted, HomeT]:
        """Delete a thread: a cold Observable. ``DELETE /threads/{thread_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._delete(path(_THREAD, thread_id=thread_id), options)

    def create_and_run(
        self, **parameters: Unpack[ThreadAndRunParameters]
    ) -> LoopObservable[Run, HomeT]:
        """Create a run on a new thread, once, and leave it working: an Observable of it.

        It is created with the first subscription. ``POST /threads/runs``.

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
        - ``thread``: the thread to create: a mapping with ``messages``, ``metadata``,
          ``tool_resources``.
        - ``tool_resources``: the files and vector stores that the tools of this run may use.
        - ``idempotent``: mark the run, so that it can be found if an answer is lost: never two
          runs.
        - ``patience``: seconds for which ``idempotent`` looks for the run (30); ``None``: it looks
          once.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._create_and_run(self._begin(parameters, ThreadAndRunParameters))

    def create_and_run_stream(
        self, **parameters: Unpack[ThreadAndRunStreamParameters[HandlerT]]
    ) -> StreamT:
        """A new run on a new thread, as a stream: created with the first subscription, once.

        ``POST /threads/runs``. With ``idempotent`` the thread is created first: a run can be looked
        for only on a known thread.

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
        - ``thread``: the thread to create: a mapping with ``messages``, ``metadata``,
          ``tool_resources``.
        - ``tool_resources``: the files and vector stores that the tools of this run may use.
        - ``idempotent``: mark the run, so that it can be found if an answer is lost: never two
          runs.
        - ``patience``: seconds for which ``idempotent`` looks for the run (30); ``None``: it looks
          once.
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
        call = self._begin(parameters, ThreadAndRunStreamParameters)
        if not call.given.start.idempotent:
            return self._stream(call.start(_THREAD_AND_RUN, ThreadAndRunParameters))

        def start(made: Thread, run: RunCall[HomeT], request: Request) -> Observable[Event]:
            created: Observable[Event] = rx.of(ThreadCreated(made))
            return created.pipe(ops.concat(run.started(request)))

        return self._stream(call.plan(self._on_new_thread(call.given, start)))

    def _create_and_run(self, call: RunCall[HomeT]) -> LoopObservable[Run, HomeT]:
        """Create a run on a new thread once, and leave it working."""
        if not call.given.start.idempotent:
            return call.create(call.request(_THREAD_AND_RUN, ThreadAndRunParameters))

        def create(_: Thread, run: RunCall[HomeT], request: Request) -> Observable[Run]:
            return run.create(request)

        return self._once(self._on_new_thread(call.given, create))

    def _on_new_thread(
        self, given: Given, start: Callable[[Thread, RunCall[HomeT], Request], Observable[_T]]
    ) -> Observable[_T]:
        """Create the thread, and then start the run on it.

        It builds the request for the run first, so that wrong arguments raise before the thread is
        created.
        """
        asked = dict(given.asked)
        if asked.pop("tool_resources", None) is not None:
            msg = (
                "with idempotent=True, tool_resources belong into thread: they cannot be the run's"
            )
            raise ValueError(msg)
        thread: Any = asked.pop("thread", None) or {}
        given = evolve(given, asked=asked)
        request = RunCall(self._connection, given).request("", RunParameters)

        def begin(made: Thread) -> Observable[_T]:
            where = path(RUNS, thread_id=made.id)
            run = RunCall(self._connection, given, made.id)
            return start(made, run, evolve(request, path=where))

        options: dict[str, Any] = {**given.carried, **dict(thread)}
        return self.create(**options).pipe(ops.flat_map(begin))

    def create_and_run_poll(
        self, **parameters: Unpack[ThreadAndRunPollParameters]
    ) -> LoopObservable[Run, HomeT]:
        """Create a run on a new thread, once, and poll it: the run at each change, to its end.

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
        - ``thread``: the thread to create: a mapping with ``messages``, ``metadata``,
          ``tool_resources``.
        - ``tool_resources``: the files and vector stores that the tools of this run may use.
        - ``idempotent``: mark the run, so that it can be found if an answer is lost: never two
          runs.
        - ``patience``: seconds for which the service may be out of reach, or not find an object it
          stores late.
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
        call = self._begin(parameters, ThreadAndRunPollParameters)
        return call.poll_on(self._create_and_run(call))
