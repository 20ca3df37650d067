"""``client.files``: API reference, Files."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from io import BytesIO, TextIOBase
from pathlib import Path
from typing import IO, TypeAlias, Unpack, cast

from reactivex import Observer, abc
from reactivex import operators as ops

from rxassist.client._arguments import path
from rxassist.client._resource import Listing, Resource, StreamT
from rxassist.client.parameters import FileListParameters, FileParameters, RequestOptions
from rxassist.consumers import LoopObservable
from rxassist.errors import excerpt
from rxassist.models import Deleted, File
from rxassist.transport import Upload

_ONE = "/files/{file_id}"

FileContent: TypeAlias = "str | os.PathLike[str] | IO[bytes] | bytes"
"""A path, an open binary file, or bytes."""

UploadFile: TypeAlias = (
    "FileContent | tuple[str, FileContent] | tuple[str, FileContent, str | None]"
)
"""A file to upload: its content, with a name and a content type before and behind it if need be."""

UploadProgress: TypeAlias = (
    "Callable[[int, int | None], object] | abc.ObserverBase[tuple[int, int | None]]"
)
"""Told how many bytes were sent so far, and of how many, where that is known.

A function of the two, or an observer of pairs, such as a ``Subject``: an Observable of progress,
which ends as the upload does.
"""


class Files(Resource[StreamT]):
    """Files for assistants and vector stores."""

    def create(
        self,
        *,
        file: UploadFile,
        upload_progress: UploadProgress | None = None,
        **parameters: Unpack[FileParameters],
    ) -> LoopObservable[File]:
        """Upload a file: a cold Observable of it. ``POST /files``.

        The file is read from disk as it is sent. ``upload_progress`` is told the number of bytes
        sent so far, and of how many, on the client's event loop: a function, or an observer of
        pairs.
        """
        if upload_progress is None or callable(upload_progress):
            upload = upload_of(file, upload_progress)
        else:
            observer = upload_progress
            upload = upload_of(file, lambda sent, total: observer.on_next((sent, total)))
        request = self._request("POST", "/files", parameters, FileParameters, upload=upload)
        created = self._call(File, request)
        if upload_progress is None or callable(upload_progress):
            return created
        ending = Observer[File](None, upload_progress.on_error, upload_progress.on_completed)
        return self._bound(created.pipe(ops.do(ending)))

    def retrieve(self, file_id: str, **options: Unpack[RequestOptions]) -> LoopObservable[File]:
        """The file's description: a cold Observable. ``GET /files/{file_id}``."""
        return self._call(File, self._request("GET", path(_ONE, file_id=file_id), options))

    def content(self, file_id: str, **options: Unpack[RequestOptions]) -> LoopObservable[bytes]:
        """The file's bytes: a cold Observable. ``GET /files/{file_id}/content``."""
        where = path(_ONE + "/content", file_id=file_id)
        return self._content(self._request("GET", where, options))

    def list(self, **parameters: Unpack[FileListParameters]) -> Listing[File]:
        """The files, newest first: a cold Observable of items. ``GET /files``."""
        return self._list(File, "/files", parameters, FileListParameters)

    def delete(self, file_id: str, **options: Unpack[RequestOptions]) -> LoopObservable[Deleted]:
        """Delete a file: a cold Observable. ``DELETE /files/{file_id}``."""
        return self._delete(path(_ONE, file_id=file_id), options)


_Tell: TypeAlias = "Callable[[int, int | None], object]"


def upload_of(file: UploadFile, progress: _Tell | None = None) -> Upload:
    """What to send of a file. Raises before any request where it is none, or is not there."""
    name: object = None
    content_type: str | None = None
    content: object = file
    if isinstance(file, tuple):
        if len(file) not in {2, 3}:
            msg = f"file must be (name, content) or (name, content, type), got {excerpt(file)}"
            raise TypeError(msg)
        name, content = file[0], file[1]
        content_type = file[2] if len(file) == 3 else None  # noqa: PLR2004 -- as just said
    opened, found = _opener(content)
    name = found if name is None else name
    if not isinstance(name, str) or not name:
        msg = f"the name of a file must be text and not empty, got {excerpt(name)}"
        raise TypeError(msg)

    @contextmanager
    def open_it() -> Generator[IO[bytes]]:
        with opened() as bytes_of_it:
            yield bytes_of_it if progress is None else _Told(bytes_of_it, progress).as_file()

    kind = content_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Upload(open_it, name, kind, repeatable=not hasattr(content, "read"))


def _opener(content: object) -> tuple[Callable[[], AbstractContextManager[IO[bytes]]], str]:
    """How to open the content, and the name that it has by itself."""
    if isinstance(content, bytes):
        return (lambda: BytesIO(content)), "upload"
    if isinstance(content, str | os.PathLike):
        where = Path(cast("str | os.PathLike[str]", content))
        if not where.is_file():
            msg = f"file: there is no file at {excerpt(str(where))}"
            raise FileNotFoundError(msg)
        return (lambda: where.open("rb")), where.name
    if hasattr(content, "read"):
        if isinstance(content, TextIOBase):
            msg = 'file must be opened in binary mode: open(…, "rb")'
            raise TypeError(msg)
        opened = cast("IO[bytes]", content)
        name = getattr(opened, "name", None)
        own_name = Path(name).name if isinstance(name, str) else "upload"
        return (lambda: nullcontext(opened)), own_name  # who opened it closes it
    msg = f"file must be a path, an open binary file or bytes, got {excerpt(content)}"
    raise TypeError(msg)


class _Told:
    """An open file that tells how far it was read."""

    def __init__(self, file: IO[bytes], progress: _Tell) -> None:
        self._file = file
        self._progress = progress
        self._sent = 0
        self._total: int | None = None
        if file.seekable():
            start = file.tell()
            self._total = file.seek(0, os.SEEK_END) - start
            file.seek(start)

    def as_file(self) -> IO[bytes]:
        return cast("IO[bytes]", self)

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        if piece:
            self._sent += len(piece)
            self._progress(self._sent, self._total)
        return piece

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)
