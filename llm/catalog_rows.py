"""The catalogue's YAML, checked: providers, models, aliases."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .catalog import RESERVED, Capability, Price, ProviderKind, Skill, Trait
from .prices import dollars

Dollars = Annotated[Decimal, Field(ge=0, le=100_000)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProviderRow(_Row):
    """Somebody who serves models.

    Attributes:
        base_url: Where; of kind `offline` a script's file, of kind `langchain` the model object as `module:name`.
        key_env: Environment variables that may hold the key; without one the provider needs no key.
        headers: Sent with every request; `$NAME` is taken from the environment.
    """

    kind: ProviderKind
    base_url: str = ""
    key_env: str | list[str] = []
    key_header: str = ""
    headers: dict[str, str] = {}
    traits: list[Trait] = []

    @property
    def key_names(self) -> list[str]:
        """The variables that may hold the key, the first one first."""
        return [self.key_env] if isinstance(self.key_env, str) else self.key_env

    @model_validator(mode="after")
    def _reachable(self) -> ProviderRow:
        if self.kind in {"offline", "langchain"}:
            return self
        url = urlsplit(self.base_url)
        if url.scheme not in {"http", "https"} or not url.hostname or url.username or url.password:
            raise ValueError("base_url must be http(s)://host/path without a user name or password in it")
        return self


class PriceRow(_Row):
    """Dollars for a million tokens; `long` has other prices for prompts of more tokens than its key."""

    input: Dollars = Decimal(0)
    output: Dollars = Decimal(0)
    cached: Dollars | None = None
    cache_write: Dollars | None = None
    cache_write_1h: Dollars | None = None
    long: dict[Annotated[int, Field(ge=1)], PriceRow] = {}

    def price(self, name: str) -> Price:
        """Give the price; its version tells that it was written down, and what."""
        said = {key: dollars(value) for key, value in self.model_dump(exclude={"long"}, exclude_none=True).items()}
        version = f"catalogue {name} " + "/".join(
            str(said.get(key, "-")) for key in PriceRow.model_fields if key != "long"
        )
        long = tuple((above, row.price(name)) for above, row in sorted(self.long.items()))
        return Price(**said, long=long, version=version)


class ModelRow(_Row):
    """One model; what is not written is guessed on the safe side."""

    provider: str
    upstream: str = ""
    window: int = Field(128_000, ge=1)
    max_output: int = Field(16_384, ge=1)
    capabilities: list[Capability] = ["tools", "json"]
    roles: list[str] = []
    skills: dict[Skill, Share] = {}
    fallbacks: list[str] = []
    price: PriceRow | None = None


class Rows(_Row):
    """The whole file; a row that is `null` is taken out of the built-in ones."""

    providers: dict[str, ProviderRow | None] = {}
    models: dict[str, ModelRow | None] = {}
    aliases: dict[str, str] = {}

    @field_validator("models", "aliases")
    @classmethod
    def _names(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := [name for name in value if name.startswith(RESERVED)]:
            raise ValueError(f"{taken[0]!r}: names that begin with {RESERVED!r} are agents; choose another")
        return value

    def wrong(self) -> str:
        """Say which name leads nowhere, and what to do; nothing if all is well."""
        for name, row in self.models.items():
            if row is None:
                continue
            if row.provider not in self.providers:
                one = _some(self.providers)
                return f"models.{name}.provider: add {row.provider!r} to `providers`, or name one of {one}."
            for other in row.fallbacks:
                if other not in self.models:
                    return f"models.{name}.fallbacks: there is no model {other!r}; take it out or add its row."
        for alias, name in self.aliases.items():
            if name not in self.models:
                return f"aliases.{alias}: there is no model {name!r}; name one of {_some(self.models)}."
        return ""


def _some(names: dict[str, Any]) -> str:
    return ", ".join(sorted(names)[:12])
