"""``client.threads``: API reference, Threads and Messages."""

from __future__ import annotations

from typing import Unpack

from rxassist.client._arguments import checked, path
from rxassist.client._resource import Connection, Resource, StreamT
from rxassist.client.parameters import (
    MessageListParameters,
    MessageParameters,
    ThreadAndRunParameters,
    ThreadAndRunStreamParameters,
    ThreadParameters,
)
from rxassist.client.runs import Runs
from rxassist.consumers import LoopObservable
from rxassist.models import Message, Thread

_MESSAGES = "/threads/{thread_id}/messages"


class Messages(Resource[StreamT]):
    """The messages of a thread."""

    def create(
        self, thread_id: str, **parameters: Unpack[MessageParameters]
    ) -> LoopObservable[Message]:
        """Add a message: a cold Observable of it. ``POST /threads/{thread_id}/messages``."""
        body = checked(parameters, MessageParameters)
        return self._call(Message, "POST", path(_MESSAGES, thread_id=thread_id), body)

    def list(
        self, thread_id: str, **parameters: Unpack[MessageListParameters]
    ) -> LoopObservable[Message]:
        """The messages, newest first: a cold Observable of items, fetched page by page.

        ``GET /threads/{thread_id}/messages``.
        """
        asked = checked(parameters, MessageListParameters)
        return self._list(Message, path(_MESSAGES, thread_id=thread_id), asked)


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
        return self._call(Thread, "POST", "/threads", checked(parameters, ThreadParameters))

    def create_and_run_stream(self, **parameters: Unpack[ThreadAndRunStreamParameters]) -> StreamT:
        """A new run on a new thread, as a stream: created with the first subscription, once.

        ``POST /threads/runs``.
        """
        return self._stream("/threads/runs", parameters, ThreadAndRunParameters)
