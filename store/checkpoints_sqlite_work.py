"""What is done to the tables of LangGraph's SQLite saver, in the connection's thread and inside a transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from ..core.types import RunStatus
from .checkpoints_fence import is_delta
from .lease import Lease

Saved = tuple[tuple[Any, ...], list[tuple[Any, ...]]]
"""A checkpoint's row with the rows of its pending writes."""
Key = tuple[str, str, str]

PUT_CHECKPOINT: Final = (
    "INSERT OR REPLACE INTO checkpoints"
    " (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_INTO_WRITES: Final = (
    " INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value, run_id)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
PUT_WRITES: Final = f"INSERT OR IGNORE{_INTO_WRITES}"
REPLACE_WRITES: Final = f"INSERT OR REPLACE{_INTO_WRITES}"
_WRITES: Final = (
    "SELECT task_id, channel, type, value, task_path, idx FROM writes"
    " WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?"
)
_HELD: Final = "SELECT id, attempt, owner FROM runs WHERE status = ? AND id IN (SELECT value FROM json_each(?))"
_BY_RUNS: Final = (
    "SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints"
    " WHERE json_extract(CAST(metadata AS TEXT), '$.run_id') IN (SELECT value FROM json_each(?))"
)
_WRITTEN_BY_RUNS: Final = "DELETE FROM writes WHERE run_id IN (SELECT value FROM json_each(?))"
_IN_THREAD: Final = " AND thread_id = ?"
_COPY_CHECKPOINTS: Final = (
    "INSERT OR IGNORE INTO checkpoints"
    " (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)"
    " SELECT ?, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"
    " FROM checkpoints WHERE thread_id = ?"
)
_COPY_WRITES: Final = (
    "INSERT OR IGNORE INTO writes"
    " (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value, run_id)"
    " SELECT ?, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value, run_id"
    " FROM writes WHERE thread_id = ?"
)
_TABLES: Final = ("checkpoints", "writes")


def held(connection: sqlite3.Connection, leases: Collection[Lease]) -> set[Lease]:
    """Find the leases that are still held; a takeover waits until the transaction ends."""
    ids = json.dumps(sorted({lease.run_id for lease in leases}))
    return {Lease(*row) for row in connection.execute(_HELD, (RunStatus.RUNNING.value, ids))}


def select(query: str, params: Sequence[Any], connection: sqlite3.Connection) -> list[Saved]:
    """Read checkpoints with their pending writes."""
    rows = connection.execute(query, params).fetchall()
    return [(row, connection.execute(_WRITES, row[:3]).fetchall()) for row in rows]


def add_writer(connection: sqlite3.Connection) -> None:
    """Add the column of ours that tells which run wrote."""
    if "run_id" not in {row[1] for row in connection.execute("PRAGMA table_info(writes)")}:
        connection.execute("ALTER TABLE writes ADD COLUMN run_id TEXT")


def insert(statement: str, rows: Sequence[tuple[Any, ...]], connection: sqlite3.Connection) -> None:
    """Write rows."""
    connection.executemany(statement, rows)


def delete_thread(thread_id: str, connection: sqlite3.Connection) -> None:
    """Drop everything of a thread."""
    for table in _TABLES:
        connection.execute(f"DELETE FROM {table} WHERE thread_id = ?", (thread_id,))  # noqa: S608 - our names


def delete_namespaces(thread_id: str, connection: sqlite3.Connection) -> None:
    """Drop a thread's sub-graph checkpoints."""
    for table in _TABLES:
        query = f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_ns <> ''"  # noqa: S608 - our names
        connection.execute(query, (thread_id,))


def delete_runs(run_ids: Sequence[str], thread_id: str | None, connection: sqlite3.Connection) -> None:
    """Drop what runs wrote, in one thread or everywhere."""
    where, params = ("", ()) if thread_id is None else (_IN_THREAD, (thread_id,))
    params = (json.dumps(list(run_ids)), *params)
    _delete(connection, connection.execute(_BY_RUNS + where, params).fetchall())
    connection.execute(_WRITTEN_BY_RUNS + where, params)


def copy_thread(source: str, target: str, connection: sqlite3.Connection) -> None:
    """Copy everything of a thread."""
    for statement in (_COPY_CHECKPOINTS, _COPY_WRITES):
        connection.execute(statement, (target, source))


def keep_latest(thread_id: str, connection: sqlite3.Connection) -> None:
    """Keep the newest checkpoint of each namespace; a thread that is kept as differences stays whole."""
    query = "SELECT checkpoint_ns, checkpoint_id, metadata FROM checkpoints WHERE thread_id = ? ORDER BY checkpoint_id"
    saved = [
        (namespace, checkpoint_id, json.loads(metadata or "{}"))
        for namespace, checkpoint_id, metadata in connection.execute(query, (thread_id,))
    ]
    if any(is_delta(metadata) for _, _, metadata in saved):
        return
    newest = {namespace: (checkpoint_id, metadata) for namespace, checkpoint_id, metadata in saved}
    root = newest.get("", (None,))[0]
    stale = {checkpoint_id for namespace, checkpoint_id, _ in saved if not namespace} - {root}
    kept = {
        (namespace, checkpoint_id)
        for namespace, (checkpoint_id, metadata) in newest.items()
        # A call of a sub-graph goes with the checkpoint that it started from.
        if ":" not in namespace or (metadata.get("parents") or {}).get("") not in stale
    }
    _delete(connection, [(thread_id, *key) for *key, _ in saved if tuple(key) not in kept])
    connection.execute("UPDATE checkpoints SET parent_checkpoint_id = NULL WHERE thread_id = ?", (thread_id,))


def _delete(connection: sqlite3.Connection, keys: Iterable[Key]) -> None:
    doomed = list(keys)
    for table in _TABLES:
        query = f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?"  # noqa: S608
        connection.executemany(query, doomed)
