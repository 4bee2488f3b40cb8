"""`codelab users`: people, invitations, and who has which role."""

from __future__ import annotations

from typing import Annotated

import typer

from .lazy import examples, new_app
from .options import AsJson
from .texts import say

app = new_app(
    help=say("help_users_long"),
    no_args_is_help=True,
    epilog=examples(
        "codelab users create ann@example.org --name Ann --role admin",
        "codelab users invite bob@example.org",
        "codelab users roles bob@example.org --grant viewer --take member",
        "codelab users disable bob@example.org",
    ),
)
User = Annotated[str, typer.Argument(metavar="USER", help=say("arg_user"))]
RoleNames = Annotated[list[str] | None, typer.Option("--role", metavar="NAME", help=say("opt_user_role"))]


@app.command(help=say("help_users_create"))
def create(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help=say("arg_email"))],
    *,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help=say("opt_user_name"))] = "",
    role: RoleNames = None,
    as_json: AsJson = False,
) -> None:
    """Make an account."""
    from .ending import finish  # noqa: PLC0415
    from .people import make_user  # noqa: PLC0415 - brings SQLAlchemy

    finish(make_user(email, name, role, as_json=as_json))


@app.command("list", help=say("help_users_list"))
def list_users(*, as_json: AsJson = False) -> None:
    """List people."""
    from .ending import finish  # noqa: PLC0415
    from .people import show_users  # noqa: PLC0415

    finish(show_users(as_json=as_json))


@app.command(help=say("help_users_invite"))
def invite(
    email: Annotated[str | None, typer.Argument(metavar="EMAIL", help=say("arg_email"))] = None,
    *,
    role: RoleNames = None,
    days: Annotated[int, typer.Option("--days", min=1, max=90, help=say("opt_invite_days"))] = 7,
    as_json: AsJson = False,
) -> None:
    """Invite somebody."""
    from .ending import finish  # noqa: PLC0415
    from .people import make_invite  # noqa: PLC0415

    finish(make_invite(email, role, days, as_json=as_json))


@app.command(help=say("help_users_disable"))
def disable(user: User) -> None:
    """Let somebody in no more."""
    from .ending import finish  # noqa: PLC0415
    from .people import let_in  # noqa: PLC0415

    finish(let_in(user, allowed=False))


@app.command(help=say("help_users_enable"))
def enable(user: User) -> None:
    """Let somebody in again."""
    from .ending import finish  # noqa: PLC0415
    from .people import let_in  # noqa: PLC0415

    finish(let_in(user, allowed=True))


@app.command("reset-link", help=say("help_users_reset_link"))
def reset_link(user: User) -> None:
    """Make a link for another password."""
    from .ending import finish  # noqa: PLC0415
    from .people import make_reset_link  # noqa: PLC0415

    finish(make_reset_link(user))


@app.command(help=say("help_users_roles"))
def roles(
    user: User,
    *,
    grant: Annotated[list[str] | None, typer.Option("--grant", metavar="ROLE", help=say("opt_grant"))] = None,
    take: Annotated[list[str] | None, typer.Option("--take", metavar="ROLE", help=say("opt_take"))] = None,
    as_json: AsJson = False,
) -> None:
    """Show and change somebody's roles."""
    from .ending import finish  # noqa: PLC0415
    from .people import change_roles  # noqa: PLC0415

    finish(change_roles(user, grant or [], take or [], as_json=as_json))
