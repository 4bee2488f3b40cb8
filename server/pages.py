"""The pages: rendered on the server, without third-party scripts."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from .account.render import page
from .deps import CurrentRuntime, ThreadReader

router = APIRouter(include_in_schema=False)
NO_STORE = {"cache-control": "no-store"}


def static_files() -> StaticFiles:
    """Scripts and styles, as they are written."""
    return StaticFiles(directory=str(files("codelab") / "web" / "static"))


def signed_out(request: Request, reason: str = "local.not_signed_in") -> HTMLResponse:
    """Tell a browser without a credential, in local mode, where to get one; `reason` names a text."""
    return page(request, "signed_out.html", status=401, reason=reason)


@router.get("/")
async def index(request: Request, principal: ThreadReader, runtime: CurrentRuntime) -> Response:
    """The start page: a new task, and the threads there are."""
    threads = await runtime.threads.list(principal, limit=50)
    return page(
        request,
        "index.html",
        threads=threads.items,
        workspaces=await runtime.workspaces.list(principal),
        agents=runtime.agents.values(),
    )


@router.get("/docs")
async def api_docs(request: Request, principal: ThreadReader) -> Response:  # noqa: ARG001 - any credential
    """The API, readable without third-party scripts."""
    return page(request, "docs.html", schema=request.app.openapi())


@router.get("/t/{thread_id}")
async def thread_page(request: Request, thread_id: str, principal: ThreadReader, runtime: CurrentRuntime) -> Response:
    """One thread, live."""
    return page(request, "thread.html", thread=await runtime.threads.get(principal, thread_id))
