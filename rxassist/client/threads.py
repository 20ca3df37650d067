"""``client.threads``: API reference, Threads and Messages."""

from __future__ import annotations

from typing import Unpack

from rxassist.client._arguments import path
from rxassist.client._resource import Connection, Listing, Resource, StreamT, poll_options
from rxassist.client.parameters import (
    MessageListParameters,
    MessageParameters,
    MetadataParameters,
    RequestOptions,
    ThreadAndRunParameters,
    ThreadAndRunPollParameters,
    ThreadAndRunStreamParameters,
    ThreadParameters,
    ThreadUpdateParameters,
)
from rxassist.client.runs import Runs
from rxassist.consumers import LoopObservable
from rxassist.models import Deleted, Message, Run, Thread

_THREAD = "/threads/{thread_id}"
_MESSAGES = _THREAD + "/messages"
_MESSAGE = _MESSAGES + "/{message_id}"
_RUN = "/threads/runs"


class Messages(Resource[StreamT]):
    """The messages of a thread."""

    def create(
        self, thread_id: str, **parameters: Unpack[MessageParameters]
    ) -> LoopObservable[Message]:
        """Add a message: a cold Observable of it. ``POST /threads/{thread_id}/messages``."""
        where = path(_MESSAGES, thread_id=thread_id)
        return self._call(Message, self._request("POST", where, parameters, MessageParameters))

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
        where = path(_MESSAGES, thread_id=thread_id)
        return self._list(Message, where, parameters, MessageListParameters)

    def delete(
        self, message_id: str, *, thread_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Deleted]:
        """Delete a message: a cold Observable. ``DELETE …/messages/{message_id}``."""
        return self._delete(path(_MESSAGE, thread_id=thread_id, message_id=message_id), options)


class Threads(Resource[StreamT]):
    """Conversations, their messages and their runs."""

    messages: Messages[StreamT]
    runs: Runs[StreamT]

    def __init__(self, connection: Connection[StreamT]) -> None:
        super().__init__(connection)
        self.messages = Messages(connection)
        self.runs = Runs(connection)

    def create(self, **parameters: Unpack[ThreadParameters]) -> LoopObservable[Thread]:
        """Create a thread: a cold Observable of it. ``POST /threads``."""
        return self._call(Thread, self._request("POST", "/threads", parameters, ThreadParameters))

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
        """Create a run on a new thread and leave it working: an Observable of it as it was created.

        Created once, with the first subscription. ``POST /threads/runs``.
        """
        request = self._request("POST", _RUN, parameters, ThreadAndRunParameters, careful=True)
        return self._once(self._call(Run, request))

    def create_and_run_stream(self, **parameters: Unpack[ThreadAndRunStreamParameters]) -> StreamT:
        """A new run on a new thread, as a stream: created with the first subscription, once.

        ``POST /threads/runs``.
        """
        return self._stream(_RUN, parameters, ThreadAndRunParameters)

    def create_and_run_poll(
        self, **parameters: Unpack[ThreadAndRunPollParameters]
    ) -> LoopObservable[Run]:
        """Create a run on a new thread, once, and poll it: the run at each change, to its end."""
        options, rest = poll_options(parameters)
        created = self.create_and_run(**rest)
        return self._then(created, lambda run: self.runs._poll_on(run, options))
