"""The promise: however requests interleave, end or are cut off, in whichever process, no limit is exceeded."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from codelab.core.errors import Unavailable
from codelab.core.events import EventBus
from codelab.core.settings_llm import BudgetSettings
from codelab.llm.accounting.budgets import SqlBudgets
from codelab.llm.chat import Caller
from codelab.llm.errors import BudgetExceeded
from codelab.store.engine import Database
from codelab.store.migrate import prepare
from tests.llm.accounting.support import NOON, Clock, accounts, budgets_of, caller, kill, leases, set_limit, totals


@dataclass
class Truth:
    """What really was promised and spent, by account; complains at once when it is too much."""

    limits: dict[str, int]
    flying: dict[str, int] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)
    served: int = 0
    refused: int = 0

    def promise(self, names: Sequence[str], most: int) -> None:
        self.served += 1
        for name in names:
            self.flying[name] = self.flying.get(name, 0) + most
            assert self.flying[name] + self.spent.get(name, 0) <= self.limits[name], name

    def settle(self, names: Sequence[str], most: int, cost: int) -> None:
        for name in names:
            self.flying[name] -= most
            self.spent[name] = self.spent.get(name, 0) + cost


def concerned(asking: Caller) -> list[str]:
    return ["tenant", asking.user_id, *([asking.thread_id] if asking.thread_id else [])]


async def ask(budgets: SqlBudgets, truth: Truth, rng: random.Random) -> None:
    """One request: it may be refused, run its course, or be stopped anywhere."""
    asking = caller(user_id=rng.choice(["ann", "bob"]), thread_id=rng.choice(["", "t1", "t2"]))
    most = rng.randint(1, 60)
    for _ in range(rng.randint(0, 5)):
        await asyncio.sleep(0)
    try:
        reservation = await budgets.reserve(asking, most)
    except (BudgetExceeded, Unavailable):
        truth.refused += 1
        return
    names, cost = concerned(asking), 0
    truth.promise(names, most)
    try:
        for _ in range(rng.randint(0, 5)):
            await asyncio.sleep(rng.choice([0, 0, 0.001]))
        cost = rng.randint(0, most)
    finally:
        truth.settle(names, most, cost)
        reservation.settle(cost)


async def limited(database: Database, rng: random.Random) -> Truth:
    amounts = {"tenant": rng.randint(200, 1_500), "user": rng.randint(100, 1_000), "thread": rng.randint(50, 500)}
    for scope, amount in amounts.items():
        await set_limit(database, amount, scope=scope)
    of = {"ann": "user", "bob": "user", "t1": "thread", "t2": "thread", "tenant": "tenant"}
    return Truth({name: amounts[scope] for name, scope in of.items()})


async def crowd(processes: Sequence[SqlBudgets], truth: Truth, rng: random.Random, *, requests: int) -> None:
    tasks = [asyncio.create_task(ask(rng.choice(processes), truth, rng)) for _ in range(requests)]
    for task in rng.sample(tasks, requests // 5):
        for _ in range(rng.randint(0, 3)):
            await asyncio.sleep(0)
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        assert ended is None or isinstance(ended, asyncio.CancelledError), ended


async def booked(database: Database) -> dict[str, int]:
    """Spent by name, where anything was; nothing may be reserved."""
    found = await accounts(database)
    assert all(reserved == 0 for _, reserved in found.values())
    assert await leases(database) == 0
    spent = {subject: spent for (_, subject, _), (spent, _) in found.items() if spent}
    return {("tenant" if subject == "default" else subject): amount for subject, amount in spent.items()}


async def no_room_was_made(database: Database, truth: Truth) -> None:
    """What a dead process held counts as spent: too much may be booked, too little never."""
    found = await booked(database)
    assert all(spent <= found.get(name, 0) for name, spent in truth.spent.items())
    assert all(spent <= truth.limits[name] for name, spent in found.items())


@pytest.mark.parametrize("seed", range(4))
async def test_two_processes_never_exceed_a_limit(database: Database, other: Database, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    truth = await limited(database, rng)
    async with budgets_of(database) as here, budgets_of(other) as there:
        for _ in range(3):
            await crowd((here, there), truth, rng, requests=60)
    assert truth.served > 10
    assert truth.refused > 10
    assert await booked(database) == {name: spent for name, spent in truth.spent.items() if spent}


@pytest.mark.parametrize("seed", range(3))
async def test_a_killed_process_never_makes_room(database: Database, other: Database, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    truth, clock = await limited(database, rng), Clock()
    dying = SqlBudgets(database, BudgetSettings(), EventBus(), clock)
    async with budgets_of(other, clock=clock) as there:
        await crowd((dying, there), truth, rng, requests=40)
        await kill(dying)
        await crowd((there,), truth, rng, requests=40)
    clock.at = NOON + timedelta(minutes=2)
    async with budgets_of(other, clock=clock) as later:
        await later.flush()
        await crowd((later,), truth, rng, requests=40)
    await no_room_was_made(database, truth)


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_no_interleaving_exceeds_a_limit(seed: int, processes: int) -> None:
    async def run() -> None:
        rng = random.Random(seed)  # noqa: S311
        database = Database("sqlite://")
        await prepare(database)
        truth = await limited(database, rng)
        ours = [SqlBudgets(database, BudgetSettings(), EventBus(), Clock()) for _ in range(processes)]
        await crowd(ours, truth, rng, requests=30)
        for budgets in ours:
            await budgets.close()
        assert await booked(database) == {name: spent for name, spent in truth.spent.items() if spent}
        await database.close()

    asyncio.run(run())


async def test_one_process_serves_whoever_fits(memory: Database) -> None:
    """Nobody is refused for what the process itself holds back."""
    await set_limit(memory, 1_000)
    async with budgets_of(memory) as budgets:
        for round_of in range(20):
            held = await asyncio.gather(*(budgets.reserve(caller(), 10) for _ in range(5)))
            for each in held:
                each.settle(round_of % 10)
        left = 1_000 - 5 * sum(n % 10 for n in range(20))
        (await budgets.reserve(caller(), left)).settle(left)
    assert await totals(memory) == (1_000, 0)


class Cut:
    """A database whose connection breaks now and then: before anything happened, or after the commit."""

    def __init__(self, database: Database, rng: random.Random) -> None:
        self._database = database
        self._rng = rng
        self.read = database.read

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        if self._rng.random() < 0.1:
            raise OperationalError("BEGIN", None, ConnectionError())
        async with self._database.transaction() as session:
            yield session
        if self._rng.random() < 0.2:
            raise OperationalError("COMMIT", None, ConnectionError())


@settings(max_examples=15)
@given(st.integers(0, 2**32))
def test_no_broken_connection_makes_room(seed: int) -> None:
    async def run() -> None:
        rng = random.Random(seed)  # noqa: S311
        database, clock = Database("sqlite://"), Clock()
        await prepare(database)
        truth = await limited(database, rng)
        budgets = SqlBudgets(Cut(database, rng), BudgetSettings(), EventBus(), clock)  # type: ignore[arg-type]
        await crowd([budgets], truth, rng, requests=60)
        await budgets.close()
        clock.at += timedelta(minutes=2)
        async with budgets_of(database, clock=clock) as later:
            await later.flush()
        await no_room_was_made(database, truth)
        await database.close()

    asyncio.run(run())
