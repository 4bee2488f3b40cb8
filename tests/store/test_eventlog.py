"""Gapless under concurrency, and replay from `k` is the suffix for every `k`."""

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete

from codelab.core.errors import NotFound
from codelab.store.engine import Database
from codelab.store.eventlog import EventLog
from codelab.store.models import ThreadRow
from codelab.store.records import SUPERSEDED, LoggedEvent, NewEvent, visible

NAMES = st.sampled_from(["a", "b", "c"])
RECORD = st.one_of(
    st.builds(lambda name: ("text.delta", {"message_id": name}), NAMES),
    st.builds(lambda name: ("tool.result", {"tool_call_id": name, "message_id": "r"}), NAMES),
    st.builds(
        lambda back, m, t: (SUPERSEDED, {"back": back, "message_ids": m, "tool_call_ids": t}),
        st.integers(0, 6),
        st.lists(NAMES, max_size=2),
        st.lists(NAMES, max_size=2),
    ),
)


def _log(records: list[tuple[str, dict]]) -> list[LoggedEvent]:
    made = []
    for seq, (kind, data) in enumerate(records, 1):
        fields = dict(data)
        if kind == SUPERSEDED:
            fields["from_seq"] = max(1, seq - fields.pop("back"))
        made.append(LoggedEvent("t", seq, "r", 1, kind, fields, datetime.now(UTC)))
    return made


@given(st.lists(RECORD, max_size=20))
def test_replay_from_k_is_the_suffix(records: list[tuple[str, dict]]) -> None:
    log = _log(records)
    whole = visible(log)
    for k in range(len(log) + 1):
        assert visible(log[k:]) == [event for event in whole if event.seq > k]


async def test_concurrent_appenders_leave_no_gap(database: Database, thread_id: str) -> None:
    log = EventLog(database, poll_s=0.05)
    tail = log.tail(thread_id)

    async def collect() -> list[int]:
        seen = []
        async for event in tail:
            seen.append(event.seq)
            if len(seen) == 60:
                break
        return seen

    reading = asyncio.create_task(collect())
    await asyncio.gather(*(log.append(thread_id, [NewEvent("custom", {"n": i})] * 3) for i in range(20)))
    assert await asyncio.wait_for(reading, 10) == list(range(1, 61))
    assert [event.seq for event in await log.read(thread_id)] == list(range(1, 61))
    await tail.aclose()


async def test_tail_of_another_process_is_found_by_polling(database: Database, thread_id: str) -> None:
    reader, writer = EventLog(database, poll_s=0.05), EventLog(database)
    tail = reader.tail(thread_id, run_id="r1")
    first = asyncio.create_task(anext(tail))
    await asyncio.sleep(0.1)
    await writer.append(thread_id, [NewEvent("custom")], run_id="other")
    await writer.append(thread_id, [NewEvent("run.started")], run_id="r1", attempt=1)
    assert (await asyncio.wait_for(first, 5)).seq == 2
    await writer.append(thread_id, [NewEvent("run.finished", {"status": "success"})], run_id="r1")
    rest = [event async for event in tail]
    assert [event.type for event in rest] == ["run.finished"]
    assert [e async for e in reader.tail(thread_id, after=3, run_id="r1")] == []


async def test_tail_ends_with_its_thread(database: Database, thread_id: str) -> None:
    log = EventLog(database, poll_s=0.05)
    await log.append(thread_id, [NewEvent("custom")])
    tail = log.tail(thread_id)
    assert (await anext(tail)).seq == 1
    async with database.transaction() as session:
        await session.execute(delete(ThreadRow).where(ThreadRow.id == thread_id))
    assert [event async for event in tail] == []
    with pytest.raises(NotFound):
        await log.append(thread_id, [NewEvent("custom")])
    with pytest.raises(NotFound):
        await log.head(thread_id)


async def test_awkward_text_is_stored(database: Database, thread_id: str) -> None:
    log = EventLog(database)
    await log.append(thread_id, [NewEvent("text.delta", {"delta": "nul \x00 surrogate \ud800 кириллица \\u0000"})])
    (event,) = await log.read(thread_id)
    assert event.data["delta"] == "nul \ufffd surrogate \ufffd кириллица \\u0000"


async def test_a_failed_transaction_announces_nothing(database: Database, thread_id: str) -> None:
    log = EventLog(database)

    async def fail() -> None:
        async with log.transaction() as writing:
            await writing.log(thread_id, [NewEvent("custom")])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await log.head(thread_id) == ("e", 0)
