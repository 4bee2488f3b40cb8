"""Where an authorization that has not begun yet would lead back to."""

from __future__ import annotations

from ...store.engine import Database
from ...store.models import OAuthClientRow
from .redirects import is_registered

_MOST_ID = 200


async def landing_of(database: Database, client_id: str, redirect_uri: str) -> str:
    """Return the address if it is one of this client's and the client is not disabled, else an empty text."""
    if not (0 < len(client_id) <= _MOST_ID and client_id.isascii() and client_id.isprintable()):
        return ""
    async with database.read() as session:
        row = await session.get(OAuthClientRow, client_id)
    fits = row is not None and row.disabled_at is None and is_registered(redirect_uri, row.redirect_uris)
    return redirect_uri if fits else ""
