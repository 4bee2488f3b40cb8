"""`codelab serve`: the HTTP service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .lazy import examples, new_app
from .texts import say

app = new_app()


@app.command(
    help=say("help_serve_long"),
    epilog=examples(
        "codelab serve -w ~/src/calc",
        "CODELAB_SERVER__TOKEN=choose-one codelab serve --port 8100",
        "codelab serve --config langgraph.json",
    ),
)
def serve(
    *,
    workspace: Annotated[
        list[Path] | None, typer.Option("--workspace", "-w", metavar="DIR", help=say("opt_workspaces"))
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help=say("opt_host"))] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help=say("opt_port"))] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help=say("opt_config"))] = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    from uvicorn.loops.auto import auto_loop_factory as loops  # noqa: PLC0415

    from .ending import finish  # noqa: PLC0415
    from .serving import run_config, run_server  # noqa: PLC0415 - brings LangChain and FastAPI

    if config is None:
        finish(run_server(folders=workspace or [], host=host, port=port), loops=loops())
    if workspace:
        raise typer.BadParameter(say("config_or_workspace"))
    finish(run_config(config, host=host, port=port), loops=loops())
