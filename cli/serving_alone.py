"""Server processes that do one thing: models, or sign-in and tokens."""

from __future__ import annotations

from typing import Any

import typer

from .ending import USAGE
from .listening import Server, base_url, listen, may_listen, prepare, settings_for, tell_token
from .texts import say


async def run_models(*, host: str | None, port: int | None) -> int:
    """Serve models until a signal comes; the exit code."""
    settings = settings_for(host, port)
    if not may_listen(settings):
        return USAGE
    prepare(settings)
    from ..server.llm_app import create_llm_app  # noqa: PLC0415 - each brings what the other does without

    async def welcome(server: Server) -> bool:
        typer.echo(say("serving_models", url=f"{base_url(server, settings)}/v1"))
        if settings.auth.mode == "local":
            tell_token(settings)
        return True

    return await listen(create_llm_app(settings), settings, welcome)


async def run_identity(*, host: str | None, port: int | None) -> int:
    """Serve sign-in and tokens until a signal comes; the exit code.

    Raises:
        ConfigError: The settings are of another mode.
    """
    settings = settings_for(host, port)
    prepare(settings)
    from ..server.auth_app import create_auth_app  # noqa: PLC0415

    app: Any = create_auth_app(settings)

    async def welcome(server: Server) -> bool:
        typer.echo(say("serving_identity", url=base_url(server, settings)))
        tell_sign_in(app.state.identity)
        return True

    return await listen(app, settings, welcome)


def tell_sign_in(identity: Any) -> None:
    """Say where people sign in, and give the first of them their link."""
    typer.echo(say("sign_in_page", url=identity.issuer))
    if identity.first_link is not None:
        typer.echo(say("first_admin", email=identity.settings.admin_email, url=identity.first_link))
