"""The parameters of the endpoints of files and vector stores, as keyword arguments."""

from collections.abc import Iterable
from typing import Required

from rxassist.wire.options import (
    ListParameters,
    Metadata,
    Object,
    Objects,
    PollOptions,
    RequestOptions,
)


class FileListParameters(ListParameters, total=False):
    """``GET /files``."""

    purpose: str
    """Only the files with this purpose."""


class FileParameters(RequestOptions, total=False):
    """``POST /files``, besides the file itself."""

    purpose: Required[str]
    """The purpose of the file, such as ``"assistants"``."""
    expires_after: Object
    """When the file expires: a mapping with ``anchor`` and ``seconds``."""


class VectorStoreUpdateParameters(RequestOptions, total=False):
    """``POST /vector_stores/{vector_store_id}``."""

    name: str | None
    """The name of the store."""
    expires_after: Object | None
    """When the store expires: a mapping with ``anchor`` and ``days``."""
    metadata: Metadata | None
    """Up to 16 pairs of text, stored with the object."""


class VectorStoreParameters(RequestOptions, total=False):
    """``POST /vector_stores``."""

    file_ids: Iterable[str]
    """The ids of files to add to the store."""
    name: str
    """The name of the store."""
    description: str
    """The description of the store."""
    expires_after: Object
    """When the store expires: a mapping with ``anchor`` and ``days``."""
    chunking_strategy: Object
    """How files are cut into chunks, such as ``{"type": "auto"}``."""
    metadata: Metadata | None
    """Up to 16 pairs of text, stored with the object."""


class IngestionParameters(RequestOptions, total=False):
    """How a file is added to a vector store."""

    chunking_strategy: Object
    """How files are cut into chunks, such as ``{"type": "auto"}``."""
    attributes: Object | None
    """Up to 16 pairs that a search can filter by."""


class VectorStoreFileParameters(IngestionParameters, total=False):
    """``POST /vector_stores/{vector_store_id}/files``."""

    file_id: Required[str]
    """The id of the file."""


class VectorStoreFileUpdateParameters(RequestOptions, total=False):
    """``POST /vector_stores/{vector_store_id}/files/{file_id}``."""

    attributes: Required[Object]
    """Up to 16 pairs that a search can filter by."""


class VectorStoreFileListParameters(ListParameters, total=False):
    """``GET /vector_stores/{vector_store_id}/files``: ``filter`` is a status."""

    filter: str
    """Only the files with this status."""


class FileBatchParameters(IngestionParameters, total=False):
    """``POST /vector_stores/{vector_store_id}/file_batches``: ids of files, or files."""

    file_ids: Iterable[str]
    """The ids of the files."""
    files: Objects
    """The files as mappings with ``file_id`` and settings of their own."""


class IngestionPollParameters(IngestionParameters, PollOptions, total=False):
    """How a file is added to a vector store, and polled."""


class FileBatchPollParameters(FileBatchParameters, PollOptions, total=False):
    """``POST /vector_stores/{vector_store_id}/file_batches``, and then polls."""


class SearchParameters(RequestOptions, total=False):
    """``POST /vector_stores/{vector_store_id}/search``."""

    query: Required[str | Iterable[str]]
    """The text to search for, or several texts."""
    filters: Object
    """A filter on the attributes of the files."""
    max_num_results: int
    """The highest number of results."""
    ranking_options: Object
    """How results are ranked, and the lowest score of a result."""
    rewrite_query: bool
    """Whether the service may rewrite the query for its search."""


__all__ = [
    "FileBatchParameters",
    "FileBatchPollParameters",
    "FileListParameters",
    "FileParameters",
    "IngestionParameters",
    "IngestionPollParameters",
    "SearchParameters",
    "VectorStoreFileListParameters",
    "VectorStoreFileParameters",
    "VectorStoreFileUpdateParameters",
    "VectorStoreParameters",
    "VectorStoreUpdateParameters",
]
