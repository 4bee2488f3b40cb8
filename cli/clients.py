"""`codelab clients`: programs that get tokens from this authorization server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .lazy import examples, new_app
from .options import AsJson
from .texts import say

app = new_app(
    help=say("help_clients_long"),
    no_args_is_help=True,
    epilog=examples(
        "codelab clients create wiki --redirect-uri https://wiki.example.org/callback --scope threads:read",
        "codelab clients create robot --service --scope runs:write --scope threads:write",
        "codelab clients rotate-secret CLIENT --grace-hours 1",
        "codelab clients disable CLIENT",
    ),
)
Client = Annotated[str, typer.Argument(metavar="CLIENT", help=say("arg_client"))]


@app.command(help=say("help_clients_create"))
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help=say("arg_client_name"))],
    *,
    service: Annotated[bool, typer.Option("--service", help=say("opt_service"))] = False,
    redirect: Annotated[
        list[str] | None, typer.Option("--redirect-uri", metavar="URL", help=say("opt_redirect"))
    ] = None,
    scope: Annotated[list[str] | None, typer.Option("--scope", metavar="NAME", help=say("opt_client_scope"))] = None,
    audience: Annotated[list[str] | None, typer.Option("--audience", metavar="URI", help=say("opt_audience"))] = None,
    grant: Annotated[list[str] | None, typer.Option("--grant", metavar="TYPE", help=say("opt_client_grant"))] = None,
    method: Annotated[str | None, typer.Option("--auth-method", metavar="NAME", help=say("opt_auth_method"))] = None,
    jwks: Annotated[Path | None, typer.Option("--jwks", metavar="FILE", help=say("opt_jwks"))] = None,
    first_party: Annotated[bool, typer.Option("--first-party", help=say("opt_first_party"))] = False,
    as_json: AsJson = False,
) -> None:
    """Register a client."""
    from .ending import finish  # noqa: PLC0415
    from .registered import make_client  # noqa: PLC0415 - brings SQLAlchemy

    told = {
        "name": name,
        "redirect_uris": redirect,
        "scopes": scope,
        "audiences": audience,
        "grant_types": grant,
        "auth_method": method,
        "first_party": first_party,
    }
    given = {key: value for key, value in told.items() if value}
    finish(make_client(given | {"name": name}, service=service, jwks=jwks, as_json=as_json))


@app.command("list", help=say("help_clients_list"))
def list_clients(*, as_json: AsJson = False) -> None:
    """List clients."""
    from .ending import finish  # noqa: PLC0415
    from .registered import show_clients  # noqa: PLC0415

    finish(show_clients(as_json=as_json))


@app.command("rotate-secret", help=say("help_clients_rotate"))
def rotate_secret(
    client: Client,
    *,
    grace: Annotated[int, typer.Option("--grace-hours", min=0, max=168, help=say("opt_grace"))] = 24,
    as_json: AsJson = False,
) -> None:
    """Replace a secret."""
    from .ending import finish  # noqa: PLC0415
    from .registered import rotate_client  # noqa: PLC0415

    finish(rotate_client(client, grace_hours=grace, as_json=as_json))


@app.command(help=say("help_clients_disable"))
def disable(client: Client) -> None:
    """Disable a client."""
    from .ending import finish  # noqa: PLC0415
    from .registered import let_have_tokens  # noqa: PLC0415

    finish(let_have_tokens(client, allowed=False))


@app.command(help=say("help_clients_enable"))
def enable(client: Client) -> None:
    """Enable a client."""
    from .ending import finish  # noqa: PLC0415
    from .registered import let_have_tokens  # noqa: PLC0415

    finish(let_have_tokens(client, allowed=True))


@app.command(help=say("help_clients_delete"))
def delete(client: Client) -> None:
    """Delete a client."""
    from .ending import finish  # noqa: PLC0415
    from .registered import delete_client  # noqa: PLC0415

    finish(delete_client(client))
