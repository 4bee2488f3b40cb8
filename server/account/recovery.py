"""A forgotten password: a link by mail, and another password with it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ...core.errors import InvalidInput
from ..origins import origin_of
from .cookies import end_session
from .forms import is_open_own, open_page, read_form, see_other
from .passwords import weakness
from .render import page, say

router = APIRouter(include_in_schema=False)
_REFUSED = 422
_EXPIRED = 403


@router.get("/forgot")
async def show_forgot(request: Request) -> Response:
    """Ask for the address; afterwards tell where to look for the link."""
    if request.query_params.get("done") == "sent":
        title, said = say(request, "forgot.sent.title"), say(request, "forgot.sent.text")
        return page(request, "message.html", title=title, said=said, link="/login", link_text=say(request, "sign_in"))
    return open_page(request, "forgot.html")


@router.post("/forgot")
async def forgot(request: Request) -> Response:
    """Have a link sent; the answer is the same for every address."""
    form = await read_form(request)
    username = form.line("username")
    if not is_open_own(request, form):
        problem = say(request, "form.expired")
        return open_page(request, "forgot.html", status=_EXPIRED, problem=problem, username=username)
    await request.app.state.identity.accounts.forgot(username, origin=origin_of(request))
    return see_other("/forgot?done=sent")


@router.get("/reset")
async def show_reset(request: Request) -> Response:
    """Ask for the new password."""
    return _form(request, request.query_params.get("token", ""))


@router.post("/reset")
async def reset(request: Request) -> Response:
    """Set a password with a link that is good once; all sessions of the person end."""
    form = await read_form(request)
    token = form.line("token")
    if not is_open_own(request, form):
        return _form(request, token, status=_EXPIRED, problem=say(request, "form.expired"))
    accounts = request.app.state.identity.accounts
    try:
        person = await accounts.reset_password(token, form.get("password"), origin=origin_of(request))
    except InvalidInput as exc:
        return _form(request, token, status=_REFUSED, problem=weakness(request, exc))
    if person is None:
        return _form(request, token, status=_REFUSED, problem=say(request, "reset.failed"))
    return end_session(request, see_other("/login?done=reset"))


def _form(request: Request, token: str, **values: Any) -> Response:
    return open_page(request, "reset.html", token=token, **values)
