"""A signing key as it may be shown."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class KeyState(StrEnum):
    """What a key is for: shown before it signs, signing, shown after it signed, gone."""

    PENDING = "pending"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"


class SigningKey(BaseModel):
    """A key without any part of it."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    kid: str
    alg: str
    state: KeyState
    created_at: datetime
    activated_at: datetime | None = None
    retiring_at: datetime | None = None
    retired_at: datetime | None = None
