"""Domain events: facts for subscribers (metrics, audit, context, sessions).

Not the event log (`store.eventlog`), which is what people see.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

import structlog

from .types import new_id, utc_now

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class DomainEvent:
    """The envelope. A subclass names its `type` and adds typed fields."""

    type: ClassVar[str]
    event_id: str = field(default_factory=new_id)
    at: datetime = field(default_factory=utc_now)
    tenant_id: str = "default"
    user_id: str | None = None
    thread_id: str | None = None
    turn_id: str | None = None
    run_id: str | None = None
    correlation_id: str | None = None
    agent: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunStarted(DomainEvent):
    """A run was claimed and its graph is about to stream."""

    type: ClassVar[str] = "run.started"
    attempt: int


@dataclass(frozen=True, kw_only=True)
class RunEnded(DomainEvent):
    """A run came to rest; `status` is one of `RunStatus`."""

    type: ClassVar[str] = "run.completed"
    status: str
    duration_s: float
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class AgentSwitched(DomainEvent):
    """The router or a hand-off chose another agent."""

    type: ClassVar[str] = "agent.switched"
    source: str | None
    target: str
    reason: str
    confidence: float
    method: str


@dataclass(frozen=True, kw_only=True)
class ToolCompleted(DomainEvent):
    """A tool call came back (`outcome`: ok, error, denied, interrupted)."""

    type: ClassVar[str] = "tool.completed"
    tool: str
    call_id: str
    outcome: str
    duration_s: float


@dataclass(frozen=True, kw_only=True)
class ApprovalRequested(DomainEvent):
    """A person must decide a call."""

    type: ClassVar[str] = "approval.requested"
    approval_id: str
    tool: str
    risk: str


@dataclass(frozen=True, kw_only=True)
class ApprovalDecided(DomainEvent):
    """A person (or the clock) decided a call."""

    type: ClassVar[str] = "approval.decided"
    approval_id: str
    decision: str
    by: str


@dataclass(frozen=True, kw_only=True)
class BudgetWarned(DomainEvent):
    """A budget's spending reached a threshold, or will be at its limit before the period ends; money in nano-dollars.

    Attributes:
        subject: Of the scope: a user's, thread's, agent's or key's id.
        span: The day, month or run.
        threshold: Percent; 0 for a forecast.
        runs_out_at: When the limit will be reached if spending goes on as it has; of forecasts only.
    """

    type: ClassVar[str] = "budget.warned"
    budget_id: str
    scope: str
    subject: str
    period: str
    span: str
    limit: int
    spent: int
    threshold: int
    runs_out_at: datetime | None = None


Subscriber = Callable[[DomainEvent], Awaitable[None]]
"""Takes one event. It may fail alone: the failure is counted and logged."""


class EventBus:
    """Hands each event to every subscriber, in order. A failing subscriber never stops the publisher."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []
        self.failures: dict[str, int] = {}

    def subscribe(self, subscriber: Subscriber) -> None:
        """Add a subscriber for the life of the bus."""
        self._subscribers.append(subscriber)

    async def publish(self, event: DomainEvent) -> None:
        """Deliver `event` before returning."""
        for subscriber in self._subscribers:
            try:
                await subscriber(event)
            except Exception as exc:  # noqa: BLE001 - one subscriber's fault is not the publisher's
                self._failed(subscriber, event, exc)

    def _failed(self, subscriber: Any, event: DomainEvent, exc: Exception) -> None:
        name = getattr(subscriber, "__qualname__", type(subscriber).__name__)
        self.failures[name] = self.failures.get(name, 0) + 1
        log.error("subscriber_failed", subscriber=name, event_type=event.type, error=repr(exc))
