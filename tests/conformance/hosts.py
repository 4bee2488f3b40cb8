"""Servers to run the suite or the probe against: ours in both shapes, and `langgraph dev`."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support import postgres, redis_server
from tests.support.processes import spawn, stop, wait_until
from tests.support.service import answers

WORKERS: Final = 2
_FOREIGN: Final = ("CODELAB_", "LANGSMITH_", "LANGCHAIN_", "LANGGRAPH_", "OPENAI_", "ANTHROPIC_")


@dataclass
class Host:
    """A running server.

    Attributes:
        url: Where it answers.
        pid: Of the process that answers; 0 for a server that somebody else runs.
        logs: What its processes say.
    """

    url: str
    pid: int = 0
    logs: list[Path] = field(default_factory=list)

    def said(self, characters: int = 4000) -> str:
        """The end of each log."""
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-characters:]}" for log in self.logs)


@dataclass(frozen=True)
class Place:
    """Where a host is started.

    Attributes:
        config: The `langgraph.json` to serve.
        programs: The folder with `codelab` or `langgraph`.
        port: To listen on.
    """

    config: Path
    programs: Path
    port: int


def is_free(port: int) -> bool:
    """Whether nobody listens on a port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without anybody's settings and keys."""
    return {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)} | more


@contextmanager
def sqlite(place: Place) -> Iterator[Host]:
    """`codelab serve` on a SQLite file, runs in its own process."""
    with _folder() as home:
        database = f"sqlite:///{home / 'codelab.db'}"
        postgres.migrate(database)
        with _codelab(home, place, CODELAB_DATABASE__URL=database) as host:
            yield host


@contextmanager
def on_postgres(place: Place) -> Iterator[Host]:
    """`codelab serve` on PostgreSQL alone, runs in its own process."""
    with _folder() as home, postgres.running_postgres() as server:
        database = server.url(server.create())
        postgres.migrate(database)
        with _codelab(home, place, CODELAB_DATABASE__URL=database) as host:
            yield host


@contextmanager
def distributed(place: Place, workers: int = WORKERS) -> Iterator[Host]:
    """`codelab serve` that executes nothing, PostgreSQL, Redis and workers."""
    with _folder() as home, postgres.running_postgres() as server, redis_server.running_redis() as broker:
        database = server.url(server.create())
        postgres.migrate(database)
        shared = {"CODELAB_DATABASE__URL": database, "CODELAB_REDIS__URL": broker}
        with _codelab(home, place, **shared, CODELAB_RUNS__MAX_CONCURRENT="0") as host, ExitStack() as stack:
            for number in range(1, workers + 1):
                log = home / f"worker{number}.log"
                argv = [place.programs / "codelab", "worker", "--config", place.config]
                worker = stack.enter_context(_running(argv, home, log, **shared))
                wait_until(lambda log=log: "Executing" in log.read_text("utf-8"), worker, log, seconds=90)
                host.logs.append(log)
            yield host


@contextmanager
def langgraph_dev(place: Place) -> Iterator[Host]:
    """The peer, a black box, in a folder of its own."""
    with _folder() as home:
        shutil.copytree(
            place.config.parent, home, dirs_exist_ok=True
        )  # paths and its state belong to the folder it runs in
        argv = [place.programs / "langgraph", "dev", "--no-browser", "--no-reload", "--config", place.config.name]
        argv += ["--host", "127.0.0.1", "--port", str(place.port), "--n-jobs-per-worker", "8"]
        log = home / "langgraph-dev.log"
        # Its own programs come first: it starts what it finds on PATH.
        path = os.pathsep.join((str(place.programs), os.environ.get("PATH", "")))
        with _running(argv, home, log, PATH=path) as process:
            yield _ready(process, Host(f"http://127.0.0.1:{place.port}", process.pid, [log]))


@contextmanager
def elsewhere(url: str) -> Iterator[Host]:
    """A server that somebody else runs."""
    if not answers(f"{url}/info"):
        raise SystemExit(f"Nothing answers at {url}/info")
    yield Host(url)


def host_of(target: str) -> Callable[[Place], AbstractContextManager[Host]]:
    """The way to start a target by its name."""
    return {"sqlite": sqlite, "postgres": distributed, "langgraph-dev": langgraph_dev}[target]


@contextmanager
def _codelab(home: Path, place: Place, **env: str) -> Iterator[Host]:
    argv = [place.programs / "codelab", "serve", "--config", place.config, "--port", str(place.port)]
    log = home / "serve.log"
    with _running(argv, home, log, **env) as process:
        yield _ready(process, Host(f"http://127.0.0.1:{place.port}", process.pid, [log]))


@contextmanager
def _running(argv: list[Path | str], home: Path, log: Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    ours = {"CODELAB_DATA_DIR": str(home / "data"), "CODELAB_AUTH__MODE": "anonymous", "CODELAB_LOG__LEVEL": "WARNING"}
    process = spawn([str(a) for a in argv], log=log, env=clean_environment(**ours, **env), cwd=home)
    try:
        yield process
    finally:
        stop(process, signal.SIGTERM)


def _ready(process: subprocess.Popen[bytes], host: Host) -> Host:
    wait_until(lambda: answers(f"{host.url}/info"), process, host.logs[0], seconds=90)
    return host


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="codelab-conformance-", ignore_cleanup_errors=True) as name:
        (Path(name) / "data").mkdir()
        yield Path(name)
