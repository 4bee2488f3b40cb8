"""Where a request came from."""

from __future__ import annotations

from typing import Final

from starlette.requests import HTTPConnection

from ..auth.seams import Origin
from ..core.catalogs import language

LANGUAGE_COOKIE: Final = "lang"
_AGENT_MOST: Final = 200


def origin_of(connection: HTTPConnection) -> Origin:
    """Read a request's address (behind a trusted proxy: its client's), browser, language and correlation id."""
    agent = connection.headers.get("user-agent", "")
    return Origin(
        address=connection.client.host if connection.client is not None else "",
        user_agent="".join(c for c in agent if c.isprintable())[:_AGENT_MOST],
        correlation_id=getattr(connection.state, "correlation_id", None),
        lang=language(
            connection.headers.get("accept-language", ""),
            connection.query_params.get("lang"),
            connection.cookies.get(LANGUAGE_COOKIE),
        ),
    )
