"""What an approval looks like from outside; the same dict stands in the event log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ...core.types import ApprovalStatus, DecisionKind


class Approval(BaseModel):
    """One tool call that a person must decide.

    Attributes:
        kind: `tool`, or `question` for an interrupt that names no tool call.
        allowed_decisions: What may be answered.
        preview: `{"kind": "diff" | "command" | "question" | "text", …}` for people to read.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    thread_id: str
    turn_id: str
    run_id: str
    interrupt_id: str
    tool_call_id: str
    kind: str
    agent: str | None
    tool: str
    arguments: dict[str, Any] = Field(validation_alias="args")
    edited_arguments: dict[str, Any] | None = Field(validation_alias="edited_args")
    allowed_decisions: list[DecisionKind] = Field(validation_alias="allowed")
    description: str | None
    risk: str
    reason: str | None
    preview: dict[str, Any] | None
    policy_version: str | None
    status: ApprovalStatus
    decision: DecisionKind | None
    message: str | None
    decided_by: str | None
    decided_at: datetime | None
    expires_at: datetime | None
    created_at: datetime
