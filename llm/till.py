"""Where an answer is reserved for before it is asked for, and paid when it is known what it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .catalog import Model, Price
from .chat import CompletionRequest, Outcome
from .errors import BudgetExceeded
from .seams import Budgets, Reservation
from .tally import most_tokens
from .usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Till:
    """Reserves and settles.

    Attributes:
        models: The catalogue's rows by id.
        cost: What a usage costs at a price, in nano-dollars.
    """

    models: Mapping[str, Model]
    budgets: Budgets
    cost: Callable[[Price, Usage], int]

    async def reserve(
        self, request: CompletionRequest, candidates: Sequence[Model], outcome: Outcome
    ) -> tuple[Sequence[Model], Reservation]:
        """Reserve what the dearest candidate may cost; where a budget says so, cheaper ones are asked instead.

        Raises:
            BudgetExceeded: One of the caller's budgets has no room.
        """
        try:
            return candidates, await self.budgets.reserve(request.caller, self._most(request, candidates))
        except BudgetExceeded as exc:
            cheaper = self._cheaper(candidates) if exc.cheaper else []
            if not cheaper:
                raise
            reservation = await self.budgets.reserve(request.caller, self._most(request, cheaper))
            outcome.degraded = "cheaper"
            return cheaper, reservation

    def settle(self, outcome: Outcome, reservation: Reservation) -> None:
        """Pay for what was used."""
        model = self.models.get(outcome.model)
        if model is not None:
            outcome.cost = self.cost(model.price, outcome.usage)
            outcome.price_version = model.price.version
        reservation.settle(outcome.cost)

    def _cheaper(self, candidates: Sequence[Model]) -> list[Model]:
        first = candidates[0]
        named = [*candidates[1:], *(self.models[name] for name in first.fallbacks if name in self.models)]
        return [model for model in named if model.price.output < first.price.output]

    def _most(self, request: CompletionRequest, candidates: Sequence[Model]) -> int:
        """Bound the cost from above, for the prompt and the longest answer that may come."""
        if all(model.price.free for model in candidates):
            return 0
        body = request.body
        asked = body.get("max_completion_tokens") or body.get("max_tokens")
        prompt, choices = most_tokens(request), body.get("n") or 1
        return max(
            self.cost(
                model.price,
                Usage(prompt, choices * min(asked or model.max_output, model.max_output), cache_write_tokens=prompt),
            )
            for model in candidates
        )
