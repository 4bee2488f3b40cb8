"""Graders: hidden tests run apart from the agent, trajectories need an extra, mutants are made from what happened."""

import sys

import pytest
from langchain_core.messages import AIMessage

from codelab.core.errors import ConfigError
from codelab.evals import checks
from codelab.evals.cases import Step
from codelab.evals.coding import CodingCase
from codelab.evals.grading import custom_command, pytest_command, run_tests, write_files
from codelab.evals.session import Outcome, Ran, careful
from codelab.evals.spoil import break_edits, drop_edits, spoil
from codelab.evals.trajectory import at_least, same_calls
from codelab.llm.scripted import ScriptedCall


def step(name, **args):
    return Step(calls=(ScriptedCall(name=name, args=args),))


def said(*calls):
    return [
        AIMessage("", tool_calls=[{"name": name, "args": args, "id": str(n)}]) for n, (name, args) in enumerate(calls)
    ]


async def test_hidden_tests_win_over_what_the_agent_left(tmp_path):
    work, own = tmp_path / "work", b"def test_a(): pass\n"
    write_files({"a.py": b"X = 1\n", "test_a.py": own, "conftest.py": b"raise SystemExit(0)\n"}, work)
    hidden = {"test_a.py": b"from a import X\n\ndef test_a(): assert X == 2\n", "conftest.py": b""}
    tested = await run_tests(work, hidden, pytest_command(["test_a.py"]))
    assert not tested.passed
    assert "assert 1 == 2" in tested.output
    assert (work / "test_a.py").read_bytes() == own


async def test_the_environment_is_cleared_and_time_is_limited(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    script = b"import os, sys, time\nsys.exit(3) if 'OPENAI_API_KEY' in os.environ else time.sleep(30)\n"
    write_files({"check.py": script}, tmp_path / "work")
    tested = await run_tests(tmp_path / "work", {}, [sys.executable, "check.py"], timeout_s=1)
    assert not tested.passed
    assert "did not end within 1 s" in tested.output


def test_a_symlink_is_replaced_not_followed(tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_text("keep")
    work = tmp_path / "work"
    work.mkdir()
    (work / "test_a.py").symlink_to(outside)
    write_files({"test_a.py": b"new"}, work)
    assert outside.read_text() == "keep"
    assert (work / "test_a.py").read_text() == "new"


def test_custom_command():
    assert custom_command("npm test -- {tests}", ["a b.js", "c.js"]) == ["npm", "test", "--", "a b.js", "c.js"]


def test_trajectories():
    steps = (step("read_file", path="a"), step("write_file", path="a", content="x"), Step(say="Done"))
    good = said(("write_file", {"path": "a", "content": "x"}), ("read_file", {"path": "a"}))
    assert same_calls(good, steps).passed
    assert not same_calls(good[:1], steps).passed
    assert not same_calls([*good, *said(("delete_file", {"path": "a"}))], steps).passed
    assert at_least([*good, *good], ["write_file"]).passed
    assert at_least(good, []).passed
    assert not at_least(good, ["switch_agent"]).passed


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "agentevals", None)
    monkeypatch.setitem(sys.modules, "agentevals.trajectory", None)
    monkeypatch.setitem(sys.modules, "agentevals.trajectory.match", None)
    with pytest.raises(ConfigError, match=r"pip install 'codelab-ai\[evals\]'"):
        same_calls([], ())


def test_mutants_of_scripts():
    steps = (
        step("edit_file", path="a", edits=[{"old": "x", "new": "y"}]),
        step("apply_patch", patch="+++ b/a\n+line"),
        step("write_file", path="a", content="one two three"),
        step("read_file", path="a"),
    )
    broken = break_edits(steps)
    assert broken[0].calls[0].args["edits"][0]["new"] == "y @@spoilt@@"
    assert broken[1].calls[0].args["patch"] == "+++ b/a\n+line @@spoilt@@"
    assert broken[2].calls[0].args["content"] == "one  @@spoilt@@"
    assert broken[3] == steps[3]
    assert drop_edits(steps) == steps[3:]
    assert drop_edits(steps[:1]) == (Step(say="Done."),)


def test_mutants_of_outcomes_fail_the_checks_that_watch_for_them():
    outcome = Outcome(
        agents=["coder"],
        asked=[[{"name": "write_file", "tool_call_id": "1"}]],
        decided={"1": {"type": "approve"}},
        ran=[Ran("write_file", "1", "coder", "ok")],
    )
    spoilt = spoil(outcome)
    assert checks.approved(outcome, ["write_file"]).passed
    assert not checks.approved(spoilt["skipped_approval"], ["write_file"]).passed
    assert not checks.agents(spoilt["wrong_agent"], ["coder"]).passed
    assert checks.allowed_tools(outcome, []).passed
    assert not checks.allowed_tools(spoilt["forbidden_tool"], []).passed
    assert not checks.allowed_tools(spoilt["forbidden_tool"], ["write_file"]).passed


def test_nothing_risky_is_approved_for_a_real_model():
    actions = [{"name": "write_file", "risk": "low"}, {"name": "execute_command", "risk": "high"}]
    question = {"name": "prompt_user", "risk": "low"}
    assert [d["type"] for d in careful([*actions, question])] == ["approve", "reject", "respond"]


def test_a_coding_case_needs_a_prompt():
    assert CodingCase(id="a", prompt="Do it", steps=()).agent == "coder"
