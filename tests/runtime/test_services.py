"""Workspaces, threads and changes."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from codelab.core.errors import Conflict, InvalidInput, NotFound
from codelab.core.types import Principal, RunStatus
from codelab.runtime.changes.snapshots import SnapshotJournal, TurnSnapshots
from codelab.runtime.runs.turns import ClaimedTurn
from codelab.runtime.workspaces.service import WorkspaceService
from codelab.store.engine import Database
from codelab.store.lease import Lease
from codelab.store.models import RunRow, TurnRow
from codelab.tools.context import CallKey, JournalEntry
from codelab.tools.snapshots import Snapshots
from tests.runtime.conftest import ME, Lab, Open
from tests.runtime.toy import Toy


async def test_only_folders_below_a_root_may_be_registered(lab: Lab, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for path in (root / "a", outside):
        path.mkdir(parents=True)
    (root / "link").symlink_to(outside)
    service = WorkspaceService(lab.rt.database, roots=[root])
    made = await service.register(ME, root / "a", name="A")
    assert (made.name, made.path) == ("A", str((root / "a").resolve()))
    assert await service.register(ME, root / "a" / ".." / "a") == made
    for path in (outside, root / "link", root / ".." / "outside", root / "missing"):
        with pytest.raises(InvalidInput) as refused:
            await service.register(ME, path)
        assert refused.value.code == "path_refused"
    assert (await service.register(ME, outside, trusted=True)).name == "outside"


async def test_what_is_outside_the_roots_is_refused_alike_whether_it_is_there_or_not(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "there").mkdir()
    service = WorkspaceService(lab.rt.database, roots=[tmp_path / "root"])
    said = []
    for name in ("there", "gone"):
        with pytest.raises(InvalidInput) as refused:
            await service.register(ME, tmp_path / name)
        said.append(refused.value.message.replace(name, "x"))
    assert said[0] == said[1]


async def test_a_root_may_be_each_persons_own(lab: Lab, tmp_path: Path) -> None:
    service = WorkspaceService(lab.rt.database, roots=[tmp_path / "{tenant}" / "{user}"])
    ann, bob = Principal("ann", "t1"), Principal("bob", "t1")
    for who in ("ann", "bob"):
        (tmp_path / "t1" / who / "code").mkdir(parents=True)
    assert (await service.register(ann, tmp_path / "t1" / "ann" / "code")).name == "code"
    for person in (bob, Principal("ann", "t2"), Principal("..", "t1"), Principal("../t1/ann", "t1")):
        with pytest.raises(InvalidInput):
            await service.register(person, tmp_path / "t1" / "ann" / "code")


async def test_root_and_home_are_never_workspaces(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    service = WorkspaceService(lab.rt.database, roots=[Path("/")])
    for path in ("/", "~", str(tmp_path)):
        with pytest.raises(InvalidInput):
            await service.register(ME, path, trusted=True)


async def test_a_workspace_opens_for_its_owner_while_its_folder_is_there(lab: Lab, folder: Path) -> None:
    (workspace,) = await lab.rt.workspaces.list(ME)
    opened = await lab.rt.workspaces.open(ME, workspace.id)
    assert (opened.id, opened.name) == (workspace.id, "project")
    with pytest.raises(NotFound):
        await lab.rt.workspaces.open(Principal("eve"), workspace.id)
    folder.rmdir()
    with pytest.raises(NotFound, match="is gone"):
        await lab.rt.workspaces.open(ME, workspace.id)


async def test_threads_in_pages(lab: Lab) -> None:
    (workspace,) = await lab.rt.workspaces.list(ME)
    for n in range(4):
        await lab.rt.threads.create(ME, workspace_id=workspace.id, title=f"  t{n}  ")
    page = await lab.rt.threads.list(ME, limit=2)
    titles = [t.title for t in page.items]
    while page.next_cursor:
        page = await lab.rt.threads.list(ME, limit=2, cursor=page.next_cursor)
        titles += [t.title for t in page.items]
    assert titles == ["t3", "t2", "t1", "t0", None]
    assert (await lab.rt.threads.list(ME, status="busy")).items == []
    for bad in ({"limit": 0}, {"cursor": "nonsense"}, {"cursor": "####"}):
        with pytest.raises(InvalidInput):
            await lab.rt.threads.list(ME, **bad)
    with pytest.raises(NotFound):
        await lab.rt.threads.create(ME, workspace_id="nowhere")


async def test_rename(lab: Lab) -> None:
    assert (await lab.rt.threads.update(ME, lab.thread_id, title="New \x00name")).title == "New \ufffdname"
    assert (await lab.thread()).title == "New \ufffdname"
    assert (await lab.rt.threads.update(ME, lab.thread_id, title=" ")).title is None


async def test_delete_stops_and_forgets(lab: Lab, toy: Toy) -> None:
    entered = asyncio.Event()

    async def inside(_name: str) -> None:
        entered.set()
        await asyncio.sleep(30)

    await lab.say("hi")
    toy.inside = inside
    await lab.start("look")
    await asyncio.wait_for(entered.wait(), 5)
    await lab.rt.threads.delete(ME, lab.thread_id)
    assert lab.rt.base.executor.active == frozenset()
    config = {"configurable": {"thread_id": lab.thread_id}}
    assert [c async for c in lab.rt.checkpoints.reader.alist(config)] == []
    with pytest.raises(NotFound):
        await lab.thread()
    with pytest.raises(NotFound):
        await lab.start("x")


async def test_a_run_that_takes_too_long(open_lab: Open, database_url: str, toy: Toy) -> None:
    toy.inside = lambda _name: asyncio.sleep(30)
    async with open_lab(database_url, timeout_s=0.3) as lab:
        run = await lab.say("look")
        assert (run.status, run.error.code) == (RunStatus.TIMEOUT, "timeout")
        assert [role for role, _ in await lab.messages()] == ["user", "assistant", "tool"]
        assert (await lab.thread()).status == "error"


async def test_a_pending_run_is_cancelled_at_once(open_lab: Open, database_url: str, toy: Toy) -> None:
    gate = asyncio.Event()
    toy.inside = lambda _name: gate.wait()
    async with open_lab(database_url, max_concurrent=1) as lab:
        first = await lab.start("look")
        (workspace,) = await lab.rt.workspaces.list(ME)
        other = Lab(lab.rt, (await lab.rt.threads.create(ME, workspace_id=workspace.id)).id)
        waiting = await other.start("hi")
        done = await lab.rt.runs.cancel(ME, other.thread_id, waiting.id)
        assert (done.status, done.reason, done.attempt) == (RunStatus.INTERRUPTED, "cancelled", 0)
        assert await other.types() == ["message.user", "run.finished"]
        gate.set()
        assert (await lab.wait(first)).status == RunStatus.SUCCESS
        assert (await other.say("hi")).status == RunStatus.SUCCESS


async def test_changes_of_turns(lab: Lab, folder: Path) -> None:
    assert (await lab.rt.changes.diff(ME, lab.thread_id)).diff == ""
    turns = TurnSnapshots(lab.rt.database, Snapshots(lab.rt.settings.data_dir))
    changes = lab.rt.changes
    changes._turns = turns
    (folder / "a.txt").write_text("one\n")
    first = await _changing_turn(lab, turns, folder / "a.txt", "two\n")
    second = await _changing_turn(lab, turns, folder / "b.txt", "new\n")
    seen = await changes.diff(ME, lab.thread_id)
    assert [t.turn_id for t in seen.turns] == [first, second]
    assert "-one\n+two\n" in seen.diff
    assert "+new\n" in seen.diff
    undone = await changes.undo(ME, lab.thread_id, first)
    assert (undone.files, (folder / "a.txt").read_text()) == (["a.txt"], "one\n")
    seen = await changes.diff(ME, lab.thread_id)
    assert "two" not in seen.diff
    assert "+new\n" in seen.diff
    with pytest.raises(Conflict) as refused:
        await changes.undo(ME, lab.thread_id, first)
    assert refused.value.code == "already_undone"
    (folder / "b.txt").write_text("mine\n")
    with pytest.raises(Conflict) as refused:
        await changes.undo(ME, lab.thread_id, second)
    assert refused.value.code == "stale_file"
    with pytest.raises(NotFound):
        await changes.undo(ME, lab.thread_id, "nonsense")


async def _changing_turn(lab: Lab, turns: TurnSnapshots, path: Path, text: str) -> str:
    """A turn whose tool changes a file, seen from the journal."""
    claimed = await _claimed(lab, path.parent)
    journal = SnapshotJournal(_Fresh(lab.rt.database), turns, claimed)
    await asyncio.gather(*(journal.begin(CallKey("t", "m", c), tool="write_file") for c in "ab"))
    path.write_text(text)
    turns.rested(claimed)
    return claimed.turn.id


async def _claimed(lab: Lab, folder: Path) -> ClaimedTurn:
    run = await lab.say("hi")
    async with lab.rt.database.read() as session:
        row = (await session.scalars(select(RunRow).where(RunRow.id == run.id))).one()
        turn = (await session.scalars(select(TurnRow).where(TurnRow.id == run.turn_id))).one()
    return ClaimedTurn(row, Lease(run.id, 1, "x"), turn, "w", os.fspath(folder))


async def test_what_a_person_changes_while_a_turn_waits_again_is_theirs(lab: Lab, folder: Path) -> None:
    snapshots = Snapshots(lab.rt.settings.data_dir)
    turns = TurnSnapshots(lab.rt.database, snapshots)
    first = await _claimed(lab, folder)
    turns.going_on(first)
    await turns.close()
    (folder / "theirs.txt").write_text("theirs\n")
    later = replace(first, run=RunRow(id="the run of the next decision"))
    assert await turns.before(later) == await snapshots.capture(folder)


async def test_the_folder_is_looked_at_once_when_a_decision_lets_a_call_run(lab: Lab, folder: Path) -> None:
    snapshots = Snapshots(lab.rt.settings.data_dir)
    turns = TurnSnapshots(lab.rt.database, snapshots)
    claimed = await _claimed(lab, folder)
    looked = await snapshots.capture(folder)
    turns.going_on(claimed)
    await turns.close()
    (folder / "a.txt").write_text("the tool's\n")
    assert await turns.before(claimed) == looked


class _Fresh:
    """A journal that knows nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, *_args: object, also=None, **_kwargs: object) -> JournalEntry:
        if also is not None:
            async with self._database.transaction() as session:
                await also(session)
        return JournalEntry(fresh=True)
