"""The endpoint in OpenAI's dialect: everything under `/v1`, as raw ASGI around the whole application.

It stands outermost and does for its own paths what the application's layers do for the others: host, size, ids,
headers, credential. Each of those layers would cost as much as the endpoint itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from traceback import format_exception
from typing import Final

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from ...auth.seams import Authenticator
from ...core.errors import BadRequest, CodeLabError, NotFound
from ...llm.resilience.watch import Watch
from .chat import chat
from .door import Door, Visitor
from .envelope import error_body, error_frame, error_headers
from .exchange import Exchange, Gone
from .others import embed, get_model, list_models
from .serving import Gateway, Serving

log = structlog.get_logger(__name__)

PREFIX: Final = "/v1"
_MODEL: Final = "/v1/models/"
_ROUTES: Final[dict[str, tuple[str, Callable[[Exchange, Gateway, Visitor], Awaitable[None]]]]] = {
    "/v1/chat/completions": ("POST", chat),
    "/v1/embeddings": ("POST", embed),
    "/v1/models": ("GET", list_models),
}


class MethodRefused(CodeLabError):  # noqa: N818
    """There is such an address, but not with this method."""

    status = 405
    default_code = "method_not_allowed"


class OpenAIApi:
    """Serves `/v1`; every other path is the application's.

    Args:
        app: The application.
        auth: Who may come in with a token that is not an API key.
        hosts: Host names that are ours.
        serving: Gives what is served, once the application has started.
    """

    def __init__(
        self, app: ASGIApp, *, auth: Authenticator, hosts: Collection[str], serving: Callable[[], Serving]
    ) -> None:
        self._app = app
        self._door = Door(auth, hosts)
        self._serving = serving
        self._watch = Watch()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        if scope["path"][len(PREFIX) :][:1] not in {"", "/"}:
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send, self._watch)
        structlog.contextvars.bind_contextvars(correlation_id=exchange.correlation.decode("ascii"))
        try:
            await self._answer(exchange)
        except Gone:
            return
        except CodeLabError as exc:
            await _refuse(exchange, exc)
        except Exception as exc:  # noqa: BLE001 - the client is told in the words of this API
            await _refuse(exchange, _unforeseen(exc))

    async def _answer(self, exchange: Exchange) -> None:
        """In the order of refusals: host, credential, permission, address, method, and then what was asked."""
        self._door.check_host(exchange)
        serving = self._serving()
        visitor = await self._door.enter(exchange, serving.keys)
        path = exchange.path
        if "\0" in path:
            raise BadRequest("The address holds a NUL character.", code="bad_path")
        route = _ROUTES.get(path)
        if route is None and path.startswith(_MODEL) and len(path) > len(_MODEL):
            _check_method(exchange, "GET")
            await get_model(exchange, serving.gateway, visitor, path.removeprefix(_MODEL))
            return
        if route is None:
            raise NotFound(f"There is no such address: {exchange.method} {path[:200]}", code="unknown_url")
        method, answer = route
        _check_method(exchange, method)
        await answer(exchange, serving.gateway, visitor)


def _unforeseen(exc: Exception) -> CodeLabError:
    # As text: a renderer that shows local variables would write the request's key into the log.
    log.error("request_failed", error=type(exc).__name__, trace="".join(format_exception(exc)))
    return CodeLabError("Something went wrong on our side; the log has the details.")


def _check_method(exchange: Exchange, method: str) -> None:
    if exchange.method != method:
        raise MethodRefused(f"Use {method} here.", allow=method)


async def _refuse(exchange: Exchange, error: CodeLabError) -> None:
    """Tell the client what went wrong: as the answer, or as the last event of a stream that has begun."""
    if not exchange.begun:
        await exchange.reply(error.status, error_body(error), error_headers(error))
    elif exchange.streaming:
        await exchange.write(error_frame(error), last=True)
