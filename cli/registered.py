"""What `codelab clients` does: in the database that the settings name, beside the servers that use it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import typer

from ..auth.audit.service import Audit
from ..auth.clients.schemas import DEVICE_CODE, ClientOptions, NewOAuthClient, OAuthClient
from ..auth.clients.service import Clients
from ..auth.local import LOCAL
from ..auth.verify.revocations import SqlRevocations
from ..core.errors import InvalidInput
from ..core.settings import Settings
from ..store.migrate import open_database
from .ending import DONE
from .terminal import clean
from .texts import say
from .told import as_told

_AT_ONCE: Final = 200
_MOST_BYTES: Final = 64 * 1024
_MINUTE: Final = "%Y-%m-%d %H:%M"
_SERVICE: Final[Mapping[str, Any]] = {
    "auth_method": "client_secret_basic",
    "grant_types": ["client_credentials"],
}


async def make_client(told: Mapping[str, Any], *, service: bool, jwks: Path | None, as_json: bool) -> int:
    """Register a client and print its id and secret."""
    options = await _options(told, service=service, jwks=jwks)
    async with _clients() as clients:
        made = await clients.create(LOCAL, options)
    _tell(made, as_json=as_json)
    return DONE


async def show_clients(*, as_json: bool) -> int:
    """List the clients, a line each."""
    after, anybody = None, False
    async with _clients() as clients:
        while found := await clients.list(LOCAL, limit=_AT_ONCE, after=after):
            for client in found:
                typer.echo(client.model_dump_json() if as_json else clean(_line(client)))
            after, anybody = (found[-1].created_at, found[-1].id), True
    if not (anybody or as_json):
        typer.echo(say("no_clients"), err=True)
    return DONE


async def rotate_client(client_id: str, *, grace_hours: int, as_json: bool) -> int:
    """Replace a client's secret and print the new one."""
    async with _clients() as clients:
        made = await clients.rotate_secret(LOCAL, client_id, grace=timedelta(hours=grace_hours))
    _tell(made, as_json=as_json)
    return DONE


async def let_have_tokens(client_id: str, *, allowed: bool) -> int:
    """Let a client have tokens again, or no more."""
    async with _clients() as clients:
        client = await (clients.enable if allowed else clients.disable)(LOCAL, client_id)
    typer.echo(clean(say("client_enabled" if allowed else "client_disabled", name=client.name, id=client.id)))
    return DONE


async def delete_client(client_id: str) -> int:
    """Delete a client."""
    async with _clients() as clients:
        await clients.delete(LOCAL, client_id)
    typer.echo(clean(say("client_deleted", id=client_id)))
    return DONE


@asynccontextmanager
async def _clients() -> AsyncIterator[Clients]:
    async with open_database(Settings().database_url) as database:
        yield Clients(database, revocations=SqlRevocations(database), audit=Audit(database))


async def _options(told: Mapping[str, Any], *, service: bool, jwks: Path | None) -> ClientOptions:
    wanted = {**(_SERVICE if service else {}), **told}
    if "grant_types" in wanted:
        wanted["grant_types"] = [DEVICE_CODE if grant == "device" else grant for grant in wanted["grant_types"]]
    if jwks is not None:
        wanted |= {"jwks": await asyncio.to_thread(_read, jwks), "auth_method": "private_key_jwt"}
    return as_told(ClientOptions, wanted)


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError) as exc:
        raise InvalidInput(say("bad_jwks", path=path)) from exc


def _tell(made: NewOAuthClient, *, as_json: bool) -> None:
    if as_json:
        typer.echo(made.model_dump_json())
        return
    typer.echo(say("client_made", id=made.id))
    if made.client_secret is not None:
        typer.echo(say("client_secret_made", secret=made.client_secret))
    if made.old_secret_until is not None:
        typer.echo(say("old_secret_until", until=f"{made.old_secret_until:{_MINUTE}} UTC"))


def _line(client: OAuthClient) -> str:
    state = "disabled" if client.disabled_at else "active"
    grants = " ".join("device" if grant == DEVICE_CODE else grant for grant in client.grant_types)
    kind = "dynamic" if client.dynamic else "first-party" if client.first_party else ""
    return f"{client.id}  {state:<10}{client.auth_method:<21}{client.name}  {grants}  {kind}".rstrip()
