"""`codelab logout`: give the tokens of a server back."""

from __future__ import annotations

from typing import Annotated

import typer

from .lazy import new_app
from .texts import say

app = new_app()


@app.command(help=say("help_logout_long"))
def logout(server: Annotated[str, typer.Argument(metavar="URL", help=say("arg_server"))]) -> None:
    """Sign out."""
    from .device_flow import sign_out  # noqa: PLC0415 - brings httpx
    from .ending import finish  # noqa: PLC0415

    finish(sign_out(server))
