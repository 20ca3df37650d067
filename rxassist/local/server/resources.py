"""Endpoints that all kinds of objects have: list, retrieve and delete; and JSON replies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, TypeAlias, TypeVar

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rxassist.local.server.parsing import page_of
from rxassist.local.server.problems import invalid_value, not_found
from rxassist.local.server.store import Store, Stored
from rxassist.wire.json import from_json, to_json
from rxassist.wire.structure import unstructure

_T = TypeVar("_T", bound=Stored)

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


@frozen
class Filter:
    """A parameter of a query that selects objects of a list by the value of one field.

    ``values`` are those that the parameter can have, any by default.
    """

    param: str
    field: str
    values: tuple[str, ...] = ()


class Resources:
    """Objects in a store, as far as all kinds of them are alike.

    In the pattern of an address ``item_id`` is the id of the object itself; ``_ABOVE`` has the
    kinds of the objects above it by their names in patterns, from the outermost to the innermost.
    A reply with an object of a ``_POLLED`` kind has the header that advises clients how long to
    wait: ``poll_after_ms`` returns its value.
    """

    _ABOVE: ClassVar[Mapping[str, type[Stored]]] = {}
    _FILTERS: ClassVar[Mapping[type[Stored], Filter]] = {}
    _LARGEST_LISTS: ClassVar[Mapping[type[Stored], int]] = {}
    _POLLED: ClassVar[tuple[type[Stored], ...]] = ()

    def __init__(self, store: Store, poll_after_ms: Callable[[], int | None]) -> None:
        self._store = store
        self._poll_after_ms = poll_after_ms

    def _collection(
        self, path: str, kind: type[Stored], create: Endpoint | None = None
    ) -> list[Route]:
        """The addresses to list, to retrieve and, mostly, to create objects of a kind."""
        return [
            *([route("POST", path, create)] if create else []),
            route("GET", path, partial(self._list, kind)),
            route("GET", f"{path}/{{item_id}}", partial(self._retrieve, kind)),
        ]

    async def _list(self, kind: type[Stored], request: Request) -> Response:
        parent = self._parent(request)
        limit = self._LARGEST_LISTS.get(kind)
        where = self._conditions(kind, request)
        wanted = page_of(request, where, limit, limit) if limit else page_of(request, where)
        for cursor in (wanted.after, wanted.before):
            if cursor is not None and self._store.find_json(kind, cursor, parent) is None:
                raise not_found(kind, cursor)
        found, has_more = self._store.page(kind, wanted, parent)
        items = [self._shown(kind, item) for item in found]
        return reply(list_object(items, has_more=has_more))

    async def _retrieve(self, kind: type[Stored], request: Request) -> Response:
        item_id = item_id_of(request)
        found = self._store.find_json(kind, item_id, self._parent(request))
        if found is None:
            raise not_found(kind, item_id)
        after = self._poll_after_ms() if kind in self._POLLED else None
        headers = None if after is None else {"openai-poll-after-ms": str(after)}
        return _json(to_json(self._shown(kind, found)), headers)

    async def _delete(self, kind: type[Stored], request: Request) -> Response:
        return self._deleted(self._item(kind, request))

    def _deleted(self, item: Stored) -> Response:
        self._store.delete(item.id)
        return deleted(item.id, f"{item.object}.deleted")

    def _parent(self, request: Request) -> str:
        """The id of the innermost object above the address; all objects above it must exist."""
        parent = ""
        for name, kind in self._ABOVE.items():
            if name in request.path_params:
                parent = self._existing(kind, request.path_params[name], parent).id
        return parent

    def _item(self, kind: type[_T], request: Request) -> _T:
        return self._existing(kind, item_id_of(request), self._parent(request))

    def _existing(self, kind: type[_T], item_id: str, parent: str = "") -> _T:
        found = self._store.find(kind, item_id, parent)
        if found is None:
            raise not_found(kind, item_id)
        return found

    def _saved(self, item: Stored) -> Response:
        self._store.save(item)
        return answer(item)

    def _shown(self, kind: type[Stored], item: str) -> Any:  # noqa: ANN401, ARG002 -- plain data
        """A stored object as replies show it."""
        return from_json(item)

    def _conditions(self, kind: type[Stored], request: Request) -> dict[str, str]:
        """The values that the listed objects must have, by field."""
        given = self._FILTERS.get(kind)
        value = None if given is None else request.query_params.get(given.param)
        if given is None or value is None:
            return {}
        if given.values and value not in given.values:
            raise invalid_value(value, given.param, *given.values)
        return {given.field: value}


def route(method: str, path: str, endpoint: Endpoint) -> Route:
    """An address, and the function that it calls."""
    return Route(path, endpoint, methods=[method])


def item_id_of(request: Request) -> str:
    """The id of the object in the address of a request."""
    return str(request.path_params["item_id"])


def answer(value: object) -> Response:
    """A model as a reply."""
    return reply(unstructure(value))


def reply(plain: object) -> Response:
    """Plain data as a reply."""
    return _json(to_json(plain))


def deleted(item_id: str, name: str) -> Response:
    """The reply to a deletion."""
    return reply({"id": item_id, "deleted": True, "object": name})


def list_object(items: Sequence[Mapping[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """A page of a list, as plain data."""
    ids = [item["id"] for item in items] or [None]
    page = {"object": "list", "data": items, "first_id": ids[0], "last_id": ids[-1]}
    return {**page, "has_more": has_more}


def _json(content: bytes, headers: Mapping[str, str] | None = None) -> Response:
    return Response(content, media_type="application/json", headers=headers)


__all__ = [
    "Endpoint",
    "Filter",
    "Resources",
    "answer",
    "deleted",
    "item_id_of",
    "list_object",
    "reply",
    "route",
]
