"""How the layers around every request refuse: in the words of whatever API the path belongs to."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse
from starlette.types import Scope

from ..core.errors import CodeLabError
from .agent_api.errors import detail
from .errors import problem

_OURS = ("/api/", "/static/", "/health", "/t/")


def refusal(scope: Scope, error: CodeLabError, *, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Render an error: problem+json for our own API and pages, `{"detail": …}` for the Agent Server API."""
    path = scope["path"]
    if path in {"/", "/login"} or path.startswith(_OURS):
        return problem(error, headers=headers)
    return detail(error.status, error.message, headers={**error.headers, **(headers or {})})
