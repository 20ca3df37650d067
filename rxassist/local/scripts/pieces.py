"""The pieces of a message besides plain text: citations, links to files, and images."""

from __future__ import annotations

from typing import TypeAlias, overload

from attrs import frozen

_MARKER = "【4:0†source】"


@frozen
class Cite:
    """A text that cites a file."""

    file_id: str
    text: str
    quote: str


@frozen
class Source:
    """A text that cites a page, by its address."""

    url: str
    text: str
    title: str


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


Piece: TypeAlias = str | Cite | Source | Link | Image
"""A piece of a message. Adjacent texts, citations and links form one part of its content."""


@overload
def cite(file_id: str, text: str = ..., *, quote: str = ...) -> Cite: ...
@overload
def cite(*, url: str, text: str = ..., title: str = ...) -> Source: ...
def cite(
    file_id: str | None = None,
    text: str | None = None,
    *,
    quote: str = "",
    url: str | None = None,
    title: str = "",
) -> Cite | Source:
    """A citation of a file, or of a page by its ``url``, at its place in the message.

    In the Assistants protocol the text, a marker by default, has an annotation
    (``file_citation``), and pages cannot be cited. In the Responses protocol a file is cited
    without a text, at a place (``file_citation``), and a page by its text (``url_citation``), a
    link in Markdown by default. Raises ``ValueError`` unless exactly one of the two is given.
    """
    if (file_id is None) == (url is None):
        msg = f"a citation has either a file_id or a url, got {file_id!r} and {url!r}"
        raise ValueError(msg)
    if url is not None:
        return Source(url, f"([{title or url}]({url}))" if text is None else text, title)
    return Cite(file_id or "", _MARKER if text is None else text, quote)


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


__all__ = ["Cite", "Image", "Link", "Piece", "Source", "cite", "image", "link"]
