"""What a browser session looks like: to its person, and to the door."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ..seams import Proof


class BrowserSession(BaseModel):
    """A session as its person sees it; the cookie's value is not among what is kept."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    address: str
    user_agent: str
    amr: list[str]
    created_at: datetime
    last_seen_at: datetime = Field(description="To the minute")
    expires_at: datetime
    current: bool = Field(default=False, description="Whether it is the one that asks")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSession:
    """A session that was checked.

    Attributes:
        proof: How and when its person proved who they are.
        expires_at: No use moves it.
    """

    id: str
    user_id: str
    tenant_id: str
    proof: Proof
    created_at: datetime
    expires_at: datetime
