"""Vector stores, their files and batches (API reference: Vector stores)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from attrs import field, frozen

from rxassist.wire.values import LastError, Model, Unknown


@frozen
class FileCounts(Model):
    """The number of files of a store or a batch in each state."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    total: int = 0


@frozen
class ExpiresAfter(Model):
    """A store expires ``days`` days after its ``anchor``."""

    anchor: str = "last_active_at"
    days: int = 0


@frozen
class VectorStore(Model):
    """A searchable collection of files; ``status`` is ``in_progress`` until all are indexed."""

    id: str
    object: str = "vector_store"
    created_at: float = 0
    name: str | None = None
    description: str | None = None
    usage_bytes: int = 0
    file_counts: FileCounts = FileCounts()
    status: str = ""
    expires_after: ExpiresAfter | None = None
    expires_at: float | None = None
    last_active_at: float | None = None
    metadata: Mapping[str, str] = field(factory=dict[str, str])


@frozen
class StaticChunking(Model):
    """Sizes in tokens."""

    max_chunk_size_tokens: int = 0
    chunk_overlap_tokens: int = 0


@frozen
class StaticChunkingStrategy(Model):
    """Chunks of a fixed size."""

    static: StaticChunking = StaticChunking()
    type: Literal["static"] = "static"


@frozen
class OtherChunkingStrategy(Model):
    """The strategy of old files, which were added before there was a choice."""

    type: Literal["other"] = "other"


@frozen
class UnknownChunkingStrategy(Unknown):
    """A strategy that this version does not know."""


ChunkingStrategy = StaticChunkingStrategy | OtherChunkingStrategy | UnknownChunkingStrategy


@frozen
class VectorStoreFile(Model):
    """A file of a vector store; ``id`` is the file's."""

    id: str
    object: str = "vector_store.file"
    usage_bytes: int = 0
    created_at: float = 0
    vector_store_id: str = ""
    status: str = ""
    last_error: LastError | None = None
    chunking_strategy: ChunkingStrategy | None = None
    attributes: Mapping[str, Any] | None = None


@frozen
class VectorStoreFileBatch(Model):
    """Files that were added to a vector store together."""

    id: str
    object: str = "vector_store.files_batch"
    created_at: float = 0
    vector_store_id: str = ""
    status: str = ""
    file_counts: FileCounts = FileCounts()


@frozen
class VectorStoreContent(Model):
    """A piece of text of a file."""

    type: str | None = None
    text: str | None = None


@frozen
class VectorStoreFileContent(Model):
    """The text of a file as the store parsed it, one page of it."""

    data: tuple[VectorStoreContent, ...] = ()
    has_more: bool = False
    next_page: str | None = None
    object: str = "vector_store.file_content.page"
    _other_names: ClassVar[Mapping[str, str]] = {"content": "data"}  # as in the reference's example


@frozen
class VectorStoreSearchResult(Model):
    """A file that a search found, and how well it fits (``score`` from 0 to 1)."""

    file_id: str = ""
    filename: str = ""
    score: float = 0
    attributes: Mapping[str, Any] | None = None
    content: tuple[VectorStoreContent, ...] = ()


@frozen
class VectorStoreSearchPage(Model):
    """The results of a search in a vector store."""

    data: tuple[VectorStoreSearchResult, ...] = ()
    search_query: tuple[str, ...] = ()
    has_more: bool = False
    next_page: str | None = None
    object: str = "vector_store.search_results.page"


__all__ = [
    "ChunkingStrategy",
    "ExpiresAfter",
    "FileCounts",
    "OtherChunkingStrategy",
    "StaticChunking",
    "StaticChunkingStrategy",
    "UnknownChunkingStrategy",
    "VectorStore",
    "VectorStoreContent",
    "VectorStoreFile",
    "VectorStoreFileBatch",
    "VectorStoreFileContent",
    "VectorStoreSearchPage",
    "VectorStoreSearchResult",
]
