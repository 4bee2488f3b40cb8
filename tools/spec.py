"""What a tool is: its LangChain face, its group, and what a call of it would touch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from langchain_core.tools import BaseTool
from pydantic import BaseModel

from ..core.types import ToolGroup

PERMISSIONS: Final[Mapping[ToolGroup, str]] = {
    ToolGroup.READ: "workspaces:read",
    ToolGroup.GIT_READ: "workspaces:read",
    ToolGroup.EDIT: "workspaces:write",
    ToolGroup.EXECUTE: "workspaces:write",
    ToolGroup.GIT_WRITE: "workspaces:write",
    ToolGroup.UI: "runs:write",
    ToolGroup.FLOW: "runs:write",
}
"""What whoever started the run must hold for a call of each group; one that changes files needs to write them too."""
_INJECTED: Final = "runtime"
CHANGES_FILES: Final = PERMISSIONS[ToolGroup.EDIT]


class Effect(StrEnum):
    """What a call leaves behind; it decides how an interrupted one is recovered."""

    NONE = "none"  # running it again is harmless: not journalled
    FILES = "files"  # compare the hashes before and after
    COMMAND = "command"  # kill the recorded process group, tell the model the effect is unknown
    GIT = "git"  # as a command


@dataclass(frozen=True, slots=True)
class Touched:
    """The paths a call names, as written: both ends of a move, every member of a patch."""

    reads: Sequence[str] = ()
    writes: Sequence[str] = ()


def _nothing(_args: Mapping[str, Any]) -> Touched:
    return Touched()


@dataclass(frozen=True)
class ToolSpec:
    """One tool.

    Attributes:
        tool: The LangChain tool; its name is the canonical one.
        group: What grants it. The permission key is (tool, action).
        effect: See `Effect`.
        touches: Arguments → paths named; raises `InvalidInput` on arguments that cannot be read.
        action: Arguments → action, for tools whose actions differ in group (`git_branch`); "" otherwise.
        groups: Group by action where it differs from `group`.
    """

    tool: BaseTool
    group: ToolGroup
    effect: Effect = Effect.NONE
    touches: Callable[[Mapping[str, Any]], Touched] = _nothing
    action: Callable[[Mapping[str, Any]], str] = lambda _args: ""
    groups: Mapping[str, ToolGroup] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Leave what is injected out of dumps: LangChain dumps the arguments of every call, and drops what it got."""
        schema = self.tool.args_schema
        if isinstance(schema, type) and issubclass(schema, BaseModel) and _INJECTED in schema.model_fields:
            schema.model_fields[_INJECTED].exclude = True
            schema.model_rebuild(force=True)

    @property
    def name(self) -> str:
        """The canonical name."""
        return self.tool.name

    def group_of(self, args: Mapping[str, Any]) -> ToolGroup:
        """The group that grants this very call."""
        return self.groups.get(self.action(args), self.group)

    def permission_of(self, args: Mapping[str, Any]) -> str:
        """The permission that this very call needs, of whoever started the run."""
        return CHANGES_FILES if self.effect is Effect.FILES else PERMISSIONS[self.group_of(args)]
