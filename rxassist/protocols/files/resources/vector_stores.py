"""``client.vector_stores``: API reference, Vector stores, their files and batches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar, Unpack

import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops

from rxassist.errors import FilesFailed, RxAssistError, UploadError
from rxassist.protocols.files.models import (
    File,
    VectorStore,
    VectorStoreFile,
    VectorStoreFileBatch,
    VectorStoreFileContent,
    VectorStoreSearchPage,
)
from rxassist.protocols.files.parameters import (
    FileBatchParameters,
    FileBatchPollParameters,
    IngestionParameters,
    IngestionPollParameters,
    SearchParameters,
    VectorStoreFileListParameters,
    VectorStoreFileParameters,
    VectorStoreFileUpdateParameters,
    VectorStoreParameters,
    VectorStoreUpdateParameters,
)
from rxassist.protocols.files.resources.files import (
    Files,
    UploadFile,
    UploadProgress,
    check_searchable,
    ends_with,
    shares,
)
from rxassist.reactive.checks import check_positive
from rxassist.reactive.kernel import Finish, Step, choose_each
from rxassist.reactive.loop import HomeT
from rxassist.reactive.observable import LoopObservable
from rxassist.wire.arguments import listed, path
from rxassist.wire.calls import Connection, Listing, Resource, poll_options
from rxassist.wire.options import ListParameters, PollOptions, RequestOptions
from rxassist.wire.values import Deleted

_T = TypeVar("_T")

_STORES = "/vector_stores"
_STORE = "/vector_stores/{vector_store_id}"
_FILES = _STORE + "/files"
_FILE = _FILES + "/{file_id}"
_BATCHES = _STORE + "/file_batches"
_BATCH = _BATCHES + "/{batch_id}"

_FAILED = frozenset({"failed", "cancelled"})
_ENDED = _FAILED | {"completed"}

_LARGEST_BATCH = 500  # files; the limit of the service
_NAMED = 20  # failed files whose names are requested
_UPLOAD_OPTIONS = RequestOptions.__annotations__.keys() - {"extra_body"}


def _file_ended(file: VectorStoreFile) -> bool:
    return file.status in _ENDED


def _batch_ended(batch: VectorStoreFileBatch) -> bool:
    """Some servers send ``completed`` while files are in progress, and the other way round."""
    return batch.status in _FAILED or _is_complete(batch)


def _store_ready(store: VectorStore) -> bool:
    return store.status == "expired" or _is_complete(store)


def _is_complete(counted: VectorStore | VectorStoreFileBatch) -> bool:
    return counted.status == "completed" and counted.file_counts.in_progress == 0


class VectorStoreFiles(Resource[HomeT]):
    """The files of a vector store."""

    def __init__(self, connection: Connection[HomeT]) -> None:
        super().__init__(connection)
        self._uploads = Files(connection)

    def create(
        self, vector_store_id: str, **parameters: Unpack[VectorStoreFileParameters]
    ) -> LoopObservable[VectorStoreFile, HomeT]:
        """Add a file to a store, once: an Observable of it. ``POST …/files``.

        Keywords:

        - ``file_id``, required: the id of the file.
        - ``chunking_strategy``: how files are cut into chunks, such as ``{"type": "auto"}``.
        - ``attributes``: up to 16 pairs that a search can filter by.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_FILES, vector_store_id=vector_store_id)
        request = self._request("POST", where, parameters, VectorStoreFileParameters)
        return self._create(VectorStoreFile, request)

    def retrieve(
        self, file_id: str, *, vector_store_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[VectorStoreFile, HomeT]:
        """The state of the file in the store: a cold Observable. ``GET …/files/{file_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_FILE, vector_store_id=vector_store_id, file_id=file_id)
        return self._call(VectorStoreFile, self._request("GET", where, options))

    def update(
        self,
        file_id: str,
        *,
        vector_store_id: str,
        **parameters: Unpack[VectorStoreFileUpdateParameters],
    ) -> LoopObservable[VectorStoreFile, HomeT]:
        """Change the attributes: a cold Observable of the file. ``POST …/files/{file_id}``.

        Keywords:

        - ``attributes``, required: up to 16 pairs that a search can filter by.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_FILE, vector_store_id=vector_store_id, file_id=file_id)
        request = self._request("POST", where, parameters, VectorStoreFileUpdateParameters)
        return self._call(VectorStoreFile, request)

    def list(
        self, vector_store_id: str, **parameters: Unpack[VectorStoreFileListParameters]
    ) -> Listing[VectorStoreFile, HomeT]:
        """The files, newest first: a cold Observable of items. ``GET …/files``.

        Keywords:

        - ``limit``: how many items one page has, from 1 to 100.
        - ``order``: ``"asc"`` gives the oldest items first, ``"desc"`` the newest.
        - ``after``: the id of an item: the list begins after it.
        - ``before``: the id of an item: the list ends before it.
        - ``filter``: only the files with this status.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_FILES, vector_store_id=vector_store_id)
        return self._list(VectorStoreFile, where, parameters, VectorStoreFileListParameters)

    def delete(
        self, file_id: str, *, vector_store_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Deleted, HomeT]:
        """Remove a file from a store: a cold Observable. ``DELETE …/files/{file_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._delete(path(_FILE, vector_store_id=vector_store_id, file_id=file_id), options)

    def content(
        self, file_id: str, *, vector_store_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[VectorStoreFileContent, HomeT]:
        """The text of a file as the store parsed it. ``GET …/files/{file_id}/content``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_FILE + "/content", vector_store_id=vector_store_id, file_id=file_id)
        return self._call(VectorStoreFileContent, self._request("GET", where, options))

    def poll(
        self, file_id: str, *, vector_store_id: str, **options: Unpack[PollOptions]
    ) -> LoopObservable[VectorStoreFile, HomeT]:
        """Emits the file at each change, until it is indexed, failed or cancelled: cold.

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
        ids = {"file_id": file_id, "vector_store_id": vector_store_id}
        return self._poll(VectorStoreFile, _FILE, ids, options, _file_ended)

    def create_and_poll(
        self, file_id: str, *, vector_store_id: str, **parameters: Unpack[IngestionPollParameters]
    ) -> LoopObservable[VectorStoreFile, HomeT]:
        """Add a file to a store, once, and poll it to its end.

        Keywords:

        - ``chunking_strategy``: how files are cut into chunks, such as ``{"type": "auto"}``.
        - ``attributes``: up to 16 pairs that a search can filter by.
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
        options, rest = poll_options(parameters)
        created = self.create(vector_store_id, file_id=file_id, **rest)
        return self._then(
            created, lambda file: self.poll(file.id, vector_store_id=vector_store_id, **options)
        )

    def upload(
        self,
        *,
        vector_store_id: str,
        file: UploadFile,
        upload_progress: UploadProgress | None = None,
        **parameters: Unpack[IngestionParameters],
    ) -> LoopObservable[VectorStoreFile, HomeT]:
        """Upload a file and add it to a store, once: emits it in its first state, and completes.

        The request options are for both requests, ``extra_body`` only for the second one. If the
        file cannot be added, ``UploadError`` has its id.

        Keywords:

        - ``chunking_strategy``: how files are cut into chunks, such as ``{"type": "auto"}``.
        - ``attributes``: up to 16 pairs that a search can filter by.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        self.create(vector_store_id, file_id="file", **parameters)  # raises before any request
        check_searchable([file])
        uploaded = self._uploads.create(
            file=file,
            purpose="assistants",
            upload_progress=upload_progress,
            **_upload_options(parameters),
        )

        def add(uploaded: File) -> Observable[VectorStoreFile]:
            created = self.create(vector_store_id, file_id=uploaded.id, **parameters)
            return created.pipe(ops.catch(_naming(file, [uploaded.id])))

        return self._then(uploaded, add)

    def upload_and_poll(
        self,
        *,
        vector_store_id: str,
        file: UploadFile,
        upload_progress: UploadProgress | None = None,
        **parameters: Unpack[IngestionPollParameters],
    ) -> LoopObservable[VectorStoreFile, HomeT]:
        """Upload a file, add it to a store, once, and poll it to its end; as ``upload``.

        Keywords:

        - ``chunking_strategy``: how files are cut into chunks, such as ``{"type": "auto"}``.
        - ``attributes``: up to 16 pairs that a search can filter by.
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
        options, rest = poll_options(parameters)
        added = self.upload(
            vector_store_id=vector_store_id, file=file, upload_progress=upload_progress, **rest
        )
        return self._then(
            added, lambda file: self.poll(file.id, vector_store_id=vector_store_id, **options)
        )


class FileOutcomes(Listing[VectorStoreFile, HomeT]):
    """The outcome of each file of a batch: items with ``status`` and ``last_error``."""

    def raise_for_status(self) -> LoopObservable[VectorStoreFile, HomeT]:
        """The same files; ends in ``FilesFailed`` if some of them failed or were cancelled."""

        def begin() -> tuple[Step[VectorStoreFile, VectorStoreFile], Finish[VectorStoreFile]]:
            failed: list[VectorStoreFile] = []

            def step(file: VectorStoreFile) -> tuple[VectorStoreFile]:
                if file.status in _FAILED:
                    failed.append(file)
                return (file,)

            def finish() -> tuple[()]:
                if failed:
                    raise FilesFailed(failed)
                return ()

            return step, finish

        checked = self.pipe(choose_each(begin))
        return LoopObservable(self._home, checked.pipe(ops.catch(self._named)))

    def _named(
        self, error: Exception, _: Observable[VectorStoreFile]
    ) -> Observable[VectorStoreFile]:
        """The error with the files' own names, if the service returns them."""
        if not isinstance(error, FilesFailed):
            return rx.throw(error)
        files = Files(self._connection)
        asked = [files.retrieve(file.id).pipe(ops.catch(_unnamed)) for file in error.files[:_NAMED]]

        def named(found: list[File]) -> Observable[VectorStoreFile]:
            return rx.throw(FilesFailed(error.files, {file.id: file.filename for file in found}))

        return rx.merge(*asked).pipe(ops.to_list(), ops.flat_map(named))


def _unnamed(_: Exception, __: Observable[File]) -> Observable[File]:
    return rx.empty()


class FileBatches(Resource[HomeT]):
    """Files that are added to a vector store together."""

    def __init__(self, connection: Connection[HomeT]) -> None:
        super().__init__(connection)
        self._uploads = Files(connection)

    def create(
        self, vector_store_id: str, **parameters: Unpack[FileBatchParameters]
    ) -> LoopObservable[VectorStoreFileBatch, HomeT]:
        """Add files to a store, once: an Observable of the batch. ``POST …/file_batches``.

        Keywords:

        - ``chunking_strategy``: how files are cut into chunks, such as ``{"type": "auto"}``.
        - ``attributes``: up to 16 pairs that a search can filter by.
        - ``file_ids``: the ids of the files.
        - ``files``: the files as mappings with ``file_id`` and settings of their own.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_BATCHES, vector_store_id=vector_store_id)
        request = self._request("POST", where, parameters, FileBatchParameters)
        return self._create(VectorStoreFileBatch, request)

    def retrieve(
        self, batch_id: str, *, vector_store_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[VectorStoreFileBatch, HomeT]:
        """The state of the batch: a cold Observable. ``GET …/file_batches/{batch_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_BATCH, vector_store_id=vector_store_id, batch_id=batch_id)
        return self._call(VectorStoreFileBatch, self._request("GET", where, options))

    def cancel(
        self, batch_id: str, *, vector_store_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[VectorStoreFileBatch, HomeT]:
        """Cancel a batch: a cold Observable of it. ``POST …/file_batches/{batch_id}/cancel``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_BATCH + "/cancel", vector_store_id=vector_store_id, batch_id=batch_id)
        return self._call(VectorStoreFileBatch, self._request("POST", where, options))

    def list_files(
        self,
        batch_id: str,
        *,
        vector_store_id: str,
        **parameters: Unpack[VectorStoreFileListParameters],
    ) -> FileOutcomes:
        """The files of a batch: a cold Observable of items. ``GET …/{batch_id}/files``.

        Keywords:

        - ``limit``: how many items one page has, from 1 to 100.
        - ``order``: ``"asc"`` gives the oldest items first, ``"desc"`` the newest.
        - ``after``: the id of an item: the list begins after it.
        - ``before``: the id of an item: the list ends before it.
        - ``filter``: only the files with this status.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_BATCH + "/files", vector_store_id=vector_store_id, batch_id=batch_id)
        request = self._request("GET", where, parameters, VectorStoreFileListParameters)
        return FileOutcomes(self._connection, VectorStoreFile, request)

    def file_outcomes(
        self,
        batch_id: str,
        *,
        vector_store_id: str,
        **parameters: Unpack[VectorStoreFileListParameters],
    ) -> FileOutcomes:
        """The outcome of each file of a batch that has ended: a cold Observable.

        ``.raise_for_status()`` fails if a file did. ``GET …/{batch_id}/files``.

        Keywords:

        - ``limit``: how many items one page has, from 1 to 100.
        - ``order``: ``"asc"`` gives the oldest items first, ``"desc"`` the newest.
        - ``after``: the id of an item: the list begins after it.
        - ``before``: the id of an item: the list ends before it.
        - ``filter``: only the files with this status.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self.list_files(batch_id, vector_store_id=vector_store_id, **parameters)

    def poll(
        self, batch_id: str, *, vector_store_id: str, **options: Unpack[PollOptions]
    ) -> LoopObservable[VectorStoreFileBatch, HomeT]:
        """Emits the batch each time it has changed, with its ``file_counts``: a cold Observable.

        Completes when it is cancelled, has failed, or is completed with nothing in progress.

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
        ids = {"batch_id": batch_id, "vector_store_id": vector_store_id}
        return self._poll(VectorStoreFileBatch, _BATCH, ids, options, _batch_ended)

    def create_and_poll(
        self, vector_store_id: str, **parameters: Unpack[FileBatchPollParameters]
    ) -> LoopObservable[VectorStoreFileBatch, HomeT]:
        """Add files to a store, once, and poll the batch to its end.

        Keywords:

        - ``chunking_strategy``: how files are cut into chunks, such as ``{"type": "auto"}``.
        - ``attributes``: up to 16 pairs that a search can filter by.
        - ``file_ids``: the ids of the files.
        - ``files``: the files as mappings with ``file_id`` and settings of their own.
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
        options, rest = poll_options(parameters)
        return self._then(
            self.create(vector_store_id, **rest),
            lambda batch: self.poll(batch.id, vector_store_id=vector_store_id, **options),
        )

    def upload_and_poll(
        self,
        vector_store_id: str,
        *,
        files: Iterable[UploadFile],
        file_ids: Iterable[str] = (),
        max_concurrency: int = 5,
        upload_progress: UploadProgress | None = None,
        **parameters: Unpack[IngestionPollParameters],
    ) -> LoopObservable[VectorStoreFileBatch, HomeT]:
        """Upload files, ``max_concurrency`` at a time, add them to a store, once, and poll.

        ``file_ids`` are files that are at the service already. ``upload_progress`` receives the
        bytes of all files together: the number sent so far, and the total. The request options are
        for every request, ``extra_body`` only for the one that creates the batch.

        If an upload fails, running uploads end, no other begins and no batch is created:
        ``UploadError`` has the file, and the ids of the files that were uploaded. It also has these
        ids if the batch cannot be created; its ``file`` is then the list of files.

        Keywords:

        - ``chunking_strategy``: how files are cut into chunks, such as ``{"type": "auto"}``.
        - ``attributes``: up to 16 pairs that a search can filter by.
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
        every = listed("files", files)
        if not every:
            msg = "files must not be empty; for files that are there already use create_and_poll"
            raise ValueError(msg)
        check_searchable(every)
        check_positive("max_concurrency", max_concurrency, whole=True)
        options, rest = poll_options(parameters)
        known = listed("file_ids", file_ids)
        if len(every) + len(known) > _LARGEST_BATCH:
            msg = (
                f"a batch may have {_LARGEST_BATCH} files, got {len(every) + len(known)} files and "
                "file_ids; upload them in several calls"
            )
            raise ValueError(msg)
        self.create(vector_store_id, file_ids=known, **rest)  # raises before any request
        tellers = [None] * len(every) if upload_progress is None else shares(upload_progress, every)
        calls = [
            self._uploads.create(
                file=file, purpose="assistants", upload_progress=tell, **_upload_options(rest)
            )
            for file, tell in zip(every, tellers, strict=True)
        ]
        uploads = ends_with(_upload_all(every, calls, max_concurrency), upload_progress)

        def add(uploaded: list[str]) -> Observable[VectorStoreFileBatch]:
            created = self.create(vector_store_id, file_ids=[*known, *uploaded], **rest)
            return created.pipe(ops.catch(_naming(every, uploaded)))

        return self._then(
            self._then(self._bound(uploads), add),
            lambda batch: self.poll(batch.id, vector_store_id=vector_store_id, **options),
        )


def _upload_options(given: Mapping[str, object]) -> dict[str, Any]:
    """The request options for an upload that comes before a call with these parameters."""
    return {name: given[name] for name in _UPLOAD_OPTIONS if name in given}


def _naming(
    file: object, file_ids: list[str]
) -> Callable[[Exception, Observable[_T]], Observable[_T]]:
    """Raise an ``UploadError`` for an error that comes after files were uploaded."""

    def fail(error: Exception, _: Observable[_T]) -> Observable[_T]:
        failed = UploadError(file, error, file_ids, uploaded=True)
        failed.__cause__ = error
        return rx.throw(failed)

    return fail


def _raise_failure(file: UploadFile, error: Exception, ids: list[str]) -> NoReturn:
    """Raise an ``UploadError``, or the exception of a progress callback."""
    if isinstance(error, RxAssistError | OSError):
        raise UploadError(file, error, ids) from error
    error.add_note(f"files that were uploaded before: {ids}")
    raise error


def _upload_all(
    files: list[UploadFile], calls: Sequence[Observable[File]], most: int
) -> Observable[list[str]]:
    """Upload all, and then emit their ids in the order of the files.

    After a failure no other upload begins; when the running ones have ended, the error comes.
    """

    def begin(_: object) -> Observable[list[str]]:
        done: dict[int, str] = {}
        failures: list[tuple[UploadFile, Exception]] = []

        def upload(index: int) -> Observable[File]:
            def keep(file: File) -> None:
                done[index] = file.id

            def fail(error: Exception, _: Observable[File]) -> Observable[File]:
                failures.append((files[index], error))
                return rx.empty()

            return calls[index].pipe(ops.do_action(keep), ops.catch(fail))

        def pending() -> Generator[Observable[File]]:
            for index in range(len(files)):
                if failures:
                    return
                yield upload(index)

        def outcome(_: int) -> list[str]:
            ids = [done[index] for index in sorted(done)]
            if failures:
                _raise_failure(*failures[0], ids)
            return ids

        shared = pending()
        lanes = [rx.concat_with_iterable(shared) for _ in range(min(most, len(files)))]
        return rx.merge(*lanes).pipe(ops.count(), ops.map(outcome))

    return rx.defer(begin)


class VectorStores(Resource[HomeT]):
    """Searchable collections of files."""

    files: VectorStoreFiles[HomeT]
    file_batches: FileBatches[HomeT]

    def __init__(self, connection: Connection[HomeT]) -> None:
        super().__init__(connection)
        self.files = VectorStoreFiles(connection)
        self.file_batches = FileBatches(connection)

    def create(
        self, **parameters: Unpack[VectorStoreParameters]
    ) -> LoopObservable[VectorStore, HomeT]:
        """Create a store, once: an Observable of it. ``POST /vector_stores``.

        Keywords:

        - ``file_ids``: the ids of files to add to the store.
        - ``name``: the name of the store.
        - ``description``: the description of the store.
        - ``expires_after``: when the store expires: a mapping with ``anchor`` and ``days``.
        - ``chunking_strategy``: how files are cut into chunks, such as ``{"type": "auto"}``.
        - ``metadata``: up to 16 pairs of text, stored with the object.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        request = self._request("POST", _STORES, parameters, VectorStoreParameters)
        return self._create(VectorStore, request)

    def retrieve(
        self, vector_store_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[VectorStore, HomeT]:
        """The state of the store: a cold Observable. ``GET /vector_stores/{vector_store_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_STORE, vector_store_id=vector_store_id)
        return self._call(VectorStore, self._request("GET", where, options))

    def update(
        self, vector_store_id: str, **parameters: Unpack[VectorStoreUpdateParameters]
    ) -> LoopObservable[VectorStore, HomeT]:
        """Change a store: a cold Observable of it. ``POST /vector_stores/{vector_store_id}``.

        Keywords:

        - ``name``: the name of the store.
        - ``expires_after``: when the store expires: a mapping with ``anchor`` and ``days``.
        - ``metadata``: up to 16 pairs of text, stored with the object.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_STORE, vector_store_id=vector_store_id)
        request = self._request("POST", where, parameters, VectorStoreUpdateParameters)
        return self._call(VectorStore, request)

    def list(self, **parameters: Unpack[ListParameters]) -> Listing[VectorStore, HomeT]:
        """The stores, newest first: a cold Observable of items. ``GET /vector_stores``.

        Keywords:

        - ``limit``: how many items one page has, from 1 to 100.
        - ``order``: ``"asc"`` gives the oldest items first, ``"desc"`` the newest.
        - ``after``: the id of an item: the list begins after it.
        - ``before``: the id of an item: the list ends before it.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._list(VectorStore, _STORES, parameters, ListParameters)

    def delete(
        self, vector_store_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Deleted, HomeT]:
        """Delete a store, not its files. ``DELETE /vector_stores/{vector_store_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._delete(path(_STORE, vector_store_id=vector_store_id), options)

    def search(
        self, vector_store_id: str, **parameters: Unpack[SearchParameters]
    ) -> LoopObservable[VectorStoreSearchPage, HomeT]:
        """Search the files: a cold Observable of a page of results. ``POST …/search``.

        Keywords:

        - ``query``, required: the text to search for, or several texts.
        - ``filters``: a filter on the attributes of the files.
        - ``max_num_results``: the highest number of results.
        - ``ranking_options``: how results are ranked, and the lowest score of a result.
        - ``rewrite_query``: whether the service may rewrite the query for its search.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_STORE + "/search", vector_store_id=vector_store_id)
        request = self._request("POST", where, parameters, SearchParameters)
        return self._call(VectorStoreSearchPage, request)

    def poll(
        self, vector_store_id: str, **options: Unpack[PollOptions]
    ) -> LoopObservable[VectorStore, HomeT]:
        """Emits the store each time it has changed, until it is ready (or expired): cold.

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
        ids = {"vector_store_id": vector_store_id}
        return self._poll(VectorStore, _STORE, ids, options, _store_ready)
