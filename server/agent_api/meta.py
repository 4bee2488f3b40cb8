"""What this server is, for SDKs and Studio: public, and without any user's data."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Any

from fastapi import APIRouter

from ..version import version

router = APIRouter(tags=["meta"])
SPOKEN = "0.16.7"
"""The version of the wire that this server speaks; Studio refuses old ones."""


def server_info() -> dict[str, Any]:
    """Make the answer of `/info`."""
    return {
        "version": SPOKEN,
        "langgraph_py_version": version_of("langgraph"),
        "flags": {"assistants": True, "crons": True, "langsmith": False, "strict_resume": True},
        "host": {"kind": "self-hosted", "project_id": None, "revision_id": "", "tenant_id": None},
        "name": "codelab",
        "codelab_version": version(),
    }


@router.get("/ok")
async def ok() -> dict[str, bool]:
    """The process answers."""
    return {"ok": True}


@router.get("/info")
async def info() -> dict[str, Any]:
    """What this server speaks."""
    return server_info()
