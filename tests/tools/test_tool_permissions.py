"""Every tool call declares the permission that it needs of whoever started the run."""

from __future__ import annotations

from typing import Any

import pytest

from codelab.core.permissions import ALL
from codelab.core.types import ToolGroup
from codelab.tools.registry import ALIASES, BUILT_ELSEWHERE, REGISTRY, permission_for
from codelab.tools.spec import PERMISSIONS, Effect, ToolSpec

CALLS = [(name, {}) for name in [*REGISTRY, *BUILT_ELSEWHERE, *ALIASES]]
CALLS += [("git_branch", {"action": action, "name": "b"}) for action in ("list", "create", "switch", "delete")]


def undeclared(groups: dict[ToolGroup, str]) -> set[ToolGroup]:
    """Groups without a permission, or with one that is none."""
    return {group for group in ToolGroup if groups.get(group) not in ALL}


def test_every_group_declares_a_permission() -> None:
    assert undeclared(dict(PERMISSIONS)) == set()
    assert undeclared({ToolGroup.READ: "workspaces:read"}) == set(ToolGroup) - {ToolGroup.READ}


@pytest.mark.parametrize(("name", "args"), CALLS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_tool_declares_a_permission(name: str, args: dict) -> None:
    assert permission_for(name, args) in ALL


@pytest.mark.parametrize(
    "spec", [spec for spec in REGISTRY.values() if spec.effect is not Effect.NONE], ids=lambda spec: spec.name
)
def test_what_changes_something_needs_to_write(spec: ToolSpec) -> None:
    changing = {"action": "create"} if spec.name == "git_branch" else {}
    assert spec.permission_of(changing) == "workspaces:write"


def test_reading_needs_to_read_and_talking_needs_the_run() -> None:
    assert permission_for("read_file", {}) == permission_for("git_branch", {"action": "list"}) == "workspaces:read"
    assert permission_for("prompt_user", {}) == permission_for("switch_agent", {}) == "runs:write"


def test_a_tool_that_nobody_knows_has_none() -> None:
    assert permission_for("rm_rf", {}) is None


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_what_is_injected_is_in_no_dump(name: str) -> None:
    """LangChain dumps the arguments of every call: with the runtime that would be the whole state."""
    schema: Any = REGISTRY[name].tool.args_schema
    values = {field: field for field in schema.model_fields}
    assert "runtime" not in schema.model_construct(**values).model_dump(warnings=False)
