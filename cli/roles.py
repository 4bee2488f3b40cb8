"""`codelab roles`: what people may do."""

from __future__ import annotations

from typing import Annotated

import typer

from .lazy import examples, new_app
from .options import AsJson
from .texts import say

app = new_app(
    help=say("help_roles_long"),
    no_args_is_help=True,
    epilog=examples(
        "codelab roles list",
        "codelab roles create auditor --permission audit:read --parent viewer",
        "codelab roles grant ann@example.org auditor",
        "codelab roles revoke ann@example.org auditor",
        "codelab roles delete auditor",
    ),
)
Name = Annotated[str, typer.Argument(metavar="ROLE", help=say("arg_role"))]
User = Annotated[str, typer.Argument(metavar="USER", help=say("arg_role_user"))]


@app.command("list", help=say("help_roles_list"))
def list_roles(*, as_json: AsJson = False) -> None:
    """List roles."""
    from .ending import finish  # noqa: PLC0415
    from .role_book import show_roles  # noqa: PLC0415 - brings SQLAlchemy

    finish(show_roles(as_json=as_json))


@app.command(help=say("help_roles_create"))
def create(
    name: Name,
    *,
    permission: Annotated[
        list[str] | None, typer.Option("--permission", metavar="NAME", help=say("opt_role_permission"))
    ] = None,
    parent: Annotated[list[str] | None, typer.Option("--parent", metavar="ROLE", help=say("opt_role_parent"))] = None,
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help=say("opt_role_description"))] = "",
    as_json: AsJson = False,
) -> None:
    """Make a role."""
    from .ending import finish  # noqa: PLC0415
    from .role_book import make_role  # noqa: PLC0415

    told = {"name": name, "description": description, "permissions": permission or [], "parents": parent or []}
    finish(make_role(told, as_json=as_json))


@app.command(help=say("help_roles_delete"))
def delete(name: Name) -> None:
    """Delete a role."""
    from .ending import finish  # noqa: PLC0415
    from .role_book import drop_role  # noqa: PLC0415

    finish(drop_role(name))


@app.command(help=say("help_roles_grant"))
def grant(user: User, name: Name) -> None:
    """Give somebody a role."""
    from .ending import finish  # noqa: PLC0415
    from .role_book import assign  # noqa: PLC0415

    finish(assign(user, name, given=True))


@app.command(help=say("help_roles_revoke"))
def revoke(user: User, name: Name) -> None:
    """Take a role from somebody."""
    from .ending import finish  # noqa: PLC0415
    from .role_book import assign  # noqa: PLC0415

    finish(assign(user, name, given=False))
