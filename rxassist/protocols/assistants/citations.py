"""What the texts of messages cite: their markers, by the annotations that name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from rxassist.protocols.assistants.events import Event, MessageEvent, ThreadMessageDelta
from rxassist.protocols.assistants.models import (
    Annotation,
    AnnotationDelta,
    FileCitationAnnotation,
    FileCitationDeltaAnnotation,
    FilePathAnnotation,
    FilePathDeltaAnnotation,
    TextContentBlock,
    TextDeltaBlock,
    UnknownAnnotation,
    UnknownAnnotationDelta,
)
from rxassist.runs.operators.text import Position, SeenTexts
from rxassist.runs.protocol import Cited, Citing


def cited(event: Event, seen: SeenTexts) -> Iterator[tuple[Position, tuple[Cited, ...]]]:
    """The annotations of an event, by the position of their part."""
    if isinstance(event, ThreadMessageDelta):
        if event.piece() is None and seen.grows_by(event.data.id):
            for delta in event.data.delta.content:
                if isinstance(delta, TextDeltaBlock) and delta.text is not None:
                    position = event.data.id, delta.index or 0
                    yield position, tuple(map(_cited, delta.text.annotations))
    elif isinstance(event, MessageEvent):
        (whole,) = event.texts()
        if not seen.grows(whole):
            return
        indexes = seen.indexes(whole)
        for at, block in enumerate(event.data.content):
            if isinstance(block, TextContentBlock) and block.text.value:
                position = event.data.id, indexes.get(at, at)
                yield position, tuple(map(_cited, block.text.annotations))


def _cited(annotation: Annotation | AnnotationDelta) -> Cited:
    if isinstance(annotation, UnknownAnnotation | UnknownAnnotationDelta):
        return _unknown(annotation.raw)
    file_id = quote = None
    is_path = isinstance(annotation, FilePathAnnotation | FilePathDeltaAnnotation)
    if isinstance(annotation, FilePathAnnotation | FilePathDeltaAnnotation):
        made = annotation.file_path
        file_id = made.file_id if made else None
    elif isinstance(annotation, FileCitationAnnotation | FileCitationDeltaAnnotation):
        file = annotation.file_citation
        file_id, quote = (file.file_id, file.quote) if file else (None, None)
    start = -1 if annotation.start_index is None else annotation.start_index
    return Cited(
        annotation.text, start, file_id=file_id or None, quote=quote or None, is_path=is_path
    )


def _unknown(raw: Mapping[str, Any]) -> Cited:
    """An annotation of a type that this version does not know, such as that of a page."""
    text, start, page = raw.get("text"), raw.get("start_index"), raw.get("url_citation")
    known = isinstance(start, int) and not isinstance(start, bool)
    page = cast("Mapping[str, Any]", page if isinstance(page, dict) else {})
    return Cited(
        text if isinstance(text, str) else None,
        cast("int", start) if known else -1,
        url=page.get("url"),
        title=page.get("title"),
    )


CITING = Citing(cited, has_links=False)

__all__ = ["CITING", "cited"]
