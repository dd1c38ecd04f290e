"""Ids that a command has seen.  They are on disk, so a long file or a large workspace does not need more memory."""

import sqlite3
from uuid import UUID


class SeenIds:
    """Ids, each with a kind and a number that the caller chooses.

    SQLite keeps a database without a name in a temporary file, and deletes it when the process ends.
    """

    def __init__(self) -> None:
        # One thread at a time uses it, but not always the same one.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(
            """
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            CREATE TABLE seen (kind INTEGER, id BLOB, number INTEGER, PRIMARY KEY (kind, id)) WITHOUT ROWID;
            BEGIN;
            """
        )

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    def note(self, kind: int, id_: str, number: int) -> int | None:
        """Note an id, and return the number that was noted with it before; ``None`` if this is the first time."""
        values = (kind, UUID(id_).bytes, number)
        if self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", values).rowcount:
            return None
        return self.number_of(kind, id_)

    def number_of(self, kind: int, id_: str) -> int | None:
        """Return the number that was noted with an id; ``None`` if it was not noted."""
        where = (kind, UUID(id_).bytes)
        row = self._database.execute("SELECT number FROM seen WHERE kind = ? AND id = ?", where).fetchone()
        return None if row is None else int(row[0])
