"""What a person reviews is what would happen: nothing can be hidden from them, nor shown under another name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codelab.core.errors import InvalidInput
from codelab.tools.git import git_diff
from codelab.tools.preview import preview, visible
from codelab.tools.redact import redact
from codelab.tools.workspaces.local import LocalWorkspace
from tests.support.repos import git, make_repo
from tests.support.toolkit import caller, run_context


@pytest.mark.parametrize(
    ("name", "args", "hidden"),
    [
        ("execute_command", {"command": "echo hi \x1b]; rm -rf src \x07"}, "rm -rf src"),
        ("execute_command", {"command": "echo \x1b[;rm src"}, ";rm src"),
        ("execute_command", {"command": "echo \x9b;rm src"}, ";rm src"),
        ("write_file", {"path": "a.sh", "content": "echo\n\x1b]\nrm -rf x\n\x07\n"}, "rm -rf x"),
        ("write_file", {"path": "a.py", "content": "# fine\rimport evil\n"}, "<U+000D>import evil"),
        ("write_file", {"path": "a.py", "content": '"-----BEGIN PRIVATE KEY-----"\nimport evil\n'}, "import evil"),
        ("write_file", {"path": "a.py", "content": 'x = "a://b:";evil("id");"@"\n'}, "evil("),
    ],
)
async def test_nothing_that_would_run_is_hidden(tmp_path: Path, name: str, args: dict[str, Any], hidden: str) -> None:
    shown = await preview(name, args, LocalWorkspace(tmp_path, id="w"))
    text = shown.get("command") or shown["diff"]
    assert hidden in text
    assert not any(char in text for char in "\x1b\x9b\x07\r")


def test_colours_alone_are_dropped() -> None:
    assert visible("a\x1b[1;31mb\x1b[0mc\x1b[m") == "abc"


def test_a_whole_key_is_still_redacted() -> None:
    body = "\n".join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"] * 3 + ["abcd=="])
    key = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"
    assert redact(f"x {key} y", []) == "x [redacted] y"
    assert redact(key.replace("\n", "\\n"), []) == "[redacted]"
    assert redact("+" + key.replace("\n", "\n+"), []) == "+[redacted]"


async def test_a_secret_blob_is_not_shown_under_the_name_of_another_file(tmp_path: Path) -> None:
    repo = make_repo(tmp_path, {"a.txt": "one\n", ".env": "TOKEN=hush\n"})
    call = caller(run_context(repo))
    blob = git(repo, "rev-parse", "HEAD:.env")
    for ref in (blob, blob[:8], f"HEAD..{blob}", f"{blob}...HEAD", "HEAD^{tree}"):
        with pytest.raises(InvalidInput):
            await call(git_diff, ref=ref, paths=["a.txt"])
    for ref in ("HEAD", "main..", "main...HEAD", "HEAD^0"):
        assert "no changes" in await call(git_diff, ref=ref, paths=["a.txt"])
