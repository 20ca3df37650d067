"""The service's state: objects in SQLite, saved when they are created and when they change."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any, Protocol, TypeVar

from attrs import field, frozen

from rxassist.wire.json import from_json, to_json
from rxassist.wire.structure import structure, unstructure

_T = TypeVar("_T")


class Stored(Protocol):
    """An object that the store can hold; its class is its kind."""

    @property
    def id(self) -> str:
        """The id, unique among the objects of its kind with the same parent."""
        ...

    @property
    def object(self) -> str:
        """The name of the kind on the wire."""
        ...


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

_PRIMARY_CODE = 0xFF  # of an error code of SQLite; the bits above it are details

_DELETE = """
WITH RECURSIVE doomed (sequence, id) AS (
    SELECT sequence, id FROM objects WHERE id = ?
    UNION SELECT objects.sequence, objects.id FROM objects JOIN doomed ON objects.parent = doomed.id
) DELETE FROM objects WHERE sequence IN (SELECT sequence FROM doomed)
"""

_MEMBER = """
SELECT member.value FROM objects, json_each(objects.json, ?) AS member
WHERE objects.kind = ? AND json_extract(member.value, '$.id') = ? LIMIT 1
"""

_TOTALS = """
SELECT json_extract(json, '$.status'), count(*), sum(json_extract(json, ?))
FROM objects WHERE parent = ? AND kind = ? GROUP BY 1
"""


@frozen
class PageRequest:
    """The requested part of a list; ``after`` and ``before`` are ids, in the list's order.

    ``where`` selects the objects that have these values in these fields.
    """

    limit: int = 20
    descending: bool = True
    after: str | None = None
    before: str | None = None
    where: Mapping[str, str] = field(factory=dict[str, str])


class Store:
    """Objects by id, in the order of their creation, some below a parent.

    ``parents`` has, for each kind of object that is below another one, the field with the id of
    its parent. The store belongs to the thread that made it. Writes are committed together: before
    a reply is sent, at the latest in the next turn of the loop (``later`` is its ``call_soon``).
    One store at a time uses a file: the file is locked until the store is closed or its process
    has ended, however it ended.
    """

    def __init__(
        self,
        database: str | None,
        later: Callable[[Callable[[], None]], object],
        parents: Mapping[type, str],
    ) -> None:
        self._later = later
        self._parents = parents
        self._writing = False
        self._failure = ""
        self._connection = _opened(database)

    def save(self, item: Stored, parent: str | None = None) -> None:
        """Write an object; a new one comes after all others of its kind.

        ``parent`` is the id of another parent than its own: a file of a vector store is also in
        the batch that added it.
        """
        self._write(
            "INSERT INTO objects (kind, id, parent, json) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id, kind, parent) DO UPDATE SET json = excluded.json",
            (
                type(item).__name__,
                item.id,
                self._parent(item) if parent is None else parent,
                to_json(unstructure(item)).decode(),
            ),
        )

    def delete(self, item_id: str) -> None:
        """Remove an object from all its parents, and everything below it."""
        self._write(_DELETE, (item_id,))

    def remove(self, item_id: str, parent: str) -> None:
        """Remove an object from one parent only."""
        self._write("DELETE FROM objects WHERE id = ? AND parent = ?", (item_id, parent))

    def append(self, file_id: str, position: int, content: bytes) -> None:
        """Write a piece of a file's content, the first at 0."""
        self._write("INSERT INTO contents VALUES (?, ?, ?)", (file_id, position, content))

    def content(self, file_id: str) -> Iterator[bytes]:
        """The content of a file, piece by piece; nothing stays open between two pieces."""
        for position in count():
            rows = self._connection.execute(
                "SELECT bytes FROM contents WHERE file_id = ? AND position = ?",
                (file_id, position),
            )
            piece = rows.fetchone()
            if piece is None:
                return
            yield piece[0]

    def totals(self, kind: type, parent: str, summed: str) -> dict[str, tuple[int, int]]:
        """For each status: the number of objects of a kind below a parent, and a field's sum."""
        rows = self._connection.execute(_TOTALS, (f"$.{summed}", parent, kind.__name__))
        return {status: (number, total) for status, number, total in rows}

    def find(self, kind: type[_T], item_id: str, parent: str = "") -> _T | None:
        """The object with an id, ``None`` if there is none of this kind below this parent."""
        text = self.find_json(kind, item_id, parent)
        return None if text is None else structure(from_json(text), kind)

    def find_json(self, kind: type, item_id: str, parent: str = "") -> str | None:
        """The same as JSON."""
        rows = self._select("id = ? AND kind = ? AND parent = ?", (item_id, kind.__name__, parent))
        return rows[0] if rows else None

    def find_anywhere(self, kind: type[_T], item_id: str) -> _T | None:
        """An object with an id, below whichever parent."""
        rows = self._select("id = ? AND kind = ? LIMIT 1", (item_id, kind.__name__))
        return structure(from_json(rows[0]), kind) if rows else None

    def find_member(self, kind: type, field_name: str, item_id: str) -> str | None:
        """An item with an id, in a list that is a field of an object of a kind, as JSON."""
        values = (f"$.{field_name}", kind.__name__, item_id)
        row = self._connection.execute(_MEMBER, values).fetchone()
        return None if row is None else str(row[0])

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
        # The page before a cursor ends at the cursor: it is read backwards, and then reversed.
        backwards = wanted.before is not None and wanted.after is None
        order = "DESC" if wanted.descending != backwards else "ASC"
        condition = f"{' AND '.join(conditions)} ORDER BY sequence {order} LIMIT ?"
        rows = self._select(condition, (*values, wanted.limit + 1))
        found = rows[: wanted.limit]
        return (found[::-1] if backwards else found), len(rows) > wanted.limit

    def commit(self) -> None:
        """Make all writes durable.

        Raises ``sqlite3.Error`` if this fails, or if an earlier call failed: later replies would
        depend on the write that was lost.
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
        """Commit, and close the database; the store cannot be used afterwards."""
        try:
            self.commit()
        finally:
            self._connection.close()

    def _parent(self, item: Stored) -> str:
        field_name = self._parents.get(type(item))
        return "" if field_name is None else getattr(item, field_name)

    def _select(self, condition: str, values: tuple[Any, ...]) -> list[str]:
        # The conditions are texts of this module; values from outside are always bound.
        query = f"SELECT json FROM objects WHERE {condition}"  # noqa: S608
        return [row[0] for row in self._connection.execute(query, values)]

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        if not self._writing:
            self._connection.execute("BEGIN")
            self._writing = True
            self._later(self.commit)
        self._connection.execute(statement, values)


def _opened(database: str | None) -> sqlite3.Connection:
    """A database with the tables of the store; its file is locked."""
    # No isolation level: the store begins and commits transactions, not the sqlite3 module.
    # No timeout: a service that holds the lock keeps it as long as it runs.
    name = ":memory:" if database is None else database
    try:
        connection = sqlite3.connect(name, isolation_level=None, timeout=0)
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            # A commit survives a crash of the process, but not always one of the machine.
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


__all__ = ["PageRequest", "Store", "Stored"]
