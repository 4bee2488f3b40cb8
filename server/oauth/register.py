"""Dynamic registration of clients."""

from __future__ import annotations

import json
from typing import Any, Final

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from ...auth.oauth.registration import Registrar
from ...auth.oauth.server import NO_STORE, refusal
from ..origins import origin_of
from .token import respond

router = APIRouter(prefix="/oauth", tags=["oauth"])
_MOST_BYTES: Final = 64 * 1024


@router.post("/register", name="oauth_register", response_model=None)
async def register(request: Request) -> Response:
    """Register a client (RFC 7591); whoever does needs the initial access token."""
    identity = request.app.state.identity
    registrar = Registrar(identity.database, identity.oauth)
    try:
        registrar.check(_bearer(request))
        told = await registrar.register(await _json(request), origin_of(request))
    except OAuth2Error as error:
        return _refused(error)
    return JSONResponse(told, status_code=201, headers=dict(NO_STORE))


def _bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


async def _json(request: Request) -> Any:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise InvalidRequestError(f"A request may hold at most {_MOST_BYTES} bytes.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidRequestError("Send a JSON object.") from None


def _refused(error: OAuth2Error) -> Response:
    response = respond(refusal(error))
    if response.status_code == 401:  # noqa: PLR2004 - a name of its own says nothing more
        response.headers["www-authenticate"] = f'Bearer realm="codelab", error="{error.error}"'
    return response
