"""`codelab api-keys`: keys for programs that ask for models over `/v1`."""

from __future__ import annotations

from typing import Annotated

import typer

from .lazy import examples, new_app
from .options import AsJson
from .texts import say

app = new_app(
    help=say("help_api_keys_long"),
    no_args_is_help=True,
    epilog=examples(
        "codelab api-keys create my-script",
        "codelab api-keys create ci --model fast --requests-per-minute 60 --expires-in-days 30",
        "codelab api-keys list",
        "codelab api-keys revoke KEY",
    ),
)


@app.command(help=say("help_api_keys_create"))
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help=say("arg_key_name"))],
    *,
    scope: Annotated[list[str] | None, typer.Option("--scope", metavar="NAME", help=say("opt_scope"))] = None,
    model: Annotated[list[str] | None, typer.Option("--model", metavar="ID", help=say("opt_key_model"))] = None,
    requests: Annotated[int | None, typer.Option("--requests-per-minute", min=1, help=say("opt_requests"))] = None,
    tokens: Annotated[int | None, typer.Option("--tokens-per-minute", min=1, help=say("opt_tokens"))] = None,
    days: Annotated[int | None, typer.Option("--expires-in-days", min=1, help=say("opt_days"))] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key."""
    from .ending import finish  # noqa: PLC0415
    from .keys import make_key  # noqa: PLC0415 - brings SQLAlchemy

    told = {
        "name": name,
        "scopes": scope,
        "models": model,
        "requests_per_minute": requests,
        "tokens_per_minute": tokens,
        "expires_in_days": days,
    }
    finish(make_key({key: value for key, value in told.items() if value}, as_json=as_json))


@app.command("list", help=say("help_api_keys_list"))
def list_keys(*, as_json: AsJson = False) -> None:
    """List keys."""
    from .ending import finish  # noqa: PLC0415
    from .keys import show_keys  # noqa: PLC0415

    finish(show_keys(as_json=as_json))


@app.command(help=say("help_api_keys_revoke"))
def revoke(key: Annotated[str, typer.Argument(metavar="KEY", help=say("arg_key"))]) -> None:
    """Revoke a key."""
    from .ending import finish  # noqa: PLC0415
    from .keys import revoke_key  # noqa: PLC0415

    finish(revoke_key(key))
