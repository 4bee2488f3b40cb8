"""The account page as a whole: what it shows, gathered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request
from starlette.responses import HTMLResponse

from ...auth.oauth.access import Access
from ...auth.sessions.schemas import BrowserSession
from ...core.types import Principal
from .browsers import name_of
from .forms import csrf
from .render import page, say

_NEWS: Final = frozenset({"profile", "password", "session", "sessions", "grant", "key", "mail"})


async def account_page(
    request: Request,
    principal: Principal,
    *,
    status: int = 200,
    problems: Mapping[str, str] | None = None,
    **typed: Any,
) -> HTMLResponse:
    """Render the page.

    Args:
        request: `?done=` names what was done.
        principal: Whose page it is.
        status: Of the answer.
        problems: What went wrong, by the part of the page it belongs to; `page` is all of it.
        typed: What was typed, to be shown again; and a new key.
    """
    identity = request.app.state.identity
    user = await identity.accounts.get(principal)
    done = request.query_params.get("done", "")
    shown = {
        "user": user,
        "name": user.name,
        "sessions": [_session(request, item) for item in await identity.sessions.list(principal)],
        "grants": await access_of(request).list(principal),
        "keys": await request.app.state.api_keys.list(principal),
        "problems": problems or {},
        "news": say(request, f"account.done.{done}") if done in _NEWS else "",
        "csrf": csrf(request),
    }
    return page(request, "account.html", status=status, **{**shown, **typed})


def access_of(request: Request) -> Access:
    """The applications of everybody, on the app that serves this request."""
    identity = request.app.state.identity
    return Access(identity.database, revocations=identity.revocations, audit=identity.audit)


def _session(request: Request, item: BrowserSession) -> dict[str, Any]:
    browser, system = name_of(item.user_agent)
    both = say(request, "browser.on", browser=browser, system=system) if browser and system else browser or system
    return {**item.model_dump(), "browser": both}
