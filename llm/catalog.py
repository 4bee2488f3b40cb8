"""Models as rows: which there are, what they can do, what they cost, and who serves them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import SecretStr

from .errors import NoModel

ProviderKind = Literal["openai", "anthropic", "gemini", "offline", "langchain"]
Capability = Literal["tools", "vision", "json", "reasoning", "embed"]
Skill = Literal["code", "reasoning", "knowledge", "instructions"]
Trait = Literal["prompt_cache_key", "max_completion_tokens", "reasoning_back", "context_cache"]
"""What a provider's API knows beyond the common: a key for its prompt cache; `max_tokens` under its new name only; what
its model thought, sent back to it; stored prefixes of prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Somebody who serves models.

    Attributes:
        key: From the environment; never logged, never returned.
        key_header: Where the key stands, if not where this kind of API wants it.
        headers: Sent with every request.
    """

    name: str
    kind: ProviderKind
    base_url: str = ""
    key: SecretStr | None = None
    key_header: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    traits: frozenset[Trait] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Nano-dollars for a million tokens: $1 for a million is 1_000_000_000.

    Attributes:
        long: For prompts of more than so many tokens another price, for the whole request; the longest last.
        version: Which prices these are; it stands in every row of the ledger.
    """

    input: int = 0
    output: int = 0
    cached: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    long: tuple[tuple[int, Price], ...] = ()
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


RESERVED: Final = "codelab/"
"""Names of agents that are asked as if they were models; no row may have one."""


class Catalogue:
    """The models there are.

    Args:
        models: By what clients call them; the first of a role plays it.
        aliases: Other names for them.
        reprice: Gives the rows whose prices have changed since it was asked last; asked on every look-up, so cheap.
    """

    def __init__(
        self,
        models: Iterable[Model],
        *,
        aliases: Mapping[str, str] | None = None,
        reprice: Callable[[Mapping[str, Model]], Iterable[Model]] = lambda _: (),
    ) -> None:
        self._models = {model.id: model for model in models}
        self._reprice = reprice
        self._names: dict[str, str] = {}
        for model in self._models.values():
            for role in model.roles:
                self._names.setdefault(role, model.id)
        self._names.update(aliases or {})

    @property
    def models(self) -> Mapping[str, Model]:
        """All rows by id: the same mapping for ever, whose rows follow the prices."""
        return self._models

    @property
    def providers(self) -> Mapping[str, Provider]:
        """Who serves them, by name."""
        return {model.provider.name: model.provider for model in self._models.values()}

    def find(self, name: str) -> Model:
        """Return the model with this id, alias or role.

        Raises:
            NoModel: There is none; `codelab/…` are agents and never models.
        """
        self._refresh()
        model = self._models.get(name) or self._models.get(self._names.get(name, ""))
        if model is None or name.startswith(RESERVED):
            raise NoModel(f"There is no model {name[:100]!r}: GET /v1/models lists them.")
        return model

    def playing(self, role: str) -> Model | None:
        """Return the model that plays a role, if one does."""
        self._refresh()
        return self._models.get(self._names.get(role, ""))

    def listed(self) -> Sequence[Model]:
        """Return all rows in the order of the catalogue."""
        self._refresh()
        return tuple(self._models.values())

    def _refresh(self) -> None:
        for model in self._reprice(self._models):
            self._models[model.id] = model
