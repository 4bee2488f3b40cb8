"""What an audit record looks like to who may read it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from ...store.texts import clean_text


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


class AuditFilter(BaseModel):
    """Which facts are asked for."""

    type: Annotated[str, Field(max_length=100), AfterValidator(clean_text)] | None = None
    since: AwareDatetime | None = Field(None, description="Only from then on")
