"""Models as rows: which there are, what they can do, what they cost, and who serves them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import SecretStr

ProviderKind = Literal["openai", "anthropic", "gemini", "offline", "langchain"]
Capability = Literal["tools", "vision", "json", "reasoning", "embed"]
Skill = Literal["code", "reasoning", "knowledge", "instructions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Somebody who serves models.

    Attributes:
        key: From the environment; never logged, never returned.
        headers: Sent with every request.
    """

    name: str
    kind: ProviderKind
    base_url: str = ""
    key: SecretStr | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Nano-dollars for a million tokens: $1 for a million is 1_000_000_000.

    Attributes:
        version: Which prices these are; it stands in every row of the ledger.
    """

    input: int = 0
    output: int = 0
    cached: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    version: str = ""

    @property
    def free(self) -> bool:
        """Whether money is no question."""
        return not (self.input or self.output)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One row of the catalogue.

    Attributes:
        id: What clients call it.
        upstream: What its provider calls it.
        window: Tokens that prompt and answer may have together.
        max_output: Tokens that an answer may have.
        roles: What it plays (`strong`, `fast`, `embed`); the first model of a role plays it.
        skills: 0 to 1, for routing by cost.
        fallbacks: Ids of the models that take over, in this order; a cheaper one makes the answer `cheaper`.
    """

    id: str
    provider: Provider
    upstream: str
    window: int = 128_000
    max_output: int = 16_384
    capabilities: frozenset[Capability] = frozenset({"tools", "json"})
    roles: tuple[str, ...] = ()
    price: Price = Price()
    skills: Mapping[Skill, float] = field(default_factory=dict)
    fallbacks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How breakers, logs and `tried` call it."""
        return f"{self.provider.name}/{self.id}"
