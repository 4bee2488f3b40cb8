"""What a role looks like, and what may be said of one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

RoleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,49}$")]


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("holds a character that cannot be shown")
    return value


Description = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
PermissionNames = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=100)]
RoleNames = Annotated[list[RoleName], Field(max_length=50)]


class Role(BaseModel):
    """A role as administrators see it."""

    model_config = ConfigDict(frozen=True)

    name: str
    description: str
    permissions: list[str] = Field(description="Its own")
    parents: list[str] = Field(description="Roles whose permissions it has too")
    effective: list[str] = Field(description="Its own and its parents', theirs included")
    built_in: bool = Field(description="It can be neither changed nor deleted")
    created_at: datetime


class RoleOptions(BaseModel):
    """What a new role shall be."""

    model_config = ConfigDict(extra="forbid")

    name: RoleName
    description: Description = ""
    permissions: PermissionNames = []
    parents: RoleNames = []


class RoleChange(BaseModel):
    """What shall be otherwise; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    description: Description | None = None
    permissions: PermissionNames | None = None
    parents: RoleNames | None = None
