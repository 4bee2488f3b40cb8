"""`codelab login`: sign in at a server with the browser, for `--server`."""

from __future__ import annotations

from typing import Annotated

import typer

from .lazy import examples, new_app
from .texts import say

app = new_app()


@app.command(
    help=say("help_login_long"),
    epilog=examples(
        "codelab login https://codelab.example.org", 'codelab run "list files" --server https://codelab.example.org'
    ),
)
def login(
    server: Annotated[str, typer.Argument(metavar="URL", help=say("arg_server"))],
    *,
    scope: Annotated[str | None, typer.Option("--scope", metavar="SCOPES", help=say("opt_login_scope"))] = None,
) -> None:
    """Sign in."""
    from .device_flow import sign_in  # noqa: PLC0415 - brings httpx
    from .ending import finish  # noqa: PLC0415

    finish(sign_in(server, scopes=scope))
