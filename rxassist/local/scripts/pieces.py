"""What a message can have besides plain text: citations, links to files, and images."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen


@frozen
class Cite:
    """A text that stands for a place in a file."""

    file_id: str
    text: str
    quote: str


@frozen
class Link:
    """A text that is the path of a file that the code interpreter made."""

    file_id: str
    text: str


@frozen
class Image:
    """An image, by the id of its file or by its address."""

    file_id: str | None
    url: str | None
    detail: str | None


Piece: TypeAlias = str | Cite | Link | Image
"""What a message is written of. Texts, citations and links next to each other are one part."""


def cite(file_id: str, text: str = "【4:0†source】", *, quote: str = "") -> Cite:
    """Write a text that cites a file: it has an annotation, a ``file_citation``."""
    return Cite(file_id, text, quote)


def link(file_id: str, text: str = "sandbox:/mnt/data/file") -> Link:
    """Write where a file is that code has made: the text has an annotation, a ``file_path``."""
    return Link(file_id, text)


def image(
    file_id: str | None = None, *, url: str | None = None, detail: str | None = None
) -> Image:
    """Show an image, which is a part of its own; by the id of its file, or by its ``url``.

    Raises ``ValueError`` unless exactly one of the two is given.
    """
    if (file_id is None) == (url is None):
        msg = f"an image has either a file_id or a url, got {file_id!r} and {url!r}"
        raise ValueError(msg)
    return Image(file_id, url, detail)


__all__ = ["Cite", "Image", "Link", "Piece", "cite", "image", "link"]
