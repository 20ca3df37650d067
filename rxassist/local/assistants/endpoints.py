"""The endpoints of assistants, threads, messages, runs and steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar

from reactivex import Observable
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rxassist.events import Event
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
from rxassist.local.assistants.runner import Runner
from rxassist.local.assistants.turns import turn_of
from rxassist.local.assistants.writing import EventWriter
from rxassist.local.scripts.moves import Approval
from rxassist.local.server.event_stream import EventStream
from rxassist.local.server.parsing import Body, body_of, flag, objects, required, text
from rxassist.local.server.plain import as_object
from rxassist.local.server.problems import Problem, invalid_type, missing
from rxassist.local.server.resources import Filter, Resources, answer, route
from rxassist.local.server.store import Store, Stored
from rxassist.local.server.watch import Watch
from rxassist.models import Assistant, Message, Run, RunStep, Thread

PARENTS: Mapping[type[Stored], str] = {
    Message: "thread_id",
    Run: "thread_id",
    RunStep: "run_id",
}
"""The field with the id of the object that an object is below, for the store."""


class AssistantsEndpoints(Resources):
    """The endpoints of the Assistants protocol, on a store and a runner."""

    _ABOVE: ClassVar[Mapping[str, type[Stored]]] = {"thread_id": Thread, "run_id": Run}
    _FILTERS: ClassVar[Mapping[type[Stored], Filter]] = {Message: Filter("run_id", "run_id")}
    _POLLED = (Run,)

    def __init__(
        self, store: Store, poll_after_ms: Callable[[], int | None], runner: Runner, watch: Watch
    ) -> None:
        super().__init__(store, poll_after_ms)
        self._runner = runner
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
        self._runner.drop(thread.id)
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
        active = self._runner.active_run(thread_id)
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
        active = self._runner.active_run(thread.id)
        if active is not None:
            msg = f"Thread {thread.id} already has an active run {active.id}."
            raise Problem(msg)
        messages = new_messages(body, "additional_messages", thread.id)
        return self._begin(body, thread, messages, new_thread=False)

    async def _create_thread_and_run(self, request: Request) -> Response:
        body = await body_of(request)
        described = as_object(body.get("thread") or {})
        if described is None:
            raise invalid_type(body["thread"], "thread", "an object")
        thread = new_thread(described)
        messages = new_messages(described, "messages", thread.id)
        return self._begin(body, thread, messages, new_thread=True)

    def _begin(
        self, body: Body, thread: Thread, messages: list[Message], *, new_thread: bool
    ) -> Response:
        assistant = self._existing(Assistant, text(body, "assistant_id"))
        run, streamed = new_run(body, assistant, thread), flag(body, "stream")
        self._store.save(thread)
        for message in messages:
            self._store.save(message)
        turn = turn_of(assistant, thread, self._store.children(Message, thread.id), run)
        events = self._runner.begin(turn, new_thread=new_thread)
        return self._reply(run, events if streamed else None)

    async def _update_run(self, request: Request) -> Response:
        body = await body_of(request)
        run = changed_metadata(self._item(Run, request), body)
        self._runner.update(run)
        return self._saved(run)

    async def _cancel_run(self, request: Request) -> Response:
        return answer(self._runner.cancel(self._item(Run, request)))

    async def _submit(self, request: Request) -> Response:
        body = await body_of(request)
        streamed, item = flag(body, "stream"), self._item(Run, request)
        if body.get("tool_approvals") is None:
            required(body, "tool_outputs")
            outputs = {
                text(each, "tool_call_id"): text(each, "output")
                for each in _answers(body, "tool_outputs", "output")
            }
            run, events = self._runner.submit(item, "tool_outputs", outputs)
        else:
            approvals = {
                text(each, "tool_call_id"): _approval(each)
                for each in _answers(body, "tool_approvals", "approve")
            }
            run, events = self._runner.submit(item, "tool_approvals", approvals)
        return self._reply(run, events if streamed else None)

    def _reply(self, run: Run, events: Observable[Event] | None) -> Response:
        """The events of a run, if they are requested, or else the run."""
        return answer(run) if events is None else EventStream(events, EventWriter(), self._watch)


def _answers(body: Body, name: str, field: str) -> list[Body]:
    """The outputs or approvals in a request, each for one call of the run."""
    answers = objects(body, name)
    for index, each in enumerate(answers):
        for needed in ("tool_call_id", field):
            if each.get(needed) is None:
                raise missing(param=f"{name}[{index}].{needed}")
    return answers


def _approval(given: Body) -> Approval:
    headers = as_object(given.get("headers") or {})
    if headers is None:
        raise invalid_type(given["headers"], "headers", "an object")
    return Approval(flag(given, "approve"), {name: text(headers, name) for name in headers})


__all__ = ["PARENTS", "AssistantsEndpoints"]
