"""What `codelab roles` does: in the database that the settings name, beside the servers that use it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import typer

from ..auth.audit.service import Audit
from ..auth.local import LOCAL
from ..auth.rbac.schemas import Role, RoleOptions
from ..auth.rbac.service import Roles
from ..auth.users.addresses import normal_email
from ..auth.users.repository import find_by_email
from ..core.errors import NotFound
from ..core.settings import Settings
from ..store.engine import Database
from ..store.migrate import open_database
from .ending import DONE
from .terminal import clean
from .texts import say
from .told import as_told


async def show_roles(*, as_json: bool) -> int:
    """List the roles, a line each."""
    async with _roles() as (_, roles):
        found = await roles.list(LOCAL)
    for role in found:
        typer.echo(role.model_dump_json() if as_json else clean(_line(role)))
    return DONE


async def make_role(told: Mapping[str, Any], *, as_json: bool) -> int:
    """Make a role and say what it comes to."""
    options = as_told(RoleOptions, told)
    async with _roles() as (_, roles):
        role = await roles.create(LOCAL, options)
    said = say("role_made", name=role.name, permissions=" ".join(role.effective) or "-")
    typer.echo(role.model_dump_json() if as_json else said)
    return DONE


async def drop_role(name: str) -> int:
    """Delete a role."""
    async with _roles() as (_, roles):
        await roles.delete(LOCAL, name)
    typer.echo(say("role_deleted", name=name))
    return DONE


async def assign(user: str, name: str, *, given: bool) -> int:
    """Give a role, or take it, and say which roles there are then."""
    async with _roles() as (database, roles):
        user_id = await _id_of(database, user)
        change = roles.grant if given else roles.revoke
        names = await change(LOCAL, user_id, name)
    typer.echo(clean(say("roles_now", user=user, roles=" ".join(names) or "-")))
    return DONE


@asynccontextmanager
async def _roles() -> AsyncIterator[tuple[Database, Roles]]:
    async with open_database(Settings().database_url) as database:
        roles = Roles(database, audit=Audit(database))
        await roles.ensure(LOCAL.tenant_id)
        yield database, roles


async def _id_of(database: Database, user: str) -> str:
    """The id of whoever is named by it, or by their address."""
    if "@" not in user:
        return user
    async with database.read() as session:
        row = await find_by_email(session, normal_email(user))
    if row is None:
        raise NotFound(say("no_such_user", user=user))
    return row.id


def _line(role: Role) -> str:
    kind = "built in" if role.built_in else "own"
    parents = f"<{' '.join(role.parents)}>" if role.parents else "-"
    return f"{role.name:<20}{kind:<10}{parents:<24}{' '.join(role.effective) or '-'}  {role.description}".rstrip()
