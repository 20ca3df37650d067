"""What is the same for all kinds of objects: to list, to read, to delete, and how to answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeAlias, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rxassist.local.library import counted
from rxassist.local.parsing import page_of
from rxassist.local.problems import invalid_value, not_found
from rxassist.local.store import Store, Stored
from rxassist.models import (
    Deleted,
    File,
    Message,
    Run,
    Thread,
    VectorStore,
    VectorStoreFile,
    VectorStoreFileBatch,
)
from rxassist.wire.json import from_json, to_json
from rxassist.wire.structure import structure, unstructure

_T = TypeVar("_T")

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

_ABOVE: Mapping[str, type[Stored]] = {
    "thread_id": Thread,
    "run_id": Run,
    "vector_store_id": VectorStore,
    "batch_id": VectorStoreFileBatch,
}
"""Through what an address may lead, by the name in its pattern, from the outside to the inside."""

_FILTERS: Mapping[type[Stored], tuple[str, str]] = {
    Message: ("run_id", "run_id"),
    File: ("purpose", "purpose"),
    VectorStoreFile: ("filter", "status"),
}
"""The parameter of the query that picks objects of a list, and the field that it is about."""

_FILE_STATUSES = ("in_progress", "completed", "failed", "cancelled")
_LARGEST_LISTS: Mapping[type[Stored], int] = {File: 10_000}
_POLLED = (Run, VectorStore, VectorStoreFile, VectorStoreFileBatch)


class Resources:
    """Objects in a store, as far as all kinds of them are alike.

    In a pattern of an address ``item_id`` is the object's own id, the others are of what it is in.
    ``poll_after_ms`` tells what is said to clients that poll.
    """

    def __init__(self, store: Store, poll_after_ms: Callable[[], int | None]) -> None:
        self._store = store
        self._poll_after_ms = poll_after_ms

    def _collection(
        self, path: str, kind: type[Stored], create: Endpoint | None = None
    ) -> list[Route]:
        """The addresses of a kind of objects that can be listed and read, and mostly created."""
        return [
            *([route("POST", path, create)] if create else []),
            route("GET", path, partial(self._list, kind)),
            route("GET", f"{path}/{{item_id}}", partial(self._retrieve, kind)),
        ]

    async def _list(self, kind: type[Stored], request: Request) -> Response:
        parent = self._parent(request)
        limit = _LARGEST_LISTS.get(kind)
        where = _filter(kind, request)
        wanted = page_of(request, where, limit, limit) if limit else page_of(request, where)
        for cursor in (wanted.after, wanted.before):
            if cursor is not None and self._store.find_json(kind, cursor, parent) is None:
                raise not_found(kind, cursor)
        found, has_more = self._store.page(kind, wanted, parent)
        return _page([self._shown(kind, item) for item in found], has_more=has_more)

    async def _retrieve(self, kind: type[Stored], request: Request) -> Response:
        item_id = item_id_of(request)
        found = self._store.find_json(kind, item_id, self._parent(request))
        if found is None:
            raise not_found(kind, item_id)
        after = self._poll_after_ms() if kind in _POLLED else None
        headers = None if after is None else {"openai-poll-after-ms": str(after)}
        return _json(to_json(self._shown(kind, found)), headers)

    async def _delete(self, kind: type[Stored], request: Request) -> Response:
        return self._deleted(self._item(kind, request))

    def _deleted(self, item: Stored) -> Response:
        self._store.delete(item.id)
        return told_deleted(item)

    def _parent(self, request: Request) -> str:
        """The id of the object that the address leads through, which must exist."""
        parent = ""
        for name, kind in _ABOVE.items():
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

    def _shown(self, kind: type[Stored], item: str) -> Any:  # noqa: ANN401 -- plain data
        """An object as it is shown; what is counted is counted now."""
        plain = from_json(item)
        if not issubclass(kind, VectorStore | VectorStoreFileBatch):
            return plain
        return unstructure(counted(self._store, structure(plain, kind)))


def route(method: str, path: str, endpoint: Endpoint) -> Route:
    """An address, and what is done there."""
    return Route(path, endpoint, methods=[method])


def item_id_of(request: Request) -> str:
    """The id of the object that an address is about."""
    return str(request.path_params["item_id"])


def answer(value: object) -> Response:
    """A model as an answer."""
    return _json(to_json(unstructure(value)))


def told_deleted(item: Stored) -> Response:
    """The answer to a deletion; for files the service calls it just a file."""
    suffix = "" if isinstance(item, File) else ".deleted"
    return answer(Deleted(item.id, object=f"{item.object}{suffix}"))


def _json(content: bytes, headers: Mapping[str, str] | None = None) -> Response:
    return Response(content, media_type="application/json", headers=headers)


def _page(data: list[Any], *, has_more: bool) -> Response:
    ids = [item["id"] for item in data] or [None]
    page = {"object": "list", "data": data, "first_id": ids[0], "last_id": ids[-1]}
    return _json(to_json({**page, "has_more": has_more}))


def _filter(kind: type[Stored], request: Request) -> dict[str, str]:
    name, field = _FILTERS.get(kind, ("", ""))
    value = request.query_params.get(name)
    if value is None:
        return {}
    if field == "status" and value not in _FILE_STATUSES:
        raise invalid_value(value, name, *_FILE_STATUSES)
    return {field: value}


__all__ = ["Endpoint", "Resources", "answer", "item_id_of", "route", "told_deleted"]
