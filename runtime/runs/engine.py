"""What executing a run needs, in one place, and the seam to what a run of each kind does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from langgraph.runtime import RunControl
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.events import DomainEvent, EventBus
from ...core.settings import Settings
from ...core.types import Principal, RunStatus
from ...store.checkpoints import Checkpoints, Fence
from ...store.eventlog import EventLog, LogTransaction
from ...store.lease import Lease
from ...store.models import RunRow
from ...store.records import NewEvent
from ..scope import actor_of


@dataclass(frozen=True)
class Claimed:
    """A run that this process now owns."""

    run: RunRow
    lease: Lease

    @property
    def principal(self) -> Principal:
        """Whose run it is, with what they were allowed to do when they started it."""
        return actor_of(self.run)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a run's stream ended, before the kind of run adds what it knows."""

    status: RunStatus
    reason: str | None = None
    error: dict[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What one delivery works with.

    Attributes:
        fence: Raises `LostLease` once the run is no longer known to be ours.
        control: Asks the graph to stop after the step in progress.
        record: Takes events; they reach the log soon, in order, under the lease.
    """

    fence: Fence
    control: RunControl
    record: Callable[[Sequence[NewEvent]], None]


class Work(Protocol):
    """One delivery of one run: it streams a graph and says how that ended."""

    @property
    def followed(self) -> bool:
        """Whether somebody may be following the run as it goes: then its beginning is told at once."""
        ...

    def opening(self) -> list[NewEvent]:
        """Say that the run begins, if an earlier delivery did not."""
        ...

    async def stream(self) -> Ending:
        """Drive the graph to its rest. May be cancelled, or raise what the graph raises."""
        ...

    def describe(self, failure: BaseException) -> dict[str, str]:
        """Name a failure of the graph by a code and a sentence."""
        ...

    async def close(self, ending: Ending) -> list[NewEvent]:
        """Tidy up after the stream, still under the lease; what is left to say."""
        ...

    async def settle(self, ending: Ending, said: Sequence[NewEvent]) -> Sequence[DomainEvent]:
        """Write the end of the run in one transaction, under its lease; what to tell subscribers."""
        ...

    def rested(self, ending: Ending) -> None:
        """The end is committed; must not block."""
        ...

    @property
    def agent(self) -> str | None:
        """The agent that worked last, for subscribers."""
        ...


class Driver(Protocol):
    """How runs of one kind are executed."""

    async def claimed(self, session: AsyncSession, run: RunRow, lease: Lease) -> Claimed:
        """Read what the run stands in, in the transaction that claims it."""
        ...

    def work(self, claimed: Claimed, desk: Desk) -> Work:
        """Make one delivery."""
        ...

    async def give_up(self, writing: LogTransaction, run: RunRow, ending: Ending) -> None:
        """Write the end of a run that nobody delivers any more, under the lease that stands on its row."""
        ...


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Where state goes, who is told, the limits, and the driver of each kind of run."""

    checkpoints: Checkpoints
    log: EventLog
    bus: EventBus
    settings: Settings
    drivers: Mapping[str, Driver]


def about(run: RunRow, agent: str | None) -> dict[str, Any]:
    """The fields that say in a domain event whose run it is about."""
    return {
        "thread_id": run.thread_id,
        "turn_id": run.turn_id,
        "run_id": run.id,
        "user_id": run.owner_id,
        "tenant_id": run.tenant_id,
        "agent": agent,
    }
