"""The device grant (RFC 8628): a device asks until somebody has decided, and gets its tokens once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from authlib.oauth2.rfc6749 import AccessDeniedError, InvalidGrantError, InvalidRequestError, OAuth2Error
from authlib.oauth2.rfc8628 import (
    DEVICE_CODE_GRANT_TYPE,
    AuthorizationPendingError,
    ExpiredTokenError,
    SlowDownError,
)
from sqlalchemy import update

from ....store.models import DeviceCodeRow
from ...seams import Proof
from ..client import Client
from ..device import INTERVAL_S
from ..families import Agreement, begin_family, changes, end_family, reason_to_end
from ..secrets import digest_of
from ..tokens import narrowed_target
from .base import PersonGrant

LONGEST_S: Final = 60
"""Seconds between two questions of a device that was told to slow down again and again."""
_EARLY: Final = timedelta(seconds=1)
"""The network may bring two questions so much closer together."""
_WRONG: Final = "The device code is not good."


class DeviceGrant(PersonGrant):
    """Tells a device what was decided."""

    GRANT_TYPE = DEVICE_CODE_GRANT_TYPE

    def validate_token_request(self) -> None:
        """Check the request, and use the code up."""
        client = self.authenticated()
        code = self.request.get("device_code")
        if code is None:
            raise InvalidRequestError("Missing device_code.")
        row = self._found(client, code)
        if row.approved is None:
            raise self._undecided(row)
        if not row.approved:
            raise AccessDeniedError
        since = row.decided_at or row.created_at
        if row.user_id is None or reason_to_end(self.server, user_id=row.user_id, scope=row.scope, since=since):
            raise InvalidGrantError("The person must be asked again.")
        self.target = narrowed_target(self.server, client, self.request.get("resource"), row.resource)
        if not self._take(row):
            raise self._replayed(row)
        self.agreement = _agreement(row, row.user_id)
        self.row = row

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        """Make the family and its first tokens."""
        family = begin_family(self.server, self.request.client, self.agreement, family_id=_family(self.row))
        return self.answer(family, scope=self.row.scope, target=self.target)

    def _found(self, client: Client, code: str) -> DeviceCodeRow:
        row = self.server.session.get(DeviceCodeRow, digest_of(code), with_for_update=True)
        if row is None or row.client_id != client.id:
            raise InvalidGrantError(_WRONG)
        if row.used_at is not None:
            raise self._replayed(row)
        if row.expires_at <= self.server.now:
            raise ExpiredTokenError
        return row

    def _undecided(self, row: DeviceCodeRow) -> OAuth2Error:
        """Have a device wait that asks too often; whoever decides meanwhile is not overwritten."""
        now, pause = self.server.now, timedelta(seconds=row.interval_s)
        early = row.polled_at is not None and now - row.polled_at < pause - _EARLY
        interval = min(row.interval_s + INTERVAL_S, LONGEST_S) if early else row.interval_s
        same = update(DeviceCodeRow).where(DeviceCodeRow.digest == row.digest)
        changes(self.server.session, same.values(polled_at=now, interval_s=interval))
        return SlowDownError() if early else AuthorizationPendingError()

    def _take(self, row: DeviceCodeRow) -> bool:
        unused = DeviceCodeRow.digest == row.digest, DeviceCodeRow.used_at.is_(None)
        return changes(self.server.session, update(DeviceCodeRow).where(*unused).values(used_at=self.server.now))

    def _replayed(self, row: DeviceCodeRow) -> InvalidGrantError:
        """A code that comes twice is in two hands: what came of it ends."""
        end_family(self.server, _family(row), "reused")
        return InvalidGrantError(_WRONG)


def _family(row: DeviceCodeRow) -> str:
    """The id of the family that a code becomes; it can be told again from the code alone."""
    return f"device-{row.digest[:32]}"


def _agreement(row: DeviceCodeRow, user_id: str) -> Agreement:
    """What was agreed to. The browser's session is left out: the device stays when the browser signs out."""
    decided = row.decided_at or row.created_at
    return Agreement(
        user_id=user_id,
        tenant_id=row.tenant_id,
        session_id=None,
        scope=row.scope,
        resource=row.resource,
        proof=Proof(amr=tuple(row.amr), acr=row.acr or "", auth_time=row.auth_time or decided),
        since=decided,
    )
