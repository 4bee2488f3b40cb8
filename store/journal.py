"""The tool journal: a start is committed before the effect, the result after it. At most once, never twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import ColumnElement, and_, insert, select, update

from ..core.types import Principal, utc_now
from .engine import Database
from .lease import Lease
from .models import ToolExecutionRow

STARTED: Final = "started"
DONE: Final = "finished"


class CallKey(Protocol):
    """What names one call across redelivery."""

    @property
    def thread_id(self) -> str:
        """The thread."""
        ...

    @property
    def message_id(self) -> str:
        """The AIMessage that holds the call."""
        ...

    @property
    def tool_call_id(self) -> str:
        """The call."""
        ...


@dataclass(frozen=True, slots=True)
class Execution:
    """What the journal knows of a call (the shape of `tools.context.JournalEntry`)."""

    fresh: bool
    finished: bool = False
    pgid: int | None = None
    before: dict[str, Any] | None = None
    result: dict[str, Any] | None = None


class SqlJournal:
    """The journal of one run. Every write proves the run's lease first.

    Args:
        database: Where the rows are.
        principal: Whose run it is; rows of others do not exist for it.
        lease: The run's fencing token.
    """

    def __init__(self, database: Database, *, principal: Principal, lease: Lease) -> None:
        self._database = database
        self._principal = principal
        self._lease = lease

    async def begin(self, key: CallKey, *, tool: str, before: dict[str, Any] | None = None) -> Execution:
        """Record a start, or tell what an earlier attempt recorded."""
        async with self._database.transaction() as session:
            await self._lease.hold(session)
            row = (await session.scalars(select(ToolExecutionRow).where(self._is(key)))).one_or_none()
            if row is None:
                await session.execute(insert(ToolExecutionRow).values(**self._start(key, tool, before)))
                return Execution(fresh=True)
            return Execution(
                fresh=False, finished=row.state == DONE, pgid=row.pgid, before=row.before, result=row.result
            )

    async def note_process(self, key: CallKey, pgid: int) -> None:
        """Record the process group of the command that was just started."""
        await self._change(key, pgid=pgid)

    async def finish(self, key: CallKey, result: dict[str, Any]) -> None:
        """Record the result; from now on `begin` returns it."""
        await self._change(key, state=DONE, result=result, finished_at=utc_now())

    async def _change(self, key: CallKey, **values: Any) -> None:
        async with self._database.transaction() as session:
            await self._lease.hold(session)
            await session.execute(update(ToolExecutionRow).where(self._is(key)).values(**values))

    def _is(self, key: CallKey) -> ColumnElement[bool]:
        return and_(
            ToolExecutionRow.thread_id == key.thread_id,
            ToolExecutionRow.message_id == key.message_id,
            ToolExecutionRow.tool_call_id == key.tool_call_id,
            ToolExecutionRow.owner_id == self._principal.user_id,
            ToolExecutionRow.tenant_id == self._principal.tenant_id,
        )

    def _start(self, key: CallKey, tool: str, before: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "thread_id": key.thread_id,
            "message_id": key.message_id,
            "tool_call_id": key.tool_call_id,
            "run_id": self._lease.run_id,
            "tool": tool,
            "state": STARTED,
            "before": before,
            "started_at": utc_now(),
            "owner_id": self._principal.user_id,
            "tenant_id": self._principal.tenant_id,
        }


async def finished_calls(database: Database, thread_id: str) -> set[str]:
    """Name the calls of a thread whose results are journalled."""
    query = select(ToolExecutionRow.tool_call_id).where(
        ToolExecutionRow.thread_id == thread_id, ToolExecutionRow.state == DONE
    )
    async with database.read() as session:
        return set((await session.scalars(query)).all())
