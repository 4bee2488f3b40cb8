"""Roles of a tenant: for its administrators, each within what they hold themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from ...auth.rbac.schemas import Role, RoleChange, RoleName, RoleOptions
from ...auth.rbac.service import Roles
from ...core.types import Principal
from ..origins import origin_of
from .admin import admin_needs

router = APIRouter(prefix="/roles", tags=["roles"])
RoleAdmin = Annotated[Principal, admin_needs("roles:admin")]


async def roles_of(request: Request) -> Roles:
    """The roles of the app that serves this request."""
    roles: Roles = request.app.state.identity.roles
    return roles


CurrentRoles = Annotated[Roles, Depends(roles_of)]


@router.post("", status_code=201)
async def create_role(body: RoleOptions, principal: RoleAdmin, roles: CurrentRoles, request: Request) -> Role:
    """Make a role out of permissions that you hold, and of other roles."""
    return await roles.create(principal, body, origin=origin_of(request))


@router.get("")
async def list_roles(principal: RoleAdmin, roles: CurrentRoles) -> Sequence[Role]:
    """List roles by name, the built-in ones too."""
    return await roles.list(principal)


@router.get("/{name}")
async def get_role(name: RoleName, principal: RoleAdmin, roles: CurrentRoles) -> Role:
    """Look at a role, and at what it comes to with its parents."""
    return await roles.get(principal, name)


@router.patch("/{name}")
async def update_role(
    name: RoleName, body: RoleChange, principal: RoleAdmin, roles: CurrentRoles, request: Request
) -> Role:
    """Change a role, for everybody who has it: at once here, within two seconds in other processes."""
    return await roles.update(principal, name, body, origin=origin_of(request))


@router.delete("/{name}", status_code=204)
async def delete_role(name: RoleName, principal: RoleAdmin, roles: CurrentRoles, request: Request) -> None:
    """Delete a role; nobody has it afterwards."""
    await roles.delete(principal, name, origin=origin_of(request))
