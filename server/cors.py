"""Which pages of others may call: none, unless somebody says so."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_ASKED: Final = ("authorization", "content-type", "last-event-id", "prefer", "x-api-key", "x-auth-scheme")
_SHOWN: Final = ("content-location", "location", "x-pagination-next", "x-pagination-total")


def rules_for(origins: Collection[str]) -> dict[str, Any]:
    """What LangGraph's own clients need in a browser, for pages of these origins."""
    shown, asked = list(_SHOWN), list(_ASKED)
    return {
        "allow_origins": list(origins),
        "allow_methods": list(_METHODS),
        "allow_headers": asked,
        "expose_headers": shown,
    }


def cross_origin(app: ASGIApp, /, **rules: Any) -> ASGIApp:
    """Put the rules around an app; a page may reach an address of this machine."""
    return CORSMiddleware(app, allow_private_network=True, **rules)
