"""Making an account, and confirming its address."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ...core.errors import InvalidInput
from ..origins import origin_of
from .forms import Form, is_open_own, open_page, read_form, see_other
from .passwords import weakness
from .render import error_page, page, say

router = APIRouter(include_in_schema=False)
_REFUSED = 422
_EXPIRED = 403
_GONE = 404


@router.get("/register")
async def show_registration(request: Request) -> Response:
    """Show the form to who may make an account; to others there is no such page."""
    if request.query_params.get("done") == "sent":
        return _sent(request)
    invite = request.query_params.get("invite", "")
    if not _may_register(request, invite):
        return error_page(request, _GONE)
    if invite and not await request.app.state.identity.accounts.invites.is_good(invite):
        return error_page(request, _GONE, key="register.bad_invite")
    return _form(request, invite=invite)


@router.post("/register")
async def register(request: Request) -> Response:
    """Make an account. The answer does not tell whether the address has one already."""
    form = await read_form(request)
    invite = form.line("invite")
    if not _may_register(request, invite):
        return error_page(request, _GONE)
    typed = {"invite": invite, "name": form.line("name"), "username": form.line("username")}
    if not is_open_own(request, form):
        return _form(request, status=_EXPIRED, problem=say(request, "form.expired"), **typed)
    try:
        await _register(request, form)
    except InvalidInput as exc:
        return _form(request, status=_REFUSED, problem=_problem(request, exc), **typed)
    return see_other("/register?done=sent")


@router.get("/verify")
async def show_verification(request: Request) -> Response:
    """Show the button that confirms an address: opening the link alone changes nothing."""
    return _verification(request, request.query_params.get("token", ""))


@router.post("/verify")
async def verify(request: Request) -> Response:
    """Confirm an address."""
    form = await read_form(request)
    token = form.line("token")
    if not is_open_own(request, form):
        return _verification(request, token, status=_EXPIRED, problem=say(request, "form.expired"))
    if await request.app.state.identity.accounts.verify(token, origin=origin_of(request)) is None:
        return _verification(request, token, status=_REFUSED, problem=say(request, "verify.failed"))
    return see_other("/login?done=verified")


def _sent(request: Request) -> Response:
    """Tell how it goes on, in the same words for every address."""
    title, said = say(request, "register.sent.title"), say(request, "register.sent.text")
    return page(request, "message.html", title=title, said=said, link="/login", link_text=say(request, "sign_in"))


def _may_register(request: Request, invite: str) -> bool:
    how = request.app.state.identity.settings.registration
    return how == "open" or (how == "invite" and bool(invite))


async def _register(request: Request, form: Form) -> None:
    await request.app.state.identity.accounts.register(
        form.line("username"),
        form.get("password"),
        name=form.line("name"),
        invite=form.line("invite") or None,
        origin=origin_of(request),
    )


def _problem(request: Request, error: InvalidInput) -> str:
    if error.code == "bad_invite":
        return say(request, "register.bad_invite")
    if error.code == "bad_email":
        return say(request, "register.bad_address")
    return weakness(request, error)


def _form(request: Request, **values: Any) -> Response:
    return open_page(request, "register.html", **values)


def _verification(request: Request, token: str, **values: Any) -> Response:
    texts = {"title": "verify.title", "said": "verify.text", "submit": "verify.submit"}
    said: dict[str, Any] = {name: say(request, key) for name, key in texts.items()}
    return open_page(request, "one_click.html", action="/verify", token=token, **said, **values)
