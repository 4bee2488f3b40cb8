"""What a person looks like to those who look after accounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ...store.models import UserRow

LONGEST_NAME = 100


class Person(BaseModel):
    """An account; the hash of the password is not shown."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    tenant_id: str
    email: str
    name: str
    is_active: bool = Field(description="Whether they may sign in")
    is_verified: bool = Field(description="Whether the address has been shown to be theirs")
    created_at: datetime
    password_changed_at: datetime | None = Field(None, description="null: they never chose one")
    last_sign_in_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Welcome:
    """Somebody new, and the link with which they choose a password, once."""

    person: Person
    link: str


def shown(row: UserRow) -> Person:
    """Show a row."""
    return Person.model_validate(row)
