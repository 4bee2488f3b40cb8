"""Accounts for tests: the real services over one database, with mails that are kept and hashing that is watched."""

from __future__ import annotations

import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from codelab.auth.audit.service import Audit
from codelab.auth.rbac.service import Roles
from codelab.auth.seams import Origin
from codelab.auth.sessions.service import Sessions
from codelab.auth.users.accounts import Accounts
from codelab.auth.users.hashing import Hasher
from codelab.auth.users.lockout import Attempts
from codelab.auth.users.sign_in import SignIn
from codelab.auth.verify.revocations import SqlRevocations
from codelab.core.errors import Unavailable
from codelab.core.permissions import ALL
from codelab.core.settings_auth import AuthSettings, LockoutSettings
from codelab.core.types import Principal
from codelab.store.engine import Database
from tests.support.identity import ISSUER, Time

PASSWORD = "correct horse battery staple"
OTHER = "a quite different sentence"
SECRET = "a secret of the service"
HOME = Origin(address="192.0.2.1", user_agent="Firefox")
ELSEWHERE = Origin(address="198.51.100.7")
ROOT = Principal("operator", scopes=ALL)


class Mails:
    """A `Mailer` that keeps what it is given; with `down` it refuses."""

    def __init__(self) -> None:
        self.sent: list[dict[str, str]] = []
        self.down = False

    async def send(self, **mail: str) -> None:
        if self.down:
            raise Unavailable("The mail server is gone.")
        self.sent.append(mail)

    def to(self, address: str) -> list[str]:
        return [mail["subject"].partition(": ")[2] for mail in self.sent if mail["to"] == address]


class Watched(Hasher):
    """A `Hasher` that tells what it was asked, and on which threads it worked."""

    def __init__(self) -> None:
        super().__init__(2)
        self.asked: list[str | None] = []
        self.hashed = 0
        self.threads: set[int] = set()

    async def hash(self, password: str) -> str:
        self.hashed += 1
        return await super().hash(password)

    async def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        self.asked.append(hashed)
        return await super().verify(password, hashed)

    async def _run(self, work: Any) -> Any:
        def watched() -> Any:
            self.threads.add(threading.get_ident())
            return work()

        return await super()._run(watched)


@dataclass(kw_only=True)
class People:
    """What a test of accounts has at hand."""

    database: Database
    time: Time
    audit: Audit
    revocations: SqlRevocations
    roles: Roles
    hasher: Watched
    attempts: Attempts
    sessions: Sessions
    accounts: Accounts
    sign_in: SignIn
    mails: Mails = field(default_factory=Mails)

    async def person(self, email: str = "ann@example.org", password: str = PASSWORD, **options: Any) -> Principal:
        """Somebody with a password, whose mails so far are forgotten."""
        made = await self.accounts.create(ROOT, email, **options)
        assert await self.accounts.reset_password(token_of(made.link), password)
        await self.settle()
        self.mails.sent.clear()
        self.hasher.asked.clear()
        return Principal(made.person.id, made.person.tenant_id, scopes=ALL)

    async def enter(self, email: str = "ann@example.org", password: str = PASSWORD, origin: Origin = HOME) -> Any:
        """Sign in: a step."""
        return await self.sign_in.begin(email, password, origin)

    async def link(self) -> str:
        """The token of the last link that was mailed."""
        await self.settle()
        return token_of(self.mails.sent[-1]["text"])

    async def settle(self) -> None:
        await self.accounts.settle()
        await self.sign_in.settle()

    async def rows(self, kind: type[Any]) -> list[Any]:
        async with self.database.read() as session:
            return list(await session.scalars(select(kind)))

    async def change(self, kind: type[Any], key: Any, **values: Any) -> None:
        """Change a row behind everybody's back."""
        async with self.database.transaction() as session:
            row = await session.get_one(kind, key)
            for name, value in values.items():
                setattr(row, name, value)


def token_of(text: str) -> str:
    """The secret of the link in a text."""
    (found,) = re.findall(r"[?](?:token|invite)=([\w.-]+)", text)
    return found


@asynccontextmanager
async def open_people(
    database: Database, *, registration: str = "open", secret: str = SECRET, **limits: int
) -> AsyncIterator[People]:
    """Wire accounts over a migrated database; `limits` are of lock-out."""
    generous = {"attempts": 100, "attempts_per_account": 1000, "attempts_per_address": 1000, **limits}
    settings = AuthSettings(mode="oauth", registration=registration, lockout=LockoutSettings(**generous))
    time, mails, hasher = Time(), Mails(), Watched()
    audit, revocations = Audit(database, now=time), SqlRevocations(database, now=time)
    roles = Roles(database, audit=audit, now=time)
    attempts = Attempts(settings.lockout, clock=time.seconds)
    sessions = Sessions(
        database=database, settings=settings, revocations=revocations, audit=audit, clock=time.seconds, now=time
    )
    accounts = Accounts(
        database=database,
        settings=settings,
        issuer=ISSUER,
        secret=secret,
        hasher=hasher,
        mailer=mails,
        sessions=sessions,
        attempts=attempts,
        revocations=revocations,
        audit=audit,
        roles=roles,
        now=time,
    )
    sign_in = SignIn(database=database, hasher=hasher, attempts=attempts, sessions=sessions, audit=audit, now=time)
    await roles.ensure("default")
    yield People(
        database=database,
        time=time,
        audit=audit,
        revocations=revocations,
        roles=roles,
        hasher=hasher,
        attempts=attempts,
        sessions=sessions,
        accounts=accounts,
        sign_in=sign_in,
        mails=mails,
    )
    await accounts.settle()
    await sign_in.settle()
    await attempts.close()
    hasher.close()
