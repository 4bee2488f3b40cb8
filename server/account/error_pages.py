"""Errors for people: a browser that opens a page gets a page, everybody else what the app says anyway."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from .render import error_page, wants_page


def install(app: FastAPI) -> None:
    """Put pages before the handlers that the app has by now; they are asked first, and log as they did."""
    for kind, handler in list(app.exception_handlers.items()):
        app.add_exception_handler(kind, _shown(handler))


def _shown(handler: Callable[[Any, Any], Any]) -> Callable[[Request, Exception], Any]:
    async def shown(request: Request, exc: Exception) -> Response:
        answer = handler(request, exc)
        if isawaitable(answer):
            answer = await answer
        response: Response = answer
        if not (request.scope["type"] == "http" and wants_page(request)):
            return response
        page = error_page(request, response.status_code)
        page.headers.update({k: v for k, v in response.headers.items() if not k.startswith("content-")})
        return page

    return shown
