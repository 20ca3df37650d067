"""What the texts of messages cite: annotations by their places, without a marker in the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rxassist.protocols.responses.events import (
    AnnotationAdded,
    Event,
    Key,
    OutputItemEvent,
    PartEvent,
    ResponseEvent,
)
from rxassist.protocols.responses.models import (
    Annotation,
    ContainerFileCitation,
    FileCitation,
    FilePath,
    OutputItem,
    OutputMessage,
    OutputText,
    URLCitation,
)
from rxassist.runs.operators.text import Position, SeenTexts
from rxassist.runs.protocol import Cited, Citing


def cited(event: Event, seen: SeenTexts) -> Iterator[tuple[Position, tuple[Cited, ...]]]:
    """The annotations of an event, by the position of their part."""
    for (key, part), annotated in _annotations(event):
        known = tuple(each for each in map(_cited, annotated) if each is not None)
        if known and seen.grows_by(key):
            yield (key, part), known


def _annotations(event: Event) -> Iterator[tuple[tuple[Key, int], Iterable[Annotation]]]:
    if isinstance(event, AnnotationAdded):
        yield (event.key, event.content_index or 0), (event.annotation,)
    elif isinstance(event, PartEvent):
        if isinstance(event.part, OutputText):
            yield (event.key, event.content_index or 0), event.part.annotations
    elif isinstance(event, OutputItemEvent):
        yield from _of_item(event.key, event.item)
    elif isinstance(event, ResponseEvent):
        for index, item in enumerate(event.response.output):
            yield from _of_item((event.response_id, index), item)


def _of_item(
    key: Key, item: OutputItem
) -> Iterator[tuple[tuple[Key, int], tuple[Annotation, ...]]]:
    for index, part in enumerate(item.content if isinstance(item, OutputMessage) else ()):
        if isinstance(part, OutputText):
            yield (key, index), part.annotations


def _cited(annotation: Annotation) -> Cited | None:
    """What an annotation says; ``None`` if that has no place in the text."""
    start: int | None = None
    end: int | None = None
    if isinstance(annotation, FileCitation | FilePath):
        start = end = annotation.index
    elif isinstance(annotation, URLCitation | ContainerFileCitation):
        start, end = annotation.start_index, annotation.end_index
        end = None if start == end else end  # as if there was no place
    if start is None or end is None or not 0 <= start <= end:
        return None
    return Cited(
        start=start,
        end=end,
        file_id=getattr(annotation, "file_id", None) or None,
        file_name=getattr(annotation, "filename", None) or None,
        url=getattr(annotation, "url", None) or None,
        title=getattr(annotation, "title", None) or None,
        is_path=isinstance(annotation, FilePath | ContainerFileCitation),
    )


CITING = Citing(cited, has_links=True)

__all__ = ["CITING", "cited"]
