"""`codelab signing-keys`: the keys that tokens are signed with."""

from __future__ import annotations

from typing import Annotated

import typer

from .lazy import examples, new_app
from .options import AsJson
from .texts import say

app = new_app(
    help=say("help_signing_keys_long"),
    no_args_is_help=True,
    epilog=examples("codelab signing-keys list", "codelab signing-keys rotate", "codelab signing-keys rotate --now"),
)


@app.command("list", help=say("help_signing_keys_list"))
def list_keys(*, as_json: AsJson = False) -> None:
    """List keys."""
    from .ending import finish  # noqa: PLC0415
    from .rotation import show_signing_keys  # noqa: PLC0415 - brings SQLAlchemy

    finish(show_signing_keys(as_json=as_json))


@app.command(help=say("help_signing_keys_rotate"))
def rotate(
    *,
    now: Annotated[bool, typer.Option("--now", help=say("opt_rotate_now"))] = False,
    as_json: AsJson = False,
) -> None:
    """Make a new key."""
    from .ending import finish  # noqa: PLC0415
    from .rotation import rotate_keys  # noqa: PLC0415

    finish(rotate_keys(now=now, as_json=as_json))
