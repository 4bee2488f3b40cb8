"""Connecting a device: its code is typed in here, and somebody says yes or no."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from ...auth.oauth.device import DeviceAsk, Devices
from ...auth.sessions.schemas import KnownSession
from ...core.errors import RateLimited, Unauthenticated
from ...core.types import Principal
from ..deps import needs
from ..origins import origin_of
from .forms import csrf, is_own, read_form, see_other, session_of
from .render import page, say

router = APIRouter(include_in_schema=False)
DeviceReader = Annotated[Principal, needs("account:read")]
DeviceWriter = Annotated[Principal, needs("account:write")]
_DONE = frozenset({"allowed", "denied"})
_ACTIONS = {"allow": "allowed", "deny": "denied"}
_UNKNOWN = 404


@router.get("/device")
async def show_device(request: Request, principal: DeviceReader) -> Response:
    """Ask for the code; with a code ask whether the device that shows it may come in. It changes nothing."""
    done, code = request.query_params.get("done", ""), request.query_params.get("user_code", "")
    if done in _DONE:
        title, said = say(request, f"device.{done}.title"), say(request, f"device.{done}.text")
        return page(request, "message.html", title=title, said=said)
    if not code:
        return _code_form(request)
    try:
        ask = await _devices(request).find(code, await _session(request), origin_of(request))
    except RateLimited:
        return _code_form(request, code, status=429, problem="device.too_many")
    if ask is None:
        return _code_form(request, code, status=_UNKNOWN, problem="device.unknown")
    person = await request.app.state.identity.accounts.get(principal)
    return _question(request, ask, person.email)


@router.post("/device")
async def decide_device(request: Request, _principal: DeviceWriter) -> Response:
    """Carry out what was decided; a code alone leads to the question."""
    form = await read_form(request)
    code, action = form.line("user_code"), form.get("action")
    if not is_own(request, form):
        return _code_form(request, code, status=403, problem="form.expired")
    if action not in _ACTIONS:
        return see_other(f"/device?{urlencode({'user_code': code})}")
    try:
        decided = await _devices(request).decide(
            code, await _session(request), approve=action == "allow", origin=origin_of(request)
        )
    except RateLimited:
        return _code_form(request, code, status=429, problem="device.too_many")
    if not decided:
        return _code_form(request, code, status=_UNKNOWN, problem="device.unknown")
    return see_other(f"/device?done={_ACTIONS[action]}")


def _devices(request: Request) -> Devices:
    identity = request.app.state.identity
    return Devices(identity.database, identity.oauth, identity.attempts)


async def _session(request: Request) -> KnownSession:
    session: KnownSession | None = await request.app.state.identity.sessions.verify(session_of(request))
    if session is None:
        raise Unauthenticated("Sign in first.")
    return session


def _code_form(request: Request, code: str = "", *, problem: str = "", **values: Any) -> Response:
    told = say(request, problem) if problem else ""
    return page(request, "device.html", user_code=code, problem=told, csrf=csrf(request), ask=None, **values)


def _question(request: Request, ask: DeviceAsk, email: str) -> Response:
    return page(request, "device.html", ask=ask, problem="", user=email, user_code=ask.user_code, csrf=csrf(request))
