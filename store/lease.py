"""The fencing token of a run: whoever lost it writes nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Executable, and_, bindparam
from sqlalchemy.ext.asyncio import AsyncSession

from ..core.errors import Conflict
from ..core.types import RunStatus, utc_now
from .models import RunRow
from .models.base import table_of
from .prepared import Transaction, prepared

TAKEN: Final = "This run was taken over by another worker"
_RUNS: Final = table_of(RunRow)
HELD: Final = and_(
    _RUNS.c.id == bindparam("run"),
    _RUNS.c.attempt == bindparam("held_attempt"),
    _RUNS.c.owner == bindparam("held_owner"),
    _RUNS.c.status == RunStatus.RUNNING.value,
)
"""The row still names this attempt of this owner; `Lease.token` fills it in."""
_HOLD: Final = prepared(_RUNS.update().where(HELD).values(heartbeat_at=bindparam("now")).returning(_RUNS.c.id))


class LostLease(Conflict):
    """The run belongs to another attempt or owner by now; what this worker still holds is void."""

    default_code = "lost_lease"


@dataclass(frozen=True, slots=True)
class Lease:
    """One attempt of one run by one owner."""

    run_id: str
    attempt: int
    owner: str

    @property
    def token(self) -> dict[str, Any]:
        """The parameters of `HELD`."""
        return {"run": self.run_id, "held_attempt": self.attempt, "held_owner": self.owner}

    async def hold(self, session: Transaction | AsyncSession) -> None:
        """Prove the lease inside the transaction that writes, and renew it by the way.

        Raises:
            LostLease: The row names another attempt, another owner, or the run is over.
        """
        await self.prove(session, _HOLD, now=utc_now())

    async def prove(self, session: Transaction | AsyncSession, statement: Executable, **values: Any) -> None:
        """Change the run's own row `where(HELD)`, which proves the lease by the way.

        Raises:
            LostLease: As `hold`.
        """
        if (await session.execute(statement, self.token | values)).scalar_one_or_none() is None:
            raise LostLease(TAKEN)


async def prove_all(session: Transaction, statement: Executable, rows: Sequence[dict[str, Any]]) -> None:
    """Change the own rows of several runs by a prepared statement `where(HELD)`, whose parameters hold each token.

    Raises:
        LostLease: One of the leases is lost; which, is not known.
    """
    if not rows:
        return
    ordered = sorted(rows, key=itemgetter("run"))  # the heartbeat locks many rows too
    if await session.change(statement, ordered) != len(rows):
        raise LostLease(TAKEN)
