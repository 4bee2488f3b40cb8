"""New runs, and ends of runs, that share a transaction: each succeeds or fails by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from langgraph.graph import START, StateGraph
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from codelab.core.errors import Conflict, NotFound
from codelab.core.settings import DatabaseSettings, RunSettingsGroup, Settings
from codelab.core.types import Principal, RunStatus
from codelab.runtime.agent import AgentRuntime, build_agent_runtime
from codelab.runtime.agent_runs.ending import End, Ends, Rest
from codelab.runtime.agent_runs.schemas import AgentRun, RunRequest
from codelab.runtime.graphs.registry import GraphRegistry
from codelab.runtime.runs.engine import Ending
from codelab.store.lease import LostLease
from codelab.store.models import RunEventRow, RunRow, ThreadRow

ME, OTHER = Principal("me"), Principal("somebody else")
DONE = Rest(Ending(status=RunStatus.SUCCESS))


@pytest.fixture
async def agent(database_url: str) -> AsyncIterator[AgentRuntime]:
    settings = Settings(
        database=DatabaseSettings(url=database_url),
        runs=RunSettingsGroup(heartbeat_s=30, lease_s=60),
        _env_file=None,
    )
    gate = asyncio.Event()

    async def wait(state: dict[str, Any]) -> dict[str, Any]:
        await gate.wait()
        return state

    graph = StateGraph(dict).add_node("node", wait).add_edge(START, "node").compile()
    async with build_agent_runtime(settings, GraphRegistry({"wait": graph})) as agent:
        yield agent
        gate.set()


async def make(agent: AgentRuntime, thread: str | None, *, by: Principal = ME, **more: Any) -> AgentRun:
    request = RunRequest(assistant_id="wait", input={"said": "x"}, **{"if_not_exists": "create", **more})
    return await agent.runs.create(by, thread, request)


async def together(*made: Any) -> list[Any]:
    """Ask for all before any is committed."""
    return await asyncio.gather(*made, return_exceptions=True)


async def row(agent: AgentRuntime, run: AgentRun) -> RunRow:
    async with agent.database.read() as session:
        return (await session.scalars(select(RunRow).where(RunRow.id == str(run.run_id)))).one()


async def told(agent: AgentRuntime, run: AgentRun) -> list[str]:
    """The log's records; they are numbered without a gap."""
    async with agent.database.read() as session:
        events = select(RunEventRow).where(RunEventRow.thread_id == str(run.thread_id)).order_by(RunEventRow.seq)
        found = (await session.scalars(events)).all()
    assert [event.seq for event in found] == list(range(1, len(found) + 1))
    return [event.type for event in found]


async def test_new_runs_are_refused_one_by_one(agent: AgentRuntime) -> None:
    busy, foreign, new = (str(uuid4()) for _ in range(3))
    await make(agent, busy)
    await make(agent, foreign, by=OTHER)
    made, missing, rejected, hidden, alone = await together(
        make(agent, new),
        make(agent, str(uuid4()), if_not_exists="reject"),
        make(agent, busy, multitask_strategy="reject"),
        make(agent, foreign),
        make(agent, None),
    )
    assert isinstance(missing, NotFound)
    assert isinstance(rejected, Conflict)
    assert isinstance(hidden, NotFound)
    assert [(await row(agent, run)).status for run in (made, alone)] == ["running", "running"]
    assert str(made.thread_id) == new


async def test_new_runs_of_one_thread_keep_their_order(agent: AgentRuntime) -> None:
    thread = str(uuid4())
    first, second, other, rejected, third = await together(
        make(agent, thread),
        make(agent, thread),
        make(agent, None),
        make(agent, thread, multitask_strategy="reject"),
        make(agent, thread, multitask_strategy="rollback"),
    )
    assert isinstance(rejected, Conflict)
    assert [run.status for run in (first, second, other, third)] == ["running", "pending", "running", "pending"]
    with pytest.raises(NotFound):  # it had not begun when the last one came
        await agent.runs.get(ME, thread, str(second.run_id))


async def test_a_run_that_cannot_be_stored_keeps_no_other_from_being_stored(
    agent: AgentRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    assistants = agent.assistants
    broken = (await assistants.resolve(ME, "wait")).model_copy(update={"graph_id": object()})
    resolve = assistants.resolve

    async def resolved(principal: Principal, named: str) -> Any:
        return broken if principal == OTHER else await resolve(principal, named)

    monkeypatch.setattr(assistants, "resolve", resolved)
    made, failed = await together(make(agent, str(uuid4())), make(agent, str(uuid4()), by=OTHER))
    assert isinstance(failed, SQLAlchemyError)
    assert (await row(agent, made)).status == "running"
    async with agent.database.read() as session:
        assert [thread.owner_id for thread in await session.scalars(select(ThreadRow))] == ["me"]


async def test_who_lost_the_lease_keeps_no_other_run_from_ending(agent: AgentRuntime) -> None:
    runs = [await make(agent, None) for _ in range(3)]
    rows = [await row(agent, run) for run in runs]
    async with agent.database.transaction() as session:
        taken = update(RunRow).where(RunRow.id == rows[1].id).values(owner="another", attempt=2)
        await session.execute(taken)
    ends = Ends(agent.log)
    done, lost, undone = await together(
        ends.write(End(rows[0], DONE)),
        ends.write(End(rows[1], DONE)),
        ends.write(End(rows[2], replace(DONE, ending=Ending(status=RunStatus.INTERRUPTED, reason="rollback")))),
    )
    assert (done, undone) == (None, None)
    assert isinstance(lost, LostLease)
    assert (await row(agent, runs[0])).status == "success"
    assert (await row(agent, runs[1])).status == "running"
    assert "run.finished" not in await told(agent, runs[1])
    with pytest.raises(NotFound):
        await agent.runs.get(ME, str(runs[2].thread_id), rows[2].id)
    for run in (runs[0], runs[2]):
        assert (await told(agent, run))[-1] == "run.finished"
