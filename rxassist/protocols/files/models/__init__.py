"""The objects of the service for files and vector stores."""

from rxassist.protocols.files.models.files import File
from rxassist.protocols.files.models.vector_stores import (
    ChunkingStrategy,
    ExpiresAfter,
    FileCounts,
    OtherChunkingStrategy,
    StaticChunking,
    StaticChunkingStrategy,
    UnknownChunkingStrategy,
    VectorStore,
    VectorStoreContent,
    VectorStoreFile,
    VectorStoreFileBatch,
    VectorStoreFileContent,
    VectorStoreSearchPage,
    VectorStoreSearchResult,
)

__all__ = [
    "ChunkingStrategy",
    "ExpiresAfter",
    "File",
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
