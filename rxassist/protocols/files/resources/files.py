"""``client.files``: API reference, Files."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from inspect import iscoroutinefunction
from io import BytesIO, TextIOBase
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias, TypeVar, Unpack, cast

from reactivex import Observable, Observer, abc
from reactivex import operators as ops

from rxassist.errors import DecodeError, excerpt
from rxassist.protocols.files.models import File
from rxassist.protocols.files.parameters import FileListParameters, FileParameters
from rxassist.reactive.loop import HomeT
from rxassist.reactive.observable import LoopObservable
from rxassist.wire.arguments import check_encodable, path
from rxassist.wire.calls import Listing, Resource
from rxassist.wire.options import PollOptions, RequestOptions
from rxassist.wire.transport import Upload
from rxassist.wire.values import Deleted

_T = TypeVar("_T")

_ONE = "/files/{file_id}"

NAMELESS = "upload"
"""The name of a file that has none."""

FileContent: TypeAlias = "str | os.PathLike[str] | IO[bytes] | bytes"
"""A path, an open binary file, or bytes."""


class Uploaded(Protocol):
    """A file as Starlette and FastAPI pass it to a route: their ``UploadFile``."""

    @property
    def file(self) -> IO[bytes]:
        """The content."""
        ...

    @property
    def filename(self) -> str | None:
        """The name of the file in the browser."""
        ...

    @property
    def content_type(self) -> str | None:
        """The content type that the browser sent."""
        ...


class UploadedByForm(Protocol):
    """A file as Flask passes it to a route: a ``FileStorage`` of Werkzeug."""

    @property
    def stream(self) -> IO[bytes]:
        """The content."""
        ...

    @property
    def filename(self) -> str | None:
        """The name of the file in the browser."""
        ...

    @property
    def content_type(self) -> str | None:
        """The content type that the browser sent."""
        ...


FileOfAnyKind: TypeAlias = "FileContent | Uploaded | UploadedByForm"
"""The content of a file, by itself or as a web framework passes it to a route."""

UploadFile: TypeAlias = (
    "FileOfAnyKind | tuple[str, FileOfAnyKind] | tuple[str, FileOfAnyKind, str | None]"
)
"""A file to upload: its content, or a tuple of name, content and, if needed, content type.

An open file is sent from its current position. A file of unknown size (a pipe, a socket) is sent in
chunks. The ``UploadFile`` of a web framework, and the ``FileStorage`` of Flask, can be passed as
they are.
"""

UploadProgress: TypeAlias = (
    "Callable[[int, int | None], object] | abc.ObserverBase[tuple[int, int | None]]"
)
"""Receives the number of bytes sent so far, and the total, if that is known.

A function of the two, or an observer of pairs, such as a ``Subject``: an Observable of progress,
which ends as the upload does.
"""


class Files(Resource[HomeT]):
    """Files for assistants and vector stores."""

    def create(
        self,
        *,
        file: UploadFile,
        upload_progress: UploadProgress | None = None,
        **parameters: Unpack[FileParameters],
    ) -> LoopObservable[File, HomeT]:
        """Upload a file, once: an Observable of it. ``POST /files``.

        The file is read from disk as it is sent. ``upload_progress`` receives the number of bytes
        sent so far, and the total, on the client's event loop: a function, or an observer of pairs.

        Keywords:

        - ``purpose``, required: the purpose of the file, such as ``"assistants"``.
        - ``expires_after``: when the file expires: a mapping with ``anchor`` and ``seconds``.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        upload = upload_of(file, None if upload_progress is None else _teller(upload_progress))
        request = self._request("POST", "/files", parameters, FileParameters, upload=upload)
        return self._once(ends_with(self._call(File, request), upload_progress))

    def wait_for_processing(
        self, file_id: str, **options: Unpack[PollOptions]
    ) -> LoopObservable[File, HomeT]:
        """Emits the file at each change, until it is processed, in error or deleted: cold.

        Keywords:

        - ``poll_interval_ms``: milliseconds between two polls; by default the service's value, else
          1,000.
        - ``deadline``: seconds after which the poll ends in ``PollTimeout``; by default never.
        - ``at_once``: fetch at once, however many polls of the client begin together (``False``: in
          a herd, some time within the interval).
        - ``patience``: seconds for which the service may be out of reach, or not find an object it
          stores late.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._poll(File, _ONE, {"file_id": file_id}, options, _processed)

    def retrieve(
        self, file_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[File, HomeT]:
        """The file's description: a cold Observable. ``GET /files/{file_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._call(File, self._request("GET", path(_ONE, file_id=file_id), options))

    def content(
        self, file_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[bytes, HomeT]:
        """The file's bytes: a cold Observable. ``GET /files/{file_id}/content``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_ONE + "/content", file_id=file_id)
        return self._content(self._request("GET", where, options))

    def retrieve_content(
        self, file_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[str, HomeT]:
        """The file's text, if it is UTF-8: a cold Observable. ``GET /files/{file_id}/content``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._as_call(self.content(file_id, **options).pipe(ops.map(_text_of)))

    def list(self, **parameters: Unpack[FileListParameters]) -> Listing[File, HomeT]:
        """The files, newest first: a cold Observable of items. ``GET /files``.

        Keywords:

        - ``limit``: how many items one page has, from 1 to 100.
        - ``order``: ``"asc"`` gives the oldest items first, ``"desc"`` the newest.
        - ``after``: the id of an item: the list begins after it.
        - ``before``: the id of an item: the list ends before it.
        - ``purpose``: only the files with this purpose.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._list(File, "/files", parameters, FileListParameters)

    def delete(
        self, file_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Deleted, HomeT]:
        """Delete a file: a cold Observable. ``DELETE /files/{file_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._delete(path(_ONE, file_id=file_id), options)


def _text_of(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        what, expected = "the file", "text in UTF-8; files.content(file_id) gives bytes of any kind"
        raise DecodeError(what, "$", content[:16], expected) from None


def _processed(file: File) -> bool:
    return file.status in {"processed", "error", "deleted"}


_Tell: TypeAlias = "Callable[[int, int | None], object]"


def _teller(progress: UploadProgress) -> _Tell:
    """A function that calls a progress function, or an observer."""
    if callable(progress):
        return progress
    given: object = progress
    if not isinstance(given, abc.ObserverBase):
        msg = f"upload_progress must be a function or an observer, got {excerpt(given)}"
        raise TypeError(msg)
    return lambda sent, total: progress.on_next((sent, total))


def ends_with(uploaded: Observable[_T], progress: UploadProgress | None) -> Observable[_T]:
    """The same upload; if the progress is an observer, it ends as the upload does."""
    if progress is None or callable(progress):
        return uploaded
    return uploaded.pipe(ops.do(Observer[_T](None, progress.on_error, progress.on_completed)))


def shares(progress: UploadProgress, files: Sequence[UploadFile]) -> list[_Tell]:
    """A progress for each of the files; each reports the sums over all of them."""
    tell = _teller(progress)
    sizes = [_size_of(upload_of(file)) for file in files]
    known = [size for size in sizes if size is not None]
    total = sum(known) if len(known) == len(sizes) else None
    sent = [0] * len(files)

    def share(index: int) -> _Tell:
        def tell_sums(now: int, _: int | None) -> None:
            sent[index] = now
            tell(sum(sent), total)

        return tell_sums

    return [share(index) for index in range(len(files))]


def _size_of(upload: Upload) -> int | None:
    with upload.open() as file:
        return cast("_Content", file).size


class _Content:
    """The rest of an open file, for a body: it begins at the file's current position.

    ``size`` is the number of bytes that follow, ``None`` if that is not certain: then there is no
    ``seek`` either, and the HTTP library sends chunks. It reads no more than ``size`` bytes, even
    if the file grows meanwhile.
    """

    def __init__(self, file: IO[bytes], progress: _Tell | None) -> None:
        self._file = file
        self._progress = progress
        self._start, self.size = _rest_of(file)
        self._place = 0  # after the start
        if self.size is not None:
            self.tell: Callable[[], int] = lambda: self._place
            self.seek: Callable[..., int] = self._seek

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most ``size``."""
        if self.size is not None:
            left = max(0, self.size - self._place)
            size = left if size < 0 else min(size, left)
        piece: object = self._file.read(size)
        if not isinstance(piece, bytes | bytearray | memoryview):
            msg = f"file must be opened in binary mode: its read() gave {excerpt(piece)}"
            raise TypeError(msg)
        piece = bytes(piece)
        self._place += len(piece)
        if piece and self._progress is not None:
            self._progress(self._place, self.size)
        return piece

    def _seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.size or 0}[whence]
        self._place = base + offset
        self._file.seek(self._start + self._place)
        return self._place


def _rest_of(file: IO[bytes]) -> tuple[int, int | None]:
    """The position of a file, and the number of bytes after it: ``None`` if that is uncertain."""
    try:
        start = file.tell()
        file.seek(0, os.SEEK_END)  # for some files it returns nothing
        rest = file.tell() - start
        file.seek(start)
    except (AttributeError, OSError, ValueError):  # a pipe, a socket, or only a read()
        return 0, None
    return start, rest if rest > 0 or isinstance(file, BytesIO) else None


def upload_of(file: UploadFile, progress: _Tell | None = None) -> Upload:
    """The upload of a file. Raises before any request if the file is invalid or missing."""
    name: object = None
    content_type: str | None = None
    content: object = file
    if isinstance(file, tuple):
        if len(file) not in {2, 3}:
            msg = f"file must be (name, content) or (name, content, type), got {excerpt(file)}"
            raise TypeError(msg)
        name, content = file[0], file[1]
        content_type = file[2] if len(file) == 3 else None  # noqa: PLR2004 -- as checked above
    if hasattr(content, "content_type") and hasattr(content, "filename"):  # of a web framework
        given = cast("Any", content)
        content = given.file if hasattr(given, "file") else given.stream
        name = given.filename if name is None else name
        content_type = content_type or given.content_type
    opened, found = _opener(content)
    name = found if name is None else name
    if not isinstance(name, str) or not name:
        msg = f"the name of a file must be text and not empty, got {excerpt(name)}"
        raise TypeError(msg)
    check_encodable("the name of a file", name)
    kind = content_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
    _check_content_type(kind)

    @contextmanager
    def open_it() -> Generator[IO[bytes]]:
        with opened() as bytes_of_it:
            yield cast("IO[bytes]", _Content(bytes_of_it, progress))

    return Upload(open_it, name, kind, repeatable=not hasattr(content, "read"))


def _check_content_type(given: object) -> None:
    """Raise for a text that would be more than one header line of a multipart part."""
    if not isinstance(given, str):
        msg = f"the content type of a file must be text, got {excerpt(given)}"
        raise TypeError(msg)
    if not given.isascii() or not given.isprintable():
        msg = (
            "the content type of a file must be printable ASCII on one line, such as "
            f'"text/plain", got {excerpt(given)}'
        )
        raise ValueError(msg)


def _opener(content: object) -> tuple[Callable[[], AbstractContextManager[IO[bytes]]], str]:
    """A function that opens the content, and the content's own name."""
    if isinstance(content, bytes):
        return (lambda: BytesIO(content)), NAMELESS
    if isinstance(content, str | os.PathLike):
        where = Path(cast("str | os.PathLike[str]", content))
        if where.is_dir():
            msg = f"file: {excerpt(str(where))} is a folder; pass its files one by one"
            raise IsADirectoryError(msg)
        if not where.is_file():
            msg = f"file: there is no file at {excerpt(str(where))}; for content pass bytes"
            raise FileNotFoundError(msg)
        return (lambda: where.open("rb")), where.name
    if hasattr(content, "read"):
        if isinstance(content, TextIOBase):
            msg = 'file must be opened in binary mode: open(…, "rb")'
            raise TypeError(msg)
        if iscoroutinefunction(cast("Any", content).read):
            msg = f"file must be read without await, and read() is an async def: {excerpt(content)}"
            raise TypeError(msg)
        opened = cast("IO[bytes]", content)
        name = getattr(opened, "name", None)
        named = isinstance(name, str) and not name.startswith("<")  # such as "<stdin>"
        own_name = Path(cast("str", name)).name if named else NAMELESS
        return (lambda: nullcontext(opened)), own_name  # code that opened it closes it
    msg = f"file must be a path, an open binary file or bytes, got {excerpt(content)}"
    raise TypeError(msg)


def check_searchable(files: Sequence[UploadFile]) -> None:
    """Raise for a file without a name: a vector store finds its type by the ending of its name."""
    for file in files:
        if upload_of(file).name == NAMELESS:
            msg = (
                f"file needs a name for a vector store, which goes by its ending: pass "
                f'("notes.txt", content), got {excerpt(file)}'
            )
            raise ValueError(msg)
