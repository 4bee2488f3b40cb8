"""Checkpoints in PostgreSQL: whatever arrives while others are written shares the next statement."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Self, cast

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from . import checkpoints_postgres_sql as sql
from .checkpoints_batch import Batches
from .checkpoints_columns import Blobs, Numbers, Texts, teach
from .checkpoints_fence import Fence, Fenced, checked, lost, no_fence, signed, writer
from .lease import Lease
from .serde import make_serde
from .texts import clean_text, dump_json

Pool = AsyncConnectionPool[AsyncConnection[DictRow]]

_LEASES: Final = (Numbers, Texts, Numbers, Texts)
_BLOBS: Final = (Numbers, Texts, Texts, Texts, Texts, Texts, Blobs)
_CHECKPOINTS: Final = (Numbers, *[Texts] * 6)
_WRITES: Final = (Numbers, Texts, Texts, Texts, Texts, Texts, Numbers, Texts, Texts, Blobs, Texts)
_APART: Final = object()
"""Told to a write that could not go with the others."""


@dataclass(frozen=True, slots=True, eq=False)
class _Write:
    """Rows of one call, for a run that must hold its lease; `key` tells what it writes over."""

    key: tuple[Any, ...]
    lease: Lease | None
    checkpoints: Sequence[tuple[Any, ...]] = ()
    blobs: Sequence[tuple[Any, ...]] = ()
    writes: Sequence[tuple[Any, ...]] = ()


class PostgresSaver(Fenced, AsyncPostgresSaver):
    """Fenced, on the pool: reading serialises on a lock of the saver's own, so each run gets one."""

    conn: Pool

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool, serde=make_serde())
        self._batches: Batches[_Write] = Batches(self._commit)

    def guarded(self, fence: Fence = no_fence, lease: Lease | None = None) -> Self:
        """Make another saver for one run, with a lock of its own."""
        saver = super().guarded(fence, lease)
        saver.lock = asyncio.Lock()
        return saver

    async def setup(self) -> None:
        """Create the tables, with a column of ours, if they are not there."""
        await super().setup()
        async with self.conn.connection() as connection:
            await connection.execute(sql.ADD_WRITER.encode())

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Write a checkpoint with the values that are new."""
        configurable: Mapping[str, Any] = config["configurable"]
        thread_id, namespace = configurable["thread_id"], configurable["checkpoint_ns"]
        inline, blobs = _split(checkpoint["channel_values"])
        versions = {channel: version for channel, version in new_versions.items() if channel in blobs}
        key = (thread_id, namespace, checkpoint["id"])
        row = (
            *key,
            configurable.get("checkpoint_id"),
            json.dumps({**checkpoint, "channel_values": inline}),
            dump_json(get_serializable_checkpoint_metadata(config, metadata)),
        )
        await self._write(
            _Write(key, self.lease, [row], self._dump_blobs(thread_id, namespace, blobs, versions) if versions else ())
        )
        return {"configurable": {"thread_id": thread_id, "checkpoint_ns": namespace, "checkpoint_id": checkpoint["id"]}}

    @signed
    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Write what a task wrote; only errors, interrupts and the like are written over."""
        configurable: Mapping[str, Any] = config["configurable"]
        key = (
            configurable["thread_id"],
            configurable.get("checkpoint_ns", ""),
            configurable["checkpoint_id"],
            task_id,
            task_path,
        )
        run_id = writer(config)
        rows = [
            (*key, WRITES_IDX_MAP.get(channel, index), channel, *self.serde.dumps_typed(value), run_id)
            for index, (channel, value) in enumerate(writes)
        ]
        await self._write(_Write(key[:4], self.lease, writes=rows))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Drop what runs wrote, copies of it too; this reads every checkpoint there is."""
        await self._do(sql.DELETE_RUNS, runs=list(run_ids))

    async def drop_runs(self, thread_id: str, run_ids: Sequence[str]) -> None:
        """Drop what runs wrote in a thread: its newest checkpoint is the one before."""
        await self._do(sql.DELETE_RUNS_IN_THREAD, runs=list(run_ids), thread=thread_id)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy everything of a thread."""
        await self._do(sql.COPY, source=source_thread_id, target=target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Keep the newest checkpoint of each namespace, or nothing; what is kept as differences stays whole."""
        for thread_id in checked(thread_ids, strategy):
            with suppress(NotImplementedError):
                async with self._proved():  # LangGraph's transactions are its own: the proof lasts longer than they do
                    await super().aprune([thread_id], strategy=strategy)

    async def adelete_thread(self, thread_id: str) -> None:
        """Drop everything of a thread."""
        await self.aprune([thread_id], strategy="delete")

    async def drop_namespaces(self, thread_id: str) -> None:
        """Drop the checkpoints of all sub-graphs."""
        self.fence()
        leases = [] if self.lease is None else [(1, self.lease)]
        params = _leases(leases) | {"number": len(leases), "thread": thread_id}
        async with self.conn.connection() as connection:
            cursor = await connection.execute(sql.DELETE_NAMESPACES.encode(), params)
            if await cursor.fetchone() is None:
                raise lost()

    async def _do(self, statement: str, **params: Any) -> None:
        async with self._proved() as connection:
            await connection.execute(statement.encode(), params)

    @asynccontextmanager
    async def _proved(self) -> AsyncIterator[AsyncConnection[DictRow]]:
        """Open a transaction in which the lease cannot be lost."""
        self.fence()
        async with self.conn.connection() as connection, connection.transaction():
            if self.lease is not None:
                cursor = await connection.execute(sql.PROVE.encode(), _leases([(1, self.lease)]))
                if await cursor.fetchone() is None:
                    raise lost()
            yield connection

    async def _write(self, write: _Write) -> None:
        self.fence()
        if await self._batches.add(write) is _APART:
            async with self.lock:  # in order
                if not await self._execute(sql.WRITE_ALONE, [write]):
                    raise lost()

    async def _commit(self, batch: Sequence[_Write]) -> Sequence[object]:
        """Write all that can go together: one statement writes no row twice, and waits for nobody."""
        written: set[_Write] = set()
        apart: set[tuple[Any, ...]] = set()
        for turn in _turns(batch):
            together = [write for write in turn if write.key not in apart]
            done = await self._together(together)
            written |= done
            apart |= {write.key for write in together if write not in done}
        return [None if write in written else _APART for write in batch]

    async def _together(self, batch: Sequence[_Write]) -> set[_Write]:
        try:
            return await self._execute(sql.WRITE_TOGETHER, batch)
        except psycopg.Error:  # one of them, but which? Each finds out alone
            return set()

    async def _execute(self, statement: str, batch: Sequence[_Write]) -> set[_Write]:
        """Write what holds its lease, and tell which do."""
        leases: dict[Lease | None, int] = {None: 0}
        numbers = [leases.setdefault(write.lease, len(leases)) for write in batch]
        async with self.conn.connection() as connection:
            cursor = await connection.execute(statement.encode(), _params(batch, numbers, leases), binary=True)
            held = {row["n"] for row in await cursor.fetchall()}
        return {write for write, number in zip(batch, numbers, strict=True) if number in held}

    async def _load_checkpoint_tuple(self, value: DictRow) -> CheckpointTuple:
        """Decode a row here: LangGraph goes to a thread for each, most of which have next to nothing to decode."""
        place = {"thread_id": value["thread_id"], "checkpoint_ns": value["checkpoint_ns"]}
        parent_id, checkpoint = value["parent_checkpoint_id"], cast("Checkpoint", value["checkpoint"])
        inline = checkpoint.get("channel_values") or {}
        return CheckpointTuple(
            {"configurable": {**place, "checkpoint_id": value["checkpoint_id"]}},
            {**checkpoint, "channel_values": {**inline, **self._load_blobs(value["channel_values"])}},
            value["metadata"],
            {"configurable": {**place, "checkpoint_id": parent_id}} if parent_id else None,
            self._load_writes(value["pending_writes"]),
        )


def make_pool(conninfo: str) -> Pool:
    """Make the pool that savers and the long-term store share; enter it before use."""
    return AsyncConnectionPool(
        conninfo,
        min_size=2,
        max_size=10,
        open=False,
        connection_class=AsyncConnection[DictRow],
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        configure=teach,
    )


def _split(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell the values that the checkpoint's own JSON holds from those that are stored once for all checkpoints."""
    inline: dict[str, Any] = {}
    blobs: dict[str, Any] = {}
    for channel, value in values.items():
        if _fits_json(value):
            inline[channel] = value
            continue
        blobs[channel] = value
        if isinstance(value, _DeltaSnapshot):
            inline[channel] = True
    return inline, blobs


def _fits_json(value: Any) -> bool:
    """Whether PostgreSQL's JSON can hold a value: no NaN, no infinity, no NUL, no half of a character."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return clean_text(value) == value
    return value is None or isinstance(value, int)


def _turns(batch: Sequence[_Write]) -> list[list[_Write]]:
    """Split a batch so that what writes over the same rows goes one after the other."""
    turns: list[list[_Write]] = []
    seen: Counter[tuple[Any, ...]] = Counter()
    for write in batch:
        if seen[write.key] == len(turns):
            turns.append([])
        turns[seen[write.key]].append(write)
        seen[write.key] += 1
    return turns


def _params(batch: Sequence[_Write], numbers: Sequence[int], leases: Mapping[Lease | None, int]) -> dict[str, Any]:
    """Turn rows into columns."""
    params = _leases([(number, lease) for lease, number in leases.items() if lease is not None])
    for name, kinds, rows in (
        ("b", _BLOBS, [(n, *row) for n, write in zip(numbers, batch, strict=True) for row in write.blobs]),
        ("c", _CHECKPOINTS, [(n, *row) for n, write in zip(numbers, batch, strict=True) for row in write.checkpoints]),
        ("w", _WRITES, [(n, *row) for n, write in zip(numbers, batch, strict=True) for row in write.writes]),
    ):
        params |= _columns(name, kinds, rows)
    return params


def _leases(leases: Sequence[tuple[int, Lease]]) -> dict[str, Any]:
    return _columns("l", _LEASES, [(number, held.run_id, held.attempt, held.owner) for number, held in leases])


def _columns(name: str, kinds: Sequence[type], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    return {f"{name}{index}": kind(row[index] for row in rows) for index, kind in enumerate(kinds)}
