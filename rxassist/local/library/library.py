"""How files get into vector stores."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from functools import partial
from typing import Any

import attrs
from reactivex import abc

from rxassist.local.library.ingestion import Ingest, Upload
from rxassist.local.scripts.moves import Fail, Wait
from rxassist.local.scripts.playback import Playback
from rxassist.local.server.identity import now
from rxassist.local.server.store import Store
from rxassist.models import (
    File,
    FileCounts,
    LastError,
    VectorStore,
    VectorStoreFile,
    VectorStoreFileBatch,
)
from rxassist.wire.structure import structure


class Library:
    """Adds files to vector stores as a script says, and saves their status."""

    def __init__(self, ingest: Ingest, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self._ingest = ingest
        self._store = store
        self._loop = loop
        self._work: dict[tuple[str, str], _Work] = {}  # by store and file

    def resume(self) -> None:
        """Restart the work that an earlier process did not finish: a script needs only the file."""
        for batch in self._store.with_status(VectorStoreFileBatch, ("in_progress",)):
            for item in self._store.children(VectorStoreFile, batch.id):
                if item.status == "in_progress":
                    self.add(item, batch.id)
        for item in self._store.with_status(VectorStoreFile, ("in_progress",)):
            if _key(item) not in self._work:
                self.add(item)

    def add(self, item: VectorStoreFile, batch_id: str | None = None) -> None:
        """Begin to add a file, alone or in a batch."""
        self.leave(item)
        self._write(item, batch_id)
        timeline, end = self._timeline(item.id), partial(self._end, item)
        subscription = Playback(timeline, self._loop).subscribe(end, None, partial(end, None))
        self._work[_key(item)] = _Work(batch_id, timeline, subscription)

    def cancel(self, batch: VectorStoreFileBatch) -> VectorStoreFileBatch:
        """Cancel the work on the files of a batch; a batch that is over stays as it is."""
        waiting = [key for key, work in self._work.items() if work.batch_id == batch.id]
        for key in waiting:
            self._finish(key, status="cancelled")
        if waiting:
            batch = attrs.evolve(batch, status="cancelled")
            self._store.save(batch)
        return batch

    def update(self, item: VectorStoreFile) -> None:
        """Save a file whose attributes changed, also below its batches."""
        self._store.save(item)
        for batch in self._store.children(VectorStoreFileBatch, item.vector_store_id):
            in_batch = self._store.find(VectorStoreFile, item.id, batch.id)
            if in_batch is not None:
                changed = attrs.evolve(in_batch, attributes=item.attributes)
                self._store.save(changed, batch.id)

    def leave(self, item: VectorStoreFile) -> None:
        """Cancel the work on a file, if it goes on."""
        if _key(item) in self._work:
            self._finish(_key(item), status="cancelled")

    def drop(self, file_id: str | None = None, store_id: str | None = None) -> None:
        """Stop the work on a file, on the files of a store, or on all; save nothing."""
        for key in tuple(self._work):
            if key[0] == (store_id or key[0]) and key[1] == (file_id or key[1]):
                self._work.pop(key).close()

    def upload(self, file_id: str) -> Upload:
        """A file and its content."""
        file = self._store.find(File, file_id)
        if file is None:  # a deleted file is in no store
            msg = f"no file {file_id}"
            raise LookupError(msg)
        return Upload(file, partial(self._store.content, file_id))

    def _timeline(self, file_id: str) -> Generator[LastError | float, None, None]:
        """The pauses of the script, and its error if there is one, after which it is closed."""
        try:
            for move in self._ingest(self.upload(file_id)):
                match move:
                    case Wait():
                        yield float(move.seconds)
                    case Fail():
                        yield LastError(move.code, move.message)
                    case _:
                        yield _broken(f"The script yielded {move!r}, which is no move")
        except Exception as error:  # noqa: BLE001 -- the script's; it becomes the file's error
            yield _broken(f"The script raised {type(error).__name__}: {error}")

    def _end(self, item: VectorStoreFile, error: LastError | None) -> None:
        if error is None:
            size = self.upload(item.id).file.bytes
            self._finish(_key(item), status="completed", usage_bytes=size)
        else:
            self._finish(_key(item), status="failed", last_error=error)

    def _finish(self, key: tuple[str, str], **changes: Any) -> None:
        """Save how the work on a file ended."""
        work = self._work.pop(key)
        store_id, file_id = key
        item = self._store.find(VectorStoreFile, file_id, store_id)
        if item is not None:
            self._write(attrs.evolve(item, **changes), work.batch_id)
        work.close()

    def _write(self, item: VectorStoreFile, batch_id: str | None) -> None:
        self._store.save(item)
        if batch_id is not None:
            self._store.save(item, batch_id)


@attrs.frozen(eq=False)
class _Work:
    """The work on a file, and the batch that added it."""

    batch_id: str | None
    timeline: Generator[LastError | float, None, None]
    subscription: abc.DisposableBase

    def close(self) -> None:
        """Stop, and let the script clean up."""
        self.subscription.dispose()
        self.timeline.close()


def counted(
    store: Store, item: VectorStore | VectorStoreFileBatch
) -> VectorStore | VectorStoreFileBatch:
    """A vector store or a batch, with the counts of its files, and the status that follows."""
    totals = store.totals(VectorStoreFile, item.id, "usage_bytes")
    numbers = {status: number for status, (number, _) in totals.items()}
    counts = structure({**numbers, "total": sum(numbers.values())}, FileCounts)
    size = sum(total for _, total in totals.values())
    status = "in_progress" if counts.in_progress else "completed"
    if isinstance(item, VectorStore):
        if item.expires_at is not None and item.expires_at <= now():
            status = "expired"
        return attrs.evolve(item, file_counts=counts, status=status, usage_bytes=size)
    if item.status == "cancelled":
        status = item.status
    return attrs.evolve(item, file_counts=counts, status=status)


def _key(item: VectorStoreFile) -> tuple[str, str]:
    return item.vector_store_id, item.id


def _broken(message: str) -> LastError:
    return LastError("server_error", message)


__all__ = ["Library", "counted"]
