"""What clients send."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...core.context import RunSettings
from ...core.types import ApprovalMode, DecisionKind


class Body(BaseModel):
    """A request body: unknown members are refused, not dropped."""

    model_config = ConfigDict(extra="forbid")


class NewThread(Body):
    """Begin a conversation in a workspace."""

    workspace_id: str = Field(min_length=1, max_length=64)
    title: str | None = Field(None, max_length=200)


class ThreadChange(Body):
    """Rename a thread."""

    title: str = Field(min_length=1, max_length=200)


class NewRun(Body):
    """Say something; the agents take the turn."""

    text: str = Field(min_length=1, max_length=200_000)
    agent: str | None = Field(None, max_length=40, description="Name one agent; the router chooses otherwise")
    approval_mode: ApprovalMode = ApprovalMode.ASK
    model: Literal["strong", "fast"] | None = None
    max_model_calls: int | None = Field(None, ge=1)
    max_tool_calls: int | None = Field(None, ge=1)

    def settings(self) -> RunSettings:
        """The run settings these fields make."""
        return RunSettings(
            agent=self.agent,
            approval_mode=self.approval_mode.value,
            model=self.model,
            max_model_calls=self.max_model_calls,
            max_tool_calls=self.max_tool_calls,
        )


class Decision(Body):
    """Decide one call."""

    decision: DecisionKind
    arguments: dict[str, Any] | None = Field(None, description="With edit: what shall run instead")
    message: str | None = Field(None, max_length=20_000, description="Feedback, or with respond the answer itself")


class NewWorkspace(Body):
    """Register a folder below one of WORKSPACES__ROOTS."""

    path: str = Field(min_length=1, max_length=4096)
    name: str | None = Field(None, max_length=100)
