"""What `codelab api-keys` does: in the database that the settings name, for this machine's user."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import typer

from ..auth.api_keys.schemas import ApiKey, KeyOptions
from ..auth.api_keys.service import ApiKeys
from ..auth.local import LOCAL
from ..core.settings import Settings
from ..core.types import utc_now
from ..store.migrate import open_database
from .ending import DONE
from .terminal import clean
from .texts import say
from .told import as_told


async def make_key(told: Mapping[str, Any], *, as_json: bool) -> int:
    """Make a key and print it."""
    options = as_told(KeyOptions, told)
    settings = Settings()
    async with _keys(settings) as keys:
        made = await keys.create(LOCAL, options)
    url = f"{settings.server.public_url or f'http://{settings.server.host}:{settings.server.port}'}/v1"
    typer.echo(made.model_dump_json() if as_json else say("key_made", secret=made.key, id=made.id, url=url))
    return DONE


async def show_keys(*, as_json: bool) -> int:
    """List the keys, a line each."""
    async with _keys(Settings()) as keys:
        found = await keys.list(LOCAL)
    for key in found:
        typer.echo(key.model_dump_json() if as_json else clean(_line(key)))
    if not (found or as_json):
        typer.echo(say("no_keys"), err=True)
    return DONE


async def revoke_key(key_id: str) -> int:
    """Revoke a key."""
    async with _keys(Settings()) as keys:
        key = await keys.revoke(LOCAL, key_id)
    typer.echo(clean(say("key_revoked", name=key.name, prefix=key.prefix)))
    return DONE


@asynccontextmanager
async def _keys(settings: Settings) -> AsyncIterator[ApiKeys]:
    async with open_database(settings.database_url) as database:
        yield ApiKeys(database)


def _line(key: ApiKey) -> str:
    state = "revoked" if key.revoked_at else "expired" if _is_past(key.expires_at) else "active"
    used = key.last_used_at.strftime("%Y-%m-%d %H:%M") if key.last_used_at else "-"
    return f"{key.id}  {key.prefix}…  {state:<8}{used:<18}{' '.join(key.scopes)}  {key.name}"


def _is_past(at: datetime | None) -> bool:
    return at is not None and at <= utc_now()
