"""Crons: when they are due, that one process starts each tick, and what becomes of those that cannot go on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypedDict
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.graph import START, StateGraph
from sqlalchemy import delete, select, update

from codelab.core.errors import BadRequest, InvalidInput, NotFound
from codelab.core.settings import DatabaseSettings, Settings, WebhookSettings
from codelab.core.types import Principal, utc_now
from codelab.runtime.agent import AgentRuntime, build_agent_runtime
from codelab.runtime.agent_runs.schemas import RunRequest
from codelab.runtime.crons.schedule import next_tick
from codelab.runtime.crons.schemas import Cron, CronChange, CronFilter, CronSearch, NewCron
from codelab.runtime.graphs.registry import GraphRegistry, system_assistant_id
from codelab.runtime.threads.repository import new_thread
from codelab.store.models import CronRow, RunRow, ThreadRow

ALICE, BOB = Principal("alice"), Principal("bob")
YEARLY = "0 0 1 1 *"
AGENT = system_assistant_id("agent")
Open = Callable[..., AbstractAsyncContextManager[AgentRuntime]]


class State(TypedDict, total=False):
    value: str


def graph() -> Any:
    async def node(state: State) -> State:
        await asyncio.sleep(1 if state.get("value") == "slow" else 0)
        return {"value": state.get("value", "") + "!"}

    return StateGraph(State).add_node("node", node).add_edge(START, "node").compile()


@pytest.fixture
def open_agent(database_url: str, tmp_path: Path) -> Open:
    """Open a runtime whose clock the test moves; again for another process."""

    @asynccontextmanager
    async def opened(**webhooks: Any) -> AsyncIterator[AgentRuntime]:
        settings = Settings(
            data_dir=tmp_path,
            database=DatabaseSettings(url=database_url),
            webhooks=WebhookSettings(**webhooks),
            _env_file=None,
        )
        async with build_agent_runtime(settings, GraphRegistry({"agent": graph()})) as agent:
            yield agent

    return opened


@pytest.fixture
async def agent(open_agent: Open) -> AsyncIterator[AgentRuntime]:
    async with open_agent() as opened:
        yield opened


async def make(agent: AgentRuntime, thread_id: str | None = None, *, who: Principal = ALICE, **asked: Any) -> Cron:
    sent = {"assistant_id": "agent", "schedule": YEARLY, "input": {"value": "x"}} | asked
    return await agent.crons.create(who, thread_id, NewCron.model_validate(sent))


async def thread(agent: AgentRuntime, who: Principal = ALICE) -> str:
    row = new_thread(who)
    async with agent.database.transaction() as session:
        session.add(row)
    return row.id


async def runs(agent: AgentRuntime) -> list[RunRow]:
    async with agent.database.read() as session:
        return list((await session.scalars(select(RunRow).order_by(RunRow.created_at))).all())


async def overdue(agent: AgentRuntime, cron: Cron, by: timedelta = timedelta(seconds=1)) -> None:
    """Let a cron's tick be in the past."""
    async with agent.database.transaction() as session:
        change = update(CronRow).where(CronRow.id == cron.cron_id).values(next_run_at=utc_now() - by)
        await session.execute(change)


async def change(agent: AgentRuntime, cron: Cron, **sent: Any) -> Cron:
    return await agent.crons.update(ALICE, cron.cron_id, CronChange.model_validate(sent))


# -- when -----------------------------------------------------------------------------------------------------------


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "due"),
    [
        ("*/5 * * * *", None, "2026-01-01T00:00:00", "2026-01-01T00:05:00"),
        ("0 9 * * *", "America/New_York", "2026-01-01T00:00:00", "2026-01-01T14:00:00"),
        ("0 9 * * *", "America/New_York", "2026-07-01T00:00:00", "2026-07-01T13:00:00"),
        ("0 9 * * *", "Europe/Berlin", "2026-03-28T12:00:00", "2026-03-29T07:00:00"),  # the day the clock goes forward
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00", "2026-03-29T01:00:00"),  # half past two does not exist
        ("0 0 29 2 *", None, "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("@hourly", None, "2026-01-01T00:10:00", "2026-01-01T01:00:00"),
        ("* * * * * */10", None, "2026-01-01T00:00:01", "2026-01-01T00:00:10"),
        ("0 0 * * mon", None, "2026-01-01T00:00:00", "2026-01-05T00:00:00"),
    ],
)
def test_ticks(schedule: str, zone: str | None, after: str, due: str) -> None:
    assert next_tick(schedule, zone, at(after)) == at(due)


def test_a_tick_beyond_the_end_is_none() -> None:
    after = at("2026-01-01T00:00:00")
    assert next_tick("0 0 * * *", None, after, after + timedelta(hours=23)) is None
    assert next_tick("0 0 * * *", None, after, after + timedelta(hours=24)) == at("2026-01-02T00:00:00")


@pytest.mark.parametrize(
    "schedule", ["bad", "", "61 * * * *", "* * * *", "*/0 * * * *", "@reboot", "H * * * *", "٠ * * * *"]
)
def test_schedules_that_are_none(schedule: str) -> None:
    with pytest.raises(InvalidInput, match="Invalid cron schedule"):
        next_tick(schedule, None, utc_now())


def test_a_schedule_that_is_never_due() -> None:
    with pytest.raises(BadRequest):
        next_tick("0 0 31 2 *", None, utc_now())


@pytest.mark.parametrize("zone", ["", "Mars/X", "../../etc/passwd", "America", "/etc/localtime", "x\x00"])
def test_zones_that_are_none(zone: str) -> None:
    with pytest.raises(InvalidInput, match="Invalid timezone"):
        next_tick(YEARLY, zone, utc_now())


@given(st.text(max_size=30))
def test_any_schedule_is_read_or_refused(text: str) -> None:
    now = utc_now()
    try:
        due = next_tick(text, None, now)
    except (InvalidInput, BadRequest):
        return
    assert due is not None
    assert due > now


# -- made, changed, found -------------------------------------------------------------------------------------------


async def test_what_a_cron_looks_like(agent: AgentRuntime) -> None:
    cron = await make(agent, metadata={"m": 1}, config={"configurable": {"z": 1}}, timezone="America/New_York")
    next_year = utc_now().year + 1
    assert cron.next_run_date == datetime(next_year, 1, 1, 5, tzinfo=UTC)
    assert (cron.assistant_id, cron.thread_id, cron.user_id, cron.enabled) == (AGENT, None, "alice", True)
    assert (cron.metadata, cron.on_run_completed, cron.timezone) == ({"m": 1}, "delete", "America/New_York")
    assert cron.payload == {
        "assistant_id": AGENT,
        "schedule": YEARLY,
        "timezone": "America/New_York",
        "input": {"value": "x"},
        "metadata": {"m": 1},
        "config": {"configurable": {"z": 1, "cron_id": cron.cron_id}},
    }
    assert await agent.crons.get(ALICE, cron.cron_id) == cron
    on_thread = await make(agent, await thread(agent))
    assert on_thread.on_run_completed is None


async def test_what_is_not_there_or_not_yours(agent: AgentRuntime) -> None:
    theirs = await thread(agent, BOB)
    for thread_id, asked in ((None, {"assistant_id": "nope"}), (None, {"assistant_id": str(uuid4())}), (theirs, {})):
        with pytest.raises(NotFound):
            await make(agent, thread_id, **asked)
    cron = await make(agent)
    for call in (
        agent.crons.get(BOB, cron.cron_id),
        agent.crons.update(BOB, cron.cron_id, CronChange(enabled=False)),
        agent.crons.delete(BOB, cron.cron_id),
        agent.crons.get(ALICE, str(uuid4())),
    ):
        with pytest.raises(NotFound):
            await call
    assert await agent.crons.count(BOB, CronFilter()) == 0
    assert await agent.crons.search(BOB, CronSearch()) == ([], False)
    await agent.crons.delete(ALICE, cron.cron_id)
    with pytest.raises(NotFound):
        await agent.crons.get(ALICE, cron.cron_id)


async def test_changes(agent: AgentRuntime) -> None:
    cron = await make(agent, metadata={"m": 1}, config={"tags": ["t"], "configurable": {"z": 1}})
    with pytest.raises(BadRequest, match="cannot be empty"):
        await change(agent, cron)
    daily = await change(agent, cron, schedule="0 12 * * *", timezone="Europe/Berlin")
    assert daily.next_run_date is not None
    assert daily.next_run_date - utc_now() < timedelta(days=1)
    off = await change(agent, cron, enabled=False)
    assert (off.enabled, off.next_run_date, off.timezone) == (False, None, "Europe/Berlin")
    assert (await change(agent, cron, enabled=True)).next_run_date == daily.next_run_date
    ended = await change(agent, cron, end_time="2020-01-01T00:00:00")
    assert (ended.end_time, ended.next_run_date) == (at("2020-01-01T00:00:00"), None)
    assert (await change(agent, cron, end_time=None)).next_run_date == daily.next_run_date
    more = await change(agent, cron, metadata={"n": 5}, config={"tags": ["z"]}, input={"value": "new"})
    assert more.metadata == {"m": 1, "n": 5}
    assert more.payload["config"] == {"tags": ["z"], "configurable": {"cron_id": cron.cron_id}}
    assert more.payload["input"] == {"value": "new"}
    kept = await change(agent, cron, interrupt_before=["a"], stream_mode=["values"], on_run_completed="keep")
    assert (kept.payload["interrupt_before"], kept.on_run_completed) == (["a"], "keep")
    for wrong in ({"schedule": "bad"}, {"timezone": "bad"}, {"durability": "zz"}, {"stream_mode": "zz"}):
        with pytest.raises(InvalidInput):
            await change(agent, cron, **wrong)
    assert (await agent.crons.get(ALICE, cron.cron_id)) == kept


async def test_search_and_count(agent: AgentRuntime) -> None:
    thread_id = await thread(agent)
    first = await make(agent, metadata={"team": {"name": "a"}, "n": 1})
    second = await make(agent, thread_id, schedule="0 0 1 6 *", metadata={"n": 2})
    third = await make(agent, enabled=False)
    await make(agent, who=BOB)

    async def found(**asked: Any) -> list[str]:
        return [cron.cron_id for cron in (await agent.crons.search(ALICE, CronSearch(**asked)))[0]]

    everything = [third.cron_id, second.cron_id, first.cron_id]
    assert await found() == everything
    assert await found(sort_order="asc") == everything[::-1]
    assert await found(thread_id=thread_id) == [second.cron_id]
    assert await found(enabled=False) == [third.cron_id]
    assert await found(metadata={"team": {"name": "a"}}) == [first.cron_id]
    assert await found(metadata={"n": 3}) == []
    assert await found(assistant_id="agent") == await found(assistant_id=AGENT) == everything
    assert await found(assistant_id=str(uuid4())) == []
    assert (await found(sort_by="next_run_date", sort_order="asc"))[-1] == third.cron_id
    assert (await found(sort_by="thread_id", sort_order="asc"))[0] == second.cron_id
    assert (await found(sort_by="thread_id"))[-1] == second.cron_id
    for column in ("cron_id", "assistant_id", "updated_at", "end_time"):
        assert sorted(await found(sort_by=column)) == sorted(everything)
    assert await agent.crons.search(ALICE, CronSearch(limit=2, offset=1)) == (
        [await agent.crons.get(ALICE, one) for one in everything[1:]],
        False,
    )
    assert (await agent.crons.search(ALICE, CronSearch(limit=2)))[1]
    assert await agent.crons.count(ALICE, CronFilter()) == 3
    assert await agent.crons.count(ALICE, CronFilter(metadata={"n": 2})) == 1


# -- fired ----------------------------------------------------------------------------------------------------------


async def test_a_due_cron_starts_a_run_of_its_owner(agent: AgentRuntime) -> None:
    cron = await make(agent, metadata={"m": 1}, on_run_completed="keep")
    await agent.crons.fire_due()
    assert await runs(agent) == []
    await overdue(agent, cron)
    await fired(agent)
    (run,) = await runs(agent)
    assert (run.owner_id, run.assistant_id, run.meta["m"]) == ("alice", AGENT, 1)
    assert run.kwargs is not None
    assert run.kwargs["config"]["configurable"]["cron_id"] == cron.cron_id
    assert await agent.runs.join(ALICE, run.thread_id, run.id) == {"value": "x!"}
    moved = await agent.crons.get(ALICE, cron.cron_id)
    assert moved.next_run_date == cron.next_run_date


async def fired(agent: AgentRuntime) -> None:
    """The runtime's own clock may have been faster than the test."""
    await agent.crons.fire_due()
    async with asyncio.timeout(5):
        while not await runs(agent):  # noqa: ASYNC110 - the row is in a database
            await asyncio.sleep(0.05)


async def test_a_threads_cron_runs_on_its_thread(agent: AgentRuntime) -> None:
    thread_id = await thread(agent)
    cron = await make(agent, thread_id)
    await overdue(agent, cron)
    await fired(agent)
    (run,) = await runs(agent)
    assert run.thread_id == thread_id
    await agent.runs.join(ALICE, thread_id, run.id)


async def test_missed_ticks_are_made_up_for_once(agent: AgentRuntime) -> None:
    cron = await make(agent, schedule="*/5 * * * *")
    await overdue(agent, cron, timedelta(days=3))
    for _ in range(3):
        await fired(agent)
    assert len(await runs(agent)) == 1
    after = (await agent.crons.get(ALICE, cron.cron_id)).next_run_date
    assert after is not None
    assert after > utc_now()


async def test_two_processes_start_one_run(open_agent: Open) -> None:
    async with open_agent() as one, open_agent() as other:
        for _ in range(5):
            cron = await make(one)
            await overdue(one, cron)
        await asyncio.gather(*(agent.crons.fire_due() for agent in (one, other) for _ in range(3)))
        await asyncio.sleep(0.3)
        assert len(await runs(one)) == 5


async def test_one_that_was_taken_is_not_fired_again(agent: AgentRuntime) -> None:
    """Two that read the same tick: the second finds it moved."""
    cron = await make(agent)
    async with agent.database.read() as session:
        row = (await session.scalars(select(CronRow).where(CronRow.id == cron.cron_id))).one()
    now = row.next_run_at + timedelta(seconds=1)
    assert await agent.crons._fire(row, now)
    assert not await agent.crons._fire(row, now)
    assert len(await runs(agent)) == 1


async def test_the_end_comes(agent: AgentRuntime) -> None:
    cron = await make(agent, schedule="* * * * *", end_time=(utc_now() + timedelta(seconds=1)).isoformat())
    await overdue(agent, cron)
    await fired(agent)
    done = await agent.crons.get(ALICE, cron.cron_id)
    assert (done.next_run_date, done.enabled) == (None, True)


async def test_a_cron_goes_with_its_thread(agent: AgentRuntime) -> None:
    thread_id = await thread(agent)
    cron = await make(agent, thread_id)
    async with agent.database.transaction() as session:
        await session.execute(delete(ThreadRow).where(ThreadRow.id == thread_id))
    with pytest.raises(NotFound):
        await agent.crons.get(ALICE, cron.cron_id)


async def error_of(agent: AgentRuntime, cron: Cron) -> str | None:
    async with agent.database.read() as session:
        return (await session.scalars(select(CronRow.error).where(CronRow.id == cron.cron_id))).one()


async def test_a_cron_whose_assistant_is_gone_is_disabled(agent: AgentRuntime) -> None:
    cron = await make(agent)
    async with agent.database.transaction() as session:
        payload = {**cron.payload, "assistant_id": str(uuid4())}
        change = update(CronRow).where(CronRow.id == cron.cron_id)
        await session.execute(change.values(payload=payload, next_run_at=utc_now() - timedelta(seconds=1)))
    await agent.crons.fire_due()
    async with asyncio.timeout(5):
        while (await agent.crons.get(ALICE, cron.cron_id)).enabled:  # noqa: ASYNC110 - the row is in a database
            await asyncio.sleep(0.05)
    assert (await agent.crons.get(ALICE, cron.cron_id)).next_run_date is None
    assert await error_of(agent, cron)
    assert await runs(agent) == []
    await change_back(agent, cron)


async def change_back(agent: AgentRuntime, cron: Cron) -> None:
    """A change forgives the failure."""
    again = await change(agent, cron, enabled=True)
    assert again.next_run_date is not None
    assert await error_of(agent, cron) is None


async def test_a_busy_thread_is_tried_again_at_the_next_tick(agent: AgentRuntime) -> None:
    thread_id = await thread(agent)
    slow = await agent.runs.create(ALICE, thread_id, RunRequest(assistant_id="agent", input={"value": "slow"}))
    cron = await make(agent, thread_id, multitask_strategy="reject")
    assert not await fire(agent, cron)
    kept = await agent.crons.get(ALICE, cron.cron_id)
    assert (kept.enabled, kept.next_run_date is not None) == (True, True)
    assert "already running" in (await error_of(agent, cron) or "")
    await agent.runs.join(ALICE, thread_id, str(slow.run_id))
    assert await fire(agent, cron)
    assert await error_of(agent, cron) is None


async def fire(agent: AgentRuntime, cron: Cron) -> bool:
    """Fire one at its next tick, whenever that is."""
    async with agent.database.read() as session:
        row = (await session.scalars(select(CronRow).where(CronRow.id == cron.cron_id))).one()
    assert row.next_run_at is not None
    return await agent.crons._fire(row, row.next_run_at + timedelta(seconds=1))


async def test_webhooks_of_crons(open_agent: Open) -> None:
    async with open_agent() as off:
        with pytest.raises(InvalidInput, match="CODELAB_WEBHOOKS__ENABLED"):
            await make(off, webhook="https://93.184.216.34/x")
    async with open_agent(enabled=True, secret="s") as on:
        cron = await make(on, webhook="https://93.184.216.34/x")
        assert cron.payload["webhook"] == "https://93.184.216.34/x"
        for wrong in ("https://127.0.0.1/x", "http://93.184.216.34/x", "nope"):
            with pytest.raises(InvalidInput):
                await make(on, webhook=wrong)
            with pytest.raises(InvalidInput):
                await change(on, cron, webhook=wrong)
