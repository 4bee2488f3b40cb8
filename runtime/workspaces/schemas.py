"""What a workspace looks like from outside."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class Workspace(BaseModel):
    """A registered folder."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    name: str
    path: str
    created_at: datetime
