"""What an audit record looks like to who may read it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class AuditEvent(BaseModel):
    """One fact."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    at: datetime
    type: str
    outcome: str
    actor: str = Field(validation_alias="owner_id", description="Who acted; empty if nobody is known")
    client_id: str | None = None
    subject: str | None = None
    address: str | None = None
    correlation_id: str | None = None
    details: dict[str, Any]
