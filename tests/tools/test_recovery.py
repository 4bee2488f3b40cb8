"""After a crash: what was not begun is safe to do, what is done is not repeated, all else is told."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from codelab.tools.context import JournalEntry
from codelab.tools.files import SPECS
from codelab.tools.patching import SPECS as PATCH_SPECS
from codelab.tools.recovery import fingerprint, recover
from codelab.tools.shell import SPECS as SHELL_SPECS
from codelab.tools.spec import Effect
from codelab.tools.workspaces.local import LocalWorkspace
from tests.support.toolkit import caller, run_context

BY_NAME = {spec.name: spec for spec in (*SPECS, *PATCH_SPECS, *SHELL_SPECS)}
PATCH = "*** Begin Patch\n*** Update File: a.txt\n*** Move to: c.txt\n-a\n+c\n*** Add File: d.txt\n+d\n*** End Patch"
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("write_file", {"path": "a.txt", "content": "new\n"}),
    ("write_file", {"path": "new/b.txt", "content": "new\n"}),
    ("edit_file", {"path": "a.txt", "edits": [{"old": "a", "new": "b"}]}),
    ("delete_file", {"path": "a.txt"}),
    ("delete_file", {"path": "empty"}),
    ("move_file", {"source": "a.txt", "target": "b.txt"}),
    ("move_file", {"source": "sub", "target": "sub2"}),
    ("create_directory", {"path": "made/here"}),
    ("apply_patch", {"patch": PATCH}),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "sub" / "x.txt").write_text("x\n")
    (folder / "a.txt").write_text("a\n")
    return folder


@pytest.mark.parametrize(("name", "args"), CALLS)
async def test_before_and_after_are_told_apart(root: Path, name: str, args: dict[str, Any]):
    space, spec = LocalWorkspace(root, id="w"), BY_NAME[name]
    entry = JournalEntry(fresh=False, before=await fingerprint(spec, args, space))
    assert (await recover(entry, spec, args, space)).not_started
    await caller(run_context(root))(spec.tool, **args)
    found = await recover(entry, spec, args, space)
    assert (found.state, found.not_started) == ("done", False)
    assert found.text
    if name == "edit_file":
        assert found.text.startswith("changed a.txt (+1 -1 lines) · sha256:")


async def test_a_half_done_call_is_unknown(root: Path):
    space, spec = LocalWorkspace(root, id="w"), BY_NAME["apply_patch"]
    entry = JournalEntry(fresh=False, before=await fingerprint(spec, {"patch": PATCH}, space))
    (root / "a.txt").rename(root / "c.txt")
    found = await recover(entry, spec, {"patch": PATCH}, space)
    assert found.state == "unknown"
    assert "a.txt is missing" in found.text


@pytest.mark.parametrize("args", [{}, {"patch": "nonsense"}, {"patch": PATCH.replace("a.txt", "../a.txt")}])
async def test_an_unreadable_call_is_no_error(root: Path, args: dict[str, Any]):
    space, spec = LocalWorkspace(root, id="w"), BY_NAME["apply_patch"]
    before = await fingerprint(spec, args, space)
    assert before["before"] == {}
    assert (await recover(JournalEntry(fresh=False, before=before), spec, args, space)).state == "unknown"


async def test_an_impossible_plan_leaves_the_before(root: Path):
    space, spec = LocalWorkspace(root, id="w"), BY_NAME["edit_file"]
    args = {"path": "a.txt", "edits": [{"old": "zzz", "new": "y"}]}
    before = await fingerprint(spec, args, space)
    assert before["after"] is None
    assert (await recover(JournalEntry(fresh=False, before=before), spec, args, space)).not_started


@pytest.mark.parametrize("inside", [True, False])
async def test_a_command_that_still_runs_is_ended(root: Path, inside: bool):
    spec = BY_NAME["execute_command"]
    assert spec.effect is Effect.COMMAND
    assert await fingerprint(spec, {"command": "x"}, LocalWorkspace(root, id="w")) == {}
    cwd = root if inside else root.parent
    process = await asyncio.create_subprocess_exec(
        "sleep", "30", cwd=cwd, start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        entry = JournalEntry(fresh=False, pgid=process.pid)
        found = await recover(entry, spec, {"command": "x"}, LocalWorkspace(root, id="w"))
        assert found.state == "unknown"
        assert ("has been ended" in found.text) is inside
        if inside:
            assert await asyncio.wait_for(process.wait(), 5) == -signal.SIGKILL
        else:
            assert process.returncode is None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def test_a_command_that_never_started(root: Path):
    spec = BY_NAME["execute_command"]
    found = await recover(JournalEntry(fresh=False), spec, {"command": "x"}, LocalWorkspace(root, id="w"))
    assert "not running any more" in found.text
    assert "unknown" in found.text


async def test_states_are_of_real_files_and_say_what_cannot_be_read(root: Path):
    (root / "link.txt").symlink_to("a.txt")
    os.mkfifo(root / "pipe")
    space, spec = LocalWorkspace(root, id="w"), BY_NAME["write_file"]
    through_link = await fingerprint(spec, {"path": "link.txt", "content": "x"}, space)
    assert list(through_link["before"]) == ["a.txt"]
    piped = await fingerprint(spec, {"path": "pipe", "content": "x"}, space)
    assert piped == {"before": {"pipe": "unreadable"}, "after": None}


async def test_the_state_and_the_plan_are_of_one_look(root: Path):
    """Somebody writes between two looks: what is noted must fit together all the same."""

    class Restless(LocalWorkspace):
        async def look(self, path: str) -> Any:
            seen = await super().look(path)
            (root / "a.txt").write_text("somebody else\n")
            return seen

    spec, args = BY_NAME["edit_file"], {"path": "a.txt", "edits": [{"old": "a", "new": "b"}]}
    noted = await fingerprint(spec, args, Restless(root, id="w"))
    assert noted["after"] is not None
    (root / "a.txt").write_text("a\n")
    assert (
        await recover(JournalEntry(fresh=False, before=noted), spec, args, LocalWorkspace(root, id="w"))
    ).not_started
