"""What this process knows of limits and holds of accounts. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from ..chat import Caller
from .limits import Account, Limit, Limits, bounds
from .slices import Slice

_QUIET: Final = 5
"""Rounds after which a tenant that asks for nothing is forgotten."""

CallerKey = tuple[str, str, str, str, str]


@dataclass(slots=True)
class Tenant:
    """A tenant's limits.

    Attributes:
        free: Whether there are none.
        until: When the day ends, and the plans with it.
        plans: The slices that each caller's requests count against.
        used: Whether somebody asked since the last look.
        quiet: Looks since somebody asked.
    """

    limits: Limits
    free: bool
    until: float
    plans: dict[CallerKey, tuple[Slice, ...]] = field(default_factory=dict)
    used: bool = True
    quiet: int = 0


class Book:
    """Tenants and slices of one process.

    Args:
        clock: Seconds since 1970.
        urgent: Handed to each slice.

    Attributes:
        lost: Slices without a lease that requests may still settle with.
        most_callers: Of a tenant, whose slices are known without a look at the limits.
    """

    most_tenants = 1_000
    most_callers = 4_096
    most_slices = 8_192

    def __init__(self, clock: Callable[[], float], urgent: Callable[[], None]) -> None:
        self._clock = clock
        self._urgent = urgent
        self.tenants: dict[str, Tenant] = {}
        self.slices: dict[Account, Slice] = {}
        self.lost: list[Slice] = []

    @property
    def empty(self) -> bool:
        """Whether there is nothing to look after."""
        return not (self.tenants or self.slices or self.lost)

    @property
    def crowded(self) -> bool:
        """Whether slices must be given back early."""
        return len(self.slices) > self.most_slices

    def learn(self, tenant_id: str, limits: Iterable[Limit]) -> None:
        """Take note of a tenant's limits; what is planned stays if they are what they were."""
        fresh = Limits(limits)
        known = self.tenants.get(tenant_id)
        if known is None or known.limits != fresh:
            self.tenants[tenant_id] = Tenant(fresh, free=not fresh, until=self._midnight())

    def plan(self, tenant: Tenant, caller: Caller) -> tuple[Slice, ...]:
        """Find or make the slices that a request counts against, in the order of their keys."""
        now = self._clock()
        if now >= tenant.until:
            tenant.plans.clear()
            tenant.until = self._midnight()
        found = tenant.limits.concerning(caller, datetime.fromtimestamp(now, UTC))
        slices = tuple(sorted((self._slice(limit, account) for limit, account in found), key=lambda s: s.account))
        if len(tenant.plans) >= self.most_callers:
            del tenant.plans[next(iter(tenant.plans))]
        tenant.plans[(caller.user_id, caller.key_id, caller.thread_id, caller.agent, caller.run_id)] = slices
        return slices

    def _slice(self, limit: Limit, account: Account) -> Slice:
        known = self.slices.get(account)
        if known is None:
            known = self.slices[account] = Slice(limit, account, self._urgent)
        elif known.limit is not limit:
            known.limit = limit
        return known

    def lose(self, part: Slice) -> None:
        """Give a slice up whose lease is gone or in doubt: what it held counts as spent, sooner or later."""
        part.lost, part.lease = True, None
        part.room = part.spent = 0
        self.slices.pop(part.account, None)
        self.lost.append(part)

    def forget(self, part: Slice) -> None:
        """Drop a slice whose budget is gone, and read the tenant's limits anew."""
        self.slices.pop(part.account, None)
        self.tenants.pop(part.limit.tenant_id, None)

    def tidy(self, idle_since: float) -> None:
        """Drop slices that hold nothing."""
        crowded = self.crowded
        for part in [s for s in self.slices.values() if s.idle and s.lease is None]:
            if crowded or part.used < idle_since:
                del self.slices[part.account]
        self.lost = [part for part in self.lost if part.flying or part.over]

    def forget_tenants(self) -> None:
        """Drop the tenants beyond what may be remembered, those first that came first."""
        for tenant_id in list(self.tenants)[: max(len(self.tenants) - self.most_tenants, 0)]:
            del self.tenants[tenant_id]

    def to_look_at(self) -> list[str]:
        """Name the tenants whose limits must be read anew; those that have been quiet for long are forgotten."""
        for tenant_id, tenant in list(self.tenants.items()):
            tenant.quiet = 0 if tenant.used else tenant.quiet + 1
            tenant.used = False
            if tenant.quiet > _QUIET:
                del self.tenants[tenant_id]
        return list(self.tenants)

    def _midnight(self) -> float:
        day = bounds("day", datetime.fromtimestamp(self._clock(), UTC))
        assert day is not None  # noqa: S101 - a day has bounds
        return day[1].timestamp()
