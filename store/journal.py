"""The tool journal: a start is committed before the effect, the result after it. At most once, never twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import Executable, Update, and_, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from ..core.types import Principal, utc_now
from .engine import Database
from .lease import Lease
from .models import ToolExecutionRow
from .models.base import table_of
from .prepared import Transaction, prepared

STARTED: Final = "started"
DONE: Final = "finished"


_CALLS: Final = table_of(ToolExecutionRow)
_IS: Final = and_(
    _CALLS.c.thread_id == bindparam("in_thread"),
    _CALLS.c.message_id == bindparam("in_message"),
    _CALLS.c.tool_call_id == bindparam("call"),
    _CALLS.c.owner_id == bindparam("of_owner"),
    _CALLS.c.tenant_id == bindparam("of_tenant"),
)
_FIND: Final = prepared(select(_CALLS.c.state, _CALLS.c.pgid, _CALLS.c.before, _CALLS.c.result).where(_IS))
_NOTE: Final = prepared(_CALLS.update().where(_IS).values(pgid=bindparam("new_pgid")))
_FINISH: Final = prepared(
    _CALLS.update().where(_IS).values(state=DONE, result=bindparam("new_result"), finished_at=bindparam("now"))
)
_START: Final[dict[str, Executable]] = {
    name: prepared(dialect.insert(_CALLS).on_conflict_do_nothing().returning(_CALLS.c.tool_call_id))
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
Also = Callable[[Transaction], Awaitable[None]]


def _start(session: Transaction) -> Executable:
    return _START[session.dialect.name]


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

    async def begin(
        self, key: CallKey, *, tool: str, before: dict[str, Any] | None = None, also: Also | None = None
    ) -> Execution:
        """Record a start, or tell what an earlier attempt recorded; `also` writes in the same transaction."""
        async with self._database.direct() as session:
            await self._lease.hold(session)
            if also is not None:
                await also(session)
            started = await session.execute(_start(session), self._values(key, tool, before))
            if started.scalar_one_or_none() is not None:
                return Execution(fresh=True)
            row = (await session.execute(_FIND, self._name(key))).one()
            return Execution(
                fresh=False, finished=row.state == DONE, pgid=row.pgid, before=row.before, result=row.result
            )

    async def note_process(self, key: CallKey, pgid: int) -> None:
        """Record the process group of the command that was just started."""
        await self._change(_NOTE, key, {"new_pgid": pgid})

    async def finish(self, key: CallKey, result: dict[str, Any]) -> None:
        """Record the result; from now on `begin` returns it."""
        await self._change(_FINISH, key, {"new_result": result, "now": utc_now()})

    async def _change(self, statement: Update, key: CallKey, values: dict[str, Any]) -> None:
        async with self._database.direct() as session:
            await self._lease.hold(session)
            await session.execute(statement, self._name(key) | values)

    def _name(self, key: CallKey) -> dict[str, Any]:
        return {
            "in_thread": key.thread_id,
            "in_message": key.message_id,
            "call": key.tool_call_id,
            "of_owner": self._principal.user_id,
            "of_tenant": self._principal.tenant_id,
        }

    def _values(self, key: CallKey, tool: str, before: dict[str, Any] | None) -> dict[str, Any]:
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
