"""Sign-in in local mode: the one-time link that the server printed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from ..auth.local import COOKIE, LocalAuth
from .pages import NO_STORE, signed_out

router = APIRouter(include_in_schema=False)


@router.get("/login")
async def login(request: Request, code: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Exchange the one-time code for a session cookie."""
    auth = request.app.state.auth
    session = auth.redeem(code) if isinstance(auth, LocalAuth) else None
    if session is None:
        return signed_out(request, "local.bad_link")
    response = RedirectResponse("/", status_code=303, headers=NO_STORE)
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, session, httponly=True, samesite="strict", secure=secure, max_age=30 * 86_400)
    return response
