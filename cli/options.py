"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .texts import say

Workspace = Annotated[Path, typer.Option("--workspace", "-w", metavar="DIR", exists=False, help=say("opt_workspace"))]
Agent = Annotated[str | None, typer.Option("--agent", "-a", metavar="NAME", help=say("opt_agent"))]
AsJson = Annotated[bool, typer.Option("--json", help=say("opt_json"))]
Server = Annotated[str | None, typer.Option("--server", metavar="URL", help=say("opt_server"))]
Token = Annotated[
    str | None, typer.Option("--token", metavar="TOKEN", envvar="CODELAB_SERVER__TOKEN", help=say("opt_token"))
]
