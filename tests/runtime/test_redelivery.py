"""A process dies; another goes on. Nothing is done twice, and the log holds each message and result once."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from sqlalchemy import select, update

from codelab.core.types import RunStatus
from codelab.runtime.runs.owner import Owner
from codelab.store.models import RunRow
from tests.runtime.conftest import DEAD, ME, Lab, Open
from tests.runtime.toy import Toy, script


async def _abandon(lab: Lab) -> None:
    """Die without a word: nothing is flushed, folded or given back. (The rows name a process that is no more.)"""
    executor, sweeper = lab.rt.base.executor, lab.rt.base.sweeper
    await sweeper.stop()
    executor._loops[1].cancel()
    for execution in executor._active.values():
        execution._lost = True  # the fence falls: whatever still runs writes nothing
    for task in list(executor._tasks):
        task.cancel()
    await asyncio.wait(set(executor._tasks) or {asyncio.create_task(asyncio.sleep(0))})


def _visible_once(events: list[Any]) -> None:
    results = [e.data["tool_call_id"] for e in events if e.type == "tool.result"]
    ended = [e.data["message_id"] for e in events if e.type == "text.end"]
    started = [e.data["message_id"] for e in events if e.type == "text.start"]
    assert len(results) == len(set(results))
    assert len(ended) == len(set(ended))
    assert ended == started


class Crash:
    """Stops the graph at a chosen place, once, and says when it got there."""

    def __init__(self) -> None:
        self.here = asyncio.Event()
        self.armed = True

    async def __call__(self, _name: str = "") -> None:
        if self.armed:
            self.armed = False
            self.here.set()
            await asyncio.sleep(60)


async def _killed(open_lab: Open, url: str, text: str, crash: Crash, before: Callable | None = None) -> str:
    async with open_lab(url, owner=DEAD) as lab:
        if before is not None:
            await before(lab)
        else:
            await lab.start(text)
        await asyncio.wait_for(crash.here.wait(), 10)
        await asyncio.sleep(0.1)  # let the log have what was said
        await _abandon(lab)
        return lab.thread_id


async def test_killed_in_a_tool(open_lab: Open, database_url: str, toy: Toy) -> None:
    toy.inside = crash = Crash()
    thread_id = await _killed(open_lab, database_url, "look", crash)
    async with open_lab(database_url, thread_id=thread_id) as lab:
        run = await lab.newest()
        assert (run.status, run.attempt) == (RunStatus.SUCCESS, 2)
        assert toy.ran == [("look", "a.txt")]
        events = await lab.events()
        _visible_once(events)
        assert [e.type for e in events].count("tool.started") == 1
        assert [role for role, _ in await lab.messages()] == ["user", "assistant", "tool", "assistant"]


async def test_killed_in_the_model_call(open_lab: Open, database_url: str, toy: Toy) -> None:
    toy.model.delay = 0.05
    calls = 0

    def slow(_messages: list) -> AIMessage:
        nonlocal calls
        calls += 1
        return AIMessage("one two three four five six seven eight nine ten" if calls == 1 else "again")

    toy.script = slow
    async with open_lab(database_url, owner=DEAD) as lab:
        await lab.start("hi")
        async for event in lab.rt.log.tail(lab.thread_id):
            if event.type == "text.delta":
                break
        await _abandon(lab)
    async with open_lab(database_url, thread_id=lab.thread_id) as again:
        assert (await again.newest()).status == RunStatus.SUCCESS
        events = await again.events()
        _visible_once(events)
        assert "".join(e.data["delta"] for e in events if e.type == "text.delta") == "again"
        assert [e.type for e in events].count("attempt_superseded") == 1
        assert await again.messages() == [("user", "hi"), ("assistant", "again")]
        for k in range(events[-1].seq):
            assert await again.rt.log.read(again.thread_id, k) == [e for e in events if e.seq > k]


async def test_killed_before_the_first_checkpoint(open_lab: Open, database_url: str, toy: Toy) -> None:
    """The row is running, the graph never saw the message: it is sent, once."""
    async with open_lab(database_url, owner=DEAD) as lab:
        await lab.say("hi")

        async def never(*_: Any) -> None:
            await asyncio.sleep(60)

        for name in ("aput", "aput_writes"):
            lab.rt.checkpoints.saver = _stuck(lab.rt.checkpoints.saver, name, never)
        await lab.start("look")
        await asyncio.sleep(0.2)
        await _abandon(lab)
    async with open_lab(database_url, thread_id=lab.thread_id) as again:
        assert (await again.newest()).status == RunStatus.SUCCESS
        assert [text for role, text in await again.messages() if role == "user"] == ["hi", "look"]
        assert toy.ran == [("look", "a.txt")]


def _stuck(make: Callable, name: str, never: Callable) -> Callable:
    def saver(*args: Any) -> Any:
        made = make(*args)
        setattr(made, name, never)
        return made

    return saver


@pytest.mark.parametrize("decisions", ["one", "two"])
async def test_killed_in_an_approved_tool(open_lab: Open, database_url: str, toy: Toy, decisions: str) -> None:
    toy.inside = crash = Crash()

    async def before(lab: Lab) -> None:
        await lab.say("touch" if decisions == "one" else "two")
        for approval in await lab.pending():
            await lab.rt.approvals.decide(ME, approval.id, "approve")

    thread_id = await _killed(open_lab, database_url, "", crash, before)
    async with open_lab(database_url, thread_id=thread_id) as lab:
        run = await lab.newest()
        assert (run.status, run.attempt) == (RunStatus.SUCCESS, 2)
        assert sorted(set(toy.ran)) == sorted(toy.ran)
        _visible_once(await lab.events())
        assert await lab.pending() == []
        roles = [role for role, _ in await lab.messages()]
        assert roles == ["user", "assistant", *(["tool"] * (1 if decisions == "one" else 2)), "assistant"]


async def test_killed_after_the_graph_rested_but_before_the_row(open_lab: Open, database_url: str, toy: Toy) -> None:
    async with open_lab(database_url, owner=DEAD) as lab:
        reached = asyncio.Event()

        async def stuck(_thread_id: str) -> None:
            reached.set()
            await asyncio.sleep(60)

        lab.rt.checkpoints.prune = stuck
        await lab.start("hi")
        await asyncio.wait_for(reached.wait(), 10)
        await _abandon(lab)
    calls = []
    toy.script = lambda messages: calls.append(1) or script(messages)
    async with open_lab(database_url, thread_id=lab.thread_id) as again:
        assert (await again.newest()).status == RunStatus.SUCCESS
        assert calls == []
        _visible_once(await again.events())
        said = "".join(e.data["delta"] for e in await again.events() if e.type == "text.delta")
        assert said == "hello there friend"


async def test_a_cancel_asked_of_a_dead_process(open_lab: Open, database_url: str, toy: Toy) -> None:
    toy.inside = crash = Crash()
    async with open_lab(database_url, owner=DEAD) as lab:
        run = await lab.start("look")
        await asyncio.wait_for(crash.here.wait(), 10)
        await _abandon(lab)
        await lab.rt.runs.cancel(ME, lab.thread_id, run.id)
    async with open_lab(database_url, thread_id=lab.thread_id) as again:
        run = await again.newest()
        assert (run.status, run.reason) == (RunStatus.INTERRUPTED, "cancelled")
        assert [role for role, _ in await again.messages()] == ["user", "assistant", "tool"]


async def test_a_live_owner_is_left_alone(open_lab: Open, database_url: str, toy: Toy) -> None:
    toy.inside = crash = Crash()
    async with open_lab(database_url) as lab:
        run = await lab.start("look")
        await asyncio.wait_for(crash.here.wait(), 10)
        async with open_lab(database_url, thread_id=lab.thread_id) as other:
            await other.rt.base.sweeper.sweep(pending_s=0)
            assert (await other.rt.runs.get(ME, lab.thread_id, run.id)).attempt == 1
            await other.rt.runs.cancel(ME, lab.thread_id, run.id)  # the flag on the row reaches the owner
        assert (await lab.wait(run)).reason == "cancelled"


async def test_an_expired_lease_is_taken_over_and_the_old_owner_writes_nothing(
    open_lab: Open, database_url: str, toy: Toy
) -> None:
    toy.inside = crash = Crash()
    async with open_lab(database_url, lease_s=0.5, heartbeat_s=30) as lab:
        run = await lab.start("look")
        await asyncio.wait_for(crash.here.wait(), 10)
        await asyncio.sleep(0.7)
        async with open_lab(database_url, thread_id=lab.thread_id, lease_s=0.5, heartbeat_s=0.1) as other:
            done = await other.wait(run)
            assert (done.status, done.attempt) == (RunStatus.SUCCESS, 2)
            head = await other.rt.log.head(lab.thread_id)
            for execution in list(lab.rt.base.executor._active.values()):
                execution.stop()
            await asyncio.sleep(0.2)
            assert await other.rt.log.head(lab.thread_id) == head


async def test_too_many_deaths_end_the_run(open_lab: Open, database_url: str, toy: Toy) -> None:
    thread_id = None
    for _ in range(2):
        toy.inside = crash = Crash()
        async with open_lab(database_url, thread_id=thread_id, owner=DEAD) as lab:
            if thread_id is None:
                await lab.start("look")
            thread_id = lab.thread_id
            await asyncio.wait_for(crash.here.wait(), 10)
            await _abandon(lab)
    async with open_lab(database_url, thread_id=thread_id, max_attempts=2) as lab:
        run = await lab.newest()
        assert (run.status, run.error.code) == (RunStatus.ERROR, "too_many_attempts")
        assert (await lab.say("hi")).status == RunStatus.SUCCESS


async def test_shutdown_gives_runs_back(open_lab: Open, database_url: str, toy: Toy) -> None:
    entered, gate = asyncio.Event(), asyncio.Event()

    async def inside(_name: str) -> None:
        entered.set()
        await gate.wait()

    toy.inside = inside
    async with open_lab(database_url) as lab:
        run = await lab.start("look")
        await asyncio.wait_for(entered.wait(), 5)
        asyncio.get_running_loop().call_later(0.2, gate.set)
    assert toy.ran == [("look", "a.txt")]
    async with open_lab(database_url, thread_id=lab.thread_id) as again:
        run = await again.wait(run)
        assert (run.status, run.attempt) == (RunStatus.SUCCESS, 2)
        async with again.rt.database.read() as session:
            assert (await session.scalars(select(RunRow.handed_back))).all() == [1]
        assert toy.ran == [("look", "a.txt")]
        _visible_once(await again.events())


async def test_a_run_woken_twice_is_still_kept_alive_and_stopped(open_lab: Open, database_url: str, toy: Toy) -> None:
    """The second wake-up finds nothing to claim; it must not make the executor forget the first."""
    toy.inside = crash = Crash()
    async with open_lab(database_url, lease_s=0.8) as lab:
        run = await lab.start("look")
        await asyncio.wait_for(crash.here.wait(), 10)
        lab.rt.base.wakeups.ready(run.id)
        await asyncio.sleep(1.2)  # longer than the lease
        assert lab.rt.base.executor.active == {run.id}
        await lab.rt.runs.cancel(ME, lab.thread_id, run.id)
        done = await lab.wait(run)
        assert (done.attempt, done.reason) == (1, "cancelled")


def test_owner_names() -> None:
    here = Owner.here()
    assert Owner.parse(str(here)) == here
    assert not here.is_dead
    assert DEAD.is_dead
    assert not Owner("elsewhere", 1, "1", "x").is_dead
    assert Owner(here.host, here.pid, "1", "x").is_dead
    assert Owner.parse("nonsense") is None


async def test_a_run_given_back_in_good_order_is_no_failed_delivery(
    open_lab: Open, database_url: str, toy: Toy
) -> None:
    thread_id = None
    for _ in range(2):
        toy.inside = crash = Crash()
        async with open_lab(database_url, thread_id=thread_id, owner=DEAD) as lab:
            if thread_id is None:
                await lab.start("look")
            thread_id = lab.thread_id
            await asyncio.wait_for(crash.here.wait(), 10)
            await _abandon(lab)
            async with lab.rt.database.transaction() as session:
                await session.execute(update(RunRow).values(handed_back=1))
    toy.inside = None
    async with open_lab(database_url, thread_id=thread_id, max_attempts=2) as lab:
        run = await lab.newest()
        assert (run.status, run.attempt) == (RunStatus.SUCCESS, 3)
