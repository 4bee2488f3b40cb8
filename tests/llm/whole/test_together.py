"""Single flight, budgets, failover and old answers at once: who asks first, who goes, whose purse is empty."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.llm.providers.dialects import OPENAI
from tests.llm.whole.world import CHAT, INPUT, OUTPUT, World, asking, bearing, world
from tests.support.agent_server import eventually
from tests.support.upstream import SSE, Line, Reply, streamed, whole

pytestmark = pytest.mark.asyncio(loop_scope="module")

COST = 5 * INPUT + 2 * OUTPUT
GOOD = streamed(*OPENAI.frames)
BOTH = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    more = {f"first-{n}": {"fallbacks": [f"second-{n}"]} for n in range(4)} | {
        f"second-{n}": {"upstream": "another"} for n in range(4)
    }
    async with world(tmp_path_factory.mktemp("together"), each=30, more=more) as one:
        yield one


class Held:
    """A provider that says its first frames, then waits to be let go, then says the rest, or breaks."""

    def __init__(self, *, first: int = 1, cut: bool = False, answer: Reply | None = None) -> None:
        self.go = asyncio.Event()
        self._first, self._cut, self._answer = first, cut, answer

    async def __call__(self, line: Line) -> None:
        if self._answer is None:
            await line.head(kind=SSE)
            for part in OPENAI.frames[: self._first]:
                await line.chunk(part)
        await self.go.wait()
        if self._answer is not None:
            await self._answer(line)
            return
        if self._cut:
            raise ConnectionError
        for part in OPENAI.frames[self._first :]:
            await line.chunk(part)
        await line.end()


class Client:
    """One request under way, with a connection and a thread of its own."""

    def __init__(self, served: World, model: str, thread: str, *, whom: str = "ann@t1", **told: str) -> None:
        self.thread = thread
        self.body = b""
        self.status = 0
        self.headers: Any = {}
        self.began = asyncio.Event()
        sent = bearing(whom) | {"x-codelab-thread": thread} | {f"x-codelab-{k}": v for k, v in told.items()}
        self.task = asyncio.create_task(self._ask(served, asking(model, stream=True, temperature=0), sent))

    async def _ask(self, served: World, body: dict[str, Any], sent: dict[str, str]) -> None:
        async with (
            httpx.AsyncClient(base_url=served.http.base_url, timeout=20) as http,
            http.stream("POST", CHAT, json=body, headers=sent) as answer,
        ):
            self.status, self.headers = answer.status_code, answer.headers
            async for part in answer.aiter_raw():
                self.body += part
                self.began.set()

    async def go(self) -> None:
        """Hang up."""
        self.task.cancel()
        await asyncio.wait([self.task])

    async def end(self) -> int:
        await self.task
        return self.status


async def settled(served: World, thread: str) -> dict[str, Any]:
    """The only row of a thread, nothing being held any more."""
    row = await served.row(thread_id=thread)
    assert served.runtime.llm.upstreams.seats.taken == 0
    assert all(not part.flying for part in served.runtime.llm.budgets._book.slices.values())
    await eventually(lambda: not served.open_upstreams, "the connections", seconds=3)
    return row


async def joined(served: World, people: int) -> None:
    """Wait until so many read one answer."""
    flights = served.runtime.llm.gateway._parts.cache._flights
    await eventually(lambda: [a.seats for a in flights._answers.values() if not a.task.done()] == [people], "followers")


async def test_the_leader_goes_and_the_followers_stay(served: World) -> None:
    """Who asked first pays for the answer that the others still get."""
    held, model = Held(), served.fresh()
    served.up.replies, asked = [held], len(served.up.asked)
    leader = Client(served, model, "goes-1")
    await leader.began.wait()
    others = [Client(served, model, f"stays-{n}") for n in range(3)]
    await joined(served, 4)
    await leader.go()
    await joined(served, 3)
    held.go.set()
    assert [await other.end() for other in others] == [200] * 3
    assert all(other.body.endswith(b"data: [DONE]\n\n") for other in others)
    assert all(other.headers["x-codelab-cache"] == "shared" for other in others)
    assert len(served.up.asked) - asked == 1
    lead = await settled(served, "goes-1")
    assert (lead["error"], lead["cost"], lead["cache"]) == ("", COST, "miss")
    for other in others:
        row = await settled(served, other.thread)
        assert (row["error"], row["cost"], row["saved"], row["cache"]) == ("", 0, COST, "shared")


async def test_all_go_and_the_provider_is_hung_up_on(served: World) -> None:
    held, model = Held(), served.fresh()
    served.up.replies = [held]
    clients = [Client(served, model, f"all-{n}") for n in range(2)]
    await joined(served, 2)
    for client in clients:
        await client.began.wait()
        await client.go()
    await eventually(lambda: not served.open_upstreams, "the provider to be hung up on")
    held.go.set()
    rows = [await settled(served, f"all-{n}") for n in range(2)]
    assert {row["error"] for row in rows} == {"cancelled"}
    assert sorted(row["cache"] for row in rows) == ["miss", "shared"]
    assert [row["cost"] > 0 for row in sorted(rows, key=lambda row: row["cache"])] == [True, False]


async def test_the_leader_goes_and_the_provider_breaks_before_its_first_word(served: World) -> None:
    """The one who has gone has a row as well as those who heard of it."""
    held, model = Held(answer=whole({"error": {"message": "no"}}, 500)), served.fresh()
    served.up.replies, served.up.begun = [held], asyncio.Event()
    leader = Client(served, model, "gone-early")
    await served.up.begun.wait()
    follower = Client(served, model, "heard")
    await joined(served, 2)
    await leader.go()
    await joined(served, 1)
    held.go.set()
    assert await follower.end() == 502
    assert (await settled(served, "heard"))["error"] == "upstream_error"
    row = await settled(served, "gone-early")
    assert (row["error"], row["attempts"], row["cost"]) == ("upstream_error", 1, 0)


async def test_a_provider_that_breaks_amid_the_answer_breaks_everybodys(served: World) -> None:
    held, model = Held(cut=True), served.fresh()
    served.up.replies = [held]
    leader = Client(served, model, "breaks-0")
    await leader.began.wait()
    followers = [Client(served, model, f"breaks-{n}") for n in (1, 2)]
    await joined(served, 3)
    for follower in followers:
        await follower.began.wait()
    held.go.set()
    for client in (leader, *followers):
        assert await client.end() == 200
        assert b"upstream_interrupted" in client.body
        assert b"[DONE]" not in client.body
    rows = [await settled(served, f"breaks-{n}") for n in range(3)]
    assert [row["error"] for row in rows] == ["upstream_interrupted"] * 3
    assert [row["cost"] > 0 for row in rows] == [True, False, False]
    again = Client(served, model, "breaks-3")
    served.up.replies = [GOOD]
    assert (await again.end(), again.headers["x-codelab-cache"]) == (200, "miss")


async def test_an_empty_purse_of_the_leader_stops_nobody_else(served: World) -> None:
    held, model = Held(), served.fresh()
    served.up.replies = [held]
    budget = await served.limit(1, "thread", "poor")
    clients = [Client(served, model, name) for name in ("poor", "rich-1", "rich-2")]
    await eventually(lambda: served.up.asked and clients[0].status, "a refusal")
    held.go.set()
    assert [await client.end() for client in clients] == [402, 200, 200]
    assert (await settled(served, "poor"))["error"] == "budget_exceeded"
    rows = [await settled(served, f"rich-{n}") for n in (1, 2)]
    assert sorted((row["cache"], row["cost"]) for row in rows) == [("miss", COST), ("shared", 0)]
    assert await served.spent(budget) == (0, 0)


async def test_a_led_answer_fails_over_for_everybody(served: World) -> None:
    held = Held(answer=whole({"error": {"message": "no"}}, 500))
    served.up.replies, served.up.begun = [held, GOOD], asyncio.Event()
    leader = Client(served, "first-0", "over-0")
    await served.up.begun.wait()
    follower = Client(served, "first-0", "over-1")
    await joined(served, 2)
    held.go.set()
    assert [await leader.end(), await follower.end()] == [200, 200]
    assert (leader.headers["x-codelab-degraded"], leader.headers["x-codelab-model"]) == ("failover", "second-0")
    assert follower.headers["x-codelab-model"] == "second-0"
    assert follower.headers["x-codelab-degraded"] == "failover"
    rows = [await settled(served, f"over-{n}") for n in range(2)]
    assert [(row["model"], row["attempts"], row["cost"]) for row in rows] == [("second-0", 2, COST), ("second-0", 0, 0)]
    served.up.replies = [GOOD]
    third = Client(served, "first-0", "over-2")
    assert (await third.end(), third.headers["x-codelab-cache"]) == (200, "miss")  # a stand-in's answer is not kept


async def test_an_old_answer_where_nobody_answers(served: World) -> None:
    model = served.fresh()
    served.up.replies = [GOOD]
    first = Client(served, model, "old-0", **{"cache-ttl": "0.05"})
    assert await first.end() == 200
    served.up.replies = [whole({"error": {"message": "no"}}, 500)]

    names = (f"old-{number}" for number in itertools.count(1))

    async def stale() -> Client | None:
        asked = Client(served, model, next(names), **{"cache-ttl": "0.05"})
        assert await asked.end() == 200
        return asked if "x-codelab-degraded" in asked.headers else None

    old = await eventually(stale, "the answer to grow old")
    assert (old.headers["x-codelab-degraded"], old.headers["x-codelab-cache"]) == ("stale", "stale")
    assert b"Hello" in old.body
    assert old.body.endswith(b"data: [DONE]\n\n")
    row = await settled(served, old.thread)
    assert (row["cache"], row["degraded"], row["error"], row["cost"], row["attempts"]) == ("stale", "stale", "", 0, 1)


async def test_a_hurried_leader_does_not_hurry_the_others(served: World) -> None:
    """Whose deadline passes is told so; whoever has time waits on."""
    held, model = Held(answer=GOOD), served.fresh()
    served.up.replies, served.up.begun = [held], asyncio.Event()
    hurried = Client(served, model, "hurry-0", deadline="0.05")
    await served.up.begun.wait()
    patient = Client(served, model, "hurry-1")
    assert await hurried.end() == 504
    held.go.set()
    assert await patient.end() == 200
    assert (await settled(served, "hurry-0"))["error"] == "upstream_timeout"
    assert (await settled(served, "hurry-1"))["error"] == ""


async def test_a_hurried_follower_waits_no_longer_than_it_said(served: World) -> None:
    held, model = Held(answer=GOOD), served.fresh()
    served.up.replies, served.up.begun = [held], asyncio.Event()
    patient = Client(served, model, "patient-0")
    await served.up.begun.wait()
    hurried = Client(served, model, "patient-1", deadline="0.05")
    assert await hurried.end() == 504
    held.go.set()
    assert await patient.end() == 200


async def test_two_tenants_never_share_an_answer(served: World) -> None:
    held, model = Held(), served.fresh()
    served.up.replies, asked = [held], len(served.up.asked)
    mine = Client(served, model, "mine")
    await mine.began.wait()
    theirs = Client(served, model, "theirs", whom="bob@t2")
    await theirs.began.wait()
    held.go.set()
    assert [await mine.end(), await theirs.end()] == [200, 200]
    assert (mine.headers["x-codelab-cache"], theirs.headers["x-codelab-cache"]) == ("miss", "miss")
    assert len(served.up.asked) - asked == 2
    assert mine.headers["x-codelab-cache-key"] != theirs.headers["x-codelab-cache-key"]


async def test_a_thousand_quarrels_leave_nothing_held(served: World) -> None:
    """Clients that come and go at random, before one purse that is nearly empty."""
    budget = await served.limit(40 * COST, "agent", "crowd")
    model = served.fresh()
    served.up.replies = [streamed(*OPENAI.frames, pause=0.002)]

    async def one(number: int) -> int:
        told = {"x-codelab-agent": "crowd", "x-codelab-cache": "on"}
        body = asking(model, stream=True, messages=[{"role": "user", "content": f"{number % 7}"}], max_tokens=2)
        async with served.http.stream("POST", CHAT, json=body, headers=told) as answer:
            async for _ in answer.aiter_raw():
                if number % 3 == 0:
                    break
            return answer.status_code

    statuses = await asyncio.gather(*(one(number) for number in range(60)))
    assert set(statuses) <= {200, 402}
    report = await eventually(lambda: written(served, 60), "all rows")
    spent, reserved = await served.spent(budget)
    assert spent == report["total"]["cost"] <= 40 * COST
    slices = served.runtime.llm.budgets._book.slices.values()
    (mine,) = (part for part in slices if part.account.limit_id == budget)
    assert (mine.flying, mine.room) == (0, reserved)


async def written(served: World, rows: int) -> dict[str, Any] | None:
    report = await served.get("/usage", agent="crowd")
    return report if report["total"]["requests"] == rows else None


async def test_what_cannot_be_kept_is_an_answer_all_the_same(served: World) -> None:
    """Half a character that is passed on unread: the client has it, whether or not its request may be cached."""
    model = served.fresh()
    served.up.replies = [streamed(b"".join(OPENAI.frames).replace(b'"Hello"', b'"\\ud83d"'))]
    for number in range(2):
        odd = Client(served, model, f"odd-{number}")
        assert await odd.end() == 200
        assert odd.body.endswith(b"data: [DONE]\n\n")
        assert odd.headers["x-codelab-cache"] == "miss"
        row = await settled(served, odd.thread)
        assert (row["error"], row["cost"]) == ("", COST)
