"""The words everything shares: ids, the principal, and each noun's set of values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from uuid_utils import uuid7


def new_id() -> str:
    """Make an id that sorts by time (UUIDv7, text)."""
    return str(uuid7())


def utc_now() -> datetime:
    """Tell the time, aware and in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts. Every stored object belongs to one, every query is bound to one.

    Attributes:
        facts: What an application's own authentication says of the person; its graphs are told.
        marks: Metadata that every thread gets which this principal makes.
        headers: Headers of the request that the graphs are told.
        session_id: The browser session that this is, if it is one.
    """

    user_id: str
    tenant_id: str = "default"
    client_id: str | None = None
    scopes: frozenset[str] = field(default_factory=frozenset)
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False)
    marks: Mapping[str, Any] = field(default_factory=dict, compare=False)
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)
    session_id: str | None = field(default=None, compare=False)


class ThreadStatus(StrEnum):
    """What a thread is doing."""

    IDLE = "idle"
    BUSY = "busy"
    INTERRUPTED = "interrupted"
    ERROR = "error"


class RunStatus(StrEnum):
    """Where one execution of the graph stands; a run ends at an interrupt."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"


class ApprovalStatus(StrEnum):
    """Where one tool call that a person must decide stands."""

    PENDING = "pending"
    APPROVED = "approved"
    EDITED = "edited"
    REJECTED = "rejected"
    RESPONDED = "responded"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class ApprovalMode(StrEnum):
    """How a turn treats calls that ask: a person decides, only the risky ones do, or none is allowed."""

    ASK = "ask"
    AUTO = "auto"
    DENY = "deny"


class DecisionKind(StrEnum):
    """What a person may answer."""

    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"
    RESPOND = "respond"


class PolicyDecision(StrEnum):
    """What the policy says of a call."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


class ToolGroup(StrEnum):
    """What an agent file may grant as a whole."""

    READ = "read"
    EDIT = "edit"
    EXECUTE = "execute"
    GIT_READ = "git_read"
    GIT_WRITE = "git_write"
    UI = "ui"
    FLOW = "flow"


FINISHED_RUNS = frozenset({RunStatus.SUCCESS, RunStatus.ERROR, RunStatus.TIMEOUT, RunStatus.INTERRUPTED})
