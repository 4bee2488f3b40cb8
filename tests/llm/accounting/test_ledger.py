"""One row for each request: what is in it, that it comes, and that nothing piles up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from codelab.core.settings_llm import LedgerSettings
from codelab.llm.accounting.ledger import TOGETHER, NoLedger, SqlLedger
from codelab.llm.chat import CompletionRequest, Outcome
from codelab.llm.usage import Usage
from codelab.store.engine import Database
from codelab.store.models import LedgerRow
from tests.llm.accounting.support import NOON, Clock, caller, until

ASKED: dict[str, Any] = {"model": "strong", "messages": [{"role": "user", "content": "hello"}], "stream": True}


def request(**facts: Any) -> CompletionRequest:
    return CompletionRequest(body={**ASKED, **facts.pop("body", {})}, caller=caller(**facts))


def outcome(**facts: Any) -> Outcome:
    values = {"provider": "openai", "model": "gpt", "cache": "miss", "usage": Usage(100, 50), "cost": 7, **facts}
    return Outcome(**values)


def ledger_on(database: Any, **settings: Any) -> SqlLedger:
    return SqlLedger(database, LedgerSettings(**settings), lambda usage: 3 * usage.total_tokens, Clock())


async def rows(database: Database) -> Sequence[LedgerRow]:
    async with database.read() as session:
        return (await session.scalars(select(LedgerRow).order_by(LedgerRow.id))).all()


async def count(database: Database) -> int:
    async with database.read() as session:
        return int(await session.scalar(select(func.count()).select_from(LedgerRow)) or 0)


async def test_a_row_says_everything(database: Database) -> None:
    asked = request(key_id="k", thread_id="t", run_id="r", agent="coder")
    used = Usage(100, 50, 40, 10, 5, 20)
    told = outcome(
        usage=used,
        raw_usage={"prompt_tokens": 100},
        saved=2,
        price_version="v1",
        attempts=2,
        degraded="failover",
        began=10.0,
        first=10.25,
        ended=11.25,
    )
    async with ledger_on(database) as ledger:
        ledger.add(asked, told)
    (row,) = await rows(database)
    found = {name: getattr(row, name) for name in LedgerRow.__table__.columns.keys() if name != "id"}  # noqa: SIM118
    assert found == {
        "request_id": asked.id,
        "owner_id": "alice",
        "tenant_id": "default",
        "key_id": "k",
        "thread_id": "t",
        "run_id": "r",
        "agent": "coder",
        "provider": "openai",
        "model": "gpt",
        "prompt_tokens": 100,
        "cached_tokens": 40,
        "cache_write_tokens": 10,
        "cache_write_1h_tokens": 5,
        "completion_tokens": 50,
        "reasoning_tokens": 20,
        "usage": {"prompt_tokens": 100},
        "estimated": False,
        "cost": 7,
        "saved": 2,
        "baseline_cost": 450,
        "price_version": "v1",
        "first_token_ms": 250.0,
        "duration_ms": 1_250.0,
        "tokens_per_second": 50.0,
        "attempts": 2,
        "cache": "miss",
        "degraded": "failover",
        "error": "",
        "day": "2026-11-24",
        "started_at": NOON - timedelta(seconds=1.25),
    }


async def test_what_is_not_known_is_left_open(database: Database) -> None:
    async with ledger_on(database) as ledger:
        ledger.add(request(), Outcome(error="model_not_found", began=1.0, ended=1.0))
        ledger.add(request(body={"stream": False}), outcome(began=1.0, first=2.0, ended=2.0))
        ledger.add(request(), outcome(cache="hit", began=1.0, first=1.0, ended=1.5))
    failed, whole, hit = await rows(database)
    assert (failed.model, failed.provider, failed.error) == ("strong", "", "model_not_found")
    assert (failed.first_token_ms, failed.tokens_per_second, failed.baseline_cost) == (None, None, 0)
    assert (whole.first_token_ms, whole.tokens_per_second) == (None, 50.0)
    assert (hit.first_token_ms, hit.tokens_per_second, hit.baseline_cost) == (0.0, None, 450)


async def test_the_best_model_would_not_have_embedded(memory: Database) -> None:
    asked = CompletionRequest(body={"model": "embed", "input": ["a"]}, caller=caller())
    async with ledger_on(memory) as ledger:
        ledger.add(asked, outcome(usage=Usage(1_000), cost=5))
    assert [row.baseline_cost for row in await rows(memory)] == [5]


@pytest.mark.parametrize(
    "facts",
    [
        {"usage": Usage(10**30, -5)},
        {"error": "a\x00b\ud800" * 500},
        {"raw_usage": {"a\x00": "\ud800", "n": float("nan")}},
        {"raw_usage": {"blob": "x" * 100_000}},
        {"raw_usage": {"text": "nul\x00"}},
    ],
    ids=["numbers", "names", "surrogates", "large", "nul"],
)
async def test_whatever_a_provider_says_is_stored(database: Database, facts: dict[str, Any]) -> None:
    async with ledger_on(database) as ledger:
        ledger.add(request(), outcome(**facts))
        ledger.add(request(thread_id="t\x00\ud800"), outcome())
    assert await count(database) == 2
    assert ledger.dropped == 0


async def test_rows_come_in_batches_without_being_asked_for(memory: Database) -> None:
    async with ledger_on(memory, flush_s=0.01) as ledger:
        for _ in range(2 * TOGETHER + 1):
            ledger.add(request(), outcome())
        await until(lambda: not ledger.waiting)
        assert await count(memory) == 2 * TOGETHER + 1
        ledger.add(request(), outcome())
    assert await count(memory) == 2 * TOGETHER + 2


async def test_one_request_may_have_two_rows(memory: Database) -> None:
    """A stale answer, and the same request asked anew behind the client's back."""
    asked = request()
    async with ledger_on(memory) as ledger:
        ledger.add(asked, outcome(cache="hit"))
        ledger.add(asked, outcome(cache="miss"))
    assert [row.request_id for row in await rows(memory)] == [asked.id, asked.id]


class Stalled:
    """A database that takes nothing for now, or says that it took nothing when it did."""

    def __init__(self, database: Database) -> None:
        self.is_sqlite = True
        self._database = database
        self.down = True
        self.lies = False
        self.read = database.read

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        if self.down:
            raise OperationalError("BEGIN", None, ConnectionError())
        async with self._database.transaction() as session:
            yield session
        if self.lies:
            self.lies = False
            raise OperationalError("COMMIT", None, ConnectionError())


async def test_a_stalled_writer_bounds_what_waits(memory: Database) -> None:
    stalled = Stalled(memory)
    ledger = ledger_on(stalled, queue=1_000, flush_s=0.01)
    ledger.start()
    asked = request(body={"messages": [{"role": "user", "content": "x" * 1_000}]})
    for n in range(50_000):
        ledger.add(asked, outcome())
        if n % 5_000 == 0:
            await asyncio.sleep(0.005)
        assert ledger.waiting <= 1_000 + TOGETHER
    assert ledger.dropped == 50_000 - ledger.waiting
    stalled.down = False
    await ledger.close()
    assert await count(memory) == 50_000 - ledger.dropped


async def test_what_waits_does_not_hold_on_to_what_was_said(memory: Database) -> None:
    ledger = ledger_on(memory)
    asked = request()
    ledger.add(asked, outcome())
    assert not any(part is asked or part is asked.body for part in ledger._entries[0])


async def test_a_row_is_written_once_although_its_commit_seemed_to_fail(memory: Database) -> None:
    stalled = Stalled(memory)
    stalled.down, stalled.lies = False, True
    ledger = ledger_on(stalled, flush_s=0.01)
    ledger.start()
    ledger.add(request(), outcome())
    await until(lambda: not stalled.lies)
    assert ledger.waiting == 1
    await ledger.close()
    assert (ledger.waiting, await count(memory)) == (0, 1)


async def test_a_kill_loses_what_came_since_the_last_batch_only(memory: Database) -> None:
    ledger = ledger_on(memory, flush_s=0.01)
    ledger.start()
    for _ in range(150):
        ledger.add(request(), outcome())
    await until(lambda: not ledger.waiting)
    for _ in range(10):
        ledger.add(request(), outcome())
    assert ledger._task is not None
    ledger._task.cancel()
    await asyncio.wait({ledger._task})
    assert await count(memory) == 150


async def test_old_rows_go_and_young_ones_stay(database: Database) -> None:
    clock = Clock(NOON - timedelta(days=100))
    for tenant in ("a", "b"):
        clock.at = NOON - timedelta(days=100)
        async with SqlLedger(database, LedgerSettings(), lambda _: 0, clock) as ledger:
            for _ in range(1_200):
                ledger.add(request(tenant_id=tenant), outcome())
        clock.at = NOON
        async with SqlLedger(database, LedgerSettings(retention=timedelta(days=200)), lambda _: 0, clock) as ledger:
            ledger.add(request(tenant_id=tenant), outcome())
    assert await count(database) == 2_402
    async with SqlLedger(database, LedgerSettings(), lambda _: 0, clock) as ledger:
        ledger.add(request(tenant_id="c"), outcome())
    assert [row.tenant_id for row in await rows(database)] == ["a", "b", "c"]


async def test_no_ledger_forgets() -> None:
    ledger = NoLedger()
    ledger.start()
    ledger.add(request(), outcome())
    await ledger.close()
