"""What a key looks like: to its owner, and to the door."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ...core.types import Principal
from .limits import Limits


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("holds a character that cannot be shown")
    return value


Label = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)]
ModelName = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_printable)]


class ApiKey(BaseModel):
    """A key as its owner sees it; the secret is not among what is kept."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    name: str
    prefix: str = Field(description="How the key begins, to find it by")
    scopes: list[str]
    models: list[str] | None = Field(None, description="The only models it may ask for; null: any")
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    created_at: datetime
    last_used_at: datetime | None = Field(None, description="To the minute")
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class NewApiKey(ApiKey):
    """A key with its secret, which is shown this once."""

    key: str


class KeyOptions(BaseModel):
    """What a key may do."""

    model_config = ConfigDict(extra="forbid")

    name: Label
    scopes: list[str] = Field(default=["llm:invoke"], min_length=1, max_length=50, description="Of your own")
    models: list[ModelName] | None = Field(
        None, min_length=1, max_length=200, description="The only models it may ask for"
    )
    requests_per_minute: int | None = Field(None, ge=1, le=1_000_000)
    tokens_per_minute: int | None = Field(None, ge=1, le=1_000_000_000)
    expires_in_days: int | None = Field(None, ge=1, le=3650, description="Default: it does not expire")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A key that was checked.

    Attributes:
        principal: Its owner, with the key's scopes.
        models: The only models it may ask for; None: any.
        expires_at: Unix time.
    """

    id: str
    principal: Principal
    models: frozenset[str] | None
    limits: Limits
    expires_at: float | None
