"""What a call would touch, found out on a real folder."""

# ruff: noqa: E501 - long tables
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codelab.core.types import PolicyDecision, ToolGroup
from codelab.tools.approval import decide
from codelab.tools.facts import gather
from codelab.tools.policy import CallFacts, PolicyPin
from codelab.tools.registry import REGISTRY, grant_for
from codelab.tools.workspaces.local import LocalWorkspace

EVERYTHING = grant_for("all", [group.value for group in ToolGroup])
AUTO = PolicyPin(version="1", mode="auto", turn_id="t", expires_s=60)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("facts")
    root = base / "root"
    for name in ("src/app.py", "docs/plan.md", ".env", "package.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x\n")
    (base / "outside").mkdir()
    (base / "outside" / "x").write_text("secret")
    for link, target in {
        "out": "../outside",
        "abs": "/etc",
        "up": "..",
        "env.txt": ".env",
        "plan.md": "docs/plan.md",
    }.items():
        (root / link).symlink_to(target)
    (root / "docs" / "loop").symlink_to("loop")
    return root


async def facts_of(root: Path, name: str, /, **args: Any) -> CallFacts:
    return await gather(name, args, LocalWorkspace(root, id="w"))


async def run(root: Path, command: str, **args: Any) -> CallFacts:
    return await facts_of(root, "execute_command", command=command, **args)


async def test_real_and_named_paths_both_stand(root: Path) -> None:
    assert (await facts_of(root, "read_file", path="plan.md")).reads == ("docs/plan.md", "plan.md")
    assert (await facts_of(root, "read_file", path="./docs//plan.md")).reads == ("docs/plan.md",)
    assert (await facts_of(root, "write_file", path=str(root / "new"), content="")).writes == ("new",)
    both = await facts_of(root, "move_file", source="plan.md", target="src/p.md")
    assert both.writes == ("docs/plan.md", "plan.md", "src/p.md")


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("read_file", {"path": "../x"}), ("read_file", {"path": "out/x"}), ("read_file", {"path": "abs/passwd"}), ("read_file", {"path": ""}),
        ("read_file", {"path": "a\0b"}), ("read_file", {"path": 3}), ("read_file", {}), ("read_file", {"path": ["a"]}),
        ("write_file", {"path": "up/outside/x", "content": ""}), ("write_file", {"path": "a"}), ("apply_patch", {"patch": "no patch"}),
        ("git_branch", {"action": "obliterate", "name": "x"}), ("git_branch", {"action": "create", "name": "-x"}), ("git_branch", {"action": "create"}),
        ("git_diff", {"ref": "--output=x"}), ("git_diff", {"ref": "HEAD:.env"}), ("git_diff", {"paths": ["-x"]}), ("git_log", {"path": "../x"}),
        ("git_commit", {"message": "x", "paths": ["../x"]}), ("execute_command", {"command": ""}), ("execute_command", {"command": "a" * 60_000}), ("execute_command", {"command": "a\0b"}),
        ("execute_command", {"command": "ls", "cwd": "../outside"}), ("execute_command", {"command": "touch ../x"}),
        ("execute_command", {"command": "echo x > /tmp/x"}), ("execute_command", {"command": "cd out && touch x"}),
        ("execute_command", {"command": "cp src/app.py out/y"}), ("execute_command", {"command": "sh -c 'rm ../x'"}),
        ("prompt_user", {"questions": [{"question": ""}]}), ("update_todo_list", {"todos": "x"}), ("apply_patch_review", {"diff": "x", "message": 1}),
    ],
)  # fmt: skip
async def test_what_cannot_be_accepted_is_refused(root: Path, name: str, args: dict[str, Any]) -> None:
    facts = await facts_of(root, name, **args)
    assert facts.refused
    assert decide(facts, EVERYTHING, AUTO).decision is PolicyDecision.DENY


async def test_unknown_tools_are_unknown(root: Path) -> None:
    assert not (await facts_of(root, "nope")).known
    assert (await facts_of(root, "switch_agent", agent="x")).group is ToolGroup.FLOW


async def test_every_file_of_a_patch_stands(root: Path) -> None:
    patch = "*** Begin Patch\n*** Add File: a.md\n+x\n*** Add File: src/b.py\n+x\n*** End Patch\n"
    assert set((await facts_of(root, "apply_patch", patch=patch)).writes) == {"a.md", "src/b.py"}
    assert set((await facts_of(root, "apply_patch_review", diff=patch, message="m")).writes) == {"a.md", "src/b.py"}


async def test_the_paths_of_a_command_are_found(root: Path) -> None:
    facts = await run(root, "cat plan.md > docs/new && rm src/app.py", cwd=".")
    assert set(facts.writes) == {"docs/new", "src/app.py"}
    assert "docs/plan.md" in facts.reads
    assert facts.argvs == ((">docs/new", "cat", "plan.md"), ("rm", "src/app.py"))
    assert (await run(root, "touch x", cwd="docs")).writes == ("docs/x",)
    assert set((await run(root, "cd docs && touch x")).writes) == {"x", "docs/x"}
    assert (await run(root, "curl https://a/b > /dev/null")).outside == ()
    assert (await run(root, "git show HEAD:src/app.py")).reads[-1] == "src/app.py"


@pytest.mark.parametrize(
    ("command", "decision"),
    [
        ("cat env.txt", "deny"), ("cat src/../.env", "deny"), ("cd src && cat ../.env", "deny"), ("tar cf - .env", "deny"), ("ls src", "allow"),
        ("cat /etc/hosts", "ask"), ("cat out/x", "ask"), ("ls up", "ask"), ("cd .. && ls", "ask"), ("cd && ls", "ask"), ("cd - && ls", "ask"),
        ("cat ../outside/x", "ask"), ("ls --sort=/etc", "ask"), ("touch package.json", "ask"), ("echo x >> package.json", "ask"),
        ("sed -i s/a/b/ package.json", "ask"), ("cp src/app.py .git/hooks/pre-commit", "ask"), ("cat package.json", "allow"),
        ("grep -r /etc src", "allow"), ("pytest " + "a " * 300, "ask"), ("touch src/new.py", "allow"), ("cat env.*", "deny"), ("cat .en?", "deny"), ("cat u?/x", "ask"), ("cat src/*.py", "allow"), ("rm pack*", "ask"),
        ("touch .g*t/hooks/x", "ask"), ("cat nope/*", "allow"), ("grep -rn x .", "ask"), ("grep -rn x src", "allow"), ("grep x *.md", "allow"),
        ("rg --hidden x", "ask"), ("rg -u x src", "allow"), ("rg --hidden x .", "ask"), ("ls */*", "ask"), ("cat /*", "ask"), ("cat [a-z]*", "ask"), ("cd src; " * 9 + "ls", "ask"), ("cd a; cd b; cd c; cd d; ls", "ask"), ("cat docs/loop", "allow"),
    ],
)  # fmt: skip
async def test_commands_in_mode_auto(root: Path, command: str, decision: str) -> None:
    verdict = decide(await run(root, command), EVERYTHING, AUTO)
    assert verdict.decision.value == decision, verdict


STEPS = [
    "..",
    ".",
    "src",
    "docs",
    "out",
    "up",
    "abs",
    "root",
    "outside",
    "x",
    "new",
    "",
    "~",
    "plan.md",
    "env.txt",
    "\u2025",
    "．．",
    "loop",
]
paths = st.lists(st.sampled_from(STEPS), min_size=1, max_size=6).map("/".join)
PATH_TOOLS = [
    name for name, spec in REGISTRY.items() if "path" in spec.tool.tool_call_schema.model_json_schema()["properties"]
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.sampled_from(PATH_TOOLS), paths)
async def test_no_path_leaves_the_workspace(root: Path, name: str, path: str) -> None:
    args = {"path": path, "content": "", "pattern": "x", "edits": [{"old": "a", "new": "b"}]}
    facts = await facts_of(root, name, **args)
    verdict = decide(facts, EVERYTHING, AUTO)
    real = os.path.realpath(root / path)
    if not Path(real).is_relative_to(root.resolve()) or os.path.basename(real).startswith(".env"):  # noqa: PTH119
        assert verdict.decision is PolicyDecision.DENY
    for found in (*facts.reads, *facts.writes):
        assert not os.path.isabs(found)  # noqa: PTH117
        assert ".." not in found.split("/")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    st.dictionaries(
        st.sampled_from(["path", "patch", "command", "cwd", "ref", "paths", "name", "action", "todos"]),
        st.none() | st.text(max_size=9) | st.integers() | st.lists(st.text(max_size=3), max_size=3),
    ),
    st.sampled_from(sorted(REGISTRY)),
)
async def test_no_arguments_make_it_raise(root: Path, args: dict[str, Any], name: str) -> None:
    facts = await gather(name, args, LocalWorkspace(root, id="w"))
    assert facts.known


@pytest.mark.parametrize(("depth", "refused"), [(10, False), (400, True), (100_000, True)])
async def test_arguments_that_nest_too_deep_are_refused(tmp_path: Path, depth: int, refused: bool) -> None:
    nested: Any = "x"
    for _ in range(depth):
        nested = [nested]
    facts = await gather("update_todo_list", {"todos": nested}, LocalWorkspace(tmp_path, id="w"))
    assert ("deeper" in (facts.refused or "")) is refused
