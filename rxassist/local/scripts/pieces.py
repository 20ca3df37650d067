"""The pieces of a message besides plain text: citations, links to files, and images."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen


@frozen
class Cite:
    """A text that cites a file."""

    file_id: str
    text: str
    quote: str


@frozen
class Link:
    """A text that is the path of a file of the code interpreter."""

    file_id: str
    text: str


@frozen
class Image:
    """An image, by the id of its file or by its address."""

    file_id: str | None
    url: str | None
    detail: str | None


Piece: TypeAlias = str | Cite | Link | Image
"""A piece of a message. Adjacent texts, citations and links form one part of its content."""


def cite(file_id: str, text: str = "【4:0†source】", *, quote: str = "") -> Cite:
    """A text that cites a file: it has an annotation, a ``file_citation``."""
    return Cite(file_id, text, quote)


def link(file_id: str, text: str = "sandbox:/mnt/data/file") -> Link:
    """The path of a file that code has made: the text has an annotation, a ``file_path``."""
    return Link(file_id, text)


def image(
    file_id: str | None = None, *, url: str | None = None, detail: str | None = None
) -> Image:
    """An image, by the id of its file or by its ``url``; it is a part of its own.

    Raises ``ValueError`` unless exactly one of the two is given.
    """
    if (file_id is None) == (url is None):
        msg = f"an image has either a file_id or a url, got {file_id!r} and {url!r}"
        raise ValueError(msg)
    return Image(file_id, url, detail)


__all__ = ["Cite", "Image", "Link", "Piece", "cite", "image", "link"]
