"""`codelab run`: one task, from the message to the agent's rest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.types import ApprovalMode
from .lazy import examples, new_app
from .options import Agent, AsJson, Server, Token, Workspace
from .texts import say

app = new_app()


@app.command(
    help=say("help_run_long"),
    epilog=examples(
        'codelab run "test_mean fails, please fix it" -w ~/src/calc',
        'codelab run "list files" -w . --approve deny --json | jq .type',
        'codelab run "explain calc/stats.py" --agent ask --server http://127.0.0.1:8000',
    ),
)
def run(
    task: Annotated[str, typer.Argument(metavar="TASK", help=say("arg_task"))],
    *,
    workspace: Workspace = Path(),
    agent: Agent = None,
    approve: Annotated[ApprovalMode | None, typer.Option("--approve", help=say("opt_approve"))] = None,
    as_json: AsJson = False,
    server: Server = None,
    token: Token = None,
) -> None:
    """Give a task and follow it."""
    from .client import Access  # noqa: PLC0415 - brings LangChain, and `--help` must not wait
    from .ending import finish  # noqa: PLC0415
    from .task import give_task  # noqa: PLC0415

    access = Access(workspace, server, token)
    finish(give_task(access, task, agent=agent, mode=approve.value if approve else None, as_json=as_json))
