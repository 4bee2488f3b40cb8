"""People of a tenant: for its administrators. Whoever is not of the tenant is refused like whoever is not there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from ...auth.rbac.schemas import RoleName, RoleNames
from ...auth.rbac.service import Roles
from ...auth.rbac.tenant import NOT_YOURS
from ...auth.users.accounts import Accounts
from ...auth.users.invites import DAYS, Invite, NewInvite
from ...auth.users.registration import ROLES
from ...auth.users.schemas import LONGEST_NAME, Person
from ...core.errors import Forbidden, NotFound
from ...core.types import Principal
from ...runtime.paging import Page, decode_cursor, encode_cursor
from ..deps import check_holds
from ..origins import origin_of
from .admin import admin_needs, note_refusal
from .bodies import Body, Text
from .roles import CurrentRoles

router = APIRouter(prefix="/users", tags=["users"])
UserAdmin = Annotated[Principal, admin_needs("users:admin")]
RoleAdmin = Annotated[Principal, admin_needs("roles:admin")]
NameLine = Annotated[Text, Field(max_length=LONGEST_NAME)]
Address = Annotated[Text, Field(min_length=3, max_length=320)]


class User(Person):
    """An account with the names of its roles."""

    roles: list[str]


class NewUser(Body):
    """Make an account; its person chooses a password with the link."""

    email: Address
    name: NameLine = ""
    roles: RoleNames | None = Field(None, description="Needs roles:admin; default: member")


class CreatedUser(User):
    """A new account, and the link with which its person chooses a password, once."""

    link: str


class NewInvitation(Body):
    """Leave to make an account, once."""

    email: Address | None = Field(None, description="The link is mailed there, and good for it alone")
    roles: RoleNames | None = Field(None, description="Needs roles:admin; default: member")
    days: int = Field(DAYS, ge=1, le=90)


class RoleSet(Body):
    """All roles that somebody shall have."""

    roles: RoleNames


class ResetLink(Body):
    """A link with which somebody chooses another password, once."""

    link: str


async def accounts_of(request: Request) -> Accounts:
    """The accounts of the app that serves this request."""
    accounts: Accounts = request.app.state.identity.accounts
    return accounts


CurrentAccounts = Annotated[Accounts, Depends(accounts_of)]


async def _person(user_id: str, request: Request, accounts: CurrentAccounts) -> Person:
    """Whom the address names, if they are of the asker's tenant; a stranger is refused, and that written down."""
    principal: Principal = request.state.principal
    try:
        return await accounts.get(principal, user_id)
    except NotFound:
        refusal = Forbidden(NOT_YOURS)
        await note_refusal(request, principal, f"user:{user_id}", refusal)
        raise refusal from None


@router.get("/invites")
async def list_invites(principal: UserAdmin, accounts: CurrentAccounts) -> Sequence[Invite]:
    """List invitations that can be used, newest first."""
    return await accounts.invites.list(principal)


@router.post("/invites", status_code=201)
async def invite(body: NewInvitation, principal: UserAdmin, accounts: CurrentAccounts, request: Request) -> NewInvite:
    """Invite somebody; `link` is told this once."""
    roles, origin = _given(principal, body.roles), origin_of(request)
    return await accounts.invites.create(principal, body.email, roles=roles, days=body.days, origin=origin)


@router.delete("/invites/{invite_id}", status_code=204)
async def revoke_invite(invite_id: str, principal: UserAdmin, accounts: CurrentAccounts) -> None:
    """Take an invitation back."""
    await accounts.invites.revoke(principal, invite_id)


@router.get("")
async def list_users(
    principal: UserAdmin,
    accounts: CurrentAccounts,
    roles: CurrentRoles,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Page[User]:
    """List people, oldest first."""
    after = None if cursor is None else decode_cursor(cursor)
    found = await accounts.list(principal, limit=limit + 1, after=after)
    people = found[:limit]
    more = encode_cursor(people[-1].created_at, people[-1].id) if len(found) > limit else None
    names = await roles.of_people(principal, [person.id for person in people])
    items = [User(**person.model_dump(), roles=list(names.get(person.id, ()))) for person in people]
    return Page(items=items, next_cursor=more)


@router.post("", status_code=201)
async def create_user(
    body: NewUser, principal: UserAdmin, accounts: CurrentAccounts, request: Request, response: Response
) -> CreatedUser:
    """Make an account; `link` is told this once, and mailed."""
    roles = _given(principal, body.roles)
    made = await accounts.create(principal, body.email, name=body.name, roles=roles, origin=origin_of(request))
    response.headers["location"] = f"/api/v1/users/{made.person.id}"
    return CreatedUser(**made.person.model_dump(), roles=sorted(roles), link=made.link)


@router.get("/{user_id}")
async def get_user(principal: UserAdmin, person: Annotated[Person, Depends(_person)], roles: CurrentRoles) -> User:
    """Look at a person."""
    return await _with_roles(roles, principal, person)


@router.post("/{user_id}/disable")
async def disable_user(
    principal: UserAdmin,
    person: Annotated[Person, Depends(_person)],
    accounts: CurrentAccounts,
    roles: CurrentRoles,
    request: Request,
) -> User:
    """Let somebody in no more; their sessions and tokens end."""
    found = await accounts.disable(principal, person.id, origin=origin_of(request))
    return await _with_roles(roles, principal, found)


@router.post("/{user_id}/enable")
async def enable_user(
    principal: UserAdmin,
    person: Annotated[Person, Depends(_person)],
    accounts: CurrentAccounts,
    roles: CurrentRoles,
    request: Request,
) -> User:
    """Let somebody in again."""
    found = await accounts.enable(principal, person.id, origin=origin_of(request))
    return await _with_roles(roles, principal, found)


@router.post("/{user_id}/reset-link")
async def make_reset_link(
    principal: UserAdmin, person: Annotated[Person, Depends(_person)], accounts: CurrentAccounts, request: Request
) -> ResetLink:
    """Make a link with which somebody chooses another password; `link` is told this once."""
    return ResetLink(link=await accounts.reset_link(principal, person.id, origin=origin_of(request)))


@router.delete("/{user_id}", status_code=204)
async def delete_user(
    principal: UserAdmin, person: Annotated[Person, Depends(_person)], accounts: CurrentAccounts, request: Request
) -> None:
    """Delete an account with its sessions, tokens and roles."""
    await accounts.delete(principal, person.id, origin=origin_of(request))


@router.put("/{user_id}/roles")
async def set_user_roles(
    body: RoleSet,
    principal: RoleAdmin,
    person: Annotated[Person, Depends(_person)],
    roles: CurrentRoles,
    request: Request,
) -> User:
    """Give somebody these roles and no others; nobody changes their own."""
    await roles.set_roles(principal, person.id, body.roles, origin=origin_of(request))
    return await _with_roles(roles, principal, person)


def _given(principal: Principal, roles: Sequence[RoleName] | None) -> Sequence[RoleName]:
    """The roles of somebody new; to say which is a change of roles."""
    if roles is None:
        return ROLES
    check_holds(principal, "roles:admin")
    return roles


async def _with_roles(roles: Roles, principal: Principal, person: Person) -> User:
    names = await roles.of_people(principal, [person.id])
    return User(**person.model_dump(), roles=list(names.get(person.id, ())))
