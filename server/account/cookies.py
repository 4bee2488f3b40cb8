"""The cookie of a browser session: set at sign-in, let go at sign-out."""

from __future__ import annotations

from typing import TypeVar

from fastapi import Request
from starlette.responses import Response

from ...auth.issuer import is_secure, session_cookie
from .forms import forget_seed

_DAY_S = 86_400
Answer = TypeVar("Answer", bound=Response)


def keep_session(request: Request, response: Answer, token: str) -> Answer:
    """Have the browser keep a session; the forms it was given before are void."""
    identity = request.app.state.identity
    response.set_cookie(
        session_cookie(identity.issuer),
        token,
        max_age=identity.settings.session_days * _DAY_S,
        path="/",
        httponly=True,
        samesite="lax",
        secure=is_secure(identity.issuer),
    )
    forget_seed(request, response)
    return response


def end_session(request: Request, response: Answer) -> Answer:
    """Have the browser forget its session."""
    issuer = request.app.state.identity.issuer
    response.delete_cookie(session_cookie(issuer), path="/", httponly=True, samesite="lax", secure=is_secure(issuer))
    return response
