"""Checkpoints in a SQLite file: a call is one trip to its thread, and what came meanwhile is one commit."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
    writes_sort_key,
)
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.checkpoint.sqlite.utils import search_where

from . import checkpoints_sqlite_work as work
from .checkpoints_batch import Batches
from .checkpoints_fence import Fenced, checked, lost, signed, writer
from .lease import Lease
from .serde import make_serde
from .sqlite import SteadyConnection
from .texts import dump_json

Turn = Callable[[], AbstractAsyncContextManager[Any]]

_SELECT: Final = (
    "SELECT thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata FROM checkpoints "
)


@dataclass(frozen=True, slots=True)
class _Write:
    """What is done in a transaction, for a run that must hold its lease."""

    work: Callable[[sqlite3.Connection], None]
    lease: Lease | None


class SqliteSaver(Fenced, AsyncSqliteSaver):
    """Fenced, on the one connection, whose writes are committed together.

    Args:
        connection: In autocommit mode: transactions are begun and ended here.
        turn: Waits for the process's turn to write.
    """

    conn: SteadyConnection

    def __init__(self, connection: SteadyConnection, *, turn: Turn) -> None:
        super().__init__(connection, serde=make_serde())
        self._turn = turn
        self._batches: Batches[_Write] = Batches(self._commit)

    async def setup(self) -> None:
        """Create the tables, with a column of ours, if they are not there."""
        await super().setup()
        await self.conn.work(work.add_writer)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read the checkpoint that the configuration names, or the newest."""
        found = await self._read(
            "WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?"
            if get_checkpoint_id(config)
            else "WHERE thread_id = ? AND checkpoint_ns = ? ORDER BY checkpoint_id DESC LIMIT 1",
            (*_place(config), *filter(None, (get_checkpoint_id(config),))),
        )
        for saved, writes in found:
            # The configuration goes back as it came where it names a checkpoint: LangGraph keeps more in it.
            return self._tuple(saved, writes, config if get_checkpoint_id(config) else None)
        return None

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Read checkpoints, newest first; nothing is locked while the reader takes its time."""
        where, params = search_where(config, filter, before)
        tail = "" if limit is None else " LIMIT ?"
        found = await self._read(
            f"{where} ORDER BY checkpoint_id DESC{tail}", (*params, *(() if limit is None else (limit,)))
        )
        for saved, writes in found:
            yield self._tuple(saved, writes)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,  # noqa: ARG002 - everything is in the checkpoint
    ) -> RunnableConfig:
        """Write a checkpoint."""
        place = _place(config)
        kept = dump_json(get_checkpoint_metadata(config, metadata), escaped=False).encode()
        row = (
            *place,
            checkpoint["id"],
            config["configurable"].get("checkpoint_id"),
            *self.serde.dumps_typed(checkpoint),
            kept,
        )
        await self._write(partial(work.insert, work.PUT_CHECKPOINT, [row]))
        thread_id, namespace = config["configurable"]["thread_id"], place[1]
        return {"configurable": {"thread_id": thread_id, "checkpoint_ns": namespace, "checkpoint_id": checkpoint["id"]}}

    @signed
    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Write what a task wrote; only errors, interrupts and the like may be written over."""
        again = all(channel in WRITES_IDX_MAP for channel, _ in writes)
        run_id = writer(config)
        key = (*_place(config), str(config["configurable"]["checkpoint_id"]), task_id, task_path)
        rows = [
            (*key, WRITES_IDX_MAP.get(channel, index), channel, *self.serde.dumps_typed(value), run_id)
            for index, (channel, value) in enumerate(writes)
        ]
        await self._write(partial(work.insert, work.REPLACE_WRITES if again else work.PUT_WRITES, rows))

    async def adelete_thread(self, thread_id: str) -> None:
        """Drop everything of a thread."""
        await self._write(partial(work.delete_thread, str(thread_id)))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Drop what runs wrote, copies of it too; this reads every checkpoint there is."""
        await self._write(partial(work.delete_runs, list(run_ids), None))

    async def drop_runs(self, thread_id: str, run_ids: Sequence[str]) -> None:
        """Drop what runs wrote in a thread: its newest checkpoint is the one before."""
        await self._write(partial(work.delete_runs, list(run_ids), thread_id))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy everything of a thread."""
        await self._write(partial(work.copy_thread, source_thread_id, target_thread_id))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Keep the newest checkpoint of each namespace, or nothing."""
        for thread_id in checked(thread_ids, strategy):
            prune = work.delete_thread if strategy == "delete" else work.keep_latest
            await self._write(partial(prune, thread_id))

    async def drop_namespaces(self, thread_id: str) -> None:
        """Drop the checkpoints of all sub-graphs."""
        await self._write(partial(work.delete_namespaces, thread_id))

    async def _read(self, where: str, params: Sequence[Any]) -> list[work.Saved]:
        await self._set_up()
        return await self.conn.work(partial(work.select, _SELECT + where, params))

    async def _write(self, do: Callable[[sqlite3.Connection], None]) -> None:
        self.fence()
        await self._set_up()
        await self._batches.add(_Write(do, self.lease))

    async def _set_up(self) -> None:
        if not self.is_setup:  # asking LangGraph would wait for its lock, which is held while others commit
            await self.setup()

    async def _commit(self, batch: Sequence[_Write]) -> Sequence[Exception | None]:
        # The lock keeps out what LangGraph reads in several trips: an open read would make this transaction fail.
        async with self._turn(), self.lock:
            return await self.conn.work(partial(_transact, batch))

    def _tuple(
        self, saved: tuple[Any, ...], writes: Iterable[tuple[Any, ...]], config: RunnableConfig | None = None
    ) -> CheckpointTuple:
        thread_id, namespace, checkpoint_id, parent_id, kind, checkpoint, metadata = saved
        place = {"thread_id": thread_id, "checkpoint_ns": namespace}
        ordered = sorted(writes, key=lambda row: writes_sort_key(row[4], row[0], row[5]))
        return CheckpointTuple(
            config or {"configurable": {**place, "checkpoint_id": checkpoint_id}},
            self.serde.loads_typed((kind, checkpoint)),
            json.loads(metadata) if metadata is not None else {},
            {"configurable": {**place, "checkpoint_id": parent_id}} if parent_id else None,
            [(row[0], row[1], self.serde.loads_typed((row[2], row[3]))) for row in ordered],
        )


def _place(config: RunnableConfig) -> tuple[str, str]:
    configurable: Mapping[str, Any] = config["configurable"]
    return str(configurable["thread_id"]), str(configurable.get("checkpoint_ns", ""))


def _transact(batch: Sequence[_Write], connection: sqlite3.Connection) -> list[Exception | None]:
    """Write a batch together; what cannot be written goes alone, so that it fails alone."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        return _together(batch, connection)
    except (sqlite3.Error, OverflowError) as exc:
        _roll_back(connection)
        if len(batch) == 1:
            return [exc]
    return [result for write in batch for result in _transact([write], connection)]


def _together(batch: Sequence[_Write], connection: sqlite3.Connection) -> list[Exception | None]:
    leases = {write.lease for write in batch if write.lease is not None}
    held = work.held(connection, leases) if leases else set()
    results: list[Exception | None] = []
    for write in batch:
        refused = write.lease is not None and write.lease not in held
        results.append(lost() if refused else None)
        if not refused:
            write.work(connection)
    connection.execute("COMMIT")
    return results


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
