"""What the service does at the addresses of assistants, threads, messages, runs and steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rxassist.local.assistants.creation import (
    changed_assistant,
    changed_metadata,
    changed_thread,
    new_assistant,
    new_message,
    new_messages,
    new_run,
    new_thread,
)
from rxassist.local.assistants.runner import Stage
from rxassist.local.scripts.moves import Approval, Turn
from rxassist.local.server.event_stream import EventStream
from rxassist.local.server.parsing import Body, body_of, flag, objects, required, text
from rxassist.local.server.plain import as_object
from rxassist.local.server.problems import Problem, invalid_type, missing
from rxassist.local.server.resources import Resources, answer, route
from rxassist.local.server.store import Store
from rxassist.local.server.watch import Watch
from rxassist.models import Assistant, Message, Run, RunStep, Thread


class Endpoints(Resources):
    """The calls that lead to runs, on a store and a stage."""

    def __init__(
        self, store: Store, poll_after_ms: Callable[[], int | None], stage: Stage, watch: Watch
    ) -> None:
        super().__init__(store, poll_after_ms)
        self._stage = stage
        self._watch = watch

    def routes(self) -> list[Route]:
        """All addresses."""
        thread, run = "/v1/threads/{thread_id}", "/v1/threads/{thread_id}/runs/{run_id}"
        return [
            *self._collection("/v1/assistants", Assistant, self._create_assistant),
            route("POST", "/v1/assistants/{item_id}", self._update_assistant),
            route("DELETE", "/v1/assistants/{item_id}", partial(self._delete, Assistant)),
            route("POST", "/v1/threads", self._create_thread),
            route("POST", "/v1/threads/runs", self._create_thread_and_run),
            route("GET", "/v1/threads/{item_id}", partial(self._retrieve, Thread)),
            route("POST", "/v1/threads/{item_id}", self._update_thread),
            route("DELETE", "/v1/threads/{item_id}", self._delete_thread),
            *self._collection(f"{thread}/messages", Message, self._create_message),
            route("POST", f"{thread}/messages/{{item_id}}", self._update_message),
            route("DELETE", f"{thread}/messages/{{item_id}}", partial(self._delete, Message)),
            *self._collection(f"{thread}/runs", Run, self._create_run),
            route("POST", f"{thread}/runs/{{item_id}}", self._update_run),
            route("POST", f"{thread}/runs/{{item_id}}/cancel", self._cancel_run),
            route("POST", f"{thread}/runs/{{item_id}}/submit_tool_outputs", self._submit),
            *self._collection(f"{run}/steps", RunStep),
        ]

    async def _delete_thread(self, request: Request) -> Response:
        thread = self._item(Thread, request)
        self._stage.drop(thread.id)
        return self._deleted(thread)

    # --- assistants and threads --------------------------------------------------------

    async def _create_assistant(self, request: Request) -> Response:
        return self._saved(new_assistant(await body_of(request)))

    async def _update_assistant(self, request: Request) -> Response:
        body = await body_of(request)
        return self._saved(changed_assistant(self._item(Assistant, request), body))

    async def _create_thread(self, request: Request) -> Response:
        body = await body_of(request)
        thread = new_thread(body)
        messages = new_messages(body, "messages", thread.id)
        self._store.save(thread)
        for message in messages:
            self._store.save(message)
        return answer(thread)

    async def _update_thread(self, request: Request) -> Response:
        body = await body_of(request)
        return self._saved(changed_thread(self._item(Thread, request), body))

    # --- messages ----------------------------------------------------------------------

    async def _create_message(self, request: Request) -> Response:
        body = await body_of(request)
        thread_id = self._parent(request)
        active = self._stage.active_run(thread_id)
        if active is not None:
            msg = f"Can't add messages to {thread_id} while a run {active.id} is active."
            raise Problem(msg)
        return self._saved(new_message(body, thread_id))

    async def _update_message(self, request: Request) -> Response:
        body = await body_of(request)
        return self._saved(changed_metadata(self._item(Message, request), body))

    # --- runs --------------------------------------------------------------------------

    async def _create_run(self, request: Request) -> Response:
        body = await body_of(request)
        thread = self._existing(Thread, self._parent(request))
        active = self._stage.active_run(thread.id)
        if active is not None:
            msg = f"Thread {thread.id} already has an active run {active.id}."
            raise Problem(msg)
        messages = new_messages(body, "additional_messages", thread.id)
        return self._perform(body, thread, messages, new_thread=False)

    async def _create_thread_and_run(self, request: Request) -> Response:
        body = await body_of(request)
        described = as_object(body.get("thread") or {})
        if described is None:
            raise invalid_type(body["thread"], "thread", "an object")
        thread = new_thread(described)
        messages = new_messages(described, "messages", thread.id)
        return self._perform(body, thread, messages, new_thread=True)

    def _perform(
        self, body: Body, thread: Thread, messages: list[Message], *, new_thread: bool
    ) -> Response:
        assistant = self._existing(Assistant, text(body, "assistant_id"))
        run, streamed = new_run(body, assistant, thread), flag(body, "stream")
        self._store.save(thread)
        for message in messages:
            self._store.save(message)
        turn = Turn(assistant, thread, self._store.children(Message, thread.id), run)
        events = self._stage.begin(turn, new_thread=new_thread)
        return EventStream(events, self._watch) if streamed else answer(run)

    async def _update_run(self, request: Request) -> Response:
        body = await body_of(request)
        run = changed_metadata(self._item(Run, request), body)
        self._stage.update(run)
        return self._saved(run)

    async def _cancel_run(self, request: Request) -> Response:
        return answer(self._stage.cancel(self._item(Run, request)))

    async def _submit(self, request: Request) -> Response:
        body = await body_of(request)
        streamed, item = flag(body, "stream"), self._item(Run, request)
        if body.get("tool_approvals") is None:
            required(body, "tool_outputs")
            outputs = {
                text(each, "tool_call_id"): text(each, "output")
                for each in _answers(body, "tool_outputs", "output")
            }
            run, events = self._stage.submit(item, "tool_outputs", outputs)
        else:
            approvals = {
                text(each, "tool_call_id"): _approval(each)
                for each in _answers(body, "tool_approvals", "approve")
            }
            run, events = self._stage.submit(item, "tool_approvals", approvals)
        return EventStream(events, self._watch) if streamed else answer(run)


def _answers(body: Body, name: str, said: str) -> list[Body]:
    """The answers to the calls of a run, each of which says something about one of them."""
    answers = objects(body, name)
    for index, each in enumerate(answers):
        for needed in ("tool_call_id", said):
            if each.get(needed) is None:
                raise missing(param=f"{name}[{index}].{needed}")
    return answers


def _approval(given: Body) -> Approval:
    headers = as_object(given.get("headers") or {})
    if headers is None:
        raise invalid_type(given["headers"], "headers", "an object")
    return Approval(flag(given, "approve"), {name: text(headers, name) for name in headers})


__all__ = ["Endpoints"]
