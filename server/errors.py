"""Errors as problem+json (RFC 9457) with a stable `code`. One handler renders the whole tree."""

from __future__ import annotations

from collections.abc import Mapping
from traceback import format_exception
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from ..core.errors import CodeLabError

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
_STATUS_CODES = {404: "not_found", 405: "method_not_allowed", 401: "unauthenticated", 403: "forbidden"}


def _response(
    status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any
) -> JSONResponse:
    body = {"type": f"urn:codelab:error:{code}", "title": code.replace("_", " "), "status": status, "code": code}
    return JSONResponse(
        {**body, "detail": detail, **jsonable_encoder(extra)},
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )


def problem(error: CodeLabError, *, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Render an error of the tree."""
    return _response(
        error.status, error.code, error.message, headers={**error.headers, **(headers or {})}, **error.extra
    )


def _clean(errors: Any) -> list[dict[str, Any]]:
    """Where and why, without echoing what was sent."""
    return [{"at": list(e["loc"]), "problem": e["msg"]} for e in errors]


def install(app: FastAPI) -> None:
    """Hang the handlers on the app."""

    @app.exception_handler(CodeLabError)
    async def known(_request: Request, exc: CodeLabError) -> JSONResponse:
        return problem(exc)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, exc: RequestValidationError) -> JSONResponse:
        text = "The request does not have the form this route needs; `errors` says where."
        return _response(422, "invalid_request", text, errors=_clean(exc.errors()))

    @app.exception_handler(HTTPException)
    async def http(_request: Request, exc: HTTPException) -> JSONResponse:
        code = _STATUS_CODES.get(exc.status_code, "http_error")
        return _response(exc.status_code, code, str(exc.detail), headers=exc.headers)

    @app.exception_handler(Exception)
    async def unknown(request: Request, exc: Exception) -> JSONResponse:
        # As text: a renderer that shows local variables would write the request's token into the log.
        trace, number = "".join(format_exception(exc)), getattr(request.state, "correlation_id", None)
        log.error("request_failed", error=type(exc).__name__, trace=trace, correlation_id=number)
        return _response(500, "internal", "Something went wrong on our side; the log has the details.")
