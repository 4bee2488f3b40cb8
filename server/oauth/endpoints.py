"""What clients and services ask besides tokens: revocation, introspection, who somebody is, and the device flow."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import OAuth2Error
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from ...auth.oauth.registry import open_server
from ...auth.oauth.requests import read_form
from ...auth.oauth.secrets import REFRESH
from ...auth.oauth.server import NO_STORE, Answer, refusal
from ...auth.oauth.userinfo import challenge, userinfo
from ...core.errors import BadRequest, CodeLabError, Forbidden, Unauthenticated
from ..origins import origin_of
from .token import respond

router = APIRouter(prefix="/oauth", tags=["oauth"])
MOST_DEVICES = 60
"""Devices that begin to wait from one address in a window of the lock-out."""


@router.post("/revoke", name="oauth_revoke", response_model=None)
async def revoke(request: Request) -> Response:
    """Give a token back (RFC 7009)."""
    return await _answer(request, "revocation", about_token=True)


@router.post("/introspect", name="oauth_introspect", response_model=None)
async def introspect(request: Request) -> Response:
    """Say what a token is worth (RFC 7662)."""
    return await _answer(request, "introspection", about_token=True)


@router.post("/device_authorization", name="oauth_device_authorization", response_model=None)
async def device_authorization(request: Request) -> Response:
    """Begin the device flow (RFC 8628)."""
    if not await request.app.state.identity.attempts.may("devices", origin_of(request).address, MOST_DEVICES):
        error = OAuth2Error("Too many devices; try again later.", error="temporarily_unavailable", status_code=429)
        return respond(refusal(error))
    return await _answer(request, "device_authorization")


@router.get("/userinfo", name="oauth_userinfo", response_model=None)
@router.post("/userinfo", name="oauth_userinfo_post", response_model=None)
async def user_info(request: Request) -> Response:
    """Say who signed in (OpenID Connect)."""
    identity = request.app.state.identity
    try:
        found = await userinfo(identity.database, identity.verifier, identity.issuer, _bearer(request))
    except (BadRequest, Unauthenticated, Forbidden) as exc:
        return _refused(exc)
    return JSONResponse(found, headers=dict(NO_STORE))


async def _answer(request: Request, endpoint: str, *, about_token: bool = False) -> Response:
    identity = request.app.state.identity
    try:
        asked = await read_form(request, origin_of(request))
    except OAuth2Error as error:
        return respond(refusal(error))
    if about_token:
        asked.claims = await _claims(identity, asked.get("token") or "")

    def act(session: Any) -> Answer:
        server = open_server(session, identity.oauth)
        server.origin = asked.origin
        answer: Answer = server.create_endpoint_response(endpoint, asked)
        return answer

    # Introspection changes nothing, unless an assertion is used up for it.
    changes = endpoint != "introspection" or asked.get("client_assertion") is not None
    opened = identity.database.transaction() if changes else identity.database.read()
    async with opened as session:
        return respond(await session.run_sync(act))


async def _claims(identity: Any, token: str) -> dict[str, Any] | None:
    """Read an access token outside the transaction; None if it is none, or over."""
    if not token or token.startswith(REFRESH):
        return None
    try:
        claims: dict[str, Any] = await identity.verifier.verify(token, None)
    except Unauthenticated:
        return None
    return claims


def _bearer(request: Request) -> str:
    """Take the token from the header: addresses and forms end up in logs."""
    if "access_token" in request.query_params:
        raise BadRequest("Send the access token in the Authorization header.")
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Send Authorization: Bearer <access token>.")
    return token.strip()


def _refused(error: CodeLabError) -> Response:
    body = {"error": error.code, "error_description": error.message}
    headers = dict(NO_STORE)
    if isinstance(error, Unauthenticated | Forbidden):
        headers |= challenge(error)
    return JSONResponse(body, status_code=error.status, headers=headers)
