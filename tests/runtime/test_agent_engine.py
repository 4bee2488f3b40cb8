"""Runs of any graph on the engine: where they wait, how they are stopped, and what is left of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from sqlalchemy import select, update

from codelab.core.errors import Conflict, NotFound
from codelab.core.settings import DatabaseSettings, RunSettingsGroup, Settings
from codelab.core.types import Principal, utc_now
from codelab.runtime.agent import AgentRuntime, build_agent_runtime
from codelab.runtime.agent_runs.schemas import AgentRun, RunRequest
from codelab.runtime.graphs.registry import GraphRegistry
from codelab.runtime.runs import executor
from codelab.runtime.runs.owner import Owner
from codelab.runtime.runs.repository import HOLD
from codelab.runtime.threads.holding import Holds
from codelab.store.models import RunRow, ThreadRow
from tests.support.agent_server import eventually

ME = Principal("me")
DEAD = str(Owner(Owner.here().host, 999_999_999, "1", "dead"))


class Stage:
    """Graphs that tests hold in the middle of a step, and what they did."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun: list[str] = []

    async def _wait(self, state: dict[str, Any]) -> dict[str, Any]:
        self.begun.append(state["said"])
        await self.gate.wait()
        return {"said": f"{state['said']} done"}

    async def _fail_when_stopped(self, state: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._wait(state)
        except asyncio.CancelledError as exc:
            raise ValueError("the connection broke") from exc

    async def _ask(self, state: dict[str, Any]) -> dict[str, Any]:
        answer = interrupt("well?")
        self.begun.append(answer)
        await self.gate.wait()
        return {"said": f"{state['said']} {answer}"}

    @asynccontextmanager
    async def _untidy(self) -> AsyncIterator[Any]:
        yield _graph(lambda state: {"said": f"{state['said']} done"})
        self.begun.append("closing")
        await self.gate.wait()
        raise ValueError("cannot be closed")

    def graphs(self) -> dict[str, Any]:
        return {
            "wait": _graph(self._wait),
            "brittle": _graph(self._fail_when_stopped),
            "ask": _graph(self._ask),
            "untidy": self._untidy,
        }

    async def begins(self, what: str) -> None:
        await eventually(lambda: what in self.begun, f"{what} to begin")


def _graph(node: Callable[..., Any]) -> Any:
    return StateGraph(dict).add_node("node", node).add_edge(START, "node").compile()


class Lab:
    """A runtime, and short words for what tests do with it."""

    def __init__(self, agent: AgentRuntime) -> None:
        self.agent = agent
        wakeups = agent.runs._wakeups
        self.holds = Holds(database=agent.database, checkpoints=agent.checkpoints, wakeups=wakeups)

    async def start(self, graph: str, thread: str | None, said: Any = "x", **more: Any) -> AgentRun:
        sent = {"input": {"said": said}} if "command" not in more else {}
        request = RunRequest(assistant_id=graph, if_not_exists="create", **sent, **more)
        return await self.agent.runs.create(ME, thread, request)

    async def run(self, run_id: Any) -> RunRow | None:
        async with self.agent.database.read() as session:
            return await session.get(RunRow, str(run_id))

    async def thread(self, thread_id: Any) -> ThreadRow:
        async with self.agent.database.read() as session:
            return (await session.scalars(select(ThreadRow).where(ThreadRow.id == str(thread_id)))).one()

    async def change(self, run: AgentRun, **values: Any) -> None:
        async with self.agent.database.transaction() as session:
            await session.execute(update(RunRow).where(RunRow.id == str(run.run_id)).values(**values))

    async def is_over(self, run: AgentRun) -> bool:
        row = await self.run(run.run_id)
        return row is not None and row.ended_at is not None

    async def join(self, run: AgentRun) -> Any:
        async with asyncio.timeout(10):
            return await self.agent.runs.join(ME, str(run.thread_id), str(run.run_id))

    async def cancel(self, run: AgentRun, action: str = "interrupt") -> None:
        async with asyncio.timeout(10):
            await self.agent.runs.cancel(ME, str(run.thread_id), str(run.run_id), wait=True, action=action)


Open = Callable[..., AbstractAsyncContextManager[Lab]]


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def open_lab(stage: Stage, database_url: str) -> Open:
    @asynccontextmanager
    async def opened(**runs: Any) -> AsyncIterator[Lab]:
        settings = Settings(
            database=DatabaseSettings(url=database_url),
            runs=RunSettingsGroup(**{"heartbeat_s": 30, "lease_s": 60, **runs}),
            _env_file=None,
        )
        async with build_agent_runtime(settings, GraphRegistry(stage.graphs())) as agent:
            try:
                yield Lab(agent)
            finally:
                stage.gate.set()

    return opened


@pytest.fixture
async def lab(open_lab: Open) -> AsyncIterator[Lab]:
    async with open_lab() as lab:
        yield lab


async def test_a_thread_is_busy_while_a_run_that_was_due_later_executes(lab: Lab, stage: Stage) -> None:
    run = await lab.start("wait", str(uuid4()), after_seconds=0.2)
    assert (await lab.thread(run.thread_id)).status == "idle"
    await stage.begins("x")
    assert (await lab.thread(run.thread_id)).status == "busy"
    stage.gate.set()
    assert await lab.join(run) == {"said": "x done"}
    assert (await lab.thread(run.thread_id)).status == "idle"


async def test_a_thread_stays_busy_while_a_run_that_came_due_waits(lab: Lab, stage: Stage) -> None:
    thread = str(uuid4())
    first = await lab.start("wait", thread)
    later = await lab.start("wait", thread, "later", after_seconds=3600)
    await stage.begins("x")
    await lab.change(later, not_before=utc_now() - timedelta(seconds=1), kind="unknown")  # due, and nobody takes it
    stage.gate.set()
    await lab.join(first)
    assert (await lab.thread(thread)).status == "busy"


async def test_dropping_a_run_that_starts_later_leaves_its_thread_as_it_stands(lab: Lab, stage: Stage) -> None:
    thread = str(uuid4())
    stage.gate.set()
    failed = await lab.start("untidy", thread)
    assert "__error__" in await lab.join(failed)
    later = await lab.start("wait", thread, after_seconds=3600)
    await lab.cancel(later)
    assert (await lab.thread(thread)).status == "error"


async def test_the_thread_of_a_stateless_run_that_never_began_goes_too(lab: Lab) -> None:
    run = await lab.start("wait", None, after_seconds=3600)
    await lab.cancel(run)
    assert (await lab.thread(run.thread_id)).expires_at is not None


@pytest.mark.parametrize(("graph", "begun"), [("brittle", "x"), ("untidy", "closing")])
async def test_a_rollback_counts_however_the_graph_takes_it(lab: Lab, stage: Stage, graph: str, begun: str) -> None:
    run = await lab.start(graph, str(uuid4()))
    await stage.begins(begun)
    await lab.cancel(run, "rollback")
    assert await lab.run(run.run_id) is None
    assert await lab.agent.checkpoints.reader.aget_tuple({"configurable": {"thread_id": str(run.thread_id)}}) is None
    thread = await lab.thread(run.thread_id)
    assert (thread.status, thread.error) == ("idle", None)


async def test_a_graph_that_fails_in_closing_has_failed(lab: Lab, stage: Stage) -> None:
    stage.gate.set()
    run = await lab.start("untidy", str(uuid4()))
    assert (await lab.join(run))["__error__"]["message"] == "cannot be closed"
    row = await lab.run(run.run_id)
    assert row is not None
    assert row.status == "error"
    assert (await lab.thread(run.thread_id)).status == "error"


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_stopping_an_answer_leaves_the_question_open(lab: Lab, stage: Stage, action: str) -> None:
    thread = str(uuid4())
    await lab.join(await lab.start("ask", thread))
    asked = (await lab.thread(thread)).interrupts
    assert asked
    answer = await lab.start("ask", thread, command={"resume": "no"})
    await stage.begins("no")
    joined = asyncio.create_task(lab.join(answer))
    await asyncio.sleep(0)
    await lab.cancel(answer, action)
    row = await lab.thread(thread)
    assert (row.status, row.interrupts) == ("interrupted", asked)
    assert (await joined)["__interrupt__"] == next(iter(asked.values()))
    stage.gate.set()
    assert await lab.join(await lab.start("ask", thread, command={"resume": "yes"})) == {"said": "x yes"}


async def test_a_stop_between_claim_and_begin_is_obeyed_at_once(lab: Lab, stage: Stage) -> None:
    thread = str(uuid4())
    first = await lab.start("wait", thread)
    run = await lab.start("wait", thread, "second")
    await stage.begins("x")
    await lab.change(run, cancel_action="interrupt")  # on the row after the claim read it; the wake-up came too early
    lab.agent.runs._wakeups.cancel(str(run.run_id))
    lab.agent.runs._wakeups.cancel(str(first.run_id))
    await lab.join(run)
    row = await lab.run(run.run_id)
    assert row is not None
    assert row.status == "interrupted"


async def test_a_run_that_ends_while_the_table_is_read_wakes_the_next(
    lab: Lab, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = str(uuid4())
    first = await lab.start("wait", thread)
    await stage.begins("x")
    take = executor.take_due

    async def slow(*args: Any) -> Any:
        monkeypatch.setattr(executor, "take_due", take)
        found = await take(*args)
        assert found == []
        stage.gate.set()
        await lab.join(first)
        await asyncio.sleep(0.05)
        return found

    monkeypatch.setattr(executor, "take_due", slow)
    second = await lab.start("wait", thread, "second")
    async with asyncio.timeout(0.9):  # sooner than the sweeper would look
        await stage.begins("second")
    await lab.join(second)


async def test_nobody_takes_runs_of_a_kind_that_is_not_executed_here(lab: Lab, stage: Stage) -> None:
    thread, other = str(uuid4()), str(uuid4())
    foreign = [await lab.start("wait", each, after_seconds=3600) for each in (thread, other)]
    orphan = {"owner": DEAD, "attempt": 99, "heartbeat_at": utc_now(), "status": "running"}
    await lab.change(foreign[0], kind="turn", not_before=None, priority=9)
    await lab.change(foreign[1], kind="turn", not_before=None, **orphan)
    dead = await lab.start("wait", str(uuid4()), "dead", after_seconds=3600)
    await lab.change(dead, **orphan | {"attempt": 1, "not_before": None})
    stage.gate.set()
    assert await lab.join(dead) == {"said": "dead done"}


async def test_a_run_that_began_goes_on_before_older_ones_that_came_due(open_lab: Open, stage: Stage) -> None:
    thread = str(uuid4())
    async with open_lab(max_concurrent=0) as outside:
        later = await outside.start("wait", thread, "later", after_seconds=3600)
        began = await outside.start("wait", thread, "began")
        await outside.change(began, attempt=1)
        await outside.change(later, not_before=None)
    async with open_lab() as lab:
        await lab.join(began)
        await lab.join(later)
    assert stage.begun == ["began", "later"]


async def test_a_process_that_ends_releases_a_run_that_has_not_begun_to_stream(open_lab: Open, stage: Stage) -> None:
    async with open_lab() as lab:
        run = await lab.start("wait", str(uuid4()))
        execution = lab.agent.runs._executor.execution(str(run.run_id))
        assert execution is not None
        execution.release()
        await eventually(lambda: execution.went_back, "the run to go back")
        stage.gate.set()
        assert await lab.join(run) == {"said": "x done"}


async def test_the_next_owner_hears_of_a_run_that_goes_back(open_lab: Open, stage: Stage) -> None:
    async with open_lab() as lab:
        run = await lab.start("wait", str(uuid4()))
        await stage.begins("x")
        told = asyncio.Event()
        lab.agent.runs._wakeups.on_ready(told.set)
        execution = lab.agent.runs._executor.execution(str(run.run_id))
        assert execution is not None
        execution.release()
        async with asyncio.timeout(0.9):  # sooner than the sweeper would look
            await told.wait()


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
async def test_a_run_waits_for_a_change_of_state_that_nobody_can_stop(lab: Lab, stage: Stage, strategy: str) -> None:
    stage.gate.set()
    run = await lab.start("wait", str(uuid4()))
    await lab.join(run)
    thread = str(run.thread_id)
    async with lab.holds.on(ME, thread) as held:
        held.changes = {"title": "changed"}
        async with lab.agent.database.read() as session:
            hold = (await session.scalars(select(RunRow.id).where(RunRow.kind == HOLD))).one()
        with pytest.raises(NotFound):
            await lab.agent.runs.cancel(ME, thread, hold)
        behind = await lab.start("wait", thread, "behind", multitask_strategy=strategy)
        assert behind.status == "pending"
    assert await lab.join(behind) == {"said": "behind done"}
    assert (await lab.thread(thread)).title == "changed"


async def test_giving_a_hold_back_and_queueing_a_run_do_not_wait_for_each_other(lab: Lab, stage: Stage) -> None:
    stage.gate.set()
    run = await lab.start("wait", str(uuid4()))
    await lab.join(run)
    thread = str(run.thread_id)

    async def change() -> None:
        for number in range(10):
            async with lab.holds.on(ME, thread) as held:
                held.changes = {"title": str(number)}
                await asyncio.sleep(0)

    async def queue() -> None:
        for _ in range(10):
            await lab.join(await lab.start("wait", thread, multitask_strategy="interrupt"))

    async with asyncio.timeout(30):
        await asyncio.gather(queue(), *(suppressed(change()) for _ in range(2)))


async def suppressed(work: Any) -> None:
    with suppress(Conflict):
        await work


@pytest.mark.parametrize("graph", ["wait", "ask"])
async def test_a_run_whose_end_was_not_written_is_not_done_again(lab: Lab, stage: Stage, graph: str) -> None:
    stage.gate.set()
    thread = str(uuid4())
    run = await lab.start(graph, thread)
    ended = await lab.join(run)
    if graph == "ask":
        run = await lab.start(graph, thread, command={"resume": "yes"})
        ended = await lab.join(run)
    row = await lab.run(run.run_id)
    assert row is not None
    assert row.status == "success"
    begun = len(stage.begun)
    await lab.change(run, status="running", owner=DEAD, ended_at=None)
    await eventually(lambda: lab.is_over(run), "the second delivery")
    again = await lab.run(run.run_id)
    assert again is not None
    assert (again.status, again.attempt, len(stage.begun)) == ("success", 2, begun)
    assert await lab.join(run) == ended
    assert (await lab.thread(thread)).status == "idle"


async def test_a_question_whose_asking_was_not_written_is_asked_again(lab: Lab, stage: Stage) -> None:
    run = await lab.start("ask", str(uuid4()))
    await lab.join(run)
    asked = (await lab.thread(run.thread_id)).interrupts
    await lab.change(run, status="running", owner=DEAD, ended_at=None)
    await eventually(lambda: lab.is_over(run), "the second delivery")
    thread = await lab.thread(run.thread_id)
    assert (thread.status, thread.interrupts, stage.begun) == ("interrupted", asked, [])


async def test_rolling_back_what_waits_takes_every_run_with_it(lab: Lab, stage: Stage) -> None:
    thread = str(uuid4())
    gone = [await lab.start("wait", thread, said) for said in ("first", "second", "third")]
    await stage.begins("first")
    last = await lab.start("wait", thread, "last", multitask_strategy="rollback")
    await stage.begins("last")
    stage.gate.set()
    assert await lab.join(last) == {"said": "last done"}
    assert [await lab.run(run.run_id) for run in gone] == [None, None, None]
    assert stage.begun == ["first", "last"]


async def test_runs_that_wait_are_stopped_while_another_runs(lab: Lab, stage: Stage) -> None:
    thread = str(uuid4())
    runs = [await lab.start("wait", thread, said) for said in ("first", "second", "third")]
    await stage.begins("first")
    await lab.cancel(runs[1])
    await lab.cancel(runs[2], "rollback")
    assert (await lab.thread(thread)).status == "busy"
    stage.gate.set()
    assert await lab.join(runs[0]) == {"said": "first done"}
    assert (await lab.thread(thread)).status == "idle"
    assert stage.begun == ["first"]


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_the_run_of_a_dead_worker_can_be_stopped(lab: Lab, stage: Stage, action: str) -> None:
    run = await lab.start("wait", str(uuid4()), after_seconds=3600)
    await lab.change(run, status="running", owner=DEAD, attempt=1, not_before=None, heartbeat_at=utc_now())
    await lab.cancel(run, action)
    row = await lab.run(run.run_id)
    assert stage.begun == []
    assert (row is None) == (action == "rollback")
    assert (await lab.thread(run.thread_id)).status == ("idle" if action == "rollback" else "interrupted")
