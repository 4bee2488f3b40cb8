"""`codelab worker`: executes runs, beside as many servers and workers as you like."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .lazy import examples, new_app
from .texts import say

app = new_app()


@app.command(
    help=say("help_worker_long"),
    epilog=examples(
        "CODELAB_DATABASE__URL=postgresql://… CODELAB_REDIS__URL=redis://… codelab worker",
        "codelab worker --config langgraph.json",
    ),
)
def worker(
    *,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help=say("opt_config"))] = None,
) -> None:
    """Execute until Ctrl-C or SIGTERM."""
    from uvicorn.loops.auto import auto_loop_factory as loops  # noqa: PLC0415

    from .ending import finish  # noqa: PLC0415
    from .working import run_worker  # noqa: PLC0415 - brings LangChain

    finish(run_worker(config), loops=loops())
