"""`codelab config`: every setting there is."""

from __future__ import annotations

from .lazy import examples, new_app
from .options import AsJson
from .texts import say

app = new_app()


@app.command(help=say("help_config_long"), epilog=examples("codelab config", "codelab config --json | jq ."))
def config(*, as_json: AsJson = False) -> None:
    """Print the reference."""
    from .ending import finish  # noqa: PLC0415
    from .reference import print_reference  # noqa: PLC0415 - brings the settings

    finish(print_reference(as_json=as_json))
