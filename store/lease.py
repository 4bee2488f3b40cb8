"""The fencing token of a run: whoever lost it writes nothing more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import Table, bindparam
from sqlalchemy.ext.asyncio import AsyncSession

from ..core.errors import Conflict
from ..core.types import RunStatus, utc_now
from .models import RunRow

_RUNS: Final = cast("Table", RunRow.__table__)
_HOLD: Final = (
    _RUNS.update()
    .where(_RUNS.c.id == bindparam("run"), _RUNS.c.attempt == bindparam("held_attempt"))
    .where(_RUNS.c.owner == bindparam("held_owner"), _RUNS.c.status == RunStatus.RUNNING.value)
    .values(heartbeat_at=bindparam("now"))
    .returning(_RUNS.c.id)
)


class LostLease(Conflict):
    """The run belongs to another attempt or owner by now; what this worker still holds is void."""

    default_code = "lost_lease"


@dataclass(frozen=True, slots=True)
class Lease:
    """One attempt of one run by one owner."""

    run_id: str
    attempt: int
    owner: str

    async def hold(self, session: AsyncSession) -> None:
        """Prove the lease inside the transaction that writes, and renew it by the way.

        Raises:
            LostLease: The row names another attempt, another owner, or the run is over.
        """
        token = {"run": self.run_id, "held_attempt": self.attempt, "held_owner": self.owner, "now": utc_now()}
        held = await session.execute(_HOLD, token)
        if held.scalar_one_or_none() is None:
            raise LostLease("This run was taken over by another worker")
