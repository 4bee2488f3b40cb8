"""The server process: start, sign-in link, workspaces, graceful end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from ..auth.hosting import TENANT, host_of
from ..auth.local import LOCAL, LocalAuth
from ..core.errors import CodeLabError
from ..core.settings import Settings
from ..core.telemetry import configure_logs
from ..runtime.graphs.loading import load_config
from ..server.agent_api.configured import create_configured_server
from ..server.app import create_app
from .ending import USAGE, complain
from .listening import Server, base_url, listen, may_listen, prepare, settings_for, tell_token
from .serving_alone import tell_sign_in
from .terminal import clean
from .texts import say


async def run_server(*, folders: Sequence[Path], host: str | None, port: int | None, models: bool = True) -> int:
    """Serve until a signal comes, with `/v1` or without; the exit code."""
    settings = settings_for(host, port)
    if not may_listen(settings):
        return USAGE
    prepare(settings)
    app = create_app(settings, models=models)

    async def welcome(server: Server) -> bool:
        return await _welcome(app, server, settings, folders)

    return await listen(app, settings, welcome)


async def run_config(config: Path, *, host: str | None, port: int | None) -> int:
    """Serve the graphs of a `langgraph.json` until a signal comes; the exit code.

    Raises:
        ConfigError: Something in it is wrong, or the settings do not allow a start.
    """
    configure_logs(Settings().log)  # what the file does without is said while it is read
    served = load_config(config)  # before the settings: its `env` may hold some
    settings = settings_for(host, port)
    prepare(settings)

    async def welcome(server: Server) -> bool:
        typer.echo(say("serving", url=base_url(server, settings)))
        typer.echo(say("serving_graphs", names=", ".join(served.graphs.ids)))
        if served.auth is None and settings.auth.mode == "local":
            tell_token(settings)
        return True

    return await listen(create_configured_server(served, settings), settings, welcome)


async def _welcome(app: object, server: Server, settings: Settings, folders: Sequence[Path]) -> bool:
    """Register the folders named on the command line and print the way in; False ends the server."""
    state = app.state  # type: ignore[attr-defined]  # the framework's own type stays in the server room
    host = LOCAL if state.identity is None else await host_of(state.runtime.database, TENANT)
    for folder in folders:
        try:
            known = await state.runtime.workspaces.register(host, folder, trusted=True)
        except CodeLabError as exc:
            complain(exc.message)
            server.should_exit = True
            return False
        typer.echo(clean(say("serving_folder", path=known.path, id=known.id)))
    base = base_url(server, settings)
    typer.echo(say("serving", url=base))
    if state.identity is not None:
        tell_sign_in(state.identity)
    elif isinstance(state.auth, LocalAuth):
        typer.echo(say("sign_in", url=f"{base}/login?code={state.auth.make_link_code()}"))
        tell_token(settings)
    return True
