"""The words of the policy: the facts of a call, what an agent was granted, the turn's pin, the verdict. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NotRequired

from typing_extensions import TypedDict

from ..core.types import PolicyDecision, ToolGroup

Risk = Literal["low", "medium", "high"]


class PolicyPin(TypedDict):
    """The policy of one turn, pinned in checkpointed state when the turn starts.

    `allow` holds the person's own rules for this turn: `{"tool": name, "exact": "the command or path"}`, or for
    commands `{"tool": name, "prefix": "first words"}`.
    """

    version: str
    mode: str
    turn_id: str
    expires_s: float
    allow: NotRequired[list[dict[str, str]]]


@dataclass(frozen=True, slots=True)
class Grant:
    """What one agent may do.

    Attributes:
        agent: Its name.
        tools: Canonical tool names it holds.
        groups: Groups it holds; a tool whose call falls into another group is refused even if named in `tools`
            by way of a group (`git_branch` read by git_read, written by git_write).
        files: Regular expressions (RE2, full match on the real relative path) it may write; empty means all.
        named: Tools it holds by their own name, whatever group a call of theirs falls into.
    """

    agent: str
    tools: frozenset[str]
    groups: frozenset[ToolGroup]
    files: tuple[str, ...] = ()
    named: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CallFacts:
    """A tool call after everything about it that needs I/O was found out.

    Attributes:
        tool: Canonical name; `known` tells whether there is such a tool.
        group: The group this call falls into; None when unknown.
        action: As `ToolSpec.action`.
        reads: Real relative paths it would read.
        writes: Real relative paths it would write, both ends of a move, every member of a patch. Where the path as
            named differs from the real one (a symlink), both stand here.
        refused: Why a path or an argument cannot be accepted at all (outside the jail, unreadable patch), or None.
        command: The command line as written, for execute tools.
        argvs: Its simple commands, each as argv tokens; None when it could not be parsed with certainty.
        outside: What the command reads that lies outside the workspace, holds secrets or cannot be told in advance.
    """

    tool: str
    known: bool
    group: ToolGroup | None
    action: str = ""
    reads: Sequence[str] = ()
    writes: Sequence[str] = ()
    refused: str | None = None
    command: str | None = None
    argvs: Sequence[Sequence[str]] | None = None
    outside: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says: the decision, the rule that made it, a sentence for people, and how risky the call is."""

    decision: PolicyDecision
    rule: str
    reason: str
    risk: Risk = "low"
