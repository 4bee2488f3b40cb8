"""The wiring of the model gateway; it needs no graph, so that a process may serve nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from ..core.events import EventBus
from ..core.settings import Settings
from ..core.settings_llm import LLMSettings
from ..core.types import Principal
from ..llm import prices
from ..llm.accounting.budgets import NoBudgets, SqlBudgets
from ..llm.accounting.ledger import NoLedger, SqlLedger
from ..llm.cache.build import Caches, Embed, build_cache
from ..llm.cache.embeddings import Vector
from ..llm.catalog import Catalogue, Model
from ..llm.catalog_load import load_catalogue
from ..llm.chat import Caller, CompletionRequest, Outcome
from ..llm.embedding import Embedder
from ..llm.gateway import Answering, Gateway
from ..llm.providers.registry import build_adapters
from ..llm.resilience.attempts import Upstreams
from ..llm.resilience.build import build_attempts
from ..llm.routing.router import CatalogueRouter
from ..llm.seams import Budgets, Ledger, Parts
from ..llm.usage import Usage
from ..store.engine import Database

_ITSELF: Final = Caller(user_id="gateway", tenant_id="*gateway")
"""Who asks for the vectors that the semantic cache compares: nobody's tenant, so that nobody sees them."""


@dataclass(frozen=True, kw_only=True)
class ModelGateway:
    """The gateway, and the parts that routes look into."""

    gateway: Gateway
    catalogue: Catalogue
    upstreams: Upstreams
    caches: Caches
    embedder: Embedder

    @property
    def ledger(self) -> Ledger:
        """Where every request is written down."""
        return self.embedder.parts.ledger

    @property
    def budgets(self) -> Budgets:
        """Who may still spend."""
        return self.embedder.parts.budgets

    def answer(self, request: CompletionRequest) -> Answering:
        """Begin an answer; see `Gateway.answer`."""
        return self.gateway.answer(request)

    async def embed(self, request: CompletionRequest) -> tuple[dict[str, Any], Outcome]:
        """Embed; see `Embedder.embed`."""
        return await self.embedder.embed(request)

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
    llm = settings.llm
    catalogue = load_catalogue(llm)
    adapters = build_adapters(catalogue)
    meanings = _Meanings(llm.semantic.model or "embed")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(adapters.close)
        ledger, budgets = await _accounts(stack, llm, catalogue, database, bus or EventBus())
        caches = _caches(settings, catalogue, database, meanings)
        stack.push_async_callback(caches.close)
        upstreams = build_attempts(adapters, llm)
        parts = Parts(
            models=catalogue.models,
            router=CatalogueRouter(catalogue, llm.routing),
            attempts=upstreams,
            cache=caches.answers,
            budgets=budgets,
            ledger=ledger,
            cost=prices.cost,
            offline=llm.resilience.offline,
        )
        gateway = Gateway(parts)
        stack.push_async_callback(gateway.close)
        meanings.embedder = Embedder(parts=parts, catalogue=catalogue, cache=caches.embeddings)
        yield ModelGateway(
            gateway=gateway, catalogue=catalogue, upstreams=upstreams, caches=caches, embedder=meanings.embedder
        )


class _Meanings:
    """Vectors for the semantic cache, from the embedder that is wired after it.

    Args:
        model: Which model's.
    """

    embedder: Embedder

    def __init__(self, model: str) -> None:
        self._model = model

    async def __call__(self, texts: list[str]) -> list[Vector]:
        asked = CompletionRequest(body={"model": self._model, "input": texts}, caller=_ITSELF)
        answer, _ = await self.embedder.embed(asked)
        return [one["embedding"] for one in answer["data"]]


async def _accounts(
    stack: AsyncExitStack, llm: LLMSettings, catalogue: Catalogue, database: Database | None, bus: EventBus
) -> tuple[SqlLedger | NoLedger, SqlBudgets | NoBudgets]:
    """Open the ledger and the budgets, where there is a database and nobody turned them off."""
    ledger: SqlLedger | NoLedger = NoLedger()
    budgets: SqlBudgets | NoBudgets = NoBudgets()
    if database is not None and llm.ledger.enabled:
        ledger = await stack.enter_async_context(SqlLedger(database, llm.ledger, _baseline(catalogue)))
    if database is not None and llm.budgets.enabled:
        budgets = await stack.enter_async_context(SqlBudgets(database, llm.budgets, bus))
    return ledger, budgets


def _caches(settings: Settings, catalogue: Catalogue, database: Database | None, embed: Embed) -> Caches:
    """Wire the caches; what has no database leaves no file either."""
    semantic = settings.llm.semantic
    return build_cache(
        settings=settings.llm.cache,
        semantic=semantic,
        data_dir=None if database is None or database.in_memory else settings.data_dir,
        redis_url=settings.redis.url,
        embed=embed if semantic.model or catalogue.playing("embed") else None,
    )


def _baseline(catalogue: Catalogue) -> Callable[[Usage], int]:
    """What a usage would have cost at the model that plays `strong`."""

    def cost(usage: Usage) -> int:
        best = catalogue.playing("strong")
        return prices.cost(best.price, usage) if best is not None else 0

    return cost
