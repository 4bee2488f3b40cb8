"""Authorization codes: good once, for a minute, for who asked for them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import update

from ...core.types import new_id
from ...store.models import AuthorizationCodeRow
from ..seams import Proof
from .client import Client
from .families import Agreement, changes
from .secrets import CODE, digest_of, new_secret
from .server import Server

CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a code is good for beyond the agreement: where it is sent, and who may redeem it."""

    redirect_uri: str
    code_challenge: str
    nonce: str | None


def add_code(server: Server, client: Client, agreement: Agreement, asked: Asked) -> str:
    """Make a code."""
    code, proof = new_secret(CODE), agreement.proof
    row = AuthorizationCodeRow(
        digest=digest_of(code),
        family_id=new_id(),
        client_id=client.id,
        user_id=agreement.user_id,
        owner_id=agreement.user_id,
        tenant_id=agreement.tenant_id,
        session_id=agreement.session_id,
        redirect_uri=asked.redirect_uri,
        scope=agreement.scope,
        resource=agreement.resource,
        nonce=asked.nonce,
        code_challenge=asked.code_challenge,
        amr=list(proof.amr),
        acr=proof.acr,
        auth_time=proof.auth_time,
        created_at=server.now,
        expires_at=server.now + timedelta(seconds=server.parts.settings.code_s),
    )
    server.session.add(row)
    return code


def agreement_of(row: AuthorizationCodeRow) -> Agreement:
    """Read what was agreed to when a code was made."""
    return Agreement(
        user_id=row.user_id,
        tenant_id=row.tenant_id,
        session_id=row.session_id,
        scope=row.scope,
        resource=row.resource,
        proof=Proof(amr=tuple(row.amr), acr=row.acr, auth_time=row.auth_time),
        since=row.created_at,
    )


def take_code(server: Server, row: AuthorizationCodeRow) -> bool:
    """Use a code up; False: somebody else did."""
    unused = AuthorizationCodeRow.digest == row.digest, AuthorizationCodeRow.used_at.is_(None)
    return changes(server.session, update(AuthorizationCodeRow).where(*unused).values(used_at=server.now))


def is_verifier(text: str) -> bool:
    """Whether something has the form of a verifier (RFC 7636)."""
    return _VERIFIER.fullmatch(text) is not None


def fits(verifier: str, challenge: str) -> bool:
    """Whether a verifier is the one whose S256 challenge was sent."""
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=")
    return hmac.compare_digest(made, challenge.encode("ascii"))
