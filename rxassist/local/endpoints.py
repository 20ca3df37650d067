"""What the service does at each address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rxassist.codec import from_json, to_json, unstructure
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
from rxassist.local.plain import as_object
from rxassist.local.problems import Problem, invalid_type, missing, not_found
from rxassist.local.stage import Stage
from rxassist.local.store import Store, Stored
from rxassist.local.watch import Watch
from rxassist.models import Assistant, Deleted, Message, Run, RunStep, Thread

_T = TypeVar("_T")

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

_POLL_AFTER_MS = "50"  # nobody has to wait for a script as long as for a model


class Endpoints:
    """The protocol's calls, on a store and a stage."""

    def __init__(self, store: Store, stage: Stage, watch: Watch) -> None:
        self._store = store
        self._stage = stage
        self._watch = watch

    def routes(self) -> list[Route]:
        """All addresses. ``item_id`` is the object's own id, the others are of what it is in."""
        thread, run = "/v1/threads/{thread_id}", "/v1/threads/{thread_id}/runs/{run_id}"
        return [
            *self._collection("/v1/assistants", Assistant, self._create_assistant),
            _route("POST", "/v1/assistants/{item_id}", self._update_assistant),
            _route("DELETE", "/v1/assistants/{item_id}", partial(self._delete, Assistant)),
            _route("POST", "/v1/threads", self._create_thread),
            _route("POST", "/v1/threads/runs", self._create_thread_and_run),
            _route("GET", "/v1/threads/{item_id}", partial(self._retrieve, Thread)),
            _route("POST", "/v1/threads/{item_id}", self._update_thread),
            _route("DELETE", "/v1/threads/{item_id}", partial(self._delete, Thread)),
            *self._collection(f"{thread}/messages", Message, self._create_message),
            _route("POST", f"{thread}/messages/{{item_id}}", self._update_message),
            _route("DELETE", f"{thread}/messages/{{item_id}}", partial(self._delete, Message)),
            *self._collection(f"{thread}/runs", Run, self._create_run),
            _route("POST", f"{thread}/runs/{{item_id}}", self._update_run),
            _route("POST", f"{thread}/runs/{{item_id}}/cancel", self._cancel_run),
            _route("POST", f"{thread}/runs/{{item_id}}/submit_tool_outputs", self._submit),
            *self._collection(f"{run}/steps", RunStep),
        ]

    def _collection(
        self, path: str, kind: type[Stored], create: Endpoint | None = None
    ) -> list[Route]:
        """The addresses of a kind of objects that can be listed and read, and mostly created."""
        return [
            *([_route("POST", path, create)] if create else []),
            _route("GET", path, partial(self._list, kind)),
            _route("GET", f"{path}/{{item_id}}", partial(self._retrieve, kind)),
        ]

    # --- what is the same for all kinds ------------------------------------------------

    async def _list(self, kind: type[Stored], request: Request) -> Response:
        parent, wanted = self._parent(request), page_of(request)
        for cursor in (wanted.after, wanted.before):
            if cursor is not None and self._store.find_json(kind, cursor, parent) is None:
                raise not_found(kind, cursor)
        run_id = request.query_params.get("run_id")
        found, has_more = self._store.page(kind, wanted, parent, run_id)
        return _page(found, has_more=has_more)

    async def _retrieve(self, kind: type[Stored], request: Request) -> Response:
        item_id = _item_id(request)
        found = self._store.find_json(kind, item_id, self._parent(request))
        if found is None:
            raise not_found(kind, item_id)
        return _json(found, {"openai-poll-after-ms": _POLL_AFTER_MS} if kind is Run else None)

    async def _delete(self, kind: type[Stored], request: Request) -> Response:
        item = self._item(kind, request)
        if isinstance(item, Thread):
            self._stage.drop(item.id)
        self._store.delete(item.id)
        return _answer(Deleted(item.id, object=f"{item.object}.deleted"))

    def _parent(self, request: Request) -> str:
        """The id of the object that the address leads through, which must exist."""
        thread_id = request.path_params.get("thread_id")
        if thread_id is None:
            return ""
        self._existing(Thread, thread_id)
        run_id = request.path_params.get("run_id")
        return thread_id if run_id is None else self._existing(Run, run_id, thread_id).id

    def _item(self, kind: type[_T], request: Request) -> _T:
        return self._existing(kind, _item_id(request), self._parent(request))

    def _existing(self, kind: type[_T], item_id: str, parent: str = "") -> _T:
        found = self._store.find(kind, item_id, parent)
        if found is None:
            raise not_found(kind, item_id)
        return found

    def _saved(self, item: Stored) -> Response:
        self._store.save(item)
        return _answer(item)

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
        return _answer(thread)

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
        return EventStream(events, self._watch) if streamed else _answer(run)

    async def _update_run(self, request: Request) -> Response:
        body = await body_of(request)
        run = changed_metadata(self._item(Run, request), body)
        self._stage.update(run)
        return self._saved(run)

    async def _cancel_run(self, request: Request) -> Response:
        return _answer(self._stage.cancel(self._item(Run, request)))

    async def _submit(self, request: Request) -> Response:
        body = await body_of(request)
        required(body, "tool_outputs")
        outputs: dict[str, str] = {}
        for index, output in enumerate(objects(body, "tool_outputs")):
            for name in ("tool_call_id", "output"):
                if output.get(name) is None:
                    raise missing(param=f"tool_outputs[{index}].{name}")
            outputs[text(output, "tool_call_id")] = text(output, "output")
        streamed = flag(body, "stream")
        run, events = self._stage.submit(self._item(Run, request), outputs)
        return EventStream(events, self._watch) if streamed else _answer(run)


def _route(method: str, path: str, endpoint: Endpoint) -> Route:
    return Route(path, endpoint, methods=[method])


def _item_id(request: Request) -> str:
    return str(request.path_params["item_id"])


def _json(content: str | bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(content, media_type="application/json", headers=headers)


def _answer(value: object) -> Response:
    return _json(to_json(unstructure(value)))


def _page(items: list[str], *, has_more: bool) -> Response:
    data = [from_json(item) for item in items]
    ids = [item["id"] for item in data] or [None]
    page = {"object": "list", "data": data, "first_id": ids[0], "last_id": ids[-1]}
    return _json(to_json({**page, "has_more": has_more}))


__all__ = ["Endpoints"]
