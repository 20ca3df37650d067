"""What the service does at each address."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

from reactivex import Observable
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rxassist.codec import to_json, unstructure
from rxassist.events import Event
from rxassist.local.creation import (
    changed_assistant,
    changed_metadata,
    changed_thread,
    new_assistant,
    new_message,
    new_messages,
    new_run,
    new_thread,
)
from rxassist.local.event_stream import EventStream
from rxassist.local.moves import Turn
from rxassist.local.parsing import Body, body_of, flag, objects, page_of, required, text
from rxassist.local.problems import Problem, invalid_type, not_found
from rxassist.local.stage import Stage
from rxassist.local.store import Store, Stored
from rxassist.local.watch import Watch
from rxassist.models import FINISHED, Assistant, Message, Run, RunStep, Thread

_T = TypeVar("_T")

_POLL_AFTER_MS = "50"  # nobody has to wait for a script as long as for a model


class Endpoints:
    """The protocol's calls, on a store and a stage."""

    def __init__(self, store: Store, stage: Stage, watch: Watch) -> None:
        self._store = store
        self._stage = stage
        self._watch = watch

    def routes(self) -> list[Route]:
        """All addresses."""
        thread, run = "/v1/threads/{thread_id}", "/v1/threads/{thread_id}/runs/{run_id}"
        return [
            _post("/v1/assistants", self.create_assistant),
            _post("/v1/assistants/{item_id}", self.update_assistant),
            *self._readable("/v1/assistants", Assistant),
            _delete("/v1/assistants/{item_id}", partial(self.delete, Assistant)),
            _post("/v1/threads", self.create_thread),
            _post("/v1/threads/runs", self.create_thread_and_run),
            _get("/v1/threads/{item_id}", partial(self.retrieve, Thread)),
            _post("/v1/threads/{item_id}", self.update_thread),
            _delete("/v1/threads/{item_id}", self.delete_thread),
            _post(f"{thread}/messages", self.create_message),
            _post(f"{thread}/messages/{{item_id}}", self.update_message),
            *self._readable(f"{thread}/messages", Message),
            _delete(f"{thread}/messages/{{item_id}}", partial(self.delete, Message)),
            _post(f"{thread}/runs", self.create_run),
            _post(f"{thread}/runs/{{item_id}}", self.update_run),
            *self._readable(f"{thread}/runs", Run),
            _post(f"{run}/cancel", self.cancel_run),
            _post(f"{run}/submit_tool_outputs", self.submit_tool_outputs),
            *self._readable(f"{run}/steps", RunStep),
        ]
