"""What `codelab users` does: in the database that the settings name, beside the servers that use it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import orjson
import typer

from ..auth.audit.service import Audit
from ..auth.issuer import issuer_of
from ..auth.local import LOCAL
from ..auth.rbac.service import Roles
from ..auth.seams import Mailer, Origin
from ..auth.sessions.service import Sessions
from ..auth.signing.sealing import secret_keys
from ..auth.users.accounts import Accounts
from ..auth.users.hashing import Hasher
from ..auth.users.lockout import Attempts
from ..auth.users.mail import mailer_for
from ..auth.users.registration import ROLES
from ..auth.users.schemas import Person
from ..auth.verify.revocations import SqlRevocations
from ..core.settings import Settings
from ..core.settings_auth import MailSettings
from ..core.telemetry import configure_logs
from ..store.engine import Database
from ..store.migrate import open_database
from .ending import DONE
from .terminal import clean
from .texts import language, say

_AT_ONCE: Final = 200
_MINUTE: Final = "%Y-%m-%d %H:%M"


@dataclass(frozen=True, kw_only=True)
class _Desk:
    """What a command works with."""

    settings: Settings
    accounts: Accounts
    roles: Roles
    origin: Origin

    async def names(self, people: Sequence[Person]) -> dict[str, list[str]]:
        """The roles of people by their ids."""
        found = await self.roles.of_people(LOCAL, [person.id for person in people])
        return {person.id: sorted(found.get(person.id, ())) for person in people}


async def make_user(email: str, name: str, roles: Sequence[str] | None, *, as_json: bool) -> int:
    """Make an account and print its link."""
    async with _open(Settings()) as desk:
        made = await desk.accounts.create(LOCAL, email, name=name, roles=roles or ROLES, origin=desk.origin)
    told = say("user_made", link=made.link, email=made.person.email, id=made.person.id)
    typer.echo(_json({**made.person.model_dump(), "link": made.link}) if as_json else told)
    return DONE


async def show_users(*, as_json: bool) -> int:
    """List everybody, a line each."""
    after, anybody = None, False
    async with _open(Settings()) as desk:
        while people := await desk.accounts.list(LOCAL, limit=_AT_ONCE, after=after):
            names = await desk.names(people)
            for person in people:
                facts = {**person.model_dump(), "roles": names[person.id]}
                typer.echo(_json(facts) if as_json else clean(_line(person, names[person.id])))
            after, anybody = (people[-1].created_at, people[-1].id), True
    if not (anybody or as_json):
        typer.echo(say("no_users"), err=True)
    return DONE


async def make_invite(email: str | None, roles: Sequence[str] | None, days: int, *, as_json: bool) -> int:
    """Make an invitation and print its link."""
    async with _open(Settings()) as desk:
        made = await desk.accounts.invites.create(LOCAL, email, roles=roles or ROLES, days=days, origin=desk.origin)
        closed = desk.settings.auth.registration == "off"
    told = say("invite_made", link=made.link, until=f"{made.expires_at:{_MINUTE}} UTC")
    typer.echo(made.model_dump_json() if as_json else told)
    if closed:
        typer.echo(say("invites_are_off"), err=True)
    return DONE


async def let_in(user: str, *, allowed: bool) -> int:
    """Let somebody in again, or no more."""
    async with _open(Settings()) as desk:
        person = await desk.accounts.find(LOCAL, user)
        decide = desk.accounts.enable if allowed else desk.accounts.disable
        await decide(LOCAL, person.id, origin=desk.origin)
    typer.echo(say("user_enabled" if allowed else "user_disabled", email=person.email))
    return DONE


async def make_reset_link(user: str) -> int:
    """Print a link for another password."""
    async with _open(Settings()) as desk:
        person = await desk.accounts.find(LOCAL, user)
        link = await desk.accounts.reset_link(LOCAL, person.id, origin=desk.origin)
    typer.echo(say("reset_made", link=link, email=person.email))
    return DONE


async def change_roles(user: str, grant: Sequence[str], take: Sequence[str], *, as_json: bool) -> int:
    """Give and take roles, all at once, and print what somebody has then."""
    async with _open(Settings()) as desk:
        person = await desk.accounts.find(LOCAL, user)
        names = (await desk.names([person]))[person.id]
        if grant or take:
            wanted = (set(names) | set(grant)) - set(take)
            names = sorted(await desk.roles.set_roles(LOCAL, person.id, wanted, origin=desk.origin))
    told = say("user_has_roles", email=person.email, roles=" ".join(names) or "-")
    typer.echo(_json({"id": person.id, "email": person.email, "roles": names}) if as_json else clean(told))
    return DONE


class _Unsent:
    """The `Mailer` where nobody delivers mails: what they would say is printed by the command itself."""

    async def send(self, *, to: str, subject: str, text: str) -> None:
        """See `Mailer`."""


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[_Desk]:
    configure_logs(settings.log)
    hasher = Hasher(1)
    try:
        async with open_database(settings.database_url) as database:
            desk = await _desk(settings, database, hasher)
            yield desk
            await desk.accounts.settle()
    finally:
        hasher.close()


async def _desk(settings: Settings, database: Database, hasher: Hasher) -> _Desk:
    audit, revocations = Audit(database), SqlRevocations(database)
    roles = Roles(database, audit=audit)
    await roles.ensure(LOCAL.tenant_id)
    accounts = Accounts(
        database=database,
        settings=settings.auth,
        issuer=issuer_of(settings),
        secret=secret_keys(settings)[0],
        hasher=hasher,
        mailer=_mailer(settings.auth.mail),
        sessions=Sessions(database=database, settings=settings.auth, revocations=revocations, audit=audit),
        attempts=Attempts(settings.auth.lockout),
        revocations=revocations,
        audit=audit,
        roles=roles,
    )
    return _Desk(settings=settings, accounts=accounts, roles=roles, origin=Origin(lang=language()))


def _mailer(settings: MailSettings) -> Mailer:
    return _Unsent() if settings.host is None and settings.folder is None else mailer_for(settings)


def _json(facts: dict[str, object]) -> str:
    return orjson.dumps(facts).decode()


def _line(person: Person, roles: Sequence[str]) -> str:
    state = "disabled" if not person.is_active else "active" if person.is_verified else "unconfirmed"
    seen = f"{person.last_sign_in_at:{_MINUTE}}" if person.last_sign_in_at else "-"
    return f"{person.id}  {state:<12}{seen:<18}{' '.join(roles) or '-'}  {person.email}  {person.name}".rstrip()
