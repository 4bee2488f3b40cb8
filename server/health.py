"""Health and identity: public, and without any user's data."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from ..store.engine import Database
from .deps import CurrentRuntime

router = APIRouter(tags=["health"])


@router.get("/health/live")
async def live() -> dict[str, bool]:
    """The process answers."""
    return {"ok": True}


async def _database(database: Database) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        async with database.read() as session:
            await session.execute(text("select 1"))
    except SQLAlchemyError:
        return {"ok": False}
    return {"ok": True, "ms": round((time.perf_counter() - began) * 1000, 1)}


@router.get("/health/ready")
@router.get("/health")
async def ready(runtime: CurrentRuntime) -> Response:
    """The database answers; 503 when it does not."""
    checks = {"database": await _database(runtime.database)}
    healthy = all(check["ok"] for check in checks.values())
    return JSONResponse({"ok": healthy, "checks": checks}, status_code=200 if healthy else 503)
