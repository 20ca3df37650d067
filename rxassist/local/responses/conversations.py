"""The endpoints of conversations and their items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response as Reply
from starlette.routing import Route

from rxassist.local.responses.input import Item, input_of
from rxassist.local.responses.runner import Runner
from rxassist.local.responses.stored import Conversation, ConversationItem
from rxassist.local.server.identity import new_id, now
from rxassist.local.server.limits import Check, anything, metadata, short_list
from rxassist.local.server.parsing import Body, body_of, fields_of, model_of, required
from rxassist.local.server.resources import Resources, answer, list_object, reply, route
from rxassist.local.server.store import Store, Stored
from rxassist.wire.json import from_json

_METADATA: Mapping[str, Check] = {"metadata": metadata}
_ITEMS: Mapping[str, Check] = {"items": short_list(20)}


class ConversationsEndpoints(Resources):
    """The endpoints of conversations, on a store, and on the runner that uses them."""

    _ABOVE: ClassVar[Mapping[str, type[Stored]]] = {"conversation_id": Conversation}

    def __init__(
        self, store: Store, poll_after_ms: Callable[[], int | None], runner: Runner
    ) -> None:
        super().__init__(store, poll_after_ms)
        self._runner = runner

    def routes(self) -> list[Route]:
        """All addresses."""
        conversation = "/v1/conversations/{item_id}"
        items = "/v1/conversations/{conversation_id}/items"
        return [
            route("POST", "/v1/conversations", self._create),
            route("GET", conversation, self._get),
            route("POST", conversation, self._update),
            route("DELETE", conversation, self._drop),
            *self._collection(items, ConversationItem, self._add),
            route("DELETE", f"{items}/{{item_id}}", self._remove),
        ]

    async def _create(self, request: Request) -> Reply:
        given = fields_of(await body_of(request), {**_METADATA, **_ITEMS})
        items = input_of(given.pop("items", None), "items")
        fixed = {"id": new_id("conv"), "created_at": now()}
        conversation = model_of(Conversation, {"metadata": {}, **given, **fixed})
        self._store.save(conversation)
        self._save_items(conversation.id, items)
        return answer(conversation)

    async def _get(self, request: Request) -> Reply:
        return await self._retrieve(Conversation, request)

    async def _update(self, request: Request) -> Reply:
        given = fields_of(await body_of(request), _METADATA)
        changed = evolve(self._item(Conversation, request), **_metadata_of(given))
        return self._saved(changed)

    async def _drop(self, request: Request) -> Reply:
        conversation = self._item(Conversation, request)
        self._runner.check_free(conversation.id)
        return self._deleted(conversation)

    async def _add(self, request: Request) -> Reply:
        conversation_id = self._parent(request)
        body = await body_of(request)
        given = fields_of(body, {**_ITEMS, "include": anything})
        items = input_of(required(given, "items"), "items")
        self._runner.check_free(conversation_id)
        self._save_items(conversation_id, items)
        return reply(list_object(items, has_more=False))

    async def _remove(self, request: Request) -> Reply:
        conversation_id = self._parent(request)
        self._runner.check_free(conversation_id)
        self._store.remove(self._item(ConversationItem, request).id, conversation_id)
        return answer(self._existing(Conversation, conversation_id))

    def _save_items(self, conversation_id: str, items: list[Item]) -> None:
        for item in items:
            self._store.save(ConversationItem(str(item["id"]), conversation_id, item))

    def _shown(self, kind: type[Stored], item: str) -> Any:  # noqa: ANN401 -- plain data
        shown = from_json(item)
        return shown["item"] if kind is ConversationItem else shown


def _metadata_of(given: Body) -> dict[str, Any]:
    """The changes that a request makes: metadata that it does not have stays."""
    return {"metadata": dict(given["metadata"])} if "metadata" in given else {}


__all__ = ["ConversationsEndpoints"]
