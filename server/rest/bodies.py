"""What clients send."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from ...core.context import RunSettings
from ...core.types import ApprovalMode, DecisionKind
from ...store.texts import clean_text, dump_json

Text = Annotated[str, AfterValidator(clean_text)]
_DEEPEST = 32
_BIGGEST = 2**63 - 1


class Body(BaseModel):
    """A request body: unknown members are refused, not dropped."""

    model_config = ConfigDict(extra="forbid")


class NewThread(Body):
    """Begin a conversation in a workspace."""

    workspace_id: Text = Field(min_length=1, max_length=64)
    title: str | None = Field(None, max_length=200)


class ThreadChange(Body):
    """Rename a thread."""

    title: str = Field(min_length=1, max_length=200)


class NewRun(Body):
    """Say something; the agents take the turn."""

    text: str = Field(min_length=1, max_length=200_000)
    agent: str | None = Field(None, max_length=40, description="Name one agent; the router chooses otherwise")
    approval_mode: ApprovalMode | None = Field(None, description="Default: the server's APPROVALS__MODE")
    model: Literal["strong", "fast"] | None = None
    max_model_calls: int | None = Field(None, ge=1)
    max_tool_calls: int | None = Field(None, ge=1)

    def settings(self, default_mode: ApprovalMode) -> RunSettings:
        """The run settings these fields make."""
        return RunSettings(
            agent=self.agent,
            approval_mode=(self.approval_mode or default_mode).value,
            model=self.model,
            max_model_calls=self.max_model_calls,
            max_tool_calls=self.max_tool_calls,
        )


class Decision(Body):
    """Decide one call."""

    decision: DecisionKind
    arguments: dict[str, Any] | None = Field(None, description="With edit: what shall run instead")
    message: str | None = Field(None, max_length=20_000, description="Feedback, or with respond the answer itself")

    @field_validator("arguments")
    @classmethod
    def plain(cls, arguments: dict[str, Any] | None) -> dict[str, Any] | None:
        """Take only what can be stored and shown again; text and numbers that cannot are replaced."""
        _check(arguments, 0)
        return None if arguments is None else json.loads(dump_json(arguments))


def _check(value: Any, depth: int) -> None:
    """Refuse what a checkpoint cannot hold or a page not be made of: it would spoil the run, or every list it is in."""
    if depth > _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST}")
    if isinstance(value, int) and abs(value) > _BIGGEST:
        raise ValueError("a number beyond 64 bits")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for member in inner:
        _check(member, depth + 1)


class NewWorkspace(Body):
    """Register a folder below one of WORKSPACES__ROOTS."""

    path: str = Field(min_length=1, max_length=4096)
    name: Text | None = Field(None, max_length=100)
