"""`codelab serve`: the HTTP service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from .lazy import examples, new_app
from .texts import say

app = new_app()

ROLES: Final = frozenset({"api", "gateway", "llm", "auth"})
_BUILT: Final = frozenset({"api", "llm", "auth"})
"""What can be served alone; all of them are served along with `api`."""


def _roles(told: str | None) -> frozenset[str]:
    if told is None:
        return ROLES
    roles = frozenset(name.strip() for name in told.split(","))
    if roles - ROLES or not roles & _BUILT:
        raise typer.BadParameter(say("bad_roles"))
    return roles


@app.command(
    help=say("help_serve_long"),
    epilog=examples(
        "codelab serve -w ~/src/calc",
        "CODELAB_SERVER__TOKEN=choose-one codelab serve --port 8100",
        "codelab serve --config langgraph.json",
        "codelab serve --roles llm --port 8001",
        "CODELAB_AUTH__MODE=oauth codelab serve --roles auth --port 8002",
    ),
)
def serve(
    *,
    workspace: Annotated[
        list[Path] | None, typer.Option("--workspace", "-w", metavar="DIR", help=say("opt_workspaces"))
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help=say("opt_host"))] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help=say("opt_port"))] = None,
    roles: Annotated[str | None, typer.Option("--roles", metavar="ROLES", help=say("opt_roles"))] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help=say("opt_config"))] = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    from uvicorn.loops.auto import auto_loop_factory as loops  # noqa: PLC0415

    from .ending import finish  # noqa: PLC0415

    served = _roles(roles)
    if config is not None and (workspace or roles):
        raise typer.BadParameter(say("config_or_workspace"))
    if served >= {"llm", "auth"} and "api" not in served:
        raise typer.BadParameter(say("alone_or_all"))
    if workspace and "api" not in served:
        raise typer.BadParameter(say("workspace_without_api"))
    if "api" not in served:
        from .serving_alone import run_identity, run_models  # noqa: PLC0415 - brings FastAPI, but not LangChain

        alone = run_models if "llm" in served else run_identity
        finish(alone(host=host, port=port), loops=loops())
    from .serving import run_config, run_server  # noqa: PLC0415 - brings LangChain and FastAPI

    if config is not None:
        finish(run_config(config, host=host, port=port), loops=loops())
    finish(run_server(folders=workspace or [], host=host, port=port, models="llm" in served), loops=loops())
