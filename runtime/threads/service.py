"""Create, read, change and delete conversations."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StateSnapshot
from sqlalchemy import delete, select, update

from ...core.errors import Conflict, InvalidInput
from ...core.types import Principal, RunStatus, ThreadStatus, utc_now
from ...store.checkpoints import Checkpoints
from ...store.engine import Database
from ...store.models import RunRow, ThreadRow
from ...store.texts import clean_text
from ...store.wakeups import Wakeups
from ..paging import Page, encode_cursor
from ..workspaces.repository import get_workspace
from .repository import get_thread, new_thread, page_of_threads, read_thread
from .schemas import Message, Thread

MAX_PAGE: Final = 200
TITLE_CHARS: Final = 200
_STOP_S: Final = 5.0
_ACTIVE = (RunStatus.PENDING, RunStatus.RUNNING)


class ThreadService:
    """Conversations of one principal at a time.

    Args:
        database: Where the rows are.
        checkpoints: Where the state is.
        graph: Reads state; its checkpointer has no fence.
        wakeups: Tells the executor to stop a run whose thread is deleted.
    """

    def __init__(
        self,
        *,
        database: Database,
        checkpoints: Checkpoints,
        graph: CompiledStateGraph[Any, Any, Any, Any],
        wakeups: Wakeups,
    ) -> None:
        self._database = database
        self._checkpoints = checkpoints
        self._graph = graph
        self._wakeups = wakeups

    async def create(self, principal: Principal, *, workspace_id: str, title: str | None = None) -> Thread:
        """Start a conversation in a registered workspace."""
        row = new_thread(principal, workspace_id=workspace_id, title=_title(title))
        async with self._database.transaction() as session:
            await get_workspace(session, principal, workspace_id)
            session.add(row)
        return Thread.model_validate(row)

    async def get(self, principal: Principal, thread_id: str) -> Thread:
        """Fetch one; `NotFound` when there is none of this principal's."""
        async with self._database.direct(write=False) as session:
            return Thread.model_validate(await read_thread(session, principal, thread_id))

    async def list(
        self,
        principal: Principal,
        *,
        status: ThreadStatus | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Thread]:
        """List threads, last changed first."""
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidInput(f"limit must lie between 1 and {MAX_PAGE}")
        async with self._database.read() as session:
            rows = await page_of_threads(session, principal, status=status, cursor=cursor, limit=limit + 1)
        items = [Thread.model_validate(row) for row in rows[:limit]]
        more = len(rows) > limit
        return Page(items=items, next_cursor=encode_cursor(items[-1].updated_at, items[-1].id) if more else None)

    async def update(self, principal: Principal, thread_id: str, *, title: str | None) -> Thread:
        """Rename a thread."""
        async with self._database.transaction() as session:
            row = await get_thread(session, principal, thread_id, lock=True)
            row.title, row.updated_at = _title(title), utc_now()
            await session.flush()
            return Thread.model_validate(row)

    async def delete(self, principal: Principal, thread_id: str) -> None:
        """Stop what runs, then drop the thread with its log, rows and checkpoints."""
        await self._stop(principal, thread_id)
        async with self._database.transaction() as session:
            row = await get_thread(session, principal, thread_id, lock=True)
            await session.execute(delete(ThreadRow).where(ThreadRow.id == row.id))
        await self._checkpoints.delete(thread_id)

    async def messages(self, principal: Principal, thread_id: str) -> Sequence[Message]:
        """Read the conversation, the unfinished turn's messages included.

        Raises:
            Conflict: The thread has no workspace: its state may be that of any graph.
        """
        if (await self.get(principal, thread_id)).workspace_id is None:
            raise Conflict(f"This thread has no workspace; its state is at /threads/{thread_id}/state")
        state = await self._graph.aget_state({"configurable": {"thread_id": thread_id}}, subgraphs=True)
        return [Message.of(message) for message in state_messages(state)]

    async def _stop(self, principal: Principal, thread_id: str) -> None:
        async with self._database.transaction() as session:
            await get_thread(session, principal, thread_id, lock=True)
            active = select(RunRow.id).where(RunRow.thread_id == thread_id, RunRow.status.in_(_ACTIVE))
            run_ids = list((await session.scalars(active)).all())
            await session.execute(update(RunRow).where(RunRow.id.in_(run_ids)).values(cancel_requested=True))
        for run_id in run_ids:
            self._wakeups.cancel(run_id)
        deadline = asyncio.get_running_loop().time() + _STOP_S
        while run_ids and asyncio.get_running_loop().time() < deadline:
            async with self._database.read() as session:
                if (await session.scalars(active)).first() is None:
                    return
            await asyncio.sleep(0.05)


def state_messages(state: StateSnapshot) -> list[Any]:
    """Merge the root's messages with those of the sub-graph that has not returned yet.

    While a turn is unfinished its messages live in the sub-graph only; it starts from the root's, so where it has any
    it has them all.
    """
    inner = unfinished_messages(state)
    return inner if inner is not None else list(state.values.get("messages", ()))


def unfinished_messages(state: StateSnapshot) -> list[Any] | None:
    """Read the messages of the sub-graph that has not returned yet; None when there is none."""
    for task in state.tasks:
        if isinstance(task.state, StateSnapshot) and task.state.values.get("messages"):
            return list(task.state.values["messages"])
    return None


def _title(title: str | None) -> str | None:
    cleaned = clean_text(title or "").strip()
    return cleaned[:TITLE_CHARS] or None
