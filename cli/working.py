"""The worker process: start, graceful end."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import typer

from ..core.errors import ConfigError
from ..core.settings import Settings
from ..core.telemetry import configure_logs
from ..runtime.agent import build_agent_runtime
from ..runtime.compose import build_runtime
from ..runtime.graphs.loading import ServedConfig, load_config, settings_for
from ..tools.processes import keep_private
from . import memory
from .ending import DONE
from .texts import say


async def run_worker(config: Path | None) -> int:
    """Execute runs until a signal comes; the exit code.

    Raises:
        ConfigError: The database is SQLite, or no run may execute here.
    """
    served = None
    if config is not None:
        configure_logs(Settings().log)
        served = load_config(config)  # before the settings: its `env` may hold some
    settings = Settings()
    if settings.database_url.startswith("sqlite"):
        raise ConfigError(
            "Workers need PostgreSQL: set CODELAB_DATABASE__URL (on SQLite the server executes runs itself)"
        )
    if settings.runs.max_concurrent < 1:
        raise ConfigError("A worker with CODELAB_RUNS__MAX_CONCURRENT=0 would execute nothing; set 1 or more")
    configure_logs(settings.log)
    keep_private()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with _runtime(settings, served):
        memory.tune()
        typer.echo(say("working", most=settings.runs.max_concurrent))
        await ended.wait()
        typer.echo(say("draining"))
    return DONE


def _runtime(settings: Settings, served: ServedConfig | None) -> AbstractAsyncContextManager[Any]:
    if served is None:
        return build_runtime(settings)
    return build_agent_runtime(settings_for(served, settings), served.graphs, brought=served.brought)
