"""``client.threads``: API reference, Threads and Messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack

import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops

from rxassist.client._arguments import path
from rxassist.client._busy import RUNS, OnThread
from rxassist.client._resource import Connection, Listing, StreamT, poll_options
from rxassist.client._starting import MESSAGES, Starting, not_of_following, searching
from rxassist.client.parameters import (
    MessageListParameters,
    MessageParameters,
    MetadataParameters,
    RequestOptions,
    RunParameters,
    ThreadAndRunParameters,
    ThreadAndRunPollParameters,
    ThreadAndRunStreamParameters,
    ThreadParameters,
    ThreadUpdateParameters,
)
from rxassist.client.runs import Runs
from rxassist.consumers import LoopObservable
from rxassist.events import Event, ThreadCreated
from rxassist.models import Deleted, Message, Run, Thread

_THREAD = "/threads/{thread_id}"
_MESSAGE = MESSAGES + "/{message_id}"
_THREAD_AND_RUN = "/threads/runs"


class Messages(OnThread[StreamT]):
    """The messages of a thread."""

    def create(
        self, thread_id: str, **parameters: Unpack[MessageParameters]
    ) -> LoopObservable[Message]:
        """Add a message, once: an Observable of it. ``POST /threads/{thread_id}/messages``.

        A thread takes none while a run works or waits there: ``if_busy`` says what to do then. To
        start a run with messages, pass them as its ``additional_messages``.
        """
        where = path(MESSAGES, thread_id=thread_id)
        rest = {key: value for key, value in parameters.items() if key != "if_busy"}
        request = self._request("POST", where, rest, MessageParameters)
        return self._once(self._on_free_thread(self._call(Message, request), thread_id, parameters))

    def retrieve(
        self, message_id: str, *, thread_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Message]:
        """The message: a cold Observable. ``GET …/messages/{message_id}``."""
        where = path(_MESSAGE, thread_id=thread_id, message_id=message_id)
        return self._call(Message, self._request("GET", where, options))

    def update(
        self, message_id: str, *, thread_id: str, **parameters: Unpack[MetadataParameters]
    ) -> LoopObservable[Message]:
        """Change the metadata of a message. ``POST …/messages/{message_id}``."""
        where = path(_MESSAGE, thread_id=thread_id, message_id=message_id)
        return self._call(Message, self._request("POST", where, parameters, MetadataParameters))

    def list(self, thread_id: str, **parameters: Unpack[MessageListParameters]) -> Listing[Message]:
        """The messages, newest first: a cold Observable of items, fetched page by page.

        ``GET /threads/{thread_id}/messages``.
        """
        where = path(MESSAGES, thread_id=thread_id)
        return self._list(Message, where, parameters, MessageListParameters)

    def delete(
        self, message_id: str, *, thread_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Deleted]:
        """Delete a message: a cold Observable. ``DELETE …/messages/{message_id}``."""
        return self._delete(path(_MESSAGE, thread_id=thread_id, message_id=message_id), options)


class Threads(Starting[StreamT]):
    """Conversations, their messages and their runs."""

    messages: Messages[StreamT]
    runs: Runs[StreamT]

    def __init__(self, connection: Connection[StreamT]) -> None:
        super().__init__(connection)
        self.messages = Messages(connection)
        self.runs = Runs(connection)

    def create(self, **parameters: Unpack[ThreadParameters]) -> LoopObservable[Thread]:
        """Create a thread, once: an Observable of it. ``POST /threads``."""
        return self._create(Thread, self._request("POST", "/threads", parameters, ThreadParameters))

    def retrieve(self, thread_id: str, **options: Unpack[RequestOptions]) -> LoopObservable[Thread]:
        """The thread: a cold Observable. ``GET /threads/{thread_id}``."""
        where = path(_THREAD, thread_id=thread_id)
        return self._call(Thread, self._request("GET", where, options))

    def update(
        self, thread_id: str, **parameters: Unpack[ThreadUpdateParameters]
    ) -> LoopObservable[Thread]:
        """Change a thread: a cold Observable of it. ``POST /threads/{thread_id}``."""
        where = path(_THREAD, thread_id=thread_id)
        return self._call(Thread, self._request("POST", where, parameters, ThreadUpdateParameters))

    def delete(self, thread_id: str, **options: Unpack[RequestOptions]) -> LoopObservable[Deleted]:
        """Delete a thread: a cold Observable. ``DELETE /threads/{thread_id}``."""
        return self._delete(path(_THREAD, thread_id=thread_id), options)

    def create_and_run(self, **parameters: Unpack[ThreadAndRunParameters]) -> LoopObservable[Run]:
        """Create a run on a new thread, once, and leave it working: an Observable of it.

        It is created with the first subscription. ``POST /threads/runs``.
        """
        if not parameters.get("idempotent"):
            return self._create_run(_THREAD_AND_RUN, parameters, ThreadAndRunParameters)
        thread, rest = self._apart(parameters)

        def create(made: Thread) -> Observable[Run]:
            return self.runs.create(made.id, **rest)

        return self._once(thread.pipe(ops.flat_map(create)))

    def create_and_run_stream(self, **parameters: Unpack[ThreadAndRunStreamParameters]) -> StreamT:
        """A new run on a new thread, as a stream: created with the first subscription, once.

        ``POST /threads/runs``. With ``idempotent`` the thread is created first: only on a thread
        that is known can a run be looked for.
        """
        given, tooling = self._tooling(parameters)
        if not given.get("idempotent"):
            events = self._run_events(_THREAD_AND_RUN, given, ThreadAndRunParameters, None)
            return self._stream(events, given, tooling=tooling)
        thread, rest = self._apart(given)

        def begun(made: Thread) -> Observable[Event]:
            where = path(RUNS, thread_id=made.id)
            told: Observable[Event] = rx.of(ThreadCreated(made))
            return told.pipe(ops.concat(self._run_events(where, rest, RunParameters, made.id)))

        return self._stream(thread.pipe(ops.flat_map(begun)), given, tooling=tooling)

    def _apart(self, given: Mapping[str, Any]) -> tuple[Observable[Thread], dict[str, Any]]:
        """The thread that is to be created, and what the run is to be."""
        if given.get("tool_resources") is not None:
            msg = (
                "with idempotent=True, tool_resources belong into thread: they cannot be the run's"
            )
            raise ValueError(msg)
        where = path(RUNS, thread_id="thread")
        rest = {key: given[key] for key in given if key not in {"thread", "tool_resources"}}
        self._start_request(where, rest, RunParameters)  # refused before the thread is created
        carried = {key: given[key] for key in RequestOptions.__annotations__ if key in given}
        carried.pop("extra_body", None)
        thread: dict[str, Any] = dict(given.get("thread") or {})
        create: Callable[..., Observable[Thread]] = self.create
        return create(**{**carried, **thread}), rest

    def create_and_run_poll(
        self, **parameters: Unpack[ThreadAndRunPollParameters]
    ) -> LoopObservable[Run]:
        """Create a run on a new thread, once, and poll it: the run at each change, to its end."""
        given, tooling = self._tooling(parameters)
        following = self._following(given, calls_tools=tooling is not None)
        polls, rest = poll_options(not_of_following(given))
        created = self.create_and_run(**rest, **searching(given))
        return self._created_and_followed(
            created, following, lambda run: self._polled(run, polls, rest, tooling)
        )
