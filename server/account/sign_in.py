"""Signing in and out."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ...auth.oauth.landing import landing_of
from ...core.errors import Unavailable
from ..origins import origin_of
from .cookies import end_session, keep_session
from .forms import (
    asked_client,
    asked_since,
    is_open_own,
    is_own,
    local_address,
    open_page,
    read_form,
    see_other,
    session_of,
)
from .render import error_page, home, say

router = APIRouter(include_in_schema=False)
_NEWS = frozenset({"reset", "verified", "signed_out"})
_WRONG = 401
_EXPIRED = 403


@router.get("/login")
async def show_login(request: Request) -> Response:
    """Show the form; who is signed in already goes on."""
    onward = local_address(request.query_params.get("next", ""), home(request))
    session = await request.app.state.identity.sessions.verify(session_of(request))
    if session is not None and session.proof.auth_time.timestamp() >= asked_since(onward):
        return see_other(onward)
    done = request.query_params.get("done", "")
    news = say(request, f"login.done.{done}") if done in _NEWS else ""
    return await _login_page(request, onward, news=news)


@router.post("/login")
async def login(request: Request) -> Response:
    """Sign somebody in. Whatever does not fit, and however often it was tried, is told in the same words."""
    form = await read_form(request)
    onward, username = local_address(form.get("next"), home(request)), form.line("username")
    if not is_open_own(request, form):
        return await _login_page(request, onward, status=_EXPIRED, problem="form.expired", username=username)
    try:
        step = await request.app.state.identity.sign_in.begin(
            username, form.get("password"), origin_of(request), session_of(request) or None
        )
    except Unavailable:
        return await _login_page(request, onward, status=503, problem="login.unavailable", username=username)
    if step.session is None:
        return await _login_page(request, onward, status=_WRONG, problem="login.wrong", username=username)
    return keep_session(request, see_other(onward), step.session)


@router.post("/logout")
async def logout(request: Request) -> Response:
    """End the session."""
    token = session_of(request)
    if not token:
        return see_other("/login")
    if not is_own(request, await read_form(request)):
        return error_page(request, _EXPIRED, key="form.expired")
    await request.app.state.identity.sessions.sign_out(token, origin_of(request))
    return end_session(request, see_other("/login?done=signed_out"))


async def _login_page(request: Request, onward: str, *, problem: str = "", **values: Any) -> Response:
    identity = request.app.state.identity
    client_id, redirect_uri = asked_client(onward)
    target = await landing_of(identity.database, client_id, redirect_uri) if redirect_uri else ""
    shown = {
        "next": onward,
        "to_client": bool(target),
        "may_register": identity.settings.registration == "open",
        "problem": say(request, problem) if problem else "",
        **values,
    }
    return open_page(request, "login.html", form_target=target, **shown)
