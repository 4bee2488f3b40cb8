"""Errors on the Agent Server API are `{"detail": "<string>"}`, whatever went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from traceback import format_exception
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from ...core.errors import CodeLabError

log = structlog.get_logger(__name__)


def detail(status: int, text: str, *, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Render a refusal."""
    return JSONResponse({"detail": text}, status_code=status, headers=dict(headers or {}))


def said(problems: Any) -> str:
    """Put pydantic's findings into one sentence, without echoing what was sent."""
    return "; ".join(f"{'.'.join(str(part) for part in p['loc']) or 'body'}: {p['msg']}" for p in problems)


def install(app: FastAPI) -> None:
    """Hang the handlers on the app."""

    @app.exception_handler(CodeLabError)
    async def known(_request: Request, exc: CodeLabError) -> JSONResponse:
        return detail(exc.status, exc.message, headers=exc.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, exc: RequestValidationError) -> JSONResponse:
        return detail(422, said(exc.errors()))

    @app.exception_handler(HTTPException)
    async def http(_request: Request, exc: HTTPException) -> JSONResponse:
        return detail(exc.status_code, str(exc.detail), headers=exc.headers)

    @app.exception_handler(Exception)
    async def unknown(_request: Request, exc: Exception) -> JSONResponse:
        # As text: a renderer that shows local variables would write the request's token into the log.
        log.error("request_failed", error=type(exc).__name__, trace="".join(format_exception(exc)))
        return detail(500, "Something went wrong on our side; the log has the details.")
