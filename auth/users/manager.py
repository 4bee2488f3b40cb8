"""fastapi-users as our identity kernel: accounts in a transaction of ours, and links that are good once.

Nothing hashes a password in here: it was hashed before, off the event loop, and outside of any transaction.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import jwt
from fastapi import Request
from fastapi_users import BaseUserManager, exceptions
from fastapi_users.jwt import decode_jwt, generate_jwt
from fastapi_users.schemas import CreateUpdateDictModel
from fastapi_users_db_sqlalchemy import SQLAlchemyUserDatabase
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.types import new_id, utc_now
from ...store.models import UserRow

RESET_S: Final = 3600
"""A link to choose a password is good for this long if somebody asked for it."""
VERIFY_S: Final = 24 * 3600
WELCOME_S: Final = 3 * 24 * 3600
"""The same for a link that an administrator made."""
_MAILED: Final = "mailed"


def derive(secret: str, purpose: str) -> str:
    """Make a key for one purpose: what is signed with it is good for nothing else."""
    return hmac.new(secret.encode(), f"codelab {purpose}".encode(), hashlib.sha256).hexdigest()


class NewUser(CreateUpdateDictModel):
    """What an account begins with; `password` is the hash of it."""

    email: str
    password: str
    name: str = ""
    tenant_id: str = "default"
    is_active: bool = True
    is_verified: bool = False
    password_changed_at: datetime | None = None

    def create_update_dict_superuser(self) -> dict[str, Any]:
        """Give all, defaults too."""
        return self.model_dump()


class UserDatabase(SQLAlchemyUserDatabase[UserRow, str]):  # type: ignore[type-var]
    """The library's adapter in a transaction that is not its own: it flushes, and holds the rows it reads.

    Args:
        session: The transaction.
        now: The time of day.
    """

    def __init__(self, session: AsyncSession, now: Callable[[], datetime] = utc_now) -> None:
        super().__init__(session, UserRow)
        self._now = now

    async def get(self, id: str) -> UserRow | None:  # noqa: A002 - the library's name
        """Fetch somebody by their id; whoever else would change them waits."""
        return await self._one(UserRow.id == id)

    async def get_by_email(self, email: str) -> UserRow | None:
        """The same by their address, which is kept in lower case: no function hides it from the index."""
        return await self._one(UserRow.email == email)

    async def create(self, create_dict: dict[str, Any]) -> UserRow:
        """Add somebody; raises `UserAlreadyExists` where somebody was quicker."""
        user_id = new_id()
        facts = {"is_superuser": False, "last_sign_in_at": None, **create_dict}
        user = UserRow(id=user_id, owner_id=user_id, created_at=self._now(), **facts)
        self.session.add(user)
        try:
            await self.session.flush()
        except IntegrityError as exc:
            raise exceptions.UserAlreadyExists from exc
        return user

    async def update(self, user: UserRow, update_dict: dict[str, Any]) -> UserRow:
        """Change somebody; raises `UserAlreadyExists` where the address is somebody else's."""
        for key, value in update_dict.items():
            setattr(user, key, value)
        try:
            await self.session.flush()
        except IntegrityError as exc:
            raise exceptions.UserAlreadyExists from exc
        return user

    async def delete(self, user: UserRow) -> None:
        """Delete somebody."""
        await self.session.delete(user)
        await self.session.flush()

    async def _one(self, wanted: Any) -> UserRow | None:
        return (await self.session.scalars(select(UserRow).where(wanted).with_for_update())).one_or_none()


class Hashed:
    """The library's place for hashing, where no password is hashed: it is given what was hashed before.

    Args:
        secret: Signs the fingerprints of stored hashes.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def hash(self, password: str) -> str:
        """Return what was hashed before, as it is.

        Raises:
            ValueError: It was not: a mistake of the caller, who must use `Hasher`.
        """
        if not password.startswith(("$argon2id$", "!")):
            raise ValueError("a password must be hashed before it comes here")
        return password

    def verify_and_update(self, plain_password: str, hashed_password: str) -> tuple[bool, str | None]:
        """Compare a stored hash with its fingerprint in a link; passwords are checked by `Hasher` alone."""
        return hmac.compare_digest(self.fingerprint(plain_password), hashed_password), None

    def generate(self) -> str:
        """Nobody gets a password that they did not choose."""
        raise NotImplementedError

    def fingerprint(self, stored: str) -> str:
        """Tell two stored hashes apart without telling them."""
        return hmac.new(self._secret, stored.encode(), hashlib.sha256).hexdigest()


class Users(BaseUserManager[UserRow, str]):  # type: ignore[type-var]
    """People in one transaction.

    Args:
        session: The transaction.
        secret: The service's; keys of links follow from it.
        now: The time of day.
    """

    def __init__(self, session: AsyncSession, *, secret: str, now: Callable[[], datetime] = utc_now) -> None:
        self._hashed = Hashed(derive(secret, "fingerprint"))
        super().__init__(UserDatabase(session, now), self._hashed)
        self.reset_password_token_secret = derive(secret, "reset")
        self.verification_token_secret = derive(secret, "verify")
        self._email_secret = derive(secret, "email")
        self._now = now

    def parse_id(self, value: Any) -> str:
        """Ids are text."""
        return str(value)

    async def add(self, new: NewUser) -> UserRow:
        """Make an account; raises `UserAlreadyExists`."""
        return await self.create(new)  # type: ignore[type-var]

    def reset_token(self, user: UserRow, *, lifetime_s: int = RESET_S, mailed: bool = True) -> str:
        """Make what leads to another password, once: it dies with the password, and with the address.

        Args:
            user: Whose.
            lifetime_s: How long it is good.
            mailed: Whether it goes to their address, so that who has it has shown that the address is theirs.
        """
        facts = {
            "sub": user.id,
            "email": user.email,
            "password_fgpt": self._hashed.fingerprint(user.hashed_password),
            "aud": self.reset_password_token_audience,
            _MAILED: mailed,
        }
        return generate_jwt(facts, self.reset_password_token_secret, lifetime_s)

    def reset_facts(self, token: str) -> Mapping[str, Any]:
        """Read such a link without looking anybody up; raises `InvalidResetPasswordToken`."""
        try:
            return decode_jwt(token, self.reset_password_token_secret, [self.reset_password_token_audience])
        except jwt.PyJWTError as exc:
            raise exceptions.InvalidResetPasswordToken from exc

    async def forgot_password(self, user: UserRow, request: Request | None = None) -> None:
        """As the library's, which hashes: see `reset_token`."""
        raise NotImplementedError

    async def reset_password(self, token: str, password: str, request: Request | None = None) -> UserRow:
        """Store the hash of another password.

        Raises:
            InvalidResetPasswordToken: The link was used already, is too old, or never was one.
            UserInactive: They may not come in.
        """
        facts = self.reset_facts(token)
        try:
            user = await self.get(str(facts.get("sub")))
        except exceptions.UserNotExists as exc:
            raise exceptions.InvalidResetPasswordToken from exc
        if facts.get("email") != user.email:
            raise exceptions.InvalidResetPasswordToken
        user = await super().reset_password(token, password, request)
        verified = user.is_verified or bool(facts.get(_MAILED))
        return await self._update(user, {"password_changed_at": self._now(), "is_verified": verified})

    def verify_token(self, user: UserRow) -> str:
        """Make what shows that an address is somebody's: it goes nowhere but there."""
        facts = {"sub": user.id, "email": user.email, "aud": self.verification_token_audience}
        return generate_jwt(facts, self.verification_token_secret, VERIFY_S)

    def email_token(self, user: UserRow, email: str) -> str:
        """Make what shows that somebody's next address is theirs; it dies with the old address and the password."""
        facts = {
            "sub": user.id,
            "email": email,
            "old": user.email,
            "password_fgpt": self._hashed.fingerprint(user.hashed_password),
            "aud": "codelab:email",
        }
        return generate_jwt(facts, self._email_secret, VERIFY_S)

    async def change_email(self, token: str) -> tuple[UserRow, str] | None:
        """Give somebody the address that such a link is for, and return them with the old one.

        None if the link is none, or too old, or was used.
        """
        try:
            facts = decode_jwt(token, self._email_secret, ["codelab:email"])
            user = await self.get(str(facts["sub"]))
            fits = self._hashed.verify_and_update(user.hashed_password, str(facts["password_fgpt"]))[0]
            if not fits or facts["old"] != user.email or not user.is_active:
                return None
            old = user.email
            return await self.user_db.update(user, {"email": facts["email"], "is_verified": True}), old
        except (jwt.PyJWTError, KeyError, exceptions.UserNotExists, exceptions.UserAlreadyExists):
            return None
