"""Health and identity: public, and without any user's data."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from .deps import CurrentRuntime
from .version import version

router = APIRouter(tags=["health"])


@router.get("/ok")
@router.get("/health/live")
async def live() -> dict[str, bool]:
    """The process answers."""
    return {"ok": True}


@router.get("/info")
async def info() -> dict[str, Any]:
    """What this server is."""
    return {"name": "codelab", "version": version()}


@router.get("/health/ready")
@router.get("/health")
async def ready(runtime: CurrentRuntime) -> Response:
    """The database answers; 503 when it does not."""
    checks = await runtime.health()
    healthy = all(check["ok"] for check in checks.values())
    return JSONResponse({"ok": healthy, "checks": checks}, status_code=200 if healthy else 503)
