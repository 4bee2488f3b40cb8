"""The pages: rendered on the server, without third-party scripts."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request
from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from .deps import CurrentRuntime, ThreadReader

router = APIRouter(include_in_schema=False)
_templates = Environment(
    loader=PackageLoader("codelab", "web/templates"),
    autoescape=select_autoescape(default=True, default_for_string=True),
)
NO_STORE = {"cache-control": "no-store"}


def static_files() -> StaticFiles:
    """Scripts and styles, as they are written."""
    return StaticFiles(directory=str(files("codelab") / "web" / "static"))


def _page(name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    return HTMLResponse(_templates.get_template(name).render(**values), status_code=status, headers=NO_STORE)


def signed_out(reason: str = "You are not signed in.") -> HTMLResponse:
    """The page for a browser without a credential."""
    return _page("signed_out.html", status=401, reason=reason)


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
