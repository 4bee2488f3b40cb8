"""The model gateway's settings: `CODELAB_LLM__…`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, Field, SecretStr


class ModelNames(BaseModel):
    """Which model plays which role: a name at BASE_URL, or an id or alias of the catalogue."""

    strong: str | None = Field(None, description="Plays `strong`; needed with BASE_URL")
    fast: str | None = Field(None, description="Plays `fast`; default: the strong one")
    embed: str | None = Field(None, description="Makes embeddings")


class ResponseCacheSettings(BaseModel):
    """Answers that were given before."""

    enabled: bool = Field(default=True, description="Give the same answer to the same request at temperature 0 again")
    agents: bool = Field(default=False, description="Also to agents and evaluations, which would otherwise have to ask")
    per_user: bool = Field(default=False, description="Each user has their own; else a tenant's users share")
    version: str = Field("", description="Another word forgets everything: for a change of what answers depend on")
    ttl_s: float = Field(86_400, gt=0, description="No older answer is given, unless nobody can answer")
    max_ttl_s: float = Field(30 * 86_400, gt=0, description="A request may ask for so long a life at most")
    renew_after: float = Field(
        0.8, gt=0, le=1, description="After this share of its life an answer is asked for anew behind the client's back"
    )
    stale_s: float = Field(86_400, ge=0, description="After its life an answer is kept so long for when nobody answers")
    embeddings_ttl_s: float = Field(30 * 86_400, gt=0, description="Embeddings are kept so long")
    max_entry_bytes: int = Field(500_000, gt=0, description="A larger answer is not kept")
    memory_bytes: int = Field(16_000_000, ge=0, description="What may be held in memory; the least recently used goes")
    disk_bytes: int = Field(256_000_000, ge=0, description="And in the file in DATA_DIR; with Redis there is none")
    flight_bytes: int = Field(8_000_000, gt=0, description="So much of an answer on its way is held for who joins late")


class SemanticCacheSettings(BaseModel):
    """Answers to similar questions."""

    enabled: bool = Field(default=False, description="Look for similar questions; needs a model that embeds")
    shadow: bool = Field(
        default=True, description="Give none, but compare what would have been given: see its precision"
    )
    threshold: float = Field(0.9, ge=0, le=1, description="Less similar questions are never taken for the same")
    delta: float = Field(0.02, gt=0, lt=1, description="The share of wrong answers that is put up with")
    max_entries: int = Field(10_000, ge=1, description="Questions that are remembered, in memory")
    model: str | None = Field(None, description="The model that embeds questions; default: the one of role `embed`")


class LedgerSettings(BaseModel):
    """One row for each request to a model."""

    enabled: bool = Field(default=True, description="Write down what each request used and cost")
    retention: timedelta = Field(timedelta(days=90), description="Rows are kept this long")
    flush_s: float = Field(0.2, gt=0, le=5, description="Rows are written this often, together; a kill loses as much")
    queue: int = Field(10_000, ge=100, description="Rows that may wait for the database; more are dropped and counted")


class BudgetSettings(BaseModel):
    """What may be spent; the limits themselves are rows."""

    enabled: bool = Field(default=True, description="Hold requests to the limits that were set")
    warn_at: list[int] = Field([50, 80, 95, 100], description="Percent at which `budget.warned` is told, by default")
    lease_s: float = Field(60, ge=1, description="What a killed process held of a budget counts as spent after this")
    refresh_s: float = Field(2, gt=0, description="A limit set in one process is known to the others after this")
    keep: timedelta = Field(
        timedelta(days=35), ge=timedelta(days=32), description="Days, months and runs that are over are kept this long"
    )


class ResilienceSettings(BaseModel):
    """When a model is left alone, and what stands in for it."""

    deadline_s: float = Field(
        300, gt=0, description="An answer must have begun after so long and, if it is not streamed, ended"
    )
    patience_s: float = Field(
        5, ge=0, description="A request waits so long at most for a model that is left alone, if no other can answer"
    )
    window_s: float = Field(30, gt=0, description="A breaker counts the calls of so long")
    min_calls: int = Field(10, ge=1, description="With fewer calls in the window no ratio of failures says anything")
    failure_ratio: float = Field(
        0.5, gt=0, le=1, description="From this ratio of failed calls on a model is left alone"
    )
    connect_failures: int = Field(5, ge=1, description="So many failed connections one after another do it, too")
    open_s: float = Field(
        5, gt=0, description="A model is left alone so long at first; doubled each time it fails again"
    )
    longest_open_s: float = Field(60, gt=0, description="The cap of that; Retry-After may ask for more")
    slow_first_token_s: float = Field(
        0,
        ge=0,
        description="A first token later than this counts as a failure; 0: three times the model's 99th percentile",
    )
    retry_ratio: float = Field(0.1, ge=0, le=1, description="Repeated calls, as a part of all requests")
    retry_per_s: float = Field(1, ge=0, description="So many a second may be repeated in any case")
    max_calls: int = Field(1_000, ge=1, description="Calls to providers at once")
    max_calls_each: int = Field(500, ge=1, description="Calls to one provider at once")
    max_waiting: int = Field(
        200, ge=0, description="Requests that may wait for one of those; more are sent away with 503"
    )
    queue_s: float = Field(5, ge=0, description="They wait so long at most")
    batch_share: float = Field(0.8, gt=0, le=1, description="Part of those calls that batch work may take up")
    offline: bool = Field(
        default=False, description="Let the built-in model say, clearly labelled, that no model can be reached"
    )


class RoutingSettings(BaseModel):
    """Choosing the model by cost."""

    enabled: bool = Field(default=False, description="Let requests for `auto` go to the cheapest model that will do")
    shortfall_weight: float = Field(
        20, ge=0, description="What a skill that is missing wholly weighs against the dearest model's cost, which is 1"
    )
    exploration: float = Field(
        0.01, ge=0, le=0.5, description="Part of those requests that goes to another model that will do, to learn"
    )
    floors: dict[str, float] = Field(
        {"architect": 0.75, "debug": 0.6, "coder": 0.5, "ask": 0.25},
        description="The least level of skill, 0 to 1, that an agent's requests get",
    )


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
    ledger: LedgerSettings = LedgerSettings()
    budgets: BudgetSettings = BudgetSettings()
    resilience: ResilienceSettings = ResilienceSettings()
    routing: RoutingSettings = RoutingSettings()
