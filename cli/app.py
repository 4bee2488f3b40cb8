"""The command's root: the table of commands, and `--version`."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from .lazy import LazyGroup, Source, examples, new_app
from .texts import say


class Commands(LazyGroup):
    """Everything `codelab` can do."""

    sources = {  # noqa: RUF012 - a constant table, typed by the base
        "serve": Source(".serve", "help_serve"),
        "worker": Source(".worker", "help_worker"),
        "run": Source(".run", "help_run"),
        "chat": Source(".chat", "help_chat"),
        "threads": Source(".threads", "help_threads", group=True),
        "eval": Source("..evals.cli", "help_eval", group=True),
        "login": Source(".login", "help_login"),
        "logout": Source(".logout", "help_logout"),
        "users": Source(".users", "help_users", group=True),
        "clients": Source(".clients", "help_clients", group=True),
        "api-keys": Source(".api_keys", "help_api_keys", group=True),
        "signing-keys": Source(".signing_keys", "help_signing_keys", group=True),
        "roles": Source(".roles", "help_roles", group=True),
        "db": Source(".db", "help_db", group=True),
        "config": Source(".config", "help_config"),
        "doctor": Source(".doctor", "help_doctor"),
    }


app = new_app(
    cls=Commands,
    name="codelab",
    help=say("help_root"),
    no_args_is_help=True,
    epilog=examples(
        "codelab serve -w ~/src/calc",
        'codelab run "test_mean fails, please fix it" -w ~/src/calc',
        "codelab chat -w .",
    ),
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback protocol
    if not wanted:
        return
    try:
        number = version("codelab-ai")
    except PackageNotFoundError:
        number = "0+unknown"
    typer.echo(f"codelab {number}")
    raise typer.Exit


@app.callback()
def root(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help=say("opt_version"))
    ] = False,
) -> None:
    """Only `--version` stands before a command."""


def main() -> None:
    """Run the command line."""
    app(prog_name="codelab")
