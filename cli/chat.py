"""`codelab chat`: a conversation in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.types import ApprovalMode
from .lazy import examples, new_app
from .options import Agent, Server, Token, Workspace
from .texts import say

app = new_app()


@app.command(
    help=say("help_chat_long"),
    epilog=examples("codelab chat -w ~/src/calc", "codelab chat --thread THREAD", "codelab chat -w . --agent coder"),
)
def chat(
    *,
    workspace: Workspace = Path(),
    thread: Annotated[str | None, typer.Option("--thread", "-t", metavar="ID", help=say("opt_thread"))] = None,
    agent: Agent = None,
    approve: Annotated[ApprovalMode | None, typer.Option("--approve", help=say("opt_approve"))] = None,
    server: Server = None,
    token: Token = None,
) -> None:
    """Talk with the agents."""
    from .client import Access  # noqa: PLC0415 - brings LangChain
    from .ending import finish  # noqa: PLC0415
    from .talk import talk  # noqa: PLC0415

    finish(
        talk(Access(workspace, server, token), thread_id=thread, agent=agent, mode=approve.value if approve else None)
    )
