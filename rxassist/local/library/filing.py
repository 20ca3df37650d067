"""Files and vector stores, created and changed from the bodies of requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import FormData, UploadFile

from rxassist.local.server.identity import new_id, now
from rxassist.local.server.limits import Check, anything, metadata, properties, short_list
from rxassist.local.server.parsing import (
    Body,
    bounded,
    fields_of,
    model_of,
    objects,
    required,
    text,
    texts,
)
from rxassist.local.server.plain import as_object
from rxassist.local.server.problems import Problem, invalid_type, invalid_value, missing
from rxassist.models import File, VectorStore, VectorStoreFile, VectorStoreFileBatch
from rxassist.wire.structure import unstructure

_PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_EXPIRY = "expires_after[{}]"  # how forms write a field of an object
_SHORTEST_LIFE, _LONGEST_LIFE = 3600, 2_592_000  # of a file, in seconds
_SECONDS_IN_A_DAY, _MOST_DAYS = 86_400, 365

_SETTINGS: Mapping[str, Check] = {
    "name": anything,
    "expires_after": anything,
    "metadata": metadata,
}
_STORE_FIELDS: Mapping[str, Check] = {**_SETTINGS, "description": anything}
_ATTRIBUTES: Mapping[str, Check] = {"attributes": properties}
_FILE_FIELDS: Mapping[str, Check] = {**_ATTRIBUTES, "chunking_strategy": anything}
_ONE_FILE: Mapping[str, Check] = {**_FILE_FIELDS, "file_id": anything}
_MOST_FILES = 500  # in a batch
_FILES: Mapping[str, Check] = {
    **_FILE_FIELDS,
    "file_ids": short_list(_MOST_FILES),
    "files": short_list(_MOST_FILES),
}

_CHUNKING: Mapping[str, Any] = {
    "type": "static",
    "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400},
}
"""The meaning of ``auto``."""
_SMALLEST_CHUNK, _LARGEST_CHUNK = 100, 4096


def upload_of(form: FormData) -> UploadFile:
    """The file in the form of an upload."""
    upload = form.get("file")
    if upload is None:
        raise missing(param="file")
    if not isinstance(upload, UploadFile):
        raise invalid_type(upload, "file", "a file")
    return upload


def new_file(form: FormData, size: int) -> File:
    """The file that a form describes."""
    purpose = form.get("purpose")
    if purpose is None:
        raise missing(param="purpose")
    if purpose not in _PURPOSES:
        raise invalid_value(purpose, "purpose", *_PURPOSES)
    created_at = now()
    lifetime = _lifetime(form.get(_EXPIRY.format("seconds")))
    return File(
        new_id("file", "-"),
        bytes=size,
        created_at=created_at,
        expires_at=None if lifetime is None else created_at + lifetime,
        filename=upload_of(form).filename or "upload",
        purpose=str(purpose),
        status="processed",
    )


def new_vector_store(body: Body) -> VectorStore:
    """The vector store that a request describes, without its files."""
    also = ("chunking_strategy", "file_ids")
    fields = fields_of(body, _STORE_FIELDS, also)
    given = {name: value for name, value in fields.items() if name not in also}
    created_at = now()
    fixed = {"id": new_id("vs"), "created_at": created_at, "last_active_at": created_at}
    return _with_expiry({**given, **fixed})


def changed_vector_store(store: VectorStore, body: Body) -> VectorStore:
    """The vector store as a request changes it; a null removes the name or the expiry."""
    given = fields_of(body, _SETTINGS)
    nulls = dict.fromkeys({"name", "expires_after"} & (body.keys() - given.keys()))
    return _with_expiry({**unstructure(store), **given, **nulls})


def used_now(store: VectorStore) -> VectorStore:
    """A vector store that was used just now, and so expires later."""
    return _with_expiry({**unstructure(store), "last_active_at": now()})


def new_store_files(body: Body, store_id: str) -> list[VectorStoreFile]:
    """The files that a request adds to a vector store, by their ids or each with its settings."""
    given = fields_of(body, _FILES, also=_STORE_FIELDS)
    if body.get("files") is None:
        each = [{**given, "file_id": file_id} for file_id in texts(body, "file_ids")]
    elif body.get("file_ids") is None:
        each = [fields_of(item, _ONE_FILE) for item in objects(body, "files")]
    else:
        message = "Exactly one of 'file_ids' and 'files' must be given."
        raise Problem(message, param="files", code="invalid_value")
    unique = {text(item, "file_id"): item for item in each}
    return [_store_file(item, store_id) for item in unique.values()]


def new_store_file(body: Body, store_id: str) -> VectorStoreFile:
    """The file that a request adds to a vector store."""
    return _store_file(fields_of(body, _ONE_FILE), store_id)


def changed_attributes(item: VectorStoreFile, body: Body) -> VectorStoreFile:
    """A file of a vector store with new attributes, which replace the old ones."""
    required(body, "attributes")
    given = fields_of(body, _ATTRIBUTES)
    return model_of(VectorStoreFile, {**unstructure(item), "attributes": _attributes(given)})


def new_batch(store_id: str) -> VectorStoreFileBatch:
    """A new batch of files for a vector store."""
    return VectorStoreFileBatch(
        new_id("vsfb"), created_at=now(), vector_store_id=store_id, status="in_progress"
    )


def _store_file(given: Mapping[str, Any], store_id: str) -> VectorStoreFile:
    described = {
        "id": text(given, "file_id"),
        "created_at": now(),
        "vector_store_id": store_id,
        "status": "in_progress",
        "chunking_strategy": _chunking(given),
        "attributes": _attributes(given),
    }
    return model_of(VectorStoreFile, described)


def _with_expiry(plain: Mapping[str, Any]) -> VectorStore:
    store = model_of(VectorStore, {**plain, "expires_at": None})
    if store.expires_after is None or store.last_active_at is None:
        return store
    if store.expires_after.anchor != "last_active_at":
        raise invalid_value(store.expires_after.anchor, "expires_after.anchor", "last_active_at")
    days = bounded(store.expires_after.days, "expires_after.days", 1, _MOST_DAYS)
    return model_of(
        VectorStore, {**plain, "expires_at": store.last_active_at + days * _SECONDS_IN_A_DAY}
    )


def _lifetime(given: object) -> int | None:
    if given is None:
        return None
    name = _EXPIRY.format("seconds")
    if not isinstance(given, str) or not given.isdecimal():
        raise invalid_type(given, name, "an integer")
    return bounded(int(given), name, _SHORTEST_LIFE, _LONGEST_LIFE)


def _attributes(given: Mapping[str, Any]) -> Mapping[str, Any]:
    attributes = as_object(given.get("attributes", {}))
    if attributes is None:
        raise invalid_type(given["attributes"], "attributes", "an object")
    for name, value in attributes.items():
        if not isinstance(value, str | int | float):  # true and false are integers
            raise invalid_type(value, f"attributes.{name}", "a string, a number or a boolean")
    return attributes


def _chunking(given: Mapping[str, Any]) -> Mapping[str, Any]:
    strategy = as_object(given.get("chunking_strategy", {"type": "auto"}))
    if strategy is None:
        raise invalid_type(given["chunking_strategy"], "chunking_strategy", "an object")
    kind = text(strategy, "type")
    if kind == "auto":
        return _CHUNKING
    if kind != "static":
        raise invalid_value(kind, "chunking_strategy.type", "auto", "static")
    static = as_object(required(strategy, "static")) or {}
    path = "chunking_strategy.static"
    sizes = {name: _integer(static, name, path) for name in _CHUNKING["static"]}
    size, overlap = sizes.values()
    bounded(size, f"{path}.max_chunk_size_tokens", _SMALLEST_CHUNK, _LARGEST_CHUNK)
    bounded(overlap, f"{path}.chunk_overlap_tokens", 0, size // 2)
    return {"type": "static", "static": sizes}


def _integer(given: Mapping[str, Any], name: str, path: str) -> int:
    value = required(given, name)
    if not isinstance(value, int):
        raise invalid_type(value, f"{path}.{name}", "an integer")
    return value


__all__ = [
    "changed_attributes",
    "changed_vector_store",
    "new_batch",
    "new_file",
    "new_store_file",
    "new_store_files",
    "new_vector_store",
    "upload_of",
    "used_now",
]
