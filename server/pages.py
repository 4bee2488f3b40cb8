"""The pages: rendered on the server, without third-party scripts."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from ..auth.local import COOKIE, LocalAuth
from .deps import CurrentRuntime, ThreadReader

router = APIRouter(include_in_schema=False)
_templates = Environment(
    loader=PackageLoader("codelab", "web/templates"),
    autoescape=select_autoescape(default=True, default_for_string=True),
)
_NO_STORE = {"cache-control": "no-store"}


def static_files() -> StaticFiles:
    """Scripts and styles, as they are written."""
    return StaticFiles(directory=str(files("codelab") / "web" / "static"))


def _page(name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    return HTMLResponse(_templates.get_template(name).render(**values), status_code=status, headers=_NO_STORE)


def signed_out(reason: str = "You are not signed in.") -> HTMLResponse:
    """The page for a browser without a credential."""
    return _page("signed_out.html", status=401, reason=reason)


@router.get("/login")
async def login(request: Request, code: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Exchange the one-time code for a session cookie."""
    auth = request.app.state.auth
    session = auth.redeem(code) if isinstance(auth, LocalAuth) else None
    if session is None:
        return signed_out("This sign-in link was used already, or is too old.")
    response = RedirectResponse("/", status_code=303, headers=_NO_STORE)
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, session, httponly=True, samesite="strict", secure=secure, max_age=30 * 86_400)
    return response


@router.get("/")
async def index(principal: ThreadReader, runtime: CurrentRuntime) -> Response:
    """The start page: a new task, and the threads there are."""
    page = await runtime.threads.list(principal, limit=50)
    return _page(
        "index.html",
        threads=page.items,
        workspaces=await runtime.workspaces.list(principal),
        agents=runtime.agents.values(),
    )


@router.get("/docs")
async def api_docs(request: Request, principal: ThreadReader) -> Response:  # noqa: ARG001 - any credential
    """The API, readable without third-party scripts."""
    return _page("docs.html", schema=request.app.openapi())


@router.get("/t/{thread_id}")
async def thread_page(thread_id: str, principal: ThreadReader, runtime: CurrentRuntime) -> Response:
    """One thread, live."""
    return _page("thread.html", thread=await runtime.threads.get(principal, thread_id))
