"""A tool call needs a permission of whoever started the run, whatever agent, policy or person would let it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from codelab.agents.host import WorkspaceHost
from codelab.core.events import ToolCompleted
from codelab.core.permissions import ALL
from codelab.core.user import User
from codelab.tools.workspaces.local import LocalWorkspace
from tests.support.graphs import Lab, requests_of, says

WRITE = ("write_file", {"path": "a.txt", "content": "one\n"})
READ = ("read_file", {"path": "here.txt"})
RUN = ("execute_command", {"command": "touch b.txt"})
READER = frozenset({"runs:write", "workspaces:read"})


def lab(root: Path, *calls: tuple[str, dict[str, Any]], **more: Any) -> Lab:
    return Lab(root, [says("", *calls, step=0), says("Done.")], **more)


@pytest.mark.parametrize("mode", ["ask", "auto"])
@pytest.mark.parametrize("call", [WRITE, RUN], ids=["write", "command"])
async def test_who_may_only_read_has_nothing_changed_and_is_not_asked(root: Path, call: Any, mode: str) -> None:
    it = lab(root, call, mode=mode, scopes=READER)
    result = await it.say("change it")
    assert not result.interrupts
    message = (await it.results())[call[0]]
    assert (message.status, "workspaces:write" in message.text) == ("error", True)
    assert sorted(path.name for path in root.iterdir()) == []
    told = [(e.tool, e.outcome) for e in it.events if isinstance(e, ToolCompleted)]
    assert told == [(call[0], "denied")]
    assert (await it.messages())[-1].text == "Done."


async def test_who_may_read_reads(root: Path) -> None:
    (root / "here.txt").write_text("words")
    it = lab(root, READ, scopes=READER)
    await it.say("read it")
    assert "words" in (await it.results())["read_file"].text


async def test_who_may_nothing_in_workspaces_does_not_even_read(root: Path) -> None:
    (root / "here.txt").write_text("words")
    it = lab(root, READ, scopes=frozenset({"runs:write"}))
    await it.say("read it")
    assert "words" not in (await it.results())["read_file"].text


async def test_what_was_approved_is_refused_to_who_goes_on_with_less(root: Path) -> None:
    it = lab(root, WRITE)
    result = await it.say("write")
    assert requests_of(result)
    it.scopes = READER
    await it.answer(result, {"type": "approve"})
    assert not (root / "a.txt").exists()
    assert "workspaces:write" in (await it.results())["write_file"].text


async def test_an_old_name_of_a_tool_needs_what_the_tool_needs(root: Path) -> None:
    it = lab(root, ("git.commit", {"message": "x"}), mode="auto", scopes=READER)
    await it.say("commit")
    assert "workspaces:write" in (await it.results())["git.commit"].text


def runtime_of(user: Any) -> Any:
    return SimpleNamespace(context=None, execution_info=None, server_info=SimpleNamespace(user=user))


@pytest.mark.parametrize(
    ("user", "scopes"),
    [
        (None, ALL),
        (User({"identity": "ann", "permissions": ["runs:write", "talk"]}), {"runs:write"}),
        (User({"identity": "ann"}), frozenset()),
    ],
    ids=["nobody asks", "told", "told nothing"],
)
async def test_another_server_tells_what_its_user_may_do(tmp_path: Path, user: Any, scopes: Any) -> None:
    host = WorkspaceHost(LocalWorkspace(tmp_path, id="w"), SimpleNamespace())
    context = await host.live(runtime_of(user))
    assert context.principal.scopes == scopes
