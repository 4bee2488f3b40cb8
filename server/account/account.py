"""The account page: what a person may see and change of themselves, in a browser session and nowhere else."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from ...auth.api_keys.schemas import KeyOptions, NewApiKey
from ...core.errors import Conflict, Forbidden, InvalidInput
from ...core.types import Principal
from ..deps import check_holds, needs
from ..origins import origin_of
from .cookies import keep_session
from .forms import Form, is_own, read_form, see_other
from .overview import access_of, account_page
from .passwords import weakness
from .render import say

router = APIRouter(include_in_schema=False)
AccountReader = Annotated[Principal, needs("account:read")]
AccountWriter = Annotated[Principal, needs("account:write")]
_REFUSED = 422


@router.get("/account")
async def show_account(request: Request, principal: AccountReader) -> Response:
    """Everything on one page."""
    return await account_page(request, principal)


@router.post("/account/profile")
async def change_profile(request: Request, principal: AccountWriter) -> Response:
    """Change the name."""
    form = await read_form(request)
    if not is_own(request, form):
        return await _expired(request, principal)
    name = form.line("name")
    try:
        await request.app.state.identity.accounts.rename(principal, name, origin_of(request))
    except InvalidInput:
        return await _refused(request, principal, "profile", "account.bad_name", name=name)
    return _done("profile")


@router.post("/account/email")
async def change_email(request: Request, principal: AccountWriter) -> Response:
    """Begin to use another address; it counts once the link is opened that is sent there."""
    form = await read_form(request)
    if not is_own(request, form):
        return await _expired(request, principal)
    email, password, accounts = form.line("new_email"), form.get("email_password"), request.app.state.identity.accounts
    try:
        proven = await accounts.change_email(principal, email, password, origin_of(request))
    except InvalidInput:
        return await _refused(request, principal, "email", "register.bad_address", new_email=email)
    if not proven:
        return await _refused(request, principal, "email", "account.password.wrong", new_email=email)
    return _done("mail")


@router.post("/account/password")
async def change_password(request: Request, principal: AccountWriter) -> Response:
    """Change the password; it ends all other sessions."""
    form = await read_form(request)
    if not is_own(request, form):
        return await _expired(request, principal)
    old, new, accounts = form.get("current_password"), form.get("new_password"), request.app.state.identity.accounts
    try:
        token = await accounts.change_password(principal, old, new, origin_of(request))
    except InvalidInput as exc:
        problems = {"password": weakness(request, exc)}
        return await account_page(request, principal, status=_REFUSED, problems=problems)
    if token is None:
        return await _refused(request, principal, "password", "account.password.wrong")
    return keep_session(request, _done("password"), token)


@router.post("/account/sessions/end-others")
async def end_others(request: Request, principal: AccountWriter) -> Response:
    """End all sessions but this one."""
    if not is_own(request, await read_form(request)):
        return await _expired(request, principal)
    await request.app.state.identity.sessions.revoke_others(principal, origin_of(request))
    return _done("sessions")


@router.post("/account/sessions/{session_id}/end")
async def end_session(request: Request, session_id: str, principal: AccountWriter) -> Response:
    """End a session."""
    if not is_own(request, await read_form(request)):
        return await _expired(request, principal)
    await request.app.state.identity.sessions.revoke(principal, session_id, origin_of(request))
    return _done("session")


@router.post("/account/grants/{client_id}/revoke")
async def revoke_grant(request: Request, client_id: str, principal: AccountWriter) -> Response:
    """Take back what an application was allowed, and end its tokens."""
    if not is_own(request, await read_form(request)):
        return await _expired(request, principal)
    await access_of(request).revoke(principal, client_id, origin_of(request))
    return _done("grant")


@router.post("/account/keys")
async def create_key(request: Request, principal: AccountWriter) -> Response:
    """Make an API key. The answer is the page itself: the key is shown this once, and kept nowhere to lead on to."""
    form = await read_form(request)
    if not is_own(request, form):
        return await _expired(request, principal)
    check_holds(principal, "api-keys:write")
    try:
        made = await _make_key(request, principal, form)
    except (Forbidden, Conflict, ValidationError):
        return await _refused(request, principal, "keys", "account.keys.bad", key_name=form.line("key_name"))
    return await account_page(request, principal, new_key=made)


@router.post("/account/keys/{key_id}/revoke")
async def revoke_key(request: Request, key_id: str, principal: AccountWriter) -> Response:
    """Revoke an API key."""
    if not is_own(request, await read_form(request)):
        return await _expired(request, principal)
    check_holds(principal, "api-keys:write")
    await request.app.state.api_keys.revoke(principal, key_id)
    return _done("key")


async def _make_key(request: Request, principal: Principal, form: Form) -> NewApiKey:
    days = form.line("expires_in_days")
    options = KeyOptions.model_validate({"name": form.line("key_name"), "expires_in_days": days or None})
    made: NewApiKey = await request.app.state.api_keys.create(principal, options)
    return made


def _done(what: str) -> Response:
    return see_other(f"/account?done={what}")


async def _refused(request: Request, principal: Principal, part: str, key: str, **typed: Any) -> Response:
    return await account_page(request, principal, status=_REFUSED, problems={part: say(request, key)}, **typed)


async def _expired(request: Request, principal: Principal) -> Response:
    problem = say(request, "form.expired")
    return await account_page(request, principal, status=403, problems={"page": problem})
