"""What is around the Agent Server API: an application's own routes, a prefix, other pages' rights."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...core.errors import ConfigError
from ...store.checkpoints_borrowed import NOTHING, Brought
from .errors import detail
from .headers import Names

_DESCRIPTIONS: Final = ("openapi_url", "docs_url", "redoc_url", "swagger_ui_oauth2_redirect_url")
_REDIRECTS: Final = range(301, 309)
_ONWARD: Final = "codelab.onward"


@dataclass(frozen=True, kw_only=True)
class Shell:
    """What an application puts around the API.

    Attributes:
        app: Its own Starlette or FastAPI app; its routes come before ours.
        guards_app: Whether those routes need a credential too.
        prefix: What every address begins with.
        cors: In place of the default rules.
        without: Parts of the API that are not served.
        headers: Names of request headers, with `*`, that runs get: those that are, but for those that are not.
        brought: Its own saver and store.
    """

    app: Any = None
    guards_app: bool = False
    prefix: str = ""
    cors: Mapping[str, Any] | None = None
    without: Collection[str] = ()
    headers: Names = ((), ())
    brought: Brought = NOTHING

    def __post_init__(self) -> None:
        """Refuse what cannot be served."""
        if self.app is not None and not isinstance(self.app, Starlette):
            raise ConfigError(f"http.app names a {type(self.app).__name__}: name a FastAPI or Starlette app.")
        if self.prefix and (not self.prefix.startswith("/") or self.prefix.endswith("/")):
            raise ConfigError(f"http.mount_prefix is {self.prefix!r}: begin it with a slash and end it without.")


@asynccontextmanager
async def life_of(app: Starlette | None) -> AsyncIterator[Any]:
    """Live through an application's own start and end; what its requests find in their state."""
    if app is None:
        yield None
        return
    async with app.router.lifespan_context(app) as state:
        yield state


class Onward:
    """The last route of an application's own app: whatever it has no route for is served by us."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on to the server that the request came to: one app may be served by several."""
        await scope[_ONWARD](scope, receive, send)


def shadowed(theirs: Starlette, ours: FastAPI) -> ASGIApp:
    """Serve their routes, then ours, all behind their middleware. Their app gets one more route."""
    described = {getattr(theirs, name, None) for name in _DESCRIPTIONS}
    if not any(isinstance(route, Mount) and isinstance(route.app, Onward) for route in theirs.routes):
        theirs.router.routes.append(Mount("", app=Onward()))

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in described:
            await ours(scope, receive, send)
        else:
            await theirs({**scope, _ONWARD: ours}, receive, send)

    return serve


def answers(theirs: Starlette, path: str) -> bool:
    """Whether one of their routes serves a path."""
    scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": []}
    own = (route for route in theirs.routes if not (isinstance(route, Mount) and isinstance(route.app, Onward)))
    return any(route.matches(dict(scope))[0] is Match.FULL for route in own)


def describe_both(theirs: Starlette, ours: FastAPI) -> None:
    """Merge their description into ours; where both have an address, theirs is served and so described."""
    if not isinstance(theirs, FastAPI):
        return
    own: Callable[[], dict[str, Any]] = ours.openapi

    def openapi() -> dict[str, Any]:
        mine, other = own(), theirs.openapi()
        parts = {
            kind: {**mine.get("components", {}).get(kind, {}), **other.get("components", {}).get(kind, {})}
            for kind in {*mine.get("components", {}), *other.get("components", {})}
        }
        return {**mine, "paths": {**mine["paths"], **other.get("paths", {})}, "components": parts}

    ours.openapi = openapi  # type: ignore[method-assign]  # the framework's documented way


class Prefixed:
    """Serves everything below a prefix. Where a run is, is told without it: clients have it in their base address."""

    def __init__(self, app: ASGIApp, *, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the prefix off."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path == self._prefix or path.startswith(f"{self._prefix}/"):
            inner = {**scope, "path": path[len(self._prefix) :] or "/"}
            inner["raw_path"] = inner["path"].encode()
            await self._app(inner, receive, self._redirecting(send))
        elif scope["type"] == "http":
            await detail(404, "Not Found")(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _redirecting(self, send: Send) -> Send:
        async def redirect(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in _REDIRECTS:
                headers = MutableHeaders(raw=list(message["headers"]))
                if headers.get("location", "").startswith("/"):
                    headers["location"] = self._prefix + headers["location"]
                message = {**message, "headers": headers.raw}
            await send(message)

        return redirect
