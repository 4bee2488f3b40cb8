"""Accounts that people make themselves. No answer tells whether an address has one already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from fastapi_users.exceptions import UserAlreadyExists
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import Forbidden
from ...store.models import InviteRow
from ..seams import Origin
from .addresses import normal_email
from .invites import take
from .manager import NewUser
from .parts import Parts
from .passwords import check_password
from .schemas import LONGEST_NAME

ROLES = ("member",)
"""What who registers may do, unless an invitation says otherwise."""

Mail = tuple[str, dict[str, str]]
"""The key of a mail, and what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody fills in to get an account."""

    email: str
    password: str
    name: str
    invite: str | None
    origin: Origin


async def register(parts: Parts, asked: Asked) -> None:
    """Make an account, or tell the mailbox that there is one; see `Accounts.register`."""
    if parts.settings.registration == "off" or (parts.settings.registration == "invite" and not asked.invite):
        raise Forbidden("Nobody can make an account here: ask an administrator.", code="registration_off")
    address, called = normal_email(asked.email), asked.name.strip()[:LONGEST_NAME]
    await check_password(asked.password, address, called)
    asked = replace(asked, email=address, name=called, password=await parts.hasher.hash(asked.password))
    try:
        async with parts.database.transaction() as session:
            mail = await _register(parts, session, asked)
    except UserAlreadyExists:  # somebody was quicker by a moment; the invitation, if any, is not used up
        return
    if mail is not None and await parts.attempts.may_mail(address, asked.origin.address):
        key, values = mail
        parts.mail(address, key, asked.origin, **values)


async def _register(parts: Parts, session: AsyncSession, asked: Asked) -> Mail | None:
    """Make the account in a transaction, with a password that is a hash by now; which mail is sent.

    An invitation is used up in either case: else it would tell.
    """
    invited = None if asked.invite is None else await take(session, asked.invite, asked.email, parts.now())
    users = parts.users(session)
    known = await users.user_db.get_by_email(asked.email)
    if known is not None and (known.is_verified or known.last_sign_in_at is not None or not known.is_active):
        return ("known", {}) if known.is_active else None
    if known is not None:  # whoever began before has not shown that the address is theirs: their link is dead now
        await users.user_db.delete(known)
    theirs = invited is not None and invited.email is not None
    user = await users.add(_new(asked, invited, verified=theirs, at=parts.now()))
    names = ROLES if invited is None else invited.roles
    by = user.id if invited is None else invited.owner_id
    await session.run_sync(lambda sync: parts.roles.give(sync, user.id, names, by=by))
    await parts.note(session, user, "registered", origin=asked.origin)
    return None if theirs else ("verify", {"link": parts.links.verify(users.verify_token(user))})


def _new(asked: Asked, invited: InviteRow | None, *, verified: bool, at: datetime) -> NewUser:
    return NewUser(
        email=asked.email,
        password=asked.password,
        name=asked.name,
        tenant_id="default" if invited is None else invited.tenant_id,
        is_verified=verified,
        password_changed_at=at,
    )
