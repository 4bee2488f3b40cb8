"""Threads as the Agent Server API has them: of any graph, ours included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Final

from sqlalchemy.exc import IntegrityError

from ...core.errors import Conflict, NotFound
from ...core.types import Principal, ThreadStatus, new_id, utc_now
from ...store.checkpoints import Checkpoints
from ...store.eventlog import EventLog
from ...store.models import ThreadRow
from ...store.records import NewEvent
from ...store.rows import insert_rows
from ...store.wakeups import Wakeups
from ..graphs.registry import GraphRegistry
from .holding import Holds
from .lifetime import Lifetimes
from .reading import NEWEST, StateReader
from .repository import get_thread, new_thread
from .search import ThreadFinder, check_paths, extracted
from .shapes import (
    HistoryQuery,
    NewAgentThread,
    Prune,
    StateQuery,
    StateUpdate,
    ThreadFilter,
    ThreadPatch,
    ThreadSearch,
    Ttl,
)
from .showing import Json, shown_thread, shown_ttl
from .updating import StateWriter

STATE_UPDATED: Final = "state.updated"


class AgentThreads:
    """Threads of one principal at a time, as JSON. An id that is nobody's, or somebody else's, is `NotFound`.

    Args:
        log: Told of changes by hand; through it, where the rows are.
        checkpoints: Where the state is.
        graphs: Read and change it.
        wakeups: Tells executors to stop runs, and wakes them.
    """

    def __init__(self, *, log: EventLog, checkpoints: Checkpoints, graphs: GraphRegistry, wakeups: Wakeups) -> None:
        self._log = log
        self._database = database = log.database
        self._checkpoints = checkpoints
        holds = Holds(database=database, checkpoints=checkpoints, wakeups=wakeups)
        self._reader = StateReader(graphs, checkpoints)
        self._writer = StateWriter(holds, self._reader)
        self._finder = ThreadFinder(database, self._reader)
        self._lifetimes = Lifetimes(database=database, checkpoints=checkpoints, holds=holds, wakeups=wakeups)

    async def create(self, principal: Principal, asked: NewAgentThread) -> Json:
        """Make a thread, with a state if `supersteps` give it one.

        Raises:
            Conflict: There is one of this id, and `if_exists` is `raise` or it is somebody else's.
            BadRequest: The thread's graph takes no such supersteps, or none was named.
        """
        thread_id = asked.thread_id or new_id()
        graph = {"graph_id": asked.graph_id} if asked.graph_id else {}
        row = new_thread(principal, thread_id=thread_id, meta=asked.metadata | graph, config=asked.config)
        if asked.ttl is not None:
            _keep_for(row, asked.ttl, row.created_at)
        try:
            if asked.supersteps:
                await self._writer.begin(principal, row, asked.supersteps)
            else:
                async with self._database.transaction() as session:
                    await insert_rows(session, row)
        except IntegrityError as exc:
            if asked.if_exists == "raise":
                raise _taken(thread_id) from exc
        except Conflict:
            if asked.if_exists == "raise":
                raise
        else:
            return await self.get(principal, thread_id) if asked.supersteps else shown_thread(row, None)
        return await self._existing(principal, thread_id)

    async def get(self, principal: Principal, thread_id: str, *, with_ttl: bool = False) -> Json:
        """Fetch a thread with its newest values."""
        row = await self._row(principal, thread_id)
        [values] = await self._reader.values(principal, [row])
        shown = shown_thread(row, values)
        return shown | {"ttl": shown_ttl(row)} if with_ttl else shown

    async def change(self, principal: Principal, thread_id: str, patch: ThreadPatch) -> None:
        """Merge metadata into a thread's, and set how long it is kept."""
        async with self._database.transaction() as session:
            with _named(thread_id):
                row = await get_thread(session, principal, thread_id, lock=True)
            row.meta, row.updated_at = row.meta | patch.metadata, utc_now()
            if patch.ttl is not None:
                _keep_for(row, patch.ttl, row.updated_at)

    async def delete(self, principal: Principal, thread_id: str) -> None:
        """Stop what runs, wait for it, then drop everything of the thread."""
        with _named(thread_id):
            await self._lifetimes.delete(principal, thread_id)

    async def search(self, principal: Principal, asked: ThreadSearch) -> tuple[list[Json], bool]:
        """Fetch a page of threads; whether there is more."""
        check_paths(asked.extract)
        found, more = await self._finder.page(principal, asked)
        values = [each for _, each in found]
        if not asked.values and _needs_values(asked):
            values = await self._reader.values(principal, [row for row, _ in found])
        return [_shown(row, each, asked) for (row, _), each in zip(found, values, strict=True)], more

    async def count(self, principal: Principal, wanted: ThreadFilter) -> int:
        """Count threads."""
        return await self._finder.count(principal, wanted)

    async def state(self, principal: Principal, thread_id: str, query: StateQuery = NEWEST) -> Json:
        """Show a checkpoint of a thread, the newest unless asked otherwise."""
        return await self._reader.state(principal, await self._row(principal, thread_id), query)

    async def history(self, principal: Principal, thread_id: str, query: HistoryQuery) -> list[Json]:
        """Show a thread's checkpoints, newest first."""
        return await self._reader.history(principal, await self._row(principal, thread_id), query)

    async def update_state(self, principal: Principal, thread_id: str, sent: StateUpdate) -> Json:
        """Change a thread's state by hand; where the new checkpoint is."""
        with _named(thread_id):
            made = await self._writer.update(principal, thread_id, sent)
        # A reference, written after the change: losing it in a crash costs a watcher one notice.
        with suppress(NotFound):
            await self._log.append(thread_id, [NewEvent(STATE_UPDATED, {"checkpoint": made["checkpoint"]})])
        return made

    async def copy(self, principal: Principal, thread_id: str) -> Json:
        """Make a thread with the same checkpoints and metadata, a log of its own and no runs."""
        source, copied = await self._row(principal, thread_id), new_id()
        await self._checkpoints.reader.acopy_thread(thread_id, copied)
        try:
            row = await self._copied(principal, source, copied)
        except BaseException:
            await self._checkpoints.delete(copied)
            raise
        [values] = await self._reader.values(principal, [row])
        return shown_thread(row, values)

    async def prune(self, principal: Principal, asked: Prune) -> int:
        """Drop threads, or all of them but their newest state; how many."""
        return await self._lifetimes.prune(principal, asked)

    async def sweep_expired(self) -> int:
        """End the threads whose time is over, everybody's; for the clock."""
        return await self._lifetimes.sweep()

    async def _row(self, principal: Principal, thread_id: str) -> ThreadRow:
        async with self._database.read() as session:
            with _named(thread_id):
                return await get_thread(session, principal, thread_id)

    async def _existing(self, principal: Principal, thread_id: str) -> Json:
        try:
            return await self.get(principal, thread_id)
        except NotFound:
            raise _taken(thread_id) from None  # somebody else's: ids are one space

    async def _copied(self, principal: Principal, source: ThreadRow, thread_id: str) -> ThreadRow:
        row = new_thread(
            principal, thread_id=thread_id, workspace_id=source.workspace_id, meta=source.meta, config=source.config
        )
        rest = await self._reader.rest(principal, row)
        for name, value in rest.items():
            setattr(row, name, value)
        if source.status == ThreadStatus.ERROR:
            row.status, row.error = source.status, source.error
        async with self._database.transaction() as session:
            await get_thread(session, principal, source.id)  # it may have been deleted while it was copied
            await insert_rows(session, row)
        return row


@contextmanager
def _named(thread_id: str) -> Iterator[None]:
    """Say which thread there is not, as the wire does."""
    try:
        yield
    except NotFound:
        raise NotFound(f"Thread with ID {thread_id} not found") from None


def _taken(thread_id: str) -> Conflict:
    return Conflict(f"Thread with ID {thread_id} already exists")


def _keep_for(row: ThreadRow, ttl: Ttl, since: datetime) -> None:
    row.ttl, row.expires_at = ttl.model_dump(), ttl.until(since)


def _needs_values(asked: ThreadSearch) -> bool:
    return not asked.select or "values" in asked.select or any(p.startswith("values") for p in asked.extract.values())


def _shown(row: ThreadRow, values: Any, asked: ThreadSearch) -> Json:
    shown = shown_thread(row, values)
    found = {"extracted": {alias: extracted(shown, path) for alias, path in asked.extract.items()}}
    kept: Json = {name: shown[name] for name in asked.select if name in shown} if asked.select else shown
    return kept | found if asked.extract else kept
