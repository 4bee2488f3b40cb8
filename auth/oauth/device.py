"""The device flow (RFC 8628): a device shows a code, a person types it in elsewhere and decides."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from authlib.oauth2.rfc6749 import InvalidScopeError, OAuth2Error, UnauthorizedClientError
from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE, DeviceAuthorizationEndpoint
from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from ...core.errors import RateLimited
from ...store.engine import Database
from ...store.models import DeviceCodeRow, OAuthClientRow
from ..seams import AuditEntry, Origin
from ..users.lockout import Attempts
from .client import Client
from .families import changes, held_scope
from .requests import OAuthRequest
from .secrets import DEVICE, digest_of, new_secret
from .server import OAuthParts, Server
from .tokens import target_of

if TYPE_CHECKING:  # it knows of all endpoints, this one among them
    from ..seams import SignedIn

ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""Letters that nobody confuses, and that make no words (RFC 8628, 6.1)."""
LENGTH: Final = 8
INTERVAL_S: Final = 5
"""A device may ask so often whether somebody has decided; each time it is too early it must wait as much longer."""
MOST_WAITING: Final = 10_000
"""Devices that wait at once: the more there are, the likelier a guess meets one."""
MOST_GUESSES: Final = 30
"""Codes that are typed in from one address in a window of the lock-out."""


@dataclass(frozen=True, kw_only=True)
class DeviceAsk:
    """What a person is asked about a device.

    Attributes:
        user_code: As it is shown.
        scopes: All it would get; the person may do it all themselves.
        dynamic: Whether the client registered itself: its name is its own word.
    """

    user_code: str
    client_name: str
    scopes: Sequence[str]
    dynamic: bool


class DeviceAuthorization(DeviceAuthorizationEndpoint):
    """Begins the flow for a client."""

    INTERVAL = INTERVAL_S
    server: Server

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.EXPIRES_IN = server.parts.settings.device_code_s

    def authenticate_client(self, request: OAuthRequest) -> Client:
        """See `DeviceAuthorizationEndpoint`. What the client asks for is checked too."""
        client = self.server.authenticate_client(request)
        if not client.check_grant_type(DEVICE_CODE_GRANT_TYPE):
            raise UnauthorizedClientError("The client may not use the device flow.")
        scope = client.get_allowed_scope(request.get("scope"))
        if scope is None:
            raise InvalidScopeError
        resource = request.get("resource")
        self._client, self._scope = client, scope
        self._resource = None if resource is None else target_of(self.server.parts, client, resource)
        self._check_room()
        return client

    def generate_user_code(self) -> str:
        """See `DeviceAuthorizationEndpoint`. No code that waits is given out twice."""
        while True:
            code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
            taken = exists().where(DeviceCodeRow.user_code == digest_of(code))
            if not self.server.session.scalar(select(taken)):
                return shown(code)

    def generate_device_code(self) -> str:
        """See `DeviceAuthorizationEndpoint`."""
        return new_secret(DEVICE)

    def get_verification_uri(self) -> str:
        """See `DeviceAuthorizationEndpoint`."""
        return f"{self.server.parts.issuer}/device"

    def save_device_credential(self, client_id: str, scope: Any, data: dict[str, Any]) -> None:  # noqa: ARG002
        """See `DeviceAuthorizationEndpoint`. Of both codes only digests are kept."""
        row = DeviceCodeRow(
            digest=digest_of(data["device_code"]),
            user_code=digest_of(plain(data["user_code"])),
            client_id=client_id,
            scope=self._scope,
            resource=self._resource,
            interval_s=INTERVAL_S,
            amr=[],
            created_at=self.server.now,
            expires_at=self.server.now + timedelta(seconds=self.EXPIRES_IN),
            owner_id="",
            tenant_id=self._client.row.tenant_id,
        )
        self.server.session.add(row)

    def _check_room(self) -> None:
        waiting = DeviceCodeRow.expires_at > self.server.now, DeviceCodeRow.approved.is_(None)
        count = self.server.session.scalar(select(func.count()).select_from(DeviceCodeRow).where(*waiting))
        if (count or 0) >= MOST_WAITING:
            raise OAuth2Error(
                "Too many devices wait; try again later.", error="temporarily_unavailable", status_code=503
            )


class Devices:
    """What the page asks on which people type their code.

    Args:
        database: Where everything is.
        parts: What the authorization server is made of.
        attempts: Counts the codes that are typed in.
    """

    def __init__(self, database: Database, parts: OAuthParts, attempts: Attempts) -> None:
        self._database = database
        self._parts = parts
        self._attempts = attempts

    async def find(self, user_code: str, session: SignedIn, origin: Origin) -> DeviceAsk | None:
        """Find the device that shows a code; None if none does, or somebody has decided.

        Raises:
            RateLimited: Too many codes were typed in from this address.
        """
        await self._count(origin)
        async with self._database.read() as reading:
            return await reading.run_sync(lambda sync: self._find(sync, user_code, session))

    async def decide(self, user_code: str, session: SignedIn, *, approve: bool, origin: Origin) -> bool:
        """Carry out what a person decided; False if there is no such device, or somebody was faster.

        Raises:
            RateLimited: Too many codes were typed in from this address.
        """
        await self._count(origin)
        async with self._database.transaction() as writing:
            return await writing.run_sync(
                lambda sync: self._decide(sync, plain(user_code), session, approve=approve, origin=origin)
            )

    async def _count(self, origin: Origin) -> None:
        if not await self._attempts.may("device-code", origin.address, MOST_GUESSES):
            raise RateLimited("Too many codes were typed in; try again later.")

    def _find(self, sync: Session, user_code: str, session: SignedIn) -> DeviceAsk | None:
        server = Server(sync, self._parts)
        found = _waiting(server, plain(user_code))
        if found is None:
            return None
        row, client = found
        return DeviceAsk(
            user_code=shown(plain(user_code)),
            client_name=client.name,
            scopes=held_scope(server, session.user_id, row.scope).split(),
            dynamic=client.dynamic,
        )

    def _decide(self, sync: Session, code: str, session: SignedIn, *, approve: bool, origin: Origin) -> bool:
        server = Server(sync, self._parts)
        found = _waiting(server, code)
        if found is None:
            return False
        row, _client = found
        scope = held_scope(server, session.user_id, row.scope)
        decision = {
            "approved": approve and bool(scope),
            "decided_at": server.now,
            "scope": scope,
            "user_id": session.user_id,
            "owner_id": session.user_id,
            "tenant_id": session.tenant_id,
            "session_id": session.id,
            "amr": list(session.proof.amr),
            "acr": session.proof.acr,
            "auth_time": session.proof.auth_time,
        }
        undecided = DeviceCodeRow.digest == row.digest, DeviceCodeRow.approved.is_(None)
        if not changes(sync, update(DeviceCodeRow).where(*undecided).values(**decision)):
            return False
        self._parts.audit.note(sync, _entry(row, session, scope, approve=bool(decision["approved"]), origin=origin))
        return True


def plain(user_code: str) -> str:
    """Read a code as it was typed in: small letters, blanks and dashes do not matter. Empty if it is none."""
    code = "".join(letter for letter in user_code[:64].upper() if letter not in " -\t")
    return code if len(code) == LENGTH and set(code) <= set(ALPHABET) else ""


def shown(code: str) -> str:
    """Write a code as it is shown."""
    return f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}"


def _waiting(server: Server, code: str) -> tuple[DeviceCodeRow, OAuthClientRow] | None:
    query = (
        select(DeviceCodeRow, OAuthClientRow)
        .join(OAuthClientRow, OAuthClientRow.id == DeviceCodeRow.client_id)
        .where(
            DeviceCodeRow.user_code == digest_of(code),
            DeviceCodeRow.expires_at > server.now,
            DeviceCodeRow.approved.is_(None),
            OAuthClientRow.disabled_at.is_(None),
        )
    )
    found = server.session.execute(query).one_or_none() if code else None
    return None if found is None else (found[0], found[1])


def _entry(row: DeviceCodeRow, session: SignedIn, scope: str, *, approve: bool, origin: Origin) -> AuditEntry:
    return AuditEntry(
        type="auth.consent_granted",
        outcome="ok" if approve else "denied",
        tenant_id=session.tenant_id,
        actor=session.user_id,
        client_id=row.client_id,
        subject=f"client:{row.client_id}",
        origin=origin,
        details={"scopes": scope.split(), "flow": "device"},
    )
