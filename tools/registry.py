"""Every tool there is, and what an agent file's words grant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core.errors import ConfigError
from ..core.types import ToolGroup
from . import files, flow, git, patching, search, shell, ui
from .permissions import file_rules
from .policy import Grant
from .spec import PERMISSIONS, ToolSpec

REGISTRY: Mapping[str, ToolSpec] = {
    spec.name: spec
    for spec in (
        *files.SPECS,  # list_files read_file write_file edit_file delete_file move_file create_directory
        *search.SPECS,  # search_files
        *patching.SPECS,  # apply_patch
        *shell.SPECS,  # execute_command read_output kill_command
        *git.SPECS,  # git_status git_diff git_log git_branch git_commit
        *ui.SPECS,  # apply_patch_review show_notification show_progress
        *flow.SPECS,  # update_todo_list prompt_user finish
    )
}
"""Canonical name → tool."""

BUILT_ELSEWHERE: Mapping[str, ToolGroup] = {"switch_agent": ToolGroup.FLOW}
"""Tools that need the roster of agents, and so are built with the agents; the policy knows them all the same."""

ALIASES: Mapping[str, str] = {
    "git.status": "git_status",
    "git.diff": "git_diff",
    "git.log": "git_log",
    "git.branch": "git_branch",
    "git.commit": "git_commit",
    "search_in_code": "search_files",
    "search_in_project": "search_files",
    "kill_process": "kill_command",
    "switch_mode": "switch_agent",
}
"""Names of the first generation, accepted on the wire; models see the canonical ones."""


def canonical(name: str) -> str:
    """Give the canonical name for any accepted one; an unknown name stays as it is."""
    return ALIASES.get(name, name)


def permission_for(name: str, args: Mapping[str, Any]) -> str | None:
    """Name the permission that a call needs; None for a tool that nobody knows."""
    name = canonical(name)
    if name in BUILT_ELSEWHERE:
        return PERMISSIONS[BUILT_ELSEWHERE[name]]
    return REGISTRY[name].permission_of(args) if name in REGISTRY else None


def specs_for(grants: Sequence[str]) -> tuple[ToolSpec, ...]:
    """List the tools that an agent file's words (groups or names) grant, in the registry's order.

    Raises:
        ConfigError: A word is neither a group nor a tool.
    """
    names, groups = _read(grants)
    return tuple(spec for spec in REGISTRY.values() if spec.name in names or groups.intersection(_groups(spec)))


def grant_for(agent: str, grants: Sequence[str], files: Sequence[str] = ()) -> Grant:
    """Make an agent's grant from the words of its file.

    Raises:
        ConfigError: An unknown word, a file rule that RE2 cannot read, or a file rule beside commands: a shell goes
            around any file rule.
    """
    named, groups = _read(grants)
    file_rules(files)
    tools = {spec.name for spec in specs_for(grants)} | {t for t, group in BUILT_ELSEWHERE.items() if group in groups}
    if files and "execute_command" in tools:
        raise ConfigError(f"{agent}: an agent with a file rule cannot run commands; take execute or files away")
    return Grant(agent, frozenset(tools | named), frozenset(groups), tuple(files), frozenset(named))


def _groups(spec: ToolSpec) -> Iterator[ToolGroup]:
    yield spec.group
    yield from spec.groups.values()


def _read(grants: Sequence[str]) -> tuple[set[str], set[ToolGroup]]:
    known = {group.value for group in ToolGroup}
    groups = {ToolGroup(word) for word in grants if word in known}
    named = {canonical(word) for word in grants if word not in known}
    if unknown := sorted(named - REGISTRY.keys() - BUILT_ELSEWHERE.keys()):
        raise ConfigError(f"there is no tool or tool group {', '.join(unknown)}; groups are {', '.join(sorted(known))}")
    return named, groups
