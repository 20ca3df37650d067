"""The service's state: objects in SQLite, written as they are created and change status."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any, TypeAlias, TypeVar

from attrs import field, frozen

from rxassist.models import (
    Assistant,
    File,
    FileCounts,
    Message,
    Run,
    RunStep,
    Thread,
    VectorStore,
    VectorStoreFile,
    VectorStoreFileBatch,
)
from rxassist.wire.json import from_json, to_json
from rxassist.wire.structure import structure, unstructure

_T = TypeVar("_T")

Stored: TypeAlias = (
    Assistant
    | Thread
    | Message
    | Run
    | RunStep
    | File
    | VectorStore
    | VectorStoreFile
    | VectorStoreFileBatch
)
"""What the store holds: objects with an id."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    parent TEXT NOT NULL,
    json TEXT NOT NULL,
    UNIQUE (id, kind, parent)
);
CREATE INDEX IF NOT EXISTS objects_of_parent ON objects (parent, kind, sequence);
CREATE INDEX IF NOT EXISTS objects_of_kind ON objects (kind, parent, sequence);
CREATE TABLE IF NOT EXISTS contents (
    file_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (file_id, position)
);
CREATE TRIGGER IF NOT EXISTS contents_go_with_their_file AFTER DELETE ON objects
WHEN OLD.kind = 'File' BEGIN DELETE FROM contents WHERE file_id = OLD.id; END;
DELETE FROM contents WHERE file_id NOT IN (SELECT id FROM objects WHERE kind = 'File');
"""

_PRIMARY_CODE = 0xFF  # of an error code of SQLite; the bits above say more about it

_DELETE = """
WITH RECURSIVE doomed (sequence, id) AS (
    SELECT sequence, id FROM objects WHERE id = ?
    UNION SELECT objects.sequence, objects.id FROM objects JOIN doomed ON objects.parent = doomed.id
) DELETE FROM objects WHERE sequence IN (SELECT sequence FROM doomed)
"""

_COUNT = """
SELECT json_extract(json, '$.status'), count(*), sum(json_extract(json, '$.usage_bytes'))
FROM objects WHERE parent = ? AND kind = 'VectorStoreFile' GROUP BY 1
"""


@frozen
class PageRequest:
    """Which part of a list is wanted; ``after`` and ``before`` are ids, in the list's order.

    ``where`` picks the objects that have these values in these fields.
    """

    limit: int = 20
    descending: bool = True
    after: str | None = None
    before: str | None = None
    where: Mapping[str, str] = field(factory=dict[str, str])


class Store:
    """Objects by id, in the order in which they were created, some below a parent.

    Belongs to the thread that made it. Writes are committed together: before an answer is sent,
    at the latest when the loop turns (``later`` is its ``call_soon``). A file belongs to one store
    at a time: it is locked until the store is closed or its process has ended, however it ended.
    """

    def __init__(self, database: str | None, later: Callable[[Callable[[], None]], object]) -> None:
        self._later = later
        self._writing = False
        self._failure = ""
        self._connection = _opened(database)

    def save(self, item: Stored, parent: str | None = None) -> None:
        """Write an object, a new one behind all others of its kind.

        With ``parent`` it is written below another parent than its own: a file of a vector store
        is also in the batch with which it came.
        """
        self._write(
            "INSERT INTO objects (kind, id, parent, json) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id, kind, parent) DO UPDATE SET json = excluded.json",
            (
                type(item).__name__,
                item.id,
                _parent(item) if parent is None else parent,
                to_json(unstructure(item)).decode(),
            ),
        )

    def delete(self, item_id: str) -> None:
        """Remove an object from wherever it is, and all that is below it."""
        self._write(_DELETE, (item_id,))

    def remove(self, item_id: str, parent: str) -> None:
        """Remove an object from below a parent only."""
        self._write("DELETE FROM objects WHERE id = ? AND parent = ?", (item_id, parent))

    def append(self, file_id: str, position: int, content: bytes) -> None:
        """Write a piece of a file's content, the first at 0."""
        self._write("INSERT INTO contents VALUES (?, ?, ?)", (file_id, position, content))

    def content(self, file_id: str) -> Iterator[bytes]:
        """The content of a file, piece by piece; nothing is held open in between."""
        for position in count():
            rows = self._connection.execute(
                "SELECT bytes FROM contents WHERE file_id = ? AND position = ?",
                (file_id, position),
            )
            piece = rows.fetchone()
            if piece is None:
                return
            yield piece[0]

    def file_counts(self, parent: str) -> tuple[FileCounts, int]:
        """How many files are in which state below a vector store or a batch, and their size."""
        rows = self._connection.execute(_COUNT, (parent,)).fetchall()
        counts = {status: number for status, number, _ in rows}
        total = sum(counts.values())
        return structure({**counts, "total": total}, FileCounts), sum(row[2] for row in rows)

    def find(self, kind: type[_T], item_id: str, parent: str = "") -> _T | None:
        """The object of an id, ``None`` if there is none of this kind below this parent."""
        text = self.find_json(kind, item_id, parent)
        return None if text is None else structure(from_json(text), kind)

    def find_json(self, kind: type, item_id: str, parent: str = "") -> str | None:
        """The same as JSON."""
        rows = self._select("id = ? AND kind = ? AND parent = ?", (item_id, kind.__name__, parent))
        return rows[0] if rows else None

    def children(self, kind: type[_T], parent: str) -> tuple[_T, ...]:
        """All objects of a kind below a parent, oldest first."""
        rows = self._select("parent = ? AND kind = ? ORDER BY sequence", (parent, kind.__name__))
        return tuple(structure(from_json(text), kind) for text in rows)

    def with_status(self, kind: type[_T], statuses: Iterable[str]) -> tuple[_T, ...]:
        """All objects of a kind whose status is one of these."""
        wanted = tuple(statuses)
        marks = ", ".join("?" * len(wanted))
        condition = f"kind = ? AND json_extract(json, '$.status') IN ({marks})"
        rows = self._select(condition, (kind.__name__, *wanted))
        return tuple(structure(from_json(text), kind) for text in rows)

    def page(self, kind: type, wanted: PageRequest, parent: str = "") -> tuple[list[str], bool]:
        """A part of the list of a kind below a parent as JSON, and whether there is more."""
        conditions, values = ["kind = ? AND parent = ?"], [kind.__name__, parent]
        for name, value in wanted.where.items():
            conditions.append("json_extract(json, ?) = ?")
            values += [f"$.{name}", value]
        place = "(SELECT sequence FROM objects WHERE kind = ? AND parent = ? AND id = ?)"
        for cursor, further in (
            (wanted.after, wanted.descending),
            (wanted.before, not wanted.descending),
        ):
            if cursor is not None:
                conditions.append(f"sequence {'<' if further else '>'} {place}")
                values += [kind.__name__, parent, cursor]
        # The page before a cursor is the part next to it: it is read backwards, and turned round.
        backwards = wanted.before is not None and wanted.after is None
        order = "DESC" if wanted.descending != backwards else "ASC"
        condition = f"{' AND '.join(conditions)} ORDER BY sequence {order} LIMIT ?"
        rows = self._select(condition, (*values, wanted.limit + 1))
        found = rows[: wanted.limit]
        return (found[::-1] if backwards else found), len(rows) > wanted.limit

    def commit(self) -> None:
        """Make everything durable that was written.

        Raises ``sqlite3.Error`` if that is impossible, now or at an earlier call: what was lost
        then is part of what would be answered later.
        """
        if self._failure:
            raise sqlite3.OperationalError(self._failure)
        if self._writing:
            self._writing = False
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._failure = f"an earlier write was lost: {error}"
                raise

    def close(self) -> None:
        """Commit, and let go of the database; nothing can be done afterwards."""
        try:
            self.commit()
        finally:
            self._connection.close()

    def _select(self, condition: str, values: tuple[Any, ...]) -> list[str]:
        # The conditions are texts of this module; whatever comes from outside is a bound value.
        query = f"SELECT json FROM objects WHERE {condition}"  # noqa: S608
        return [row[0] for row in self._connection.execute(query, values)]

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        if not self._writing:
            self._connection.execute("BEGIN")
            self._writing = True
            self._later(self.commit)
        self._connection.execute(statement, values)


def _opened(database: str | None) -> sqlite3.Connection:
    """A database with the tables that the store needs; its file is locked."""
    # No isolation level: transactions are begun and committed by the store, not by the module.
    # No timeout: the service that holds the lock keeps it as long as it runs.
    name = ":memory:" if database is None else database
    try:
        connection = sqlite3.connect(name, isolation_level=None, timeout=0)
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            # A commit survives the end of the process, but not always that of the machine.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
    except sqlite3.Error as error:
        reason = str(error)
        if getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE == sqlite3.SQLITE_BUSY:
            reason = "another service or program uses it; end that, or choose another file"
        msg = f"cannot use {name!r} as the database: {reason}"
        raise type(error)(msg) from error
    return connection


def _parent(item: Stored) -> str:
    if isinstance(item, RunStep):
        return item.run_id
    if isinstance(item, Message | Run):
        return item.thread_id
    if isinstance(item, VectorStoreFile | VectorStoreFileBatch):
        return item.vector_store_id
    return ""


__all__ = ["PageRequest", "Store", "Stored"]
