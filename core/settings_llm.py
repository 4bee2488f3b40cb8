"""The model gateway's settings: `CODELAB_LLM__…`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr


class ModelNames(BaseModel):
    """Which model plays which role."""

    strong: str | None = None
    fast: str | None = None
    embed: str | None = None


class ResponseCacheSettings(BaseModel):
    """Answers that were given before."""

    enabled: bool = True


class SemanticCacheSettings(BaseModel):
    """Answers to similar questions."""

    enabled: bool = False


class BudgetSettings(BaseModel):
    """What may be spent; the limits themselves are rows."""

    enabled: bool = True


class ResilienceSettings(BaseModel):
    """When a model is left alone, and what stands in for it."""

    deadline_s: float = Field(300, gt=0, description="An answer that is not streamed may take this long")


class RoutingSettings(BaseModel):
    """Choosing the model by cost."""

    enabled: bool = Field(default=False, description="Let requests for `auto` go to the cheapest model that will do")


class LLMSettings(BaseModel):
    """The model gateway; without a key and a URL the demo model answers."""

    base_url: str | None = Field(None, description="Any OpenAI-compatible endpoint; falls back to OPENAI_BASE_URL")
    api_key: SecretStr | None = Field(None, description="Falls back to OPENAI_API_KEY")
    models: ModelNames = ModelNames()
    timeout_s: float = Field(120, gt=0, description="Until a model's first byte, and between two of them")
    max_retries: int = 2
    catalog: Path | None = Field(None, description="YAML of models and providers, laid over the built-in catalogue")
    cache: ResponseCacheSettings = ResponseCacheSettings()
    semantic: SemanticCacheSettings = SemanticCacheSettings()
    budgets: BudgetSettings = BudgetSettings()
    resilience: ResilienceSettings = ResilienceSettings()
    routing: RoutingSettings = RoutingSettings()
