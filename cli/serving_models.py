"""The server process that serves models and nothing else."""

from __future__ import annotations

import typer

from ..server.llm_app import create_llm_app
from .ending import USAGE
from .listening import Server, base_url, listen, may_listen, prepare, settings_for, tell_token
from .texts import say


async def run_models(*, host: str | None, port: int | None) -> int:
    """Serve until a signal comes; the exit code."""
    settings = settings_for(host, port)
    if not may_listen(settings):
        return USAGE
    prepare(settings)

    async def welcome(server: Server) -> bool:
        typer.echo(say("serving_models", url=f"{base_url(server, settings)}/v1"))
        if settings.auth.mode == "local":
            tell_token(settings)
        return True

    return await listen(create_llm_app(settings), settings, welcome)
