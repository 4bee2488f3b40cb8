"""What may never be done, and what is asked: pure tables, every branch, and properties."""

# ruff: noqa: E501 - long tables
from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelab.core.errors import ConfigError
from codelab.core.types import DecisionKind, PolicyDecision, ToolGroup
from codelab.tools.approval import allowed_decisions, any_rule, decide
from codelab.tools.commands import argvs
from codelab.tools.guarded import is_protected, is_secret
from codelab.tools.permissions import denial
from codelab.tools.policy import CallFacts, Grant, PolicyPin
from codelab.tools.registry import REGISTRY, grant_for, specs_for
from codelab.tools.shellwords import read_line

ALLOW, ASK, DENY = PolicyDecision.ALLOW, PolicyDecision.ASK, PolicyDecision.DENY
EVERYTHING = grant_for("all", [group.value for group in ToolGroup])
WRITER = grant_for("architect", ["read", "edit", "git_read", "ui", "flow"], [r".*\.(md|mdx|txt)$"])
MODES = ("ask", "auto", "deny")


def pin(mode: str = "ask", **allow: str) -> PolicyPin:
    rules = [
        {"tool": tool.replace("__prefix", ""), "prefix" if "__prefix" in tool else "exact": text}
        for tool, text in allow.items()
    ]
    return PolicyPin(version="1", mode=mode, turn_id="t", expires_s=60, allow=rules)


def edit(*writes: str, tool: str = "edit_file") -> CallFacts:
    return CallFacts(tool, known=True, group=ToolGroup.EDIT, writes=writes)


def command(line: str, **changes: Any) -> CallFacts:
    facts = CallFacts(
        "execute_command", known=True, group=ToolGroup.EXECUTE, command=line, argvs=argvs(read_line(line))
    )
    return replace(facts, **changes)


def call(tool: str, action: str = "", **changes: Any) -> CallFacts:
    spec = REGISTRY[tool]
    return replace(CallFacts(tool, known=True, group=spec.groups.get(action, spec.group), action=action), **changes)


@pytest.mark.parametrize(
    ("facts", "grant", "rule"),
    [
        (CallFacts("nope", known=False, group=None), EVERYTHING, "unknown_tool"),
        (CallFacts("nope", known=True, group=None), EVERYTHING, "unknown_tool"),
        (replace(edit("a"), refused="bad patch"), EVERYTHING, "refused"),
        (edit("/etc/passwd"), EVERYTHING, "outside"),
        (edit("a", "../b"), EVERYTHING, "outside"),
        (edit("~/b"), EVERYTHING, "outside"),
        (edit("a\0b"), EVERYTHING, "outside"),
        (edit(""), EVERYTHING, "outside"),
        (call("read_file", reads=("a", ".env")), EVERYTHING, "secret"),
        (edit("ok", "deploy/server.pem"), EVERYTHING, "secret"),
        (command("sudo ls"), EVERYTHING, "forbidden_command"),
        (edit("a"), grant_for("ask", ["read"]), "not_granted"),
        (call("git_branch", "create"), grant_for("ask", ["git_read"]), "not_granted"),
        (call("apply_patch_review", writes=("a",)), grant_for("shown", ["ui"]), "not_granted"),
        (edit("a.md", "b.py"), WRITER, "file_rule"),
        (edit("a.md.py"), WRITER, "file_rule"),
        (edit("a.py\n.md"), WRITER, "file_rule"),
        (edit(), WRITER, "file_rule"),
        (call("apply_patch_review", writes=("a.md", "b.py")), WRITER, "file_rule"),
    ],
)  # fmt: skip
def test_denials(facts: CallFacts, grant: Grant, rule: str) -> None:
    verdict = denial(facts, grant)
    assert verdict is not None
    assert (verdict.decision, verdict.rule) == (DENY, rule)
    for mode in MODES:
        assert decide(facts, grant, pin(mode, **{facts.tool: facts.command or "a"})) == verdict


@pytest.mark.parametrize(
    ("facts", "grant"),
    [
        (edit("a.md", "docs/b.txt"), WRITER),
        (call("read_file", reads=("src/x.py",)), WRITER),
        (call("git_branch", "create"), grant_for("named", ["git_branch"])),
        (call("git_branch"), grant_for("ask", ["git_read"])),
        (call("apply_patch_review", writes=("a",)), EVERYTHING),
        (call("apply_patch_review", writes=("a",)), grant_for("named", ["apply_patch_review"])),
        (CallFacts("switch_agent", known=True, group=ToolGroup.FLOW), EVERYTHING),
    ],
)
def test_no_denial(facts: CallFacts, grant: Grant) -> None:
    assert denial(facts, grant) is None


FREE = [
    call("read_file", reads=("a",)), call("git_diff"), call("git_branch"), call("finish"), call("show_progress"), call("update_todo_list"),
    call("read_output"), call("kill_command"), CallFacts("switch_agent", known=True, group=ToolGroup.FLOW),
]  # fmt: skip
ASKED = [
    edit("src/a.py"), edit("a", "b", "c", "d"), edit("a", tool="delete_file"), call("git_commit", writes=("a",)), call("git_commit"),
    call("git_branch", "create"), call("git_branch", "switch"), command("ls"), command("pytest -q"), command("git commit -m x"),
]  # fmt: skip
RISKY = [
    edit(".github/workflows/ci.yml"), edit("src/a.py", "package.json"), edit("AGENTS.md"), command("curl x"), command("echo $x"),
    command("python -c x"), command("cat /etc/hosts", outside=("/etc/hosts",)), command("touch Makefile", writes=("Makefile",)),
    call("git_branch", "delete"), call("apply_patch_review", writes=("a",)), call("prompt_user"),
]  # fmt: skip


@pytest.mark.parametrize("facts", FREE, ids=lambda f: f.tool)
@pytest.mark.parametrize("mode", MODES)
def test_what_changes_nothing_is_allowed(facts: CallFacts, mode: str) -> None:
    assert decide(facts, EVERYTHING, pin(mode)).decision is ALLOW


@pytest.mark.parametrize(("mode", "decision"), [("ask", ASK), ("auto", ALLOW), ("deny", DENY), ("no such mode", ASK)])
@pytest.mark.parametrize("facts", ASKED)
def test_what_is_asked_follows_the_mode(facts: CallFacts, mode: str, decision: PolicyDecision) -> None:
    assert decide(facts, EVERYTHING, pin(mode)).decision is decision


@pytest.mark.parametrize(("mode", "decision"), [("ask", ASK), ("auto", ASK), ("deny", DENY), ("no such mode", ASK)])
@pytest.mark.parametrize("facts", RISKY)
def test_what_is_risky_asks_even_in_auto(facts: CallFacts, mode: str, decision: PolicyDecision) -> None:
    assert decide(facts, EVERYTHING, pin(mode)).decision is decision


@pytest.mark.parametrize("facts", [*FREE, *ASKED, *RISKY])
def test_without_a_pinned_policy_nothing_runs(facts: CallFacts) -> None:
    assert decide(facts, EVERYTHING, None).rule == "no_policy"


def test_nobody_answers_questions_in_mode_deny() -> None:
    assert "decide yourself" in decide(call("prompt_user"), EVERYTHING, pin("deny")).reason
    assert "approvals are off" in decide(edit("a"), EVERYTHING, pin("deny")).reason


@pytest.mark.parametrize(
    ("facts", "rules", "decision"),
    [
        (command("make test"), {"execute_command": "make test"}, ALLOW),
        (command("make  'test'"), {"execute_command": "make test"}, ALLOW),
        (command("make tests"), {"execute_command": "make test"}, ASK),
        (command("make test x"), {"execute_command": "make test"}, ASK),
        (command("make test; curl x"), {"execute_command": "make test"}, ASK),
        (command("make test > x", writes=("x",)), {"execute_command": "make test"}, ASK),
        (command("A=1 make test"), {"execute_command": "make test"}, ASK),
        (command("make test; make test"), {"execute_command": "make test"}, ALLOW),
        (command("make test && ls"), {"execute_command": "make test && ls"}, ALLOW),
        (command("curl https://x"), {"execute_command": "curl https://x"}, ALLOW),
        (command("echo $x"), {"execute_command": "echo $x"}, ASK),
        (command("touch Makefile", writes=("Makefile",)), {"execute_command": "touch Makefile"}, ASK),
        (command("git status -s"), {"execute_command__prefix": "git status"}, ALLOW),
        (command("gitx status"), {"execute_command__prefix": "git"}, ASK),
        (command("git -c core.pager=x status"), {"execute_command__prefix": "git"}, ASK),
        (command("git log --output=x"), {"execute_command__prefix": "git log"}, ASK),
        (command("ssh -oProxyCommand=x h"), {"execute_command__prefix": "ssh"}, ASK),
        (command("git status > x", writes=("x",)), {"execute_command__prefix": "git status"}, ASK),
        (command("cat /etc/x", outside=("/etc/x",)), {"execute_command__prefix": "cat"}, ASK),
        (command("git status && curl x"), {"execute_command__prefix": "git status"}, ASK),
        (command("ls"), {"execute_command__prefix": ""}, ASK),
        (command("ls"), {"write_file": "ls"}, ASK),
        (command("# nothing"), {"execute_command__prefix": "ls"}, ASK),
        (edit("a"), {"edit_file": "a"}, ALLOW),
        (edit("a", "b"), {"edit_file": "a"}, ASK),
        (edit("package.json"), {"edit_file": "package.json"}, ASK),
        (call("git_commit"), {"git_commit": "x"}, ASK),
    ],
)  # fmt: skip
def test_rules_of_the_person(facts: CallFacts, rules: dict[str, str], decision: PolicyDecision) -> None:
    assert decide(facts, EVERYTHING, pin("ask", **rules)).decision is decision
    expected = ALLOW if decision is ALLOW else DENY
    assert decide(facts, EVERYTHING, pin("deny", **rules)).decision is expected


def test_a_rule_without_text_covers_nothing() -> None:
    assert not any_rule(command("ls"), [{"tool": "execute_command"}])
    assert not any_rule(edit("a"), [{"tool": "edit_file"}])


def test_what_may_be_answered() -> None:
    assert DecisionKind.APPROVE not in allowed_decisions("prompt_user")
    assert set(allowed_decisions("edit_file")) == set(DecisionKind)


SECRET = [
    ".env", ".env.local", ".ENV", "a/.env", ".envrc", "x.pem", "x.KEY", "id_rsa", "id_rsa.bak", "id_ed25519", ".netrc", ".npmrc", ".pypirc",
    ".git/config", "sub/.git/config", ".ssh/known_hosts", ".aws/credentials", "．env", ".\u0435nv", ".e\u200bnv", ".env.", ".env ", ".énv",
    "\u2024env", ".docker/config.json", ".git-credentials", "x.p12", ".git/modules/a/config",
]  # fmt: skip
PROTECTED = [
    ".git/hooks/pre-commit", ".git", ".GIT/HEAD", "a/.git/x", ".husky/x", ".github/workflows/a.yml", ".gitlab-ci.yml", ".ci/run", "Jenkinsfile",
    "AGENTS.md", "agents.MD", "docs/AGENTS.md", "CLAUDE.md", ".cursorrules", ".cursor/x", ".vscode/settings.json", "x.code-workspace",
    ".idea/x", ".devcontainer/x", ".devcontainer.json", "package.json", "web/package.json", "package-lock.json", "pyproject.toml", "setup.py",
    "Makefile", "requirements.txt", "requirements-dev.txt", "uv.lock", "poetry.lock", "Cargo.toml", "go.mod", "Dockerfile", "АGENTS.md",
    "pac\u200bkage.json", "Ｍakefile", "x/sitecustomize.py", ".pre-commit-config.yaml", "ｐackage.json", "makefile.", "GIT~1/hooks/x",
]  # fmt: skip
OPEN = [
    "src/a.py", "README.md", ".env.example", ".env.sample", ".env.template", ".gitignore", "environment.py", "keys.py", "docs/agents-and-tools.md",
    "src/github/x.py", "package.py", "my.git.txt", "src/env", "tests/test_env.py", "файл.md", ".", "",
]  # fmt: skip


@pytest.mark.parametrize("path", SECRET)
def test_secret_names(path: str) -> None:
    assert is_secret(path)
    assert decide(edit(path), EVERYTHING, pin("auto")).decision is DENY


@pytest.mark.parametrize("path", PROTECTED)
def test_protected_names(path: str) -> None:
    assert is_protected(path)
    assert not is_secret(path)
    assert decide(edit("a", path), EVERYTHING, pin("auto")).decision is ASK


@pytest.mark.parametrize("path", OPEN)
def test_ordinary_names(path: str) -> None:
    assert not is_secret(path)
    assert not is_protected(path)


def test_a_rule_cannot_make_the_policy_slow() -> None:
    grant = grant_for("slow", ["edit"], [r"(a+)+$", r"(a|a)*b", r"(.*)*x"])
    started = time.process_time()
    assert denial(edit("a" * 5000 + "!"), grant) is not None
    assert time.process_time() - started < 5  # backtracking would take years


@pytest.mark.parametrize("grants", [["nope"], ["read", "rm"], [""], ["Read"], ["git"]])
def test_an_unknown_word_in_an_agents_file_fails(grants: list[str]) -> None:
    with pytest.raises(ConfigError, match="no tool or tool group"):
        grant_for("x", grants)
    with pytest.raises(ConfigError):
        specs_for(grants)


def test_a_file_rule_excludes_commands_and_must_be_readable() -> None:
    with pytest.raises(ConfigError, match="cannot run commands"):
        grant_for("x", ["edit", "execute"], [".*"])
    with pytest.raises(ConfigError, match="cannot run commands"):
        grant_for("x", ["edit", "execute_command"], [".*"])
    with pytest.raises(ConfigError, match="RE2"):
        grant_for("x", ["edit"], ["(?=a)"])


def test_groups_and_names_grant_tools() -> None:
    assert [spec.name for spec in specs_for(["git_write"])] == ["git_branch", "git_commit"]
    assert [spec.name for spec in specs_for(["git.diff", "read_file"])] == ["read_file", "git_diff"]
    assert "switch_agent" in grant_for("x", ["flow"]).tools
    assert len(REGISTRY) == 23


NAMES = st.text(alphabet="abz./-_ \u200bеAM\n~*", max_size=12)
paths = st.lists(NAMES | st.sampled_from([*SECRET, *PROTECTED, *OPEN, "../x", "/x", "a.md"]), max_size=4).map(tuple)
lines = st.lists(
    st.sampled_from(
        ["ls", "rm", "-rf", "/", "git", "status", "-c", "&&", ";", "|", "sh", "$x", "'", ">", "a", ".env", "curl"]
    ),
    max_size=8,
).map(" ".join)
known = st.sampled_from(sorted(REGISTRY))


@st.composite
def calls(draw: st.DrawFn) -> CallFacts:
    spec = REGISTRY[draw(known)]
    action = draw(st.sampled_from(["", "create", "delete"]))
    line = draw(lines) if spec.name == "execute_command" else None
    return CallFacts(
        spec.name, known=draw(st.booleans()), group=spec.groups.get(action, spec.group), action=action, reads=draw(paths), writes=draw(paths),
        refused=draw(st.none() | st.just("no")), command=line, argvs=None if line is None else argvs(read_line(line)),
    )  # fmt: skip


rules = st.lists(st.fixed_dictionaries({"tool": known, "exact": lines | NAMES}), max_size=3)
groups = st.lists(st.sampled_from([group.value for group in ToolGroup if group is not ToolGroup.EXECUTE]), min_size=1)
grants = st.builds(grant_for, st.just("x"), groups, st.sampled_from([(), (r".*\.md",)])) | st.just(EVERYTHING)


@given(calls(), grants, st.sampled_from(MODES), rules)
def test_the_laws_of_the_policy(facts: CallFacts, grant: Grant, mode: str, allow: list[dict[str, str]]) -> None:
    verdict = decide(facts, grant, PolicyPin(version="1", mode=mode, turn_id="t", expires_s=1, allow=allow))
    touched = [*facts.reads, *facts.writes]
    never = not facts.known or facts.refused or facts.group not in grant.groups
    if never or any(path.startswith(("/", "../")) or is_secret(path) for path in touched):
        assert verdict.decision is DENY
    if mode == "deny":
        assert verdict.decision is not ASK
    if facts.group in (ToolGroup.EDIT, ToolGroup.EXECUTE, ToolGroup.GIT_WRITE) and any(map(is_protected, facts.writes)):
        assert verdict.decision is not ALLOW
    if grant.files and any(not path.endswith(".md") for path in facts.writes):
        assert verdict.decision is DENY
    assert verdict.reason
