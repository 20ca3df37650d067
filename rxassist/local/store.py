"""The service's state: objects in SQLite, written as they are created and change status."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

from attrs import frozen

from rxassist.codec import from_json, structure, to_json, unstructure
from rxassist.models import Assistant, Message, Run, RunStep, Thread

_T = TypeVar("_T")

Stored: TypeAlias = Assistant | Thread | Message | Run | RunStep
"""What the store holds: objects with an id."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    parent TEXT NOT NULL,
    json TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS objects_of_parent ON objects (parent, kind, sequence);
CREATE INDEX IF NOT EXISTS objects_of_kind ON objects (kind, parent, sequence);
"""

_DELETE = """
WITH RECURSIVE doomed (id) AS (
    SELECT ? UNION SELECT objects.id FROM objects JOIN doomed ON objects.parent = doomed.id
) DELETE FROM objects WHERE id IN doomed
"""


@frozen
class PageRequest:
    """Which part of a list is wanted; ``after`` and ``before`` are ids, in the list's order."""

    limit: int = 20
    descending: bool = True
    after: str | None = None
    before: str | None = None


class Store:
    """Objects by id, in the order in which they were created, some below a parent.

    Belongs to the thread that made it. Writes are committed together, when the loop turns:
    ``later`` is its ``call_soon``.
    """

    def __init__(self, database: str | None, later: Callable[[Callable[[], None]], object]) -> None:
        self._later = later
        self._writing = False
        # No isolation level: transactions are begun and committed here, not by the module.
        self._connection = sqlite3.connect(database or ":memory:", isolation_level=None)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error:
            self._connection.close()
            raise

    def save(self, item: Stored) -> None:
        """Write an object, a new one behind all others of its kind."""
        self._write(
            "INSERT INTO objects (kind, id, parent, json) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET json = excluded.json",
            (type(item).__name__, item.id, _parent(item), to_json(unstructure(item)).decode()),
        )

    def delete(self, item_id: str) -> None:
        """Remove an object, and all that is below it."""
        self._write(_DELETE, (item_id,))

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

    def page(
        self, kind: type, wanted: PageRequest, parent: str = "", run_id: str | None = None
    ) -> tuple[list[str], bool]:
        """A part of the list of a kind below a parent as JSON, and whether there is more.

        ``run_id`` picks the objects that belong to a run.
        """
        conditions, values = ["kind = ? AND parent = ?"], [kind.__name__, parent]
        if run_id is not None:
            conditions.append("json_extract(json, '$.run_id') = ?")
            values.append(run_id)
        place = "(SELECT sequence FROM objects WHERE id = ?)"
        for cursor, further in (
            (wanted.after, wanted.descending),
            (wanted.before, not wanted.descending),
        ):
            if cursor is not None:
                conditions.append(f"sequence {'<' if further else '>'} {place}")
                values.append(cursor)
        # The page before a cursor is the part next to it: it is read backwards, and turned round.
        backwards = wanted.before is not None and wanted.after is None
        order = "DESC" if wanted.descending != backwards else "ASC"
        condition = f"{' AND '.join(conditions)} ORDER BY sequence {order} LIMIT ?"
        rows = self._select(condition, (*values, wanted.limit + 1))
        found = rows[: wanted.limit]
        return (found[::-1] if backwards else found), len(rows) > wanted.limit

    def commit(self) -> None:
        """Make what was written last."""
        if self._writing:
            self._writing = False
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Commit, and let go of the database; nothing can be done afterwards."""
        self.commit()
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


def _parent(item: Stored) -> str:
    if isinstance(item, RunStep):
        return item.run_id
    if isinstance(item, Message | Run):
        return item.thread_id
    return ""


__all__ = ["PageRequest", "Store", "Stored"]
