"""The fencing token of a run: whoever lost it writes nothing more."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from ..core.errors import Conflict
from ..core.types import RunStatus, utc_now
from .models import RunRow


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
        held = await session.execute(
            update(RunRow)
            .where(RunRow.id == self.run_id, RunRow.attempt == self.attempt, RunRow.owner == self.owner)
            .where(RunRow.status == RunStatus.RUNNING)
            .values(heartbeat_at=utc_now())
            .returning(RunRow.id)
        )
        if held.scalar_one_or_none() is None:
            raise LostLease("This run was taken over by another worker")
