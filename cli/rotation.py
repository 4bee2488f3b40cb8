"""What `codelab signing-keys` does: in the database that the settings name, beside the servers that use it."""

from __future__ import annotations

import typer

from ..auth.audit.service import Audit
from ..auth.local import LOCAL
from ..auth.signing import service
from ..auth.signing.schedule import SHOWN
from ..auth.signing.schemas import KeyState, SigningKey
from ..auth.signing.sealing import Seal, secret_keys
from ..core.settings import Settings
from ..store.migrate import open_database
from .ending import DONE
from .terminal import clean
from .texts import say

_MINUTE = "%Y-%m-%d %H:%M"


async def show_signing_keys(*, as_json: bool) -> int:
    """List the keys, a line each."""
    async with open_database(Settings().database_url) as database:
        keys = await service.list_keys(database)
    for key in keys:
        typer.echo(key.model_dump_json() if as_json else clean(_line(key)))
    if not (keys or as_json):
        typer.echo(say("no_signing_keys"), err=True)
    return DONE


async def rotate_keys(*, now: bool, as_json: bool) -> int:
    """Make a new key, and say when it signs."""
    settings = Settings()
    async with open_database(settings.database_url) as database:
        seal = Seal(secret_keys(settings))
        ring = service.KeyRing(database, seal=seal, settings=settings.auth, audit=Audit(database))
        key = await ring.rotate(LOCAL.user_id, now=now)
    typer.echo(key.model_dump_json() if as_json else clean(_told(key)))
    return DONE


def _told(key: SigningKey) -> str:
    if key.state is KeyState.ACTIVE:
        return say("signing_key_active", kid=key.kid)
    return say("signing_key_pending", kid=key.kid, at=f"{key.created_at + SHOWN:{_MINUTE}} UTC")


def _line(key: SigningKey) -> str:
    since = key.retired_at or key.retiring_at or key.activated_at or key.created_at
    return f"{key.kid}  {key.alg}  {key.state:<9}{since:{_MINUTE}}"
