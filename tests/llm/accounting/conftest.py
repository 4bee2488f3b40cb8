"""A database, and what two processes see of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from codelab.core import permissions
from codelab.core.events import EventBus
from codelab.core.settings_llm import BudgetSettings, LedgerSettings
from codelab.core.types import Principal
from codelab.llm.accounting.budgets import SqlBudgets
from codelab.llm.accounting.ledger import SqlLedger
from codelab.server import errors
from codelab.server.rest import budgets, usage
from codelab.store.engine import Database
from codelab.store.migrate import prepare


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """The same, as another process opens it."""
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def memory() -> AsyncIterator[Database]:
    opened = Database("sqlite://")
    await prepare(opened)
    yield opened
    await opened.close()


def signed_in(app: Any) -> Any:
    """Everybody is who they say; `reader-…` may only read."""

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        user = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
        scopes = {p for p in permissions.ALL if p.endswith(":read") or not user.startswith("reader-")}
        principal = Principal(user, scopes=frozenset(scopes)) if user else None
        await app({**scope, "state": {"principal": principal}}, receive, send)

    return asgi


@pytest.fixture
async def people(memory: Database) -> AsyncIterator[httpx.AsyncClient]:
    """The routes alone, on a ledger and budgets of their own."""
    app = FastAPI()
    errors.install(app)
    for part in (usage, budgets):
        app.include_router(part.router, prefix="/api/v1")
    async with (
        SqlLedger(memory, LedgerSettings(flush_s=0.001), lambda used: used.total_tokens) as ledger,
        SqlBudgets(memory, BudgetSettings(), EventBus()) as kept,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=signed_in(app)), base_url="http://127.0.0.1") as client,
    ):
        app.state.runtime = SimpleNamespace(llm=SimpleNamespace(ledger=ledger, budgets=kept))
        client.app = app  # type: ignore[attr-defined]
        yield client
