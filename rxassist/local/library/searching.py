"""Search in texts by their words; this is no vector search."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from rxassist.local.library.ingestion import Upload
from rxassist.local.scripts.moves import tokens
from rxassist.local.server.parsing import Body, bounded, objects, required, text, texts
from rxassist.local.server.plain import as_list, as_object
from rxassist.local.server.problems import invalid_type, invalid_value
from rxassist.models import (
    StaticChunkingStrategy,
    VectorStoreContent,
    VectorStoreFile,
    VectorStoreSearchPage,
    VectorStoreSearchResult,
)

_MOST_RESULTS, _RESULTS = 50, 10

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "in": lambda attribute, values: attribute in values,
    "nin": lambda attribute, values: attribute not in values,
}


@frozen
class SearchRequest:
    """A search; ``fits`` returns whether to search a file with these attributes."""

    queries: tuple[str, ...]
    fits: Callable[[Mapping[str, Any]], bool]
    limit: int = _RESULTS
    threshold: float = 0.0


def search_of(body: Body) -> SearchRequest:
    """The search that a request describes."""
    query = required(body, "query")
    queries = (query,) if isinstance(query, str) else tuple(texts(body, "query"))
    limit = body.get("max_num_results", _RESULTS)
    if not isinstance(limit, int):
        raise invalid_type(limit, "max_num_results", "an integer")
    bounded(limit, "max_num_results", 1, _MOST_RESULTS)
    ranking = as_object(body.get("ranking_options")) or {}
    threshold = ranking.get("score_threshold") or 0.0
    if not isinstance(threshold, int | float):
        raise invalid_type(threshold, "ranking_options.score_threshold", "a number")
    filters = body.get("filters")
    fits = _anything if filters is None else _filter(filters, "filters")
    return SearchRequest(queries, fits, limit, threshold)


def search_results(
    wanted: SearchRequest, files: Iterable[tuple[VectorStoreFile, Upload]]
) -> VectorStoreSearchPage:
    """The pieces of files that have words of a query, the best first.

    The score of a piece is the share of the different words of a query that it has; the real
    service compares meanings.
    """
    queries = [words for words in map(_words, wanted.queries) if words]
    found = [
        VectorStoreSearchResult(
            item.id,
            upload.file.filename,
            score,
            item.attributes,
            (VectorStoreContent("text", piece),),
        )
        for item, upload in files
        for piece in _pieces(upload.text, item)
        if (score := _score(queries, _words(piece))) and score >= wanted.threshold
    ]
    found.sort(key=lambda result: -result.score)
    return VectorStoreSearchPage(tuple(found[: wanted.limit]), wanted.queries)


def _score(queries: Sequence[frozenset[str]], words: frozenset[str]) -> float:
    return max((len(query & words) / len(query) for query in queries), default=0.0)


def _words(content: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", content.lower()))


def _pieces(content: str, item: VectorStoreFile) -> Iterator[str]:
    """A text in pieces by the chunking strategy of its file; each piece overlaps the last one."""
    cut, strategy = tokens(content), item.chunking_strategy
    size, overlap = len(cut) or 1, 0
    if isinstance(strategy, StaticChunkingStrategy):
        size = strategy.static.max_chunk_size_tokens
        overlap = strategy.static.chunk_overlap_tokens
    for start in range(0, max(len(cut) - overlap, 1), size - overlap):
        yield "".join(cut[start : start + size])


def _anything(_: Mapping[str, Any]) -> bool:
    return True


def _filter(given: object, path: str) -> Callable[[Mapping[str, Any]], bool]:
    """Whether attributes pass a filter, or filters that ``and`` or ``or`` joins."""
    described = as_object(given)
    if described is None:
        raise invalid_type(given, path, "an object")
    kind = text(described, "type")
    if kind in {"and", "or"}:
        inner = [
            _filter(each, f"{path}.filters[{index}]")
            for index, each in enumerate(objects(described, "filters"))
        ]
        joined = all if kind == "and" else any
        return lambda attributes: joined(fits(attributes) for fits in inner)
    compare = _COMPARISONS.get(kind)
    if compare is None:
        raise invalid_value(kind, f"{path}.type", "and", "or", *_COMPARISONS)
    key, value = text(described, "key"), required(described, "value")
    if kind in {"in", "nin"} and as_list(value) is None:
        raise invalid_type(value, f"{path}.value", "an array")

    def fits(attributes: Mapping[str, Any]) -> bool:
        try:
            return key in attributes and compare(attributes[key], value)
        except TypeError:  # a text cannot be compared with a number
            return False

    return fits


__all__ = ["SearchRequest", "search_of", "search_results"]
