"""The endpoints of files and vector stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from rxassist.local.library.filing import (
    changed_attributes,
    changed_vector_store,
    new_batch,
    new_file,
    new_store_file,
    new_store_files,
    new_vector_store,
    upload_of,
    used_now,
)
from rxassist.local.library.library import Library, counted
from rxassist.local.library.searching import search_of, search_results
from rxassist.local.server.parsing import body_of, limited
from rxassist.local.server.problems import missing, too_large
from rxassist.local.server.resources import Filter, Resources, answer, deleted, route
from rxassist.local.server.store import Store, Stored
from rxassist.models import (
    File,
    VectorStore,
    VectorStoreContent,
    VectorStoreFile,
    VectorStoreFileBatch,
    VectorStoreFileContent,
)
from rxassist.wire.json import from_json
from rxassist.wire.structure import structure, unstructure

# Starlette reads forms with it, and would report only at the first upload that it is missing.
import_module("python_multipart")

_PIECE = 256 * 1024  # bytes of a file in one go
_LARGEST_FILE = 512 * 1024 * 1024  # bytes
_LARGEST_FIELDS = 64 * 1024  # bytes of an upload that are not its file


PARENTS: Mapping[type[Stored], str] = {
    VectorStoreFile: "vector_store_id",
    VectorStoreFileBatch: "vector_store_id",
}
"""The field with the id of the object that an object is below, for the store."""


class LibraryEndpoints(Resources):
    """The endpoints of files and vector stores, on a store and a library."""

    _ABOVE: ClassVar[Mapping[str, type[Stored]]] = {
        "vector_store_id": VectorStore,
        "batch_id": VectorStoreFileBatch,
    }
    _FILTERS: ClassVar[Mapping[type[Stored], Filter]] = {
        File: Filter("purpose", "purpose"),
        VectorStoreFile: Filter(
            "filter", "status", ("in_progress", "completed", "failed", "cancelled")
        ),
    }
    _LARGEST_LISTS: ClassVar[Mapping[type[Stored], int]] = {File: 10_000}
    _POLLED = (VectorStore, VectorStoreFile, VectorStoreFileBatch)

    def __init__(
        self, store: Store, poll_after_ms: Callable[[], int | None], library: Library
    ) -> None:
        super().__init__(store, poll_after_ms)
        self._library = library

    def routes(self) -> list[Route]:
        """All addresses."""
        store = "/v1/vector_stores/{vector_store_id}"
        files, batches = f"{store}/files", f"{store}/file_batches"
        in_batch = partial(self._list, VectorStoreFile)
        return [
            *self._collection("/v1/files", File, self._upload),
            route("DELETE", "/v1/files/{item_id}", self._delete_file),
            route("GET", "/v1/files/{item_id}/content", self._content),
            *self._collection("/v1/vector_stores", VectorStore, self._create_store),
            route("POST", "/v1/vector_stores/{item_id}", self._update_store),
            route("DELETE", "/v1/vector_stores/{item_id}", self._delete_store),
            route("POST", "/v1/vector_stores/{item_id}/search", self._search),
            *self._collection(files, VectorStoreFile, self._add_file),
            route("POST", f"{files}/{{item_id}}", self._update_file),
            route("DELETE", f"{files}/{{item_id}}", self._remove_file),
            route("GET", f"{files}/{{item_id}}/content", self._parsed_content),
            route("POST", batches, self._add_batch),
            route("GET", f"{batches}/{{item_id}}", partial(self._retrieve, VectorStoreFileBatch)),
            route("POST", f"{batches}/{{item_id}}/cancel", self._cancel_batch),
            route("GET", f"{batches}/{{batch_id}}/files", in_batch),
        ]

    # --- files -------------------------------------------------------------------------

    async def _upload(self, request: Request) -> Response:
        within = limited(request, _LARGEST_FILE + _LARGEST_FIELDS)
        async with within.form(max_files=1) as form:  # it keeps a large file on the disk
            upload = upload_of(form)
            size = upload.size or 0
            if size > _LARGEST_FILE:
                raise too_large(_LARGEST_FILE)
            file = new_file(form, size)
            position = 0
            while piece := await upload.read(_PIECE):
                self._store.append(file.id, position, piece)
                position += 1
        return self._saved(file)

    async def _delete_file(self, request: Request) -> Response:
        file = self._item(File, request)
        self._library.drop(file_id=file.id)
        self._store.delete(file.id)  # from all vector stores, too
        return deleted(file.id, file.object)

    async def _content(self, request: Request) -> Response:
        file = self._item(File, request)
        return StreamingResponse(
            _in_turns(self._store.content(file.id)),
            media_type="application/octet-stream",
            headers={"content-length": str(file.bytes)},
        )

    # --- vector stores -----------------------------------------------------------------

    async def _create_store(self, request: Request) -> Response:
        body = await body_of(request)
        store = new_vector_store(body)
        items = self._known(new_store_files(body, store.id))
        self._store.save(store)
        for item in items:
            self._library.add(item)
        return answer(counted(self._store, store))

    async def _update_store(self, request: Request) -> Response:
        body = await body_of(request)
        store = changed_vector_store(self._item(VectorStore, request), body)
        self._store.save(store)
        return answer(counted(self._store, store))

    async def _delete_store(self, request: Request) -> Response:
        store = self._item(VectorStore, request)
        self._library.drop(store_id=store.id)
        return self._deleted(store)

    async def _search(self, request: Request) -> Response:
        wanted = search_of(await body_of(request))
        store = self._item(VectorStore, request)
        self._store.save(used_now(store))
        items = self._store.children(VectorStoreFile, store.id)
        found = (
            (item, self._library.upload(item.id))
            for item in items
            if item.status == "completed" and wanted.fits(item.attributes or {})
        )
        return answer(search_results(wanted, found))

    # --- their files -------------------------------------------------------------------

    async def _add_file(self, request: Request) -> Response:
        body = await body_of(request)
        (item,) = self._known([new_store_file(body, self._parent(request))])
        self._library.add(item)
        return answer(item)

    async def _update_file(self, request: Request) -> Response:
        body = await body_of(request)
        item = changed_attributes(self._item(VectorStoreFile, request), body)
        self._library.update(item)
        return answer(item)

    async def _remove_file(self, request: Request) -> Response:
        item = self._item(VectorStoreFile, request)
        self._library.leave(item)
        self._store.remove(item.id, item.vector_store_id)
        return deleted(item.id, f"{item.object}.deleted")

    async def _parsed_content(self, request: Request) -> Response:
        item = self._item(VectorStoreFile, request)
        done = item.status == "completed"
        texts = (VectorStoreContent("text", self._library.upload(item.id).text),) if done else ()
        return answer(VectorStoreFileContent(texts))

    # --- batches -----------------------------------------------------------------------

    async def _add_batch(self, request: Request) -> Response:
        body = await body_of(request)
        batch = new_batch(self._parent(request))
        items = self._known(new_store_files(body, batch.vector_store_id))
        if not items:
            raise missing(param="file_ids")
        self._store.save(batch)
        for item in items:
            self._library.add(item, batch.id)
        return answer(counted(self._store, batch))

    async def _cancel_batch(self, request: Request) -> Response:
        batch = self._library.cancel(self._item(VectorStoreFileBatch, request))
        return answer(counted(self._store, batch))

    def _shown(self, kind: type[Stored], item: str) -> Any:  # noqa: ANN401 -- plain data
        """A stored object as replies show it, with counts of this moment."""
        plain = from_json(item)
        if not issubclass(kind, VectorStore | VectorStoreFileBatch):
            return plain
        return unstructure(counted(self._store, structure(plain, kind)))

    def _known(self, items: list[VectorStoreFile]) -> list[VectorStoreFile]:
        """The items, if all their files were uploaded."""
        for item in items:
            self._existing(File, item.id)
        return items


async def _in_turns(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces, read on the thread of the loop, to which the database belongs."""
    for piece in pieces:
        yield piece


__all__ = ["PARENTS", "LibraryEndpoints"]
