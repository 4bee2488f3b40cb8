"""A server of the thread graphs, and somebody who speaks to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from codelab.runtime.agent import AgentRuntime
from tests.agent_api.people import Clients, people
from tests.agent_api.thread_graphs import graphs


@pytest.fixture
def gate() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def served(gate: asyncio.Event, database_url: str) -> AsyncIterator[tuple[AgentRuntime, Clients]]:
    async with people(graphs(gate), database_url) as serving:
        yield serving
        gate.set()


@pytest.fixture
def agent(served: tuple[AgentRuntime, Clients]) -> AgentRuntime:
    return served[0]


@pytest.fixture
def user(served: tuple[AgentRuntime, Clients]) -> Clients:
    return served[1]


@pytest.fixture
def api(user: Clients) -> httpx.AsyncClient:
    return user()
