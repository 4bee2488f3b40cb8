"""The tokens that are issued: access tokens (RFC 9068), id tokens, and answers with them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...core.types import new_id
from ...store.models import TokenFamilyRow
from ..issuer import MCP_PATH
from .client import Client
from .errors import InvalidTargetError
from .server import OAuthParts, Server


def target_of(parts: OAuthParts, client: Client, resource: str | None) -> str:
    """Find which resource a token is for; without one it is this service.

    Raises:
        InvalidTargetError: This client gets no token for it.
    """
    if resource is None:
        return parts.issuer
    plain = resource.removesuffix("/")
    if plain in {parts.issuer, parts.issuer + MCP_PATH} or plain in client.row.audiences:
        return plain
    if resource in client.row.audiences:
        return resource
    raise InvalidTargetError


def narrowed_target(server: Server, client: Client, resource: str | None, granted: str | None) -> str:
    """Find which resource a token is for that goes back to a grant: the granted one, or a part of it.

    Raises:
        InvalidTargetError: It is another.
    """
    whole = granted or server.parts.issuer
    if resource is None:
        return whole
    target = target_of(server.parts, client, resource)
    if target == whole or (whole == server.parts.issuer and target == whole + MCP_PATH):
        return target
    raise InvalidTargetError


def client_token(server: Server, client: Client, *, scope: str, target: str) -> dict[str, Any]:
    """Make the answer for a client that acts for itself."""
    claims = _common(server, client.id, scope=scope, target=target)
    return _answer(server, {**claims, "sub": client.id, "tid": client.row.tenant_id}, scope)


def family_token(
    server: Server, family: TokenFamilyRow, *, scope: str, target: str, nonce: str | None = None
) -> dict[str, Any]:
    """Make the answer for a client that acts for a person, without a refresh token; with an id token if asked for."""
    claims = {
        **_common(server, family.client_id, scope=scope, target=target),
        "sub": family.user_id,
        "tid": family.tenant_id,
        "fid": family.id,
        **_proof(family),
    }
    answer = _answer(server, claims, scope)
    if "openid" in scope.split():
        answer["id_token"] = _id_token(server, family, access_token=answer["access_token"], nonce=nonce)
    return answer


def _common(server: Server, client_id: str, *, scope: str, target: str) -> dict[str, Any]:
    return {"aud": target, "client_id": client_id, "scope": scope, "jti": new_id(), **_times(server)}


def _times(server: Server) -> dict[str, Any]:
    issued = _seconds(server.now)
    return {"iss": server.parts.issuer, "iat": issued, "exp": issued + server.parts.settings.access_token_s}


def _proof(family: TokenFamilyRow) -> dict[str, Any]:
    proof = {"amr": list(family.amr), "acr": family.acr, "auth_time": _seconds(family.auth_time)}
    return proof if family.session_id is None else {**proof, "sid": family.session_id}


def _answer(server: Server, claims: Mapping[str, Any], scope: str) -> dict[str, Any]:
    return {
        "access_token": server.parts.signer.sign(_born_alive(server, claims), typ="at+jwt"),
        "token_type": "Bearer",
        "expires_in": server.parts.settings.access_token_s,
        "scope": scope,
    }


def _born_alive(server: Server, claims: Mapping[str, Any]) -> Mapping[str, Any]:
    """Date a token after a revocation that it does not fall under: one takes the whole second that it was made in."""
    if not server.parts.revocations.is_revoked(claims):
        return claims
    return {**claims, "iat": claims["iat"] + 1, "exp": claims["exp"] + 1}


def _id_token(server: Server, family: TokenFamilyRow, *, access_token: str, nonce: str | None) -> str:
    half = hashlib.sha256(access_token.encode("ascii")).digest()[:16]
    claims = {
        **_times(server),
        "sub": family.user_id,
        "aud": family.client_id,
        "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode("ascii"),
        **_proof(family),
    }
    return server.parts.signer.sign(claims if nonce is None else {**claims, "nonce": nonce}, typ="JWT")


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
