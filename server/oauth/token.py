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
from ...core.errors import CodeLabError, RateLimited, Unavailable
from ..origins import origin_of

router = APIRouter(prefix="/oauth", tags=["oauth"])


@router.post("/token", name="oauth_token", response_model=None)
async def token(request: Request) -> Response:
    """Issue tokens (RFC 6749)."""
    try:
        asked = await read_form(request, origin_of(request))
        return respond(await _issue(request.app.state.identity, asked))
    except OAuth2Error as error:
        return respond(refusal(error))
    except (Unavailable, RateLimited) as error:
        return respond(_not_now(error))


@router.api_route("/token", methods=["GET", "HEAD", "PUT", "PATCH", "DELETE"], include_in_schema=False)
async def other_methods() -> Response:
    """Refuse: a token request is a POST, which no log keeps."""
    body = {"error": "invalid_request", "error_description": "Send a POST."}
    return JSONResponse(body, status_code=405, headers={"allow": "POST", **NO_STORE})


def respond(answer: Answer) -> Response:
    """Make the HTTP answer."""
    return JSONResponse(answer.body, status_code=answer.status, headers=dict(answer.headers))


async def _issue(identity: Any, asked: OAuthRequest) -> Answer:
    refused = await _check_person(identity, asked) if asked.get("grant_type") == "password" else None
    if refused is not None:
        return refused
    async with identity.database.transaction() as session:
        answer: Answer = await session.run_sync(
            lambda sync: open_server(sync, identity.oauth).create_token_response(asked)
        )
    return answer


def _not_now(error: CodeLabError) -> Answer:
    body = {"error": "temporarily_unavailable", "error_description": error.message}
    return Answer(error.status, body, {**error.headers, **NO_STORE})


async def _check_person(identity: Any, asked: OAuthRequest) -> Answer | None:
    """Check the password outside the transaction, and only for a client that may see passwords; say what is wrong."""
    async with identity.database.read() as session:
        refused: Answer | None = await session.run_sync(
            lambda sync: refuse_early(open_server(sync, identity.oauth), asked)
        )
    if refused is not None:
        return refused
    username, password = asked.get("username") or "", asked.get("password") or ""
    asked.person = await identity.sign_in.check(username, password, asked.origin)
    return None
