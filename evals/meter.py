"""What model calls cost: tokens as the provider counted them, money where a price is known, and how often it is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from pydantic import BaseModel, TypeAdapter, ValidationError

from ..core.errors import ConfigError


class Price(BaseModel):
    """US dollars for a million tokens."""

    input: float
    output: float


@dataclass(frozen=True, slots=True)
class Spent:
    """Model calls and what they used; `unpriced` counts the calls that `cost_usd` does not cover."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0

    def __add__(self, other: Spent) -> Spent:
        """Add two sums."""
        return Spent(
            self.calls + other.calls,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.cost_usd + other.cost_usd,
            self.unpriced + other.unpriced,
        )

    def as_json(self) -> dict[str, Any]:
        """Render under the names that reports use."""
        return {
            "model_calls": self.calls,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "cost_usd": round(self.cost_usd, 6),
            "unpriced_calls": self.unpriced,
        }


def load_prices(path: Path | None) -> dict[str, Price]:
    """Read a price file, `model: {input: …, output: …}` in dollars per million tokens (`ConfigError` if unreadable)."""
    if path is None:
        return {}
    try:
        return TypeAdapter(dict[str, Price]).validate_python(yaml.safe_load(path.read_text("utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as exc:
        raise ConfigError(
            f"{path}: a price file maps model names to {{input, output}} dollars per million: {exc}"
        ) from exc


class Meter(BaseCallbackHandler):
    """Listens to every model call of one case, the router's included.

    Args:
        model: The name calls are booked under when the answer names none.
        prices: Known prices; None means that calls are free (the scripted model).
    """

    def __init__(self, model: str, prices: Mapping[str, Price] | None) -> None:
        self._model = model
        self._prices = prices
        self.spent = Spent()

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        """Book one finished call."""
        for generations in response.generations:
            for generation in generations[:1]:
                if isinstance(generation, ChatGeneration) and isinstance(generation.message, AIMessage):
                    self.spent += self._booked(generation.message)

    def _booked(self, message: AIMessage) -> Spent:
        usage = message.usage_metadata
        tokens_in, tokens_out = (usage["input_tokens"], usage["output_tokens"]) if usage else (0, 0)
        if self._prices is None:
            return Spent(1, tokens_in, tokens_out)
        name = message.response_metadata.get("model_name") or self._model
        price = self._prices.get(name) or self._prices.get(self._model)
        if price is None or usage is None:
            return Spent(1, tokens_in, tokens_out, unpriced=1)
        return Spent(1, tokens_in, tokens_out, (tokens_in * price.input + tokens_out * price.output) / 1_000_000)
