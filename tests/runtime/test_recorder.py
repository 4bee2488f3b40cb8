"""What a run says reaches the log in time, and what live readers get of it is what a replay gives."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from langchain_core.messages import AIMessageChunk

from codelab.core.types import Principal, new_id
from codelab.runtime.agent_runs.parts import part, written_part
from codelab.runtime.runs.plain import plain, plain_text
from codelab.runtime.runs.recorder import MANY, Recorder
from codelab.runtime.threads.repository import new_thread
from codelab.store.engine import Database
from codelab.store.eventlog import EventLog
from codelab.store.inserting import MOST
from codelab.store.lease import Lease
from codelab.store.records import LoggedEvent, NewEvent


class Held:
    """A lease that nobody disputes; a commit waits while it is `slow`."""

    run_id, attempt = "r", 1

    def __init__(self) -> None:
        self.asked, self.slow = asyncio.Event(), asyncio.Event()
        self.slow.set()

    async def hold(self, _session: Any) -> None:
        self.asked.set()
        await self.slow.wait()


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[EventLog]:
    database = Database(database_url)
    yield EventLog(database)
    await database.close()


@pytest.fixture
async def thread_id(log: EventLog) -> str:
    made = new_id()
    async with log.database.transaction() as session:
        session.add(new_thread(Principal("me"), thread_id=made))
    return made


def recorder(log: EventLog, thread_id: str, *, lease: Held | None = None, window_s: float = 3600) -> Recorder:
    return Recorder(log, thread_id=thread_id, lease=cast("Lease", lease or Held()), window_s=window_s)


async def heard(log: EventLog, thread_id: str, count: int, *, ready: asyncio.Event) -> list[LoggedEvent]:
    found: list[LoggedEvent] = []
    following = log.batches(thread_id, 0)
    ready.set()
    async with asyncio.timeout(20):
        async for batch in following:
            found += batch
            if len(found) >= count:
                break
    await following.aclose()
    return found


async def test_many_records_do_not_wait_for_the_window(log: EventLog, thread_id: str) -> None:
    ready = asyncio.Event()
    reading = asyncio.create_task(heard(log, thread_id, MANY, ready=ready))
    await ready.wait()
    saying = recorder(log, thread_id)
    for number in range(MANY):
        saying.add([NewEvent("part", {"number": number})])
    assert [record.data["number"] for record in await reading] == list(range(MANY))
    saying.drop()


async def test_few_records_wait_for_it(log: EventLog, thread_id: str) -> None:
    saying = recorder(log, thread_id)
    saying.add([NewEvent("part", {}) for _ in range(MANY - 1)])
    await asyncio.sleep(0.1)
    assert await log.read(thread_id) == []
    await saying.settle()
    assert len(saying.rest()) == MANY - 1


async def test_a_message_that_begins_waits_for_nothing_else(log: EventLog, thread_id: str) -> None:
    ready = asyncio.Event()
    reading = asyncio.create_task(heard(log, thread_id, 2, ready=ready))
    await ready.wait()
    saying = recorder(log, thread_id, window_s=3600)
    saying.add([NewEvent("text.start", {"message_id": "m"})])
    for piece in "I sa", "y it.":
        saying.add([NewEvent("text.delta", {"message_id": "m", "delta": piece})])
    first, second = await asyncio.wait_for(reading, 20)
    assert (first.type, second.data["delta"]) == ("text.start", "I say it.")
    saying.add([NewEvent("text.delta", {"message_id": "m", "delta": "more"})])
    await asyncio.sleep(0.1)
    assert len(await log.read(thread_id)) == 2, "nobody is in a hurry any more"
    saying.drop()


async def test_what_is_said_during_a_commit_is_written_though_nothing_follows(log: EventLog, thread_id: str) -> None:
    lease = Held()
    lease.slow.clear()
    saying = recorder(log, thread_id, lease=lease, window_s=0.01)
    saying.add([NewEvent("part", {"number": 1})])
    await lease.asked.wait()
    saying.add([NewEvent("part", {"number": 2})])
    lease.slow.set()
    found = await heard(log, thread_id, 2, ready=asyncio.Event())
    assert [record.data["number"] for record in found] == [1, 2]
    await saying.settle()


async def test_live_readers_get_what_a_replay_gives(log: EventLog, thread_id: str) -> None:
    chunks = [AIMessageChunk(f"{n} ж \N{GRINNING FACE} \x00", id="m") for n in range(MOST + 3)]
    said = [written_part("messages", ["a:1"], f"[{plain_text(chunk)},{{}}]") for chunk in chunks]
    ready = asyncio.Event()
    reading = asyncio.create_task(heard(log, thread_id, len(said), ready=ready))
    await ready.wait()
    await asyncio.sleep(0.1)  # past its first look into SQL
    logged = await log.append(thread_id, said, run_id="r", attempt=2)
    live, replayed = await reading, await log.read(thread_id)
    assert live == logged == replayed
    assert all(record.text is not None for record in live)
    whole = part("messages", ["a:1"], [plain(chunks[0]), {}]).data
    whole["data"][0]["content"] = "0 ж \N{GRINNING FACE} \ufffd"
    assert replayed[0].data == whole
