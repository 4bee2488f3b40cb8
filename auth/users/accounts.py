"""Accounts: what people do with their own, and what administrators do with others'."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi_users import exceptions

from ...core.errors import InvalidInput, NotFound
from ...core.settings_auth import AuthSettings
from ...core.types import Principal, utc_now
from ...store.engine import Database
from ...store.models import UserRow
from ..seams import AuditTrail, Mailer, Origin, Proof, Revocations
from ..sessions.service import Sessions
from .addresses import normal_email
from .background import Background
from .hashing import Hasher
from .invites import Invites
from .links import Links
from .lockout import Attempts, Verdict
from .parts import NOWHERE, Parts, RoleBook, host_of
from .passwords import check_password, check_personal
from .people import People
from .post import Post
from .registration import Asked, register
from .repository import find_by_email, find_in_tenant
from .schemas import LONGEST_NAME, Person, shown


class Accounts(People):
    """Everybody's accounts. What strangers ask is answered alike, whoever is known here.

    Args:
        database: Where the rows are.
        settings: Who may make an account.
        issuer: Where links in mails lead.
        secret: The service's; what makes links good follows from it.
        hasher: Hashes passwords.
        mailer: How mails leave.
        sessions: Ended with a password.
        attempts: Counts guesses, and mails that strangers have sent.
        revocations: Told whose tokens end.
        audit: Where changes are written down.
        roles: Who may do what.
        now: The time of day.
    """

    def __init__(
        self,
        *,
        database: Database,
        settings: AuthSettings,
        issuer: str,
        secret: str,
        hasher: Hasher,
        mailer: Mailer,
        sessions: Sessions,
        attempts: Attempts,
        revocations: Revocations,
        audit: AuditTrail,
        roles: RoleBook,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        parts = Parts(
            database=database,
            settings=settings,
            links=Links(issuer),
            host=host_of(issuer),
            secret=secret,
            hasher=hasher,
            post=Post(mailer, Background()),
            sessions=sessions,
            attempts=attempts,
            revocations=revocations,
            audit=audit,
            roles=roles,
            now=now,
        )
        super().__init__(parts)
        self.invites = Invites(parts)

    async def settle(self) -> None:
        """Wait until all mails have left."""
        await self._parts.post.settle()

    async def register(
        self,
        email: str,
        password: str,
        *,
        name: str = "",
        invite: str | None = None,
        origin: Origin = NOWHERE,
    ) -> None:
        """Make an account for whoever asks, if the settings or an invitation let them.

        Where the address has an account, the answer is the same, and its mailbox is told. Nobody signs in before the
        address is confirmed; an invitation that went to it is enough.

        Raises:
            Forbidden: There is no registration, or not without an invitation (`registration_off`).
            InvalidInput: The address is none, the password is weak, or the invitation is not good (`bad_invite`).
        """
        asked = Asked(email=email, password=password, name=name, invite=invite, origin=origin)
        await register(self._parts, asked)

    async def verify(self, token: str, *, origin: Origin = NOWHERE) -> Person | None:
        """Confirm an address with the link that went there: the one of the account, or its next one.

        None if the link is no good.
        """
        parts, old = self._parts, None
        if not token.isascii():
            return None
        async with parts.database.transaction() as session:
            users = parts.users(session)
            changed = await users.change_email(token)
            if changed is None:
                try:
                    user = await users.verify(token)
                except (exceptions.InvalidVerifyToken, exceptions.UserAlreadyVerified):
                    return None
            else:
                user, old = changed
            await parts.note(session, user, "email_verified" if old is None else "email_changed", origin=origin)
        if old is not None:
            parts.mail(old, "email_changed", origin)
        return shown(user)

    async def forgot(self, email: str, *, origin: Origin = NOWHERE) -> None:
        """Have a link sent with which a password is chosen, once. The answer is the same for every address.

        It confirms the address as well: it is the way on for whoever lost the mail that should have.
        """
        user = await self._mailable(email, origin)
        if user is None:
            return
        async with self._parts.database.read() as session:
            token = self._parts.users(session).reset_token(user)
        self._parts.mail(user, "reset", origin, link=self._parts.links.reset(token))

    async def reset_password(self, token: str, password: str, *, origin: Origin = NOWHERE) -> Person | None:
        """Choose a password with a link. All sessions and tokens of the person end, and they are told.

        None if the link is no good.

        Raises:
            InvalidInput: The password is weak; the link is still good.
        """
        parts = self._parts
        if not await self._is_ours(token):
            return None
        await check_password(password)
        hashed = await parts.hasher.hash(password)
        async with parts.database.transaction() as session:
            try:
                user = await parts.users(session).reset_password(token, hashed)
            except (exceptions.InvalidResetPasswordToken, exceptions.UserInactive):
                return None
            check_personal(password, user.email, user.name)
            over = await parts.end_all(session, user, "password_reset", origin=origin)
            await parts.note(session, user, "password_reset", origin=origin)
        parts.sessions.forget(over)
        parts.mail(user, "password_changed", origin)
        return shown(user)

    async def change_password(self, principal: Principal, old: str, new: str, origin: Origin = NOWHERE) -> str | None:
        """Choose another password. All sessions and tokens end, and the person is told.

        Returns:
            The cookie's value of a session that takes the place of the one that asks; None if the old password is not
            right, or was guessed too often.

        Raises:
            InvalidInput: The new one is weak.
        """
        parts, user = self._parts, await self._proven(principal, old, origin)
        if user is None:
            return None
        await check_password(new, user.email, user.name)
        hashed = await parts.hasher.hash(new)
        async with parts.database.transaction() as session:
            users = parts.users(session)
            current = await users.get(user.id)
            if current.hashed_password != user.hashed_password or not current.is_active:
                return None
            await users.user_db.update(current, {"hashed_password": hashed, "password_changed_at": parts.now()})
            over = await parts.end_all(session, current, "password_changed", origin=origin)
            await parts.note(session, current, "password_changed", origin=origin)
        parts.sessions.forget(over)
        parts.mail(user, "password_changed", origin)
        return await parts.sessions.start(current, Proof(auth_time=parts.now()), origin)

    async def change_email(self, principal: Principal, email: str, password: str, origin: Origin = NOWHERE) -> bool:
        """Begin to use another address: it counts once the link is opened that is mailed there; the old one is told.

        The answer does not tell whether the address has an account.

        Returns:
            Whether the password is right, and was not guessed too often.

        Raises:
            InvalidInput: The address is none.
        """
        parts, address = self._parts, normal_email(email)
        user = await self._proven(principal, password, origin)
        if user is None:
            return False
        if address != user.email and await parts.attempts.may_mail(address, origin.address):
            async with parts.database.read() as session:
                taken = await find_by_email(session, address)
                link = parts.links.verify(parts.users(session).email_token(user, address))
            if taken is None:
                parts.mail(address, "email_confirm", origin, link=link)
            else:
                parts.mail(address, "email_taken", origin)
            parts.mail(user, "email_asked", origin)
        return True

    async def rename(self, principal: Principal, name: str, origin: Origin = NOWHERE) -> Person:
        """Call oneself something else; `InvalidInput` if it is too long, or more than a line."""
        called = name.strip()
        if len(called) > LONGEST_NAME or not called.isprintable():
            raise InvalidInput(f"A name has at most {LONGEST_NAME} characters, on one line.", code="bad_name")
        async with self._parts.database.transaction() as session:
            user = await find_in_tenant(session, principal, principal.user_id)
            user.name = called
            await self._parts.note(session, user, "renamed", origin=origin)
        return shown(user)

    async def _is_ours(self, token: str) -> bool:
        """Whether we made a link to choose a password: nobody else makes us hash."""
        async with self._parts.database.read() as session:
            try:
                return token.isascii() and bool(self._parts.users(session).reset_facts(token))
            except exceptions.InvalidResetPasswordToken:
                return False

    async def _mailable(self, email: str, origin: Origin) -> UserRow | None:
        """Who is to get a mail that anybody can ask for; None for whoever gets none, or has had enough."""
        try:
            address = normal_email(email)
        except InvalidInput:
            return None
        if not await self._parts.attempts.may_mail(address, origin.address):
            return None
        async with self._parts.database.read() as session:
            user = await find_by_email(session, address)
        return user if user is not None and user.is_active else None

    async def _proven(self, principal: Principal, password: str, origin: Origin) -> UserRow | None:
        """Whose session it is, if they know the password; the try counts as one to sign in."""
        parts = self._parts
        async with parts.database.read() as session:
            user = await session.get(UserRow, principal.user_id)
        if user is None or user.tenant_id != principal.tenant_id:
            raise NotFound("There is no such person.")
        free = await parts.attempts.take(user.email, origin.address) is Verdict.FREE
        fits, _ = await parts.hasher.verify(password, user.hashed_password if free else None)
        if not (free and fits and user.is_active):
            return None
        await parts.attempts.succeeded(user.email, origin.address)
        return user
