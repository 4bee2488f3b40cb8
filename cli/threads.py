"""`codelab threads`: what was said, what waits, what changed."""

from __future__ import annotations

from typing import Annotated

import typer

from ..core.types import DecisionKind
from .lazy import examples, new_app
from .options import AsJson, Server, Token
from .texts import say

app = new_app(
    help=say("help_threads_long"),
    no_args_is_help=True,
    epilog=examples(
        "codelab threads list",
        "codelab threads approvals THREAD",
        "codelab threads decide APPROVAL approve",
        "codelab threads resume THREAD",
        "codelab threads diff THREAD",
    ),
)

ThreadId = Annotated[str, typer.Argument(metavar="THREAD", help=say("arg_thread"))]


@app.command("list", help=say("help_threads_list"))
def list_threads(*, as_json: AsJson = False, server: Server = None, token: Token = None) -> None:
    """List threads."""
    from .conversations import finish_with, show_list  # noqa: PLC0415 - brings LangChain

    finish_with(server, token, lambda client, console: show_list(client, console, as_json=as_json))


@app.command(help=say("help_threads_show"))
def show(thread: ThreadId, *, as_json: AsJson = False, server: Server = None, token: Token = None) -> None:
    """Show one thread's messages."""
    from .conversations import finish_with, show_thread  # noqa: PLC0415

    finish_with(server, token, lambda client, console: show_thread(client, console, thread, as_json=as_json))


@app.command(help=say("help_threads_rm"))
def rm(thread: ThreadId, *, server: Server = None, token: Token = None) -> None:
    """Delete a thread."""
    from .conversations import finish_with, remove  # noqa: PLC0415

    finish_with(server, token, lambda client, console: remove(client, console, thread))


@app.command(help=say("help_threads_approvals"))
def approvals(
    thread: Annotated[str | None, typer.Argument(metavar="[THREAD]", help=say("arg_thread"))] = None,
    *,
    as_json: AsJson = False,
    server: Server = None,
    token: Token = None,
) -> None:
    """List what waits for a person."""
    from .conversations import finish_with, show_approvals  # noqa: PLC0415

    finish_with(server, token, lambda client, console: show_approvals(client, console, thread, as_json=as_json))


@app.command(
    help=say("help_threads_decide"),
    epilog=examples(
        "codelab threads decide ID approve",
        'codelab threads decide ID reject --message "use statistics.mean"',
        """codelab threads decide ID edit --arguments '{"command": "pytest -q"}'""",
    ),
)
def decide(
    approval: Annotated[str, typer.Argument(metavar="APPROVAL", help=say("arg_approval"))],
    decision: Annotated[DecisionKind, typer.Argument(help=say("arg_decision"))],
    *,
    message: Annotated[str | None, typer.Option("--message", "-m", help=say("opt_message"))] = None,
    arguments: Annotated[str | None, typer.Option("--arguments", metavar="JSON", help=say("opt_arguments"))] = None,
    as_json: AsJson = False,
    server: Server = None,
    token: Token = None,
) -> None:
    """Decide one call and follow what comes of it."""
    from .conversations import Verdict, decide_call, finish_with  # noqa: PLC0415

    verdict = Verdict(decision.value, message=message, arguments=arguments)
    finish_with(server, token, lambda client, console: decide_call(client, console, approval, verdict, as_json=as_json))


@app.command(help=say("help_threads_resume"))
def resume(thread: ThreadId, *, as_json: AsJson = False, server: Server = None, token: Token = None) -> None:
    """Follow the newest run of a thread until it rests."""
    from .conversations import finish_with, go_on  # noqa: PLC0415

    finish_with(server, token, lambda client, console: go_on(client, console, thread, as_json=as_json))


@app.command(help=say("help_threads_diff"))
def diff(thread: ThreadId, *, server: Server = None, token: Token = None) -> None:
    """Print all changes of a thread as one diff."""
    from .conversations import finish_with, show_diff  # noqa: PLC0415

    finish_with(server, token, lambda client, console: show_diff(client, console, thread))


@app.command(help=say("help_threads_undo"))
def undo(
    thread: ThreadId,
    turn: Annotated[str | None, typer.Argument(metavar="[TURN]", help=say("arg_turn"))] = None,
    *,
    server: Server = None,
    token: Token = None,
) -> None:
    """Put the files of a turn back."""
    from .conversations import finish_with, undo_turn  # noqa: PLC0415

    finish_with(server, token, lambda client, console: undo_turn(client, console, thread, turn))
