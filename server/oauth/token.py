"""The token endpoint."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import OAuth2Error
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from ...auth.oauth.grants.password import refuse_early
from ...auth.oauth.registry import open_server
from ...auth.oauth.requests import OAuthRequest, read_form
from ...auth.oauth.server import NO_STORE, Answer, refusal
from ..origins import origin_of

router = APIRouter(prefix="/oauth", tags=["oauth"])


@router.post("/token", name="oauth_token", response_model=None)
async def token(request: Request) -> Response:
    """Issue tokens (RFC 6749)."""
    identity = request.app.state.identity
    try:
        asked = await read_form(request, origin_of(request))
    except OAuth2Error as error:
        return respond(refusal(error))
    if asked.get("grant_type") == "password":
        refused = await _check_person(identity, asked)
        if refused is not None:
            return respond(refused)
    async with identity.database.transaction() as session:
        answer = await session.run_sync(lambda sync: open_server(sync, identity.oauth).create_token_response(asked))
    return respond(answer)


@router.api_route("/token", methods=["GET", "HEAD", "PUT", "PATCH", "DELETE"], include_in_schema=False)
async def other_methods() -> Response:
    """Refuse: a token request is a POST, which no log keeps."""
    body = {"error": "invalid_request", "error_description": "Send a POST."}
    return JSONResponse(body, status_code=405, headers={"allow": "POST", **NO_STORE})


def respond(answer: Answer) -> Response:
    """Make the HTTP answer."""
    return JSONResponse(answer.body, status_code=answer.status, headers=dict(answer.headers))


async def _check_person(identity: Any, asked: OAuthRequest) -> Answer | None:
    """Check the password outside the transaction, and only for a client that may see passwords; say what is wrong."""
    async with identity.database.read() as session:
        refused: Answer | None = await session.run_sync(
            lambda sync: refuse_early(open_server(sync, identity.oauth), asked)
        )
    if refused is not None:
        return refused
    asked.person = await identity.sign_in.check(
        asked.get("username") or "", asked.get("password") or "", origin=asked.origin
    )
    return None
