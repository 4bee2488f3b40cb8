"""The wiring of the model gateway; it needs no graph, so that a process may serve nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ..core.events import EventBus
from ..core.settings import Settings
from ..core.types import Principal
from ..llm import prices
from ..llm.accounting.budgets import NoBudgets, SqlBudgets
from ..llm.accounting.ledger import NoLedger, SqlLedger
from ..llm.cache.build import Caches, build_cache
from ..llm.catalog import Catalogue, Model
from ..llm.catalog_load import load_catalogue
from ..llm.chat import AGENT, Body, Caller, CompletionRequest, Controls, Outcome
from ..llm.embedding import Embedder
from ..llm.gateway import Answering, Gateway, Parts
from ..llm.providers.registry import Adapters, build_adapters
from ..llm.resilience.attempts import Upstreams
from ..llm.resilience.build import build_attempts
from ..llm.routing.router import CatalogueRouter
from ..llm.usage import Usage
from ..store.engine import Database

_ITSELF = Caller(user_id="gateway")
"""Who asks for the vectors that the semantic cache compares."""


@dataclass(frozen=True, kw_only=True)
class ModelGateway:
    """The gateway, and the parts that routes look into."""

    gateway: Gateway
    catalogue: Catalogue
    upstreams: Upstreams
    caches: Caches
    ledger: SqlLedger | NoLedger
    budgets: SqlBudgets | NoBudgets
    embedder: Embedder

    def answer(self, request: CompletionRequest) -> Answering:
        """Begin an answer; see `Gateway.answer`."""
        return self.gateway.answer(request)

    async def embed(self, body: Body, caller: Caller, controls: Controls) -> tuple[dict[str, Any], Outcome]:
        """Embed; see `Embedder.embed`."""
        return await self.embedder.embed(CompletionRequest(body=body, caller=caller, controls=controls))

    def models(self, principal: Principal) -> Sequence[Model]:  # noqa: ARG002 - the catalogue is everybody's
        """The models that a principal may ask for."""
        return self.catalogue.listed()


@asynccontextmanager
async def open_gateway(
    settings: Settings, database: Database | None = None, bus: EventBus | None = None
) -> AsyncIterator[ModelGateway]:
    """Wire a gateway; what waits is written when the block ends.

    Args:
        settings: What was set.
        database: For the ledger and the budgets; without one nothing is written down or limited.
        bus: Hears of budgets that run low.

    Raises:
        ConfigError: The catalogue cannot be read, or names a provider that does not exist.
    """
    catalogue = load_catalogue(settings.llm)
    adapters = build_adapters(catalogue)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(adapters.close)
        wired = await _wire(settings, catalogue, adapters, stack, database=database, bus=bus or EventBus())
        yield wired


async def _wire(
    settings: Settings,
    catalogue: Catalogue,
    adapters: Adapters,
    stack: AsyncExitStack,
    *,
    database: Database | None,
    bus: EventBus,
) -> ModelGateway:
    llm = settings.llm
    ledger: SqlLedger | NoLedger = NoLedger()
    budgets: SqlBudgets | NoBudgets = NoBudgets()
    if database is not None and llm.ledger.enabled:
        ledger = await stack.enter_async_context(SqlLedger(database, llm.ledger, _baseline(catalogue)))
    if database is not None and llm.budgets.enabled:
        budgets = await stack.enter_async_context(SqlBudgets(database, llm.budgets, bus))

    async def embed(texts: list[str]) -> list[list[float]]:
        asked = CompletionRequest(body={"model": "embed"}, caller=_ITSELF, controls=AGENT)
        return await embedder.texts(texts, model=llm.semantic.model or "embed", request=asked)

    caches = build_cache(
        settings=llm.cache,
        semantic=llm.semantic,
        data_dir=None if database is None or database.in_memory else settings.data_dir,
        redis_url=settings.redis.url,
        embed=embed if llm.semantic.model or catalogue.playing("embed") else None,
    )
    stack.push_async_callback(caches.close)
    upstreams = build_attempts(adapters, llm)

    async def ask(model: Model, body: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
        asked = CompletionRequest(body=dict(body), caller=_ITSELF, controls=AGENT)
        return await upstreams.embed(asked, model, outcome)

    embedder = Embedder(
        catalogue=catalogue, ask=ask, cache=caches.embeddings, budgets=budgets, ledger=ledger, cost=prices.cost
    )
    gateway = Gateway(
        Parts(
            models=catalogue.models,
            router=CatalogueRouter(catalogue, llm.routing),
            attempts=upstreams,
            cache=caches.answers,
            budgets=budgets,
            ledger=ledger,
            cost=prices.cost,
            offline=llm.resilience.offline,
        )
    )
    stack.push_async_callback(gateway.close)
    return ModelGateway(
        gateway=gateway,
        catalogue=catalogue,
        upstreams=upstreams,
        caches=caches,
        ledger=ledger,
        budgets=budgets,
        embedder=embedder,
    )


def _baseline(catalogue: Catalogue) -> Any:
    """What a usage would have cost at the model that plays `strong`."""

    def cost(usage: Usage) -> int:
        best = catalogue.playing("strong")
        return prices.cost(best.price, usage) if best is not None else 0

    return cost
