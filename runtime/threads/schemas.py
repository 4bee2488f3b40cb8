"""What a thread and its messages look like from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from pydantic import BaseModel, ConfigDict, Field

from ...core.types import ThreadStatus

Role = Literal["user", "assistant", "tool", "system"]
_ROLES: dict[str, Role] = {"human": "user", "ai": "assistant", "tool": "tool"}


class Thread(BaseModel):
    """A conversation. `epoch` with `last_seq` name the head of its event log.

    Attributes:
        workspace_id: None for threads of the Agent Server API.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    workspace_id: str | None
    title: str | None
    status: ThreadStatus
    agent: str | None
    epoch: str
    last_seq: int
    metadata: dict[str, Any] = Field(validation_alias="meta")
    created_at: datetime
    updated_at: datetime


class ToolCall(BaseModel):
    """A call that an agent made."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    arguments: dict[str, Any]


class Message(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(frozen=True)

    id: str
    role: Role
    content: str
    tool_calls: list[ToolCall] = []
    tool_call_id: str | None = None
    name: str | None = None
    status: str | None = None

    @classmethod
    def of(cls, message: BaseMessage) -> Message:
        """Read a LangChain message."""
        fields: dict[str, Any] = {"id": message.id or "", "role": _ROLES.get(message.type, "system")}
        if isinstance(message, AIMessage):
            fields["tool_calls"] = [
                ToolCall(id=call["id"] or "", name=call["name"], arguments=call["args"]) for call in message.tool_calls
            ]
        if isinstance(message, ToolMessage):
            fields |= {"tool_call_id": message.tool_call_id, "name": message.name, "status": message.status}
        return cls(content=str(message.text), **fields)
