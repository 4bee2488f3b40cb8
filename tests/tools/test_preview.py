"""What a person is shown before deciding."""

# ruff: noqa: E501 - long tables
from __future__ import annotations

from pathlib import Path

import pytest

from codelab.tools.preview import preview, visible, warnings
from codelab.tools.workspaces.local import LocalWorkspace


@pytest.fixture
def workspace(tmp_path: Path) -> LocalWorkspace:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.txt").write_text("one\ntwo\n")
    return LocalWorkspace(root, id="w")


async def test_an_edit_is_shown_as_a_diff(workspace: LocalWorkspace) -> None:
    shown = await preview("edit_file", {"path": "a.txt", "edits": [{"old": "two", "new": "2"}]}, workspace)
    assert shown["kind"] == "diff"
    assert "-two\n+2\n" in shown["diff"]
    assert shown["files"] == ["a.txt"]
    patch = "*** Begin Patch\n*** Delete File: a.txt\n*** Add File: b.txt\n+x\n*** End Patch\n"
    review = await preview("apply_patch_review", {"diff": patch, "message": "why\x1b[2J"}, workspace)
    assert (review["kind"], sorted(review["files"]), review["message"]) == ("diff", ["a.txt", "b.txt"], "why")
    moved = await preview("move_file", {"source": "a.txt", "target": "c.txt"}, workspace)
    assert moved["files"] == ["a.txt", "c.txt"]


async def test_a_command_is_shown_with_its_warnings(workspace: LocalWorkspace) -> None:
    shown = await preview("execute_command", {"command": "ls \u202egpj.exe\x1b[31m", "cwd": "sub"}, workspace)
    assert shown["kind"] == "command"
    assert shown["command"] == "ls <U+202E>gpj.exe"
    assert shown["cwd"] == "sub"
    assert len(shown["warnings"]) == 2
    assert (await preview("execute_command", {"command": "ls"}, workspace))["warnings"] == []


async def test_questions_and_the_rest(workspace: LocalWorkspace) -> None:
    questions = [{"question": "Which?", "kind": "choice", "choices": ["a", "b"]}]
    assert await preview("prompt_user", {"questions": questions}, workspace) == {
        "kind": "question",
        "questions": questions,
    }
    shown = await preview("git_commit", {"message": "Добавить", "paths": ["a"]}, workspace)
    assert shown == {"kind": "text", "text": 'message: "Добавить"\npaths: ["a"]'}


@pytest.mark.parametrize(
    ("name", "args"),
    [("edit_file", {"path": "a.txt", "edits": [{"old": "nope", "new": "x"}]}), ("write_file", {}), ("execute_command", {}),
     ("apply_patch", {"patch": 3}), ("prompt_user", {}), ("edit_file", {"path": "../x", "edits": []})],
)  # fmt: skip
async def test_it_never_raises(workspace: LocalWorkspace, name: str, args: dict[str, object]) -> None:
    assert (await preview(name, args, workspace))["kind"] == "text"


async def test_secrets_are_redacted_and_length_is_bounded(workspace: LocalWorkspace) -> None:
    shown = await preview("write_file", {"path": "b", "content": "sk-" + "a" * 30 + "\n" + "x\n" * 200_000}, workspace)
    assert "aaaa" not in shown["diff"]
    assert len(shown["diff"]) < 201_000


@pytest.mark.parametrize(
    ("text", "plain"),
    [("a\x1b[31mb\x1b[0m", "ab"), ("a\x1b]8;;http://x\x07b", "a<U+001B>]8;;http://x<U+0007>b"), ("a\x9b1mb", "ab"), ("a\rb", "a<U+000D>b"), ("a\r\nb\tc", "a\nb\tc"),
     ("a\u200bb", "a<U+200B>b"), ("привет", "привет"), ("a\x00\x08b", "a<U+0000><U+0008>b")],
)  # fmt: skip
def test_nothing_invisible_is_shown(text: str, plain: str) -> None:
    assert visible(text) == plain


@pytest.mark.parametrize(
    ("text", "count"),
    [("rm p\u0430th", 1), ("echo привет", 0), ("echo Кот cat", 0), ("a\u2066b\u2069", 1), ("a\u200b", 1), ("ls src/app.py", 0), ("\u0430dmin", 1)],
)  # fmt: skip
def test_warnings(text: str, count: int) -> None:
    assert len(warnings(text)) == count
