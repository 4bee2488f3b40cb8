"""Old records of resting threads go, whole runs at a time; nothing else does."""

from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, update

from codelab.core.errors import Trimmed
from codelab.core.types import new_id, utc_now
from codelab.store import retention
from codelab.store.engine import Database
from codelab.store.eventlog import EventLog
from codelab.store.models import RunEventRow, RunRow, ThreadRow
from codelab.store.records import NewEvent
from tests.store.conftest import OWNER, make_thread


@pytest.fixture
def log(database: Database) -> EventLog:
    return EventLog(database, poll_s=0.05)


async def say(log: EventLog, thread_id: str, run_id: str | None, count: int, *, days_ago: float = 0) -> None:
    """Log records of one run, in the past."""
    written = await log.append(thread_id, [NewEvent("custom")] * count, run_id=run_id)
    then = utc_now() - timedelta(days=days_ago)
    async with log.database.transaction() as session:
        await session.execute(
            update(RunEventRow)
            .where(RunEventRow.thread_id == thread_id, RunEventRow.seq.in_([e.seq for e in written]))
            .values(at=then)
        )


async def add_run(log: EventLog, thread_id: str, status: str) -> str:
    run_id, now = new_id(), utc_now()
    ended = None if status in {"pending", "running"} else now
    async with log.database.transaction() as session:
        await session.execute(
            insert(RunRow).values(
                id=run_id,
                thread_id=thread_id,
                kind="graph",
                status=status,
                meta={},
                priority=0,
                settings={},
                attempt=1,
                handed_back=0,
                cancel_requested=False,
                created_at=now,
                updated_at=now,
                ended_at=ended,
                **OWNER,
            )
        )
    return run_id


async def set_thread(log: EventLog, thread_id: str, **values: object) -> None:
    async with log.database.transaction() as session:
        await session.execute(update(ThreadRow).where(ThreadRow.id == thread_id).values(**values))


async def left(log: EventLog, thread_id: str) -> list[int]:
    return [record.seq for record in await log.read(thread_id, None)]


async def test_what_is_old_goes_and_numbers_go_on(log: EventLog, thread_id: str) -> None:
    await say(log, thread_id, "r1", 3, days_ago=9)
    await say(log, thread_id, "r2", 2, days_ago=1)
    assert await log.trim_finished(utc_now() - timedelta(days=7)) == 3
    assert await left(log, thread_id) == [4, 5]
    assert await log.trim_finished(utc_now() - timedelta(days=7)) == 0
    assert await log.trim_finished(utc_now()) == 2
    assert await left(log, thread_id) == []
    await say(log, thread_id, "r3", 1)
    assert await left(log, thread_id) == [6]
    assert await log.head(thread_id) == ("e", 6)


async def test_a_thread_keeps_its_newest_records_and_its_runs_whole(log: EventLog, thread_id: str) -> None:
    for run_id in ("r1", "r2", "r3"):
        await say(log, thread_id, run_id, 4)
    assert await log.trim_finished(None, keep_last=12) == 0
    assert await log.trim_finished(None, keep_last=6) == 4
    assert await left(log, thread_id) == list(range(5, 13))
    assert await log.trim_finished(None, keep_last=1) == 4
    assert await log.trim_finished(None, keep_last=1) == 0
    assert await left(log, thread_id) == [9, 10, 11, 12]


async def test_runs_that_are_mixed_stay_together(log: EventLog, thread_id: str) -> None:
    for run_id in ("r0", "r1", "r1", "r2", "r1", "r2", "r3"):
        await say(log, thread_id, run_id, 1)
    assert await log.trim(thread_id, 6) == 1
    assert await log.trim(thread_id, 7) == 5
    assert await left(log, thread_id) == [7]


@pytest.mark.parametrize(
    ("thread", "run", "goes"),
    [
        ({"status": "busy"}, None, False),
        ({"status": "interrupted"}, None, False),
        ({"status": "interrupted", "workspace_id": None}, None, True),
        ({"status": "error"}, None, True),
        ({}, "pending", False),
        ({}, "running", False),
        ({}, "success", True),
    ],
)
async def test_only_resting_threads_are_trimmed(
    log: EventLog, thread_id: str, thread: dict[str, object], run: str | None, goes: bool
) -> None:
    await say(log, thread_id, "r", 3, days_ago=9)
    if thread:
        await set_thread(log, thread_id, **thread)
    if run is not None:
        await add_run(log, thread_id, run)
    assert await log.trim_finished(utc_now()) == await log.trim(thread_id, 4) + (3 if goes else 0)
    assert await left(log, thread_id) == ([] if goes else [1, 2, 3])


async def test_a_run_is_readable_from_its_beginning_or_gone(log: EventLog, thread_id: str) -> None:
    old, young, waiting = [await add_run(log, thread_id, "success") for _ in range(3)]
    for run_id in (old, young):
        await log.append(thread_id, [NewEvent("run.started"), NewEvent("run.finished")], run_id=run_id)
    await log.trim(thread_id, 3)
    assert [record.seq async for record in log.tail(thread_id, 0, young)] == [3, 4]
    assert [record.seq async for record in log.tail(thread_id, 3, young)] == [4]
    assert [record.seq async for record in log.tail(thread_id, 4, young)] == []
    for after in (0, 1):
        with pytest.raises(Trimmed):
            await anext(log.tail(thread_id, after, old))
        with pytest.raises(Trimmed):
            await log.check(thread_id, after, old)
    for after in (None, 2):
        assert [record async for record in log.tail(thread_id, after, old)] == []
        assert await log.read(thread_id, after, run_id=old) == []
    async with log.database.transaction() as session:
        await session.execute(update(RunRow).where(RunRow.id == waiting).values(status="pending", ended_at=None))
    tail = log.tail(thread_id, 0, waiting)
    await log.check(thread_id, 0, waiting)
    await log.append(thread_id, [NewEvent("run.finished")], run_id=waiting)
    assert [record.seq async for record in tail] == [5]


async def test_much_goes_in_many_transactions(log: EventLog, thread_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "TOGETHER", 10)
    monkeypatch.setattr(retention, "THREADS", 2)
    others = [await make_thread(log.database) for _ in range(4)]
    await say(log, thread_id, None, 35, days_ago=9)
    for other in others:
        await say(log, other, None, 3, days_ago=9)
    assert await log.trim_finished(utc_now() - timedelta(days=7), keep_last=50_000) == 35 + 4 * 3
    async with log.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(RunEventRow)) == 0
    assert await log.trim("no such thread", 5) == 0


async def test_a_trimming_that_was_killed_leaves_a_log_with_a_beginning(
    log: EventLog, thread_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "TOGETHER", 10)
    await say(log, thread_id, None, 35)
    drop, dropped = retention.Retention._drop, []

    async def killed(self: retention.Retention, thread: str, to: int) -> bool:
        if dropped:
            raise SystemExit
        dropped.append(to)
        return await drop(self, thread, to)

    monkeypatch.setattr(retention.Retention, "_drop", killed)
    with pytest.raises(SystemExit):
        await log.trim(thread_id, 30)
    assert await left(log, thread_id) == list(range(11, 36))
    with pytest.raises(Trimmed):
        await log.read(thread_id, 9)
