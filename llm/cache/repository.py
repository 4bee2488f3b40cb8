"""The file of stored answers: a SQLite database of its own, which may be deleted at any time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from .keys import FORMAT
from .stores import EVERYTHING, Bump

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS answers (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, value BLOB NOT NULL, dies REAL NOT NULL);
CREATE INDEX IF NOT EXISTS answers_by_death ON answers (dies);
CREATE TABLE IF NOT EXISTS generations (tag TEXT PRIMARY KEY, generation TEXT NOT NULL, at REAL NOT NULL);
"""
_ROOM: Final = 0.9
"""A file that is too large shrinks to this share, so that not every write has to make room."""
_AT_ONCE: Final = 200
_BUSY_MS: Final = 2000
_OURS_ONLY: Final = 0o600


class Write(NamedTuple):
    """One answer to be kept, and when it dies."""

    key: bytes
    value: bytes
    dies: float


class CacheFile:
    """One connection; used by one thread.

    Args:
        path: The file; one that is no database, or another version's, is thrown away.
        max_bytes: What all values may take together; the oldest give way.
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        try:
            self._sql = _opened(path)
        except sqlite3.DatabaseError as exc:
            if isinstance(exc, sqlite3.OperationalError):  # busy, or no room: the file is not to blame
                raise
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._sql = _opened(path)
        self.evictions = 0
        self.bytes, self.entries = self._sql.execute(
            "SELECT coalesce(sum(length(value)), 0), count(*) FROM answers"
        ).fetchone()
        self._version = self._data_version()

    def keys(self, *, now: float) -> list[bytes]:
        """List the keys of what is alive."""
        return [key for (key,) in self._sql.execute("SELECT key FROM answers WHERE dies > ?", (now,))]

    def read(self, keys: Sequence[bytes]) -> dict[bytes, Write]:
        """Look keys up."""
        holes = ",".join("?" * len(keys))
        rows = self._sql.execute(f"SELECT key, value, dies FROM answers WHERE key IN ({holes})", keys)  # noqa: S608
        return {row[0]: Write(*row) for row in rows}

    def figures(self) -> tuple[int, int, int]:
        """Tell entries, bytes, and how many had to make room."""
        return self.entries, self.bytes, self.evictions

    def write(self, writes: Sequence[Write], *, now: float) -> tuple[int, int, int]:
        """Keep answers, in one transaction; return `figures`."""
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            self._delete("dies <= ?", now)
            for each in writes:
                self._delete("key = ?", each.key)
                self._sql.execute("INSERT INTO answers (key, value, dies) VALUES (?, ?, ?)", each)
                self.bytes += len(each.value)
                self.entries += 1
            if self.bytes > self._max_bytes:
                self._shrink()
            self._sql.execute("COMMIT")
        except sqlite3.Error:
            self._undo()
            raise
        return self.figures()

    def drop(self, key: bytes) -> bool:
        """Forget an answer; whether there was one."""
        return bool(self._delete("key = ?", key))

    def generations(self) -> list[Bump]:
        """List the tags that were bumped."""
        return [Bump(*row) for row in self._sql.execute("SELECT tag, generation, at FROM generations")]

    def changed_generations(self) -> list[Bump]:
        """As `generations`, if another process has written since this was last asked."""
        version, self._version = self._version, self._data_version()
        return self.generations() if version != self._version else []

    def bump(self, told: Sequence[Bump], *, older: float) -> None:
        """Note generations; those given before `older` are forgotten."""
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            if any(bump.tag == EVERYTHING for bump in told):
                self._sql.execute("DELETE FROM generations")
            self._sql.execute("DELETE FROM generations WHERE at < ? AND tag <> ?", (older, EVERYTHING))
            self._sql.executemany("INSERT OR REPLACE INTO generations (tag, generation, at) VALUES (?, ?, ?)", told)
            self._sql.execute("COMMIT")
        except sqlite3.Error:
            self._undo()
            raise

    def close(self) -> None:
        """Let the file go."""
        self._sql.close()

    def _shrink(self) -> None:
        while self.bytes > self._max_bytes * _ROOM and self.entries:
            gone = self._delete("id IN (SELECT id FROM answers ORDER BY id LIMIT ?)", min(_AT_ONCE, self._to_go()))
            self.evictions += gone

    def _to_go(self) -> int:
        """Guess how many of the oldest make enough room; one at least."""
        return max(1, int((self.bytes - self._max_bytes * _ROOM) / (self.bytes / self.entries)))

    def _delete(self, where: str, value: float | bytes) -> int:
        rows = self._sql.execute(f"DELETE FROM answers WHERE {where} RETURNING length(value)", (value,))  # noqa: S608
        sizes = [size for (size,) in rows]
        self.bytes -= sum(sizes)
        self.entries -= len(sizes)
        return len(sizes)

    def _undo(self) -> None:
        if self._sql.in_transaction:
            self._sql.execute("ROLLBACK")
        self.bytes, self.entries = self._sql.execute(
            "SELECT coalesce(sum(length(value)), 0), count(*) FROM answers"
        ).fetchone()

    def _data_version(self) -> int:
        return int(self._sql.execute("PRAGMA data_version").fetchone()[0])


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, _OURS_ONLY))  # answers are nobody else's business
    sql = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_MS / 1000)
    try:
        sql.execute("PRAGMA journal_mode = WAL")
        sql.execute("PRAGMA synchronous = NORMAL")
        if sql.execute("PRAGMA user_version").fetchone()[0] not in {0, FORMAT}:
            raise sqlite3.DatabaseError("another version's file")
        sql.executescript(_SCHEMA)
        sql.execute(f"PRAGMA user_version = {FORMAT:d}")
    except sqlite3.Error:
        sql.close()
        raise
    return sql
