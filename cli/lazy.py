"""A command group whose commands are imported when they are called, not when they are listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from .texts import say


@dataclass(frozen=True, slots=True)
class Source:
    """Where a command comes from.

    Attributes:
        module: A module with a typer application called `app`, relative to this package.
        help: The key of its one-line help.
        group: Whether it has commands of its own.
    """

    module: str
    help: str
    group: bool = False


class LazyGroup(TyperGroup):
    """Lists its commands from a table; a subclass fills the table."""

    sources: ClassVar[Mapping[str, Source]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """Name the commands in the table's order."""
        del ctx
        return list(self.sources)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Give a stand-in that knows its help line; None when there is no such command."""
        del ctx
        source = self.sources.get(cmd_name)
        return source and TyperCommand(name=cmd_name, help=say(source.help))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that is called."""
        self.commands = {name: self.get_command(ctx, name) for name in self.sources}  # what a typo is compared with
        name, _stand_in, rest = super().resolve_command(ctx, args)
        source = self.sources.get(name or "")
        if source is None:
            return name, None, rest
        app = import_module(source.module, __package__).app
        command: Any = typer.main.get_group(app) if source.group else typer.main.get_command(app)
        command.name = name
        return name, command, rest


def new_app(**options: Any) -> typer.Typer:
    """Make a typer application in the house style: plain help, no completion options, honest tracebacks."""
    return typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
        **options,
    )


def examples(*lines: str) -> str:
    """An epilog of command lines that is not wrapped."""
    return "\n".join(("\b", say("examples"), *(f"  {line}" for line in lines)))
