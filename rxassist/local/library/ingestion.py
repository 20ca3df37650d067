"""The script of a file that is added to a vector store: it is completed, or fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from typing import TypeAlias

from attrs import frozen

from rxassist.local.scripts.moves import Fail, Wait, fail
from rxassist.models import File

_TEXT_EXTENSIONS = {".csv", ".htm", ".html", ".json", ".log", ".md", ".tex", ".txt", ".xml"}
"""Files with these extensions are text, whatever their encoding."""


@frozen
class Upload:
    """A file that is being added to a vector store; its content is read on demand."""

    file: File
    pieces: Callable[[], Iterator[bytes]]

    def read(self) -> bytes:
        """The whole content."""
        return b"".join(self.pieces())

    @property
    def text(self) -> str:
        """The content as text; replacement characters stand for bytes that are not UTF-8."""
        return self.read().decode(errors="replace")


Ingest: TypeAlias = Callable[[Upload], Iterable[Wait | Fail]]
"""Returns what happens to a file, move by move: ``wait(seconds)``, and ``fail(code, message)``.

A list of moves, or a generator function. After the last move the file is ``completed``, unless it
has failed. It runs on the service's only thread: it yields ``wait(seconds)``, and never sleeps.
"""


def default_ingest(upload: Upload) -> Iterable[Wait | Fail]:
    """Accept text at once: a file with the extension of a text, or with UTF-8 in it."""
    if PurePath(upload.file.filename).suffix.lower() in _TEXT_EXTENSIONS:
        return ()
    try:
        upload.read().decode()
    except UnicodeDecodeError:
        message = f"The local service reads only text, which {upload.file.filename!r} is not."
        return (fail("unsupported_file", message),)
    return ()


__all__ = ["Ingest", "Upload", "default_ingest"]
