"""A person decides a call with a key."""

import json
import sys

import pytest

from codelab.cli.asking import Asker, at_the_terminal
from codelab.cli.ending import Interrupted

ALL = ["approve", "edit", "reject", "respond"]


def interrupt(**facts):
    preview = {"kind": "diff", "diff": "--- a/x\n+++ b/x\n-old\n+new\n"}
    return {"id": "a1", "metadata": {"tool": "edit_file", "agent": "coder", "risk": "low", "preview": preview} | facts}


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (["a"], {"decision": "approve"}),
        (["approve"], {"decision": "approve"}),
        (["r"], {"decision": "reject"}),
        (["f", "", "use mean()"], {"decision": "reject", "message": "use mean()"}),
        (["p", "it is 42"], {"decision": "respond", "message": "it is 42"}),
        (["e", '{"path": "b.py"}'], {"decision": "edit", "arguments": {"path": "b.py"}}),
        (["e", "{broken", "a"], {"decision": "approve"}),
        (["e", "[1]", "r"], {"decision": "reject"}),
        (["", "yes", "A"], {"decision": "approve"}),
    ],
)
async def test_keys(console, typing, lines, answer):
    asker = Asker(console, typing(*lines))
    assert await asker(interrupt(arguments={"path": "a.py"}, allowed_decisions=ALL)) == answer


async def test_the_diff_and_the_asker_are_shown(console, printed, typing):
    await Asker(console, typing("a"))(interrupt(reason="edits ask"))
    assert "coder asks: edit_file (risk: low)" in printed()
    assert "edits ask" in printed()
    assert "+new" in printed()


async def test_only_what_is_allowed_is_offered(console, printed, typing):
    typist = typing("e", "p", "r")
    assert await Asker(console, typist)(interrupt(allowed_decisions=["approve", "reject"])) == {"decision": "reject"}
    assert "[e]" not in printed()
    assert "[f]" in printed()


async def test_a_command_shows_its_warnings(console, printed, typing):
    preview = {"kind": "command", "command": "pytest\x1b[2J -q", "warnings": ["a zero-width character"]}
    await Asker(console, typing("a"))(interrupt(preview=preview))
    assert "pytest -q" in printed()
    assert "! a zero-width character" in printed()


async def test_a_question_takes_its_answer_at_once(console, printed, typing):
    preview = {"kind": "question", "questions": [{"question": "Which agent?", "choices": ["ask", "coder"]}]}
    answer = await Asker(console, typing("coder"))(interrupt(preview=preview, allowed_decisions=["respond", "reject"]))
    assert answer == {"decision": "respond", "message": "coder"}
    assert "- coder" in printed()


async def test_an_edit_begins_with_the_arguments(console, typing):
    typist = typing("e", "{}")
    await Asker(console, typist)(interrupt(arguments={"path": "a.py"}, allowed_decisions=ALL))
    assert json.loads(typist.prompts[1][1]) == {"path": "a.py"}


async def test_an_edit_in_the_persons_editor(console, typing, monkeypatch, tmp_path):
    script = tmp_path / "editor.py"
    script.write_text(
        "import pathlib, sys\np = pathlib.Path(sys.argv[1])\np.write_text(p.read_text().replace('a', 'b'))"
    )
    monkeypatch.setenv("VISUAL", f"{sys.executable} {script}")
    answer = await Asker(console, typing("e"))(interrupt(arguments={"x": "aa"}, allowed_decisions=ALL))
    assert answer == {"decision": "edit", "arguments": {"x": "bb"}}


async def test_an_editor_that_fails_changes_nothing(console, typing, monkeypatch):
    monkeypatch.setenv("VISUAL", "false")
    assert await Asker(console, typing("e", "r"))(interrupt(allowed_decisions=ALL)) == {"decision": "reject"}


@pytest.mark.parametrize(("keys", "outcome"), [("hello\r", "hello"), ("\x03", Interrupted), ("\x04", Interrupted)])
async def test_a_real_prompt(keys, outcome):
    from prompt_toolkit.application import create_app_session  # noqa: PLC0415
    from prompt_toolkit.input import create_pipe_input  # noqa: PLC0415
    from prompt_toolkit.output import DummyOutput  # noqa: PLC0415

    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        pipe.send_text(keys)
        if isinstance(outcome, str):
            assert await at_the_terminal()("> ", "") == outcome
        else:
            with pytest.raises(outcome):
                await at_the_terminal()("> ", "")


async def test_a_risk_is_told_in_the_persons_language(console, printed, typing, monkeypatch):
    monkeypatch.setenv("CODELAB_LANG", "ru")
    await Asker(console, typing("a"))(interrupt())
    await Asker(console, typing("a"))(interrupt(risk="odd"))
    assert "(риск: низкий)" in printed()
    assert "(риск: ?)" in printed()
