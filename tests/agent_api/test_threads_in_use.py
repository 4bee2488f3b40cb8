"""Threads while something happens to them: runs and changes by hand keep out of each other's way, and threads end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, func, select, update

from codelab.core.errors import Conflict, NotFound
from codelab.core.types import Principal, utc_now
from codelab.runtime.agent import AgentRuntime
from codelab.runtime.threads.holding import Held, Holds
from codelab.store.models import RunEventRow, RunRow, ThreadRow
from codelab.store.wakeups import MemoryWakeups
from tests.agent_api.people import Clients, people
from tests.agent_api.thread_graphs import got, graphs, made, sent
from tests.support.agent_server import eventually

ALICE = Principal("alice")
RUN = {"assistant_id": "wait", "input": {"log": ["in"]}}


def holds(agent: AgentRuntime) -> Holds:
    return Holds(database=agent.database, checkpoints=agent.checkpoints, wakeups=MemoryWakeups())


async def write(agent: AgentRuntime, statement: Any) -> None:
    async with agent.database.transaction() as session:
        await session.execute(statement)


async def count(agent: AgentRuntime, table: Any, thread: str) -> int:
    async with agent.database.read() as session:
        query = select(func.count()).where(table.thread_id == thread.removeprefix("/threads/"))
        return int((await session.scalars(query)).one())


async def until(api: httpx.AsyncClient, thread: str, *statuses: str) -> None:
    async def reached() -> bool:
        return (await got(api, thread))["status"] in statuses

    await eventually(reached, f"{thread} to be {statuses}")


@pytest.fixture
async def busy(api: httpx.AsyncClient) -> str:
    """A thread whose run stands at the gate."""
    thread = await made(api)
    await sent(api, f"{thread}/runs", RUN)

    async def at_the_gate() -> bool:
        return (await got(api, f"{thread}/state"))["next"] == ["wait"]

    await eventually(at_the_gate, "the run to reach the gate")
    return thread


async def test_a_running_thread_is_not_changed_by_hand(api: httpx.AsyncClient, busy: str, gate: asyncio.Event) -> None:
    [run] = await got(api, f"{busy}/runs")
    refused = await sent(api, f"{busy}/state", {"values": {"log": ["x"]}, "as_node": "wait"}, status=409)
    assert run["run_id"] in refused["detail"]
    assert await sent(api, "/threads/prune", {"thread_ids": [busy[9:]], "strategy": "keep_latest"}) == {
        "pruned_count": 0
    }
    copy = await sent(api, f"{busy}/copy")
    assert (copy["values"], copy["status"]) == ({"log": ["in"]}, "interrupted")
    gate.set()
    await until(api, busy, "idle")
    assert (await got(api, busy))["values"] == {"log": ["in", "waited"]}
    assert (await got(api, f"/threads/{copy['thread_id']}"))["values"] == {"log": ["in"]}


async def test_a_queued_run_counts_and_a_later_one_does_not(api: httpx.AsyncClient, gate: asyncio.Event) -> None:
    gate.set()
    thread = await made(api, "wait")
    await sent(api, f"{thread}/runs", RUN | {"after_seconds": 60})
    await sent(api, f"{thread}/state", {"values": {"log": ["hand"]}, "as_node": "wait"})
    assert (await got(api, thread))["values"]["log"] == ["in", "waited", "hand"]


async def test_deleting_stops_what_runs(api: httpx.AsyncClient, agent: AgentRuntime, busy: str) -> None:
    [run] = await got(api, f"{busy}/runs")
    second = await sent(api, f"{busy}/runs", RUN)
    joined = asyncio.create_task(api.get(f"{busy}/runs/{run['run_id']}/join"))
    await asyncio.sleep(0.1)
    assert (await api.delete(busy)).status_code == 204
    assert (await asyncio.wait_for(joined, 10)).status_code < 500
    for gone in (busy, f"{busy}/state", f"{busy}/runs/{run['run_id']}", f"{busy}/runs/{second['run_id']}"):
        assert (await api.get(gone)).status_code == 404
    assert await count(agent, RunRow, busy) == await count(agent, RunEventRow, busy) == 0
    config: Any = {"configurable": {"thread_id": busy.removeprefix("/threads/")}}
    assert await agent.checkpoints.reader.aget_tuple(config) is None
    assert (await api.delete(busy)).status_code == 404
    again = await sent(api, "/threads", {"thread_id": busy.removeprefix("/threads/")})
    assert again["values"] is None


async def test_runs_and_changes_by_hand_lose_nothing_of_each_other(api: httpx.AsyncClient, gate: asyncio.Event) -> None:
    gate.set()
    thread = await made(api, "wait")

    async def change(number: int) -> None:
        body = {"values": {"log": [f"hand {number}"]}, "as_node": "wait"}

        async def changed() -> bool:
            return (await api.post(f"{thread}/state", json=body)).status_code == 200

        await eventually(changed, "a moment without a run")

    async def run(number: int) -> None:
        answer = await api.post(f"{thread}/runs/wait", json=RUN | {"input": {"log": [f"run {number}"]}})
        assert answer.status_code == 200, answer.text

    await asyncio.gather(*(change(i) for i in range(8)), *(run(i) for i in range(8)))
    log = (await got(api, thread))["values"]["log"]
    expected = ["in", *["waited"] * 9, *(f"hand {i}" for i in range(8)), *(f"run {i}" for i in range(8))]
    assert sorted(log) == sorted(expected)
    assert len(await got(api, f"{thread}/runs")) == 9
    assert (await got(api, thread))["status"] == "idle"


@pytest.fixture
async def elsewhere(
    agent: AgentRuntime, gate: asyncio.Event, database_url: str
) -> AsyncIterator[tuple[AgentRuntime, Clients]]:
    """A second server on the same database."""
    assert agent
    async with people(graphs(gate), database_url) as serving:
        yield serving


async def test_no_run_starts_while_a_thread_is_held(
    api: httpx.AsyncClient, gate: asyncio.Event, elsewhere: tuple[AgentRuntime, Clients]
) -> None:
    gate.set()
    thread = await made(api, "wait")
    async with holds(elsewhere[0]).on(ALICE, thread.removeprefix("/threads/")):
        run = await sent(api, f"{thread}/runs", RUN | {"input": {"log": ["second"]}})
        await asyncio.sleep(1.5)
        assert (await got(api, f"{thread}/runs/{run['run_id']}"))["status"] == "pending"
    await until(api, thread, "idle")
    await eventually(lambda: ran(api, thread, run), "the queued run")
    assert (await got(api, thread))["values"]["log"] == ["in", "waited", "second", "waited"]


async def ran(api: httpx.AsyncClient, thread: str, run: dict[str, Any]) -> bool:
    return bool((await got(api, f"{thread}/runs/{run['run_id']}"))["status"] == "success")


async def lose(agent: AgentRuntime, name: str, how: Any, then: Callable[[Held], Awaitable[None]]) -> None:
    """Take a hold, lose it, and go on as if nothing had happened."""
    async with holds(agent).on(ALICE, name) as held:
        await write(agent, how)
        await then(held)


async def test_a_lost_hold_writes_nothing(api: httpx.AsyncClient, agent: AgentRuntime) -> None:
    name = (await made(api, "ask")).removeprefix("/threads/")
    config: Any = {"configurable": {"thread_id": name}}

    async def change_the_state(held: Held) -> None:
        graph = agent.graphs.static("ask")
        assert graph is not None
        await graph.copy({"checkpointer": held.saver}).aupdate_state(config, {"log": ["late"]}, "first")

    async def change_the_thread(held: Held) -> None:
        held.changes = {"meta": {"late": 1}}

    taken = delete(RunRow).where(RunRow.kind == "hold")
    for then in (change_the_state, change_the_thread):
        with pytest.raises(Conflict):
            await lose(agent, name, taken, then)
    thread = await got(api, f"/threads/{name}")
    assert "late" not in thread["metadata"]
    assert thread["values"]["log"] == ["in", "first"]
    with pytest.raises(NotFound):
        await lose(agent, name, delete(ThreadRow).where(ThreadRow.id == name), change_the_thread)


async def test_a_hold_that_nobody_has_any_more_is_forgotten(api: httpx.AsyncClient, agent: AgentRuntime) -> None:
    thread = await made(api, "ask")
    taken = holds(agent).on(ALICE, thread.removeprefix("/threads/"))
    await taken.__aenter__()
    await agent.threads.sweep_expired()
    assert await count(agent, RunRow, thread) == 2
    old = update(RunRow).where(RunRow.kind == "hold").values(heartbeat_at=utc_now() - timedelta(minutes=2))
    await write(agent, old)
    await agent.threads.sweep_expired()
    assert await count(agent, RunRow, thread) == 1
    await sent(api, f"{thread}/state", {"values": {"log": ["x"]}, "as_node": "first"})


async def age(agent: AgentRuntime, thread: str, *, minutes: float, used: bool = False) -> None:
    """Let time pass for a thread; `used`: it was changed just now."""
    past = utc_now() - timedelta(minutes=minutes)
    values: dict[str, Any] = {"expires_at": ThreadRow.expires_at}
    async with agent.database.transaction() as session:
        row = (await session.scalars(select(ThreadRow).where(ThreadRow.id == thread[9:]))).one()
        if row.expires_at is not None:
            values["expires_at"] = row.expires_at - timedelta(minutes=minutes)
    if not used:
        values |= {"updated_at": past}
    await write(agent, update(ThreadRow).where(ThreadRow.id == thread[9:]).values(**values))


async def swept(agent: AgentRuntime, api: httpx.AsyncClient, thread: str, *, left: int) -> None:
    """Sweep, until a thread has this much history; the runtime's own clock may be faster than the call here."""

    async def done() -> bool:
        answer = await api.post(f"{thread}/history", json={"limit": 10})
        return left == (0 if answer.status_code == 404 else len(answer.json()))

    await agent.threads.sweep_expired()
    await eventually(done, "the sweep")


async def test_a_thread_ends_when_its_time_is_over(api: httpx.AsyncClient, agent: AgentRuntime) -> None:
    mortal = await made(api, "ask", ttl={"ttl": 5})
    other = await made(api, "ask")
    ttl = (await got(api, mortal, include="ttl"))["ttl"]
    assert (ttl["ttl"], ttl["strategy"]) == (5, "delete")
    assert "ttl" not in await got(api, mortal)
    assert (await got(api, other, include="ttl"))["ttl"] is None
    assert await agent.threads.sweep_expired() == 0
    await age(agent, mortal, minutes=6, used=True)
    assert await agent.threads.sweep_expired() == 0, "it was used meanwhile"
    await age(agent, mortal, minutes=6)
    await swept(agent, api, mortal, left=0)
    assert (await api.get(mortal)).status_code == 404
    config: Any = {"configurable": {"thread_id": mortal.removeprefix("/threads/")}}
    assert await agent.checkpoints.reader.aget_tuple(config) is None
    await age(agent, other, minutes=10_000)
    assert await agent.threads.sweep_expired() == 0
    assert (await api.get(other)).status_code == 200


async def test_a_thread_that_runs_does_not_end(api: httpx.AsyncClient, agent: AgentRuntime, busy: str) -> None:
    assert (await api.patch(busy, json={"ttl": {"ttl": 5}})).status_code == 200
    await age(agent, busy, minutes=6)
    assert await agent.threads.sweep_expired() == 0
    assert (await api.get(busy)).status_code == 200


async def test_only_the_newest_state_is_kept(api: httpx.AsyncClient, agent: AgentRuntime) -> None:
    aged = await made(api, "ask", ttl={"ttl": 5, "strategy": "keep_latest"})
    pruned = await made(api, "ask")
    before = [await got(api, f"{thread}/state", subgraphs="true") for thread in (aged, pruned)]
    await age(agent, aged, minutes=6)
    await swept(agent, api, aged, left=1)
    names = [pruned.removeprefix("/threads/")] * 2
    assert await sent(api, "/threads/prune", {"thread_ids": names, "strategy": "keep_latest"}) == {"pruned_count": 1}
    for thread, state in zip((aged, pruned), before, strict=True):
        assert len(await sent(api, f"{thread}/history", {"limit": 10})) == 1
        kept = await got(api, f"{thread}/state", subgraphs="true")
        assert (kept["values"], kept["interrupts"]) == (state["values"], state["interrupts"])
        assert kept["tasks"][0]["state"]["values"] == state["tasks"][0]["state"]["values"]
        answer = await api.post(f"{thread}/runs/wait", json={"assistant_id": "ask", "command": {"resume": "yes"}})
        assert answer.json()["log"][-2:] == ["answer yes", "last"]
    assert await agent.threads.sweep_expired() == 0


async def test_pruning(api: httpx.AsyncClient, busy: str) -> None:
    idle = await made(api, "ask")
    names = [thread.removeprefix("/threads/") for thread in (idle, busy, idle)]
    unknown = "00000000-0000-0000-0000-000000000000"
    assert await sent(api, "/threads/prune", {"thread_ids": [*names, unknown]}) == {"pruned_count": 2}
    for thread in (idle, busy):
        assert (await api.get(thread)).status_code == 404
    assert await sent(api, "/threads/prune", {"thread_ids": []}) == {"pruned_count": 0}
    for body in ({}, {"thread_ids": ["nope"]}, {"thread_ids": names, "strategy": "bad"}):
        assert set(await sent(api, "/threads/prune", body, status=422)) == {"detail"}


async def test_storage_is_not_told(api: httpx.AsyncClient) -> None:
    answer = await api.get(f"{await made(api)}/storage")
    assert (answer.status_code, set(answer.json())) == (501, {"detail"})


async def test_in_memory(gate: asyncio.Event) -> None:
    async with people(graphs(gate), "sqlite://") as (_, client), client() as api:
        thread = await made(api, "ask")
        await sent(api, f"{thread}/state", {"values": {"log": ["hand"]}, "as_node": "first"})
        copy = await sent(api, f"{thread}/copy")
        assert copy["values"]["log"] == ["in", "first", "hand"]
        assert [t["thread_id"] for t in await sent(api, "/threads/search", {"values": {"n": 1}, "limit": 1})]
        assert (await api.delete(thread)).status_code == 204
        assert (await got(api, f"/threads/{copy['thread_id']}/state"))["next"] == ["sub"]
