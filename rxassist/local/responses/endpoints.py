"""The endpoints of responses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response as Reply
from starlette.routing import Route

from rxassist.local.responses.creation import compaction_of, new_request
from rxassist.local.responses.history import History
from rxassist.local.responses.runner import Playing, Runner
from rxassist.local.responses.stored import ConversationItem, InputItem
from rxassist.local.responses.writing import EventWriter, plain_response
from rxassist.local.server.connection import left
from rxassist.local.server.event_stream import EventStream
from rxassist.local.server.parsing import body_of
from rxassist.local.server.problems import Problem, invalid_type, invalid_value
from rxassist.local.server.resources import Resources, deleted, reply, route
from rxassist.local.server.store import Store, Stored
from rxassist.local.server.watch import Watch
from rxassist.protocols.responses.models import Response
from rxassist.wire.json import from_json
from rxassist.wire.structure import unstructure

PARENTS: Mapping[type[Stored], str] = {
    InputItem: "response_id",
    ConversationItem: "conversation_id",
}
"""The field with the id of the object that an object is below, for the store."""

_CLIENT_ID = "x-agent-response-id"
_BOOLEANS = {"true": True, "false": False}


class ResponsesEndpoints(Resources):
    """The endpoints of responses, on a store and a runner.

    With ``foundry`` a request can choose the id of its response, in a header or in its body, as
    hosted agents of Azure AI Foundry allow.
    """

    _ABOVE: ClassVar[Mapping[str, type[Stored]]] = {"response_id": Response}
    _POLLED = (Response,)

    def __init__(
        self,
        store: Store,
        poll_after_ms: Callable[[], int | None],
        runner: Runner,
        watch: Watch,
        *,
        foundry: bool = False,
    ) -> None:
        super().__init__(store, poll_after_ms)
        self._runner = runner
        self._watch = watch
        self._history = History(store)
        self._foundry = foundry

    def routes(self) -> list[Route]:
        """All addresses."""
        response = "/v1/responses/{item_id}"
        return [
            route("POST", "/v1/responses", self._create),
            route("POST", "/v1/responses/compact", self._compact),
            route("POST", "/v1/responses/input_tokens", self._count),
            route("GET", response, self._get),
            route("DELETE", response, self._drop),
            route("POST", f"{response}/cancel", self._cancel),
            *self._collection("/v1/responses/{response_id}/input_items", InputItem),
        ]

    async def _create(self, request: Request) -> Reply:
        body = await body_of(request)
        chosen = None
        if self._foundry:
            chosen = request.headers.get(_CLIENT_ID) or body.get("response_id")
            body = {name: value for name, value in body.items() if name != "response_id"}
        wanted = new_request(body, self._history, self._free_id(chosen))
        playing = self._runner.begin(wanted)
        if wanted.streamed:
            writer = EventWriter(obfuscated=wanted.obfuscated)
            return EventStream(playing.log, writer, self._watch)
        if wanted.response.background:
            return _answer(playing.response)
        await _finished(playing, request)
        return _answer(playing.response)

    def _free_id(self, chosen: str | None) -> str | None:
        """The id that the client chose. Raises ``Problem`` if another response has it."""
        if chosen is not None and (
            self._runner.is_known(chosen) or self._store.find_json(Response, chosen) is not None
        ):
            msg = f"A response with id '{chosen}' already exists."
            raise Problem(msg, status=409, code="response_id_conflict")
        return chosen

    async def _get(self, request: Request) -> Reply:
        query = request.query_params
        if not _flag(query.get("stream"), "stream", default=False):
            return await self._retrieve(Response, request)
        after = query.get("starting_after", "-1")
        try:
            number = int(after)
        except ValueError:
            raise invalid_type(after, "starting_after", "an integer") from None
        events = self._runner.events(self._item(Response, request), number)
        obfuscated = _flag(query.get("include_obfuscation"), "include_obfuscation", default=True)
        return EventStream(events, EventWriter(obfuscated=obfuscated), self._watch)

    async def _drop(self, request: Request) -> Reply:
        response = self._item(Response, request)
        self._runner.drop(response.id)
        self._store.delete(response.id)
        return deleted(response.id, response.object)

    async def _cancel(self, request: Request) -> Reply:
        return _answer(self._runner.cancel(self._item(Response, request)))

    async def _count(self, request: Request) -> Reply:
        counted = new_request({"model": "any", **await body_of(request)}, self._history)
        return reply({"object": "response.input_tokens", "input_tokens": counted.input_tokens})

    async def _compact(self, request: Request) -> Reply:
        compacted = new_request(await body_of(request), self._history)
        return reply(compaction_of(compacted))

    def _shown(self, kind: type[Stored], item: str) -> Any:  # noqa: ANN401 -- plain data
        shown = from_json(item)
        return shown["item"] if kind is InputItem else plain_response(shown)


def _answer(response: Response) -> Reply:
    return reply(plain_response(unstructure(response)))


def _flag(given: str | None, name: str, *, default: bool) -> bool:
    if given is None:
        return default
    if given.lower() not in _BOOLEANS:
        raise invalid_value(given, name, *_BOOLEANS)
    return _BOOLEANS[given.lower()]


async def _finished(playing: Playing, request: Request) -> None:
    """Wait until a response has ended, but no longer than its client."""
    ended = asyncio.get_running_loop().create_future()

    def end(error: Exception | None = None) -> None:
        if not ended.done():
            ended.set_result(error)

    subscription = playing.log.subscribe(on_error=end, on_completed=end)
    leaving = asyncio.ensure_future(left(request.receive))
    try:
        await asyncio.wait({ended, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            raise ClientDisconnect
        if ended.result() is not None:
            raise ended.result()
    finally:
        leaving.cancel()
        subscription.dispose()


__all__ = ["PARENTS", "ResponsesEndpoints"]
