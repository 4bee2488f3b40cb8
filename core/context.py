"""What a client may say about one turn. The handles that a host adds ride in `tools.context.RunContext`."""

from __future__ import annotations

from dataclasses import dataclass

from .types import ApprovalMode


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The graph's `context_schema`: plain JSON values from the client, validated and capped by the host.

    Attributes:
        agent: The agent that must take this turn; None lets the router choose.
        approval_mode: `ask`, `auto` or `deny`.
        model: A model role (`strong`, `fast`) that overrides the agents' own.
        workspace: The id of a registered workspace; None means the host's default.
        max_model_calls: Cap on model calls in this turn; the host's own cap always holds.
        max_tool_calls: Cap on tool calls in this turn; likewise.
    """

    agent: str | None = None
    approval_mode: str = ApprovalMode.ASK.value
    model: str | None = None
    workspace: str | None = None
    max_model_calls: int | None = None
    max_tool_calls: int | None = None
