"""Vectors of texts through the gateway: remembered, budgeted, paid, written down like answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..core.errors import CodeLabError
from .cache.embeddings import EmbeddingCache, Input, Space, Vector
from .catalog import Catalogue, Model
from .chat import CompletionRequest, Outcome
from .dialect_request import BAD_INPUT, is_input
from .errors import NoModel, Rejected
from .seams import Parts
from .tally import most_tokens
from .usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedder:
    """Embeds.

    Attributes:
        parts: The gateway's.
        cache: None remembers nothing.
    """

    parts: Parts
    catalogue: Catalogue
    cache: EmbeddingCache | None

    async def embed(self, request: CompletionRequest) -> tuple[dict[str, Any], Outcome]:
        """Embed what OpenAI's request names; its response, vectors as floats, and what became of it.

        Raises:
            NoModel: There is no such model, or it embeds nothing.
            Rejected: There is nothing to embed, or too much.
            BudgetExceeded: A budget has no room.
            UpstreamError: The provider failed.
        """
        outcome = Outcome(request_id=request.id, began=self.parts.clock())
        try:
            model = self._model(request.model)
            inputs = inputs_of(request.body.get("input"))
            outcome.model, outcome.provider, outcome.cache = model.id, model.provider.name, "hit"
            vectors = await self._vectors(request, model, inputs, outcome)
        except CodeLabError as exc:
            outcome.error = exc.code
            raise
        finally:
            outcome.ended = self.parts.clock()
            self.parts.ledger.add(request, outcome)
        return _response(model.id, vectors, outcome.usage), outcome

    def _model(self, name: str) -> Model:
        model = self.catalogue.find(name)
        if "embed" not in model.capabilities:
            raise NoModel(f"The model {model.id!r} embeds nothing: name one that does, or the role 'embed'.")
        return model

    async def _vectors(
        self, request: CompletionRequest, model: Model, inputs: list[Input], outcome: Outcome
    ) -> list[Vector]:
        async def ask(missing: list[Input]) -> list[Vector]:
            return await self._paid(request, model, missing, outcome)

        if self.cache is None or request.controls.cache in {"off", "refresh"}:
            return await ask(inputs)
        space = Space(request.caller.tenant_id, model.name, request.body.get("dimensions"))
        return await self.cache.embed(inputs, ask, space=space)

    async def _paid(
        self, request: CompletionRequest, model: Model, inputs: list[Input], outcome: Outcome
    ) -> list[Vector]:
        most = self.parts.cost(model.price, Usage(most_tokens(request)))
        reservation = await self.parts.budgets.reserve(request.caller, most)
        outcome.cache = "miss"
        try:
            body = {**request.body, "model": model.id, "input": inputs}
            answer = await self.parts.attempts.embed(replace(request, body=body), model, outcome)
            told = answer.get("usage") or {}
            outcome.usage, outcome.raw_usage = Usage(told.get("prompt_tokens") or 0, estimated=not told), told
            outcome.cost = self.parts.cost(model.price, outcome.usage)
        finally:
            reservation.settle(outcome.cost)
        return [one["embedding"] for one in sorted(answer["data"], key=lambda one: one["index"])]


def inputs_of(given: Any) -> list[Input]:
    """Read OpenAI's `input` as a list; `Rejected` if it cannot be embedded."""
    if not is_input(given):
        raise Rejected(BAD_INPUT, param="input")
    single = isinstance(given, str) or isinstance(given[0], int)
    return [given] if single else given


def _response(model: str, vectors: Sequence[Vector], usage: Usage) -> dict[str, Any]:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    told = {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens}
    return {"object": "list", "data": data, "model": model, "usage": told}
