"""The authorization endpoint: pages and redirects."""

from __future__ import annotations

from urllib.parse import urlencode

from authlib.oauth2.rfc6749 import OAuth2Error
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from ...auth.issuer import session_cookie
from ...auth.oauth.asking import ENDPOINT
from ...auth.oauth.authorization import Authorization, Back, SignInFirst, Step
from ...auth.oauth.consent import ConsentAsk
from ...auth.oauth.requests import read_form, read_query
from ...auth.sessions.csrf import check_csrf, csrf_of
from ...core.errors import Forbidden, Unavailable
from ..account.render import error_page, page
from ..origins import origin_of

router = APIRouter(prefix="/oauth", include_in_schema=False)
_ACTIONS = {"allow": True, "deny": False}


@router.get("/authorize", response_model=None)
async def authorize(request: Request) -> Response:
    """Ask somebody to sign in, ask them what the client may, or lead back with a code (RFC 6749)."""
    identity, token = request.app.state.identity, _token(request)
    try:
        asked = read_query(request, origin_of(request))
        session = await identity.sessions.verify(token)
        step = await Authorization(identity.database, identity.oauth).look(asked, session)
    except OAuth2Error:
        return error_page(request, 400)
    except Unavailable as error:
        return error_page(request, error.status)
    return _answer(request, step, token)


@router.post("/authorize", response_model=None)
async def decide(request: Request) -> Response:
    """Carry out what a person decided on the page."""
    identity, token = request.app.state.identity, _token(request)
    try:
        asked = await read_form(request, origin_of(request))
        session = await identity.sessions.verify(token)
        if session is not None:
            check_csrf(token, asked.get("csrf") or "")
        allow = _ACTIONS.get(asked.get("action") or "")
        if allow is None:
            return error_page(request, 400)
        step = await Authorization(identity.database, identity.oauth).decide(asked, session, allow=allow)
    except OAuth2Error:
        return error_page(request, 400)
    except (Forbidden, Unavailable) as error:
        return error_page(request, error.status)
    return _answer(request, step, token)


def _token(request: Request) -> str:
    return request.cookies.get(session_cookie(request.app.state.identity.issuer), "")


def _answer(request: Request, step: Step, token: str) -> Response:
    if isinstance(step, Back):
        return _see_other(step.address)
    if isinstance(step, SignInFirst):
        return _see_other(f"/login?{urlencode({'next': step.next})}")
    return _consent(request, step, csrf_of(token))


def _see_other(address: str) -> Response:
    """Lead on with GET, whatever came: 307 would send the form on."""
    headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
    return RedirectResponse(address, status_code=303, headers=headers)


def _consent(request: Request, ask: ConsentAsk, csrf: str) -> Response:
    return page(
        request,
        "consent.html",
        form_target=ask.redirect_uri,
        ask=ask,
        user=ask.email,
        again=ask.again,
        scopes=ask.scopes,
        new=ask.new_scopes,
        redirect_host=ask.redirect_host,
        action=ENDPOINT,
        fields=ask.fields,
        csrf=csrf,
        problem="",
    )
