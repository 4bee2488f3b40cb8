"""A server and workers as real processes on real PostgreSQL and Redis; each can be killed, paused or cut off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import redis

from .postgres import Postgres, migrate
from .processes import free_port, spawn, wait_until
from .redis_server import redis_binary
from .service import answers
from .tcp_proxy import Proxy

CONFIG = Path(__file__).parent / "chaos_graphs" / "langgraph.json"
LEASE_S = 3.0


@dataclass
class Member:
    """One process that can be killed and started again."""

    argv: list[str]
    env: dict[str, str]
    log: Path
    ready: str | None = None
    process: subprocess.Popen[bytes] | None = None
    said_before: int = 0

    def start(self) -> None:
        """Start it, and wait until it answers if it is one that answers."""
        self.launch()
        self.answer()

    def launch(self) -> None:
        """Start it, and wait for nothing."""
        self.said_before = self.log.stat().st_size if self.log.exists() else 0
        self.process = spawn(self.argv, log=self.log, env=self.env, cwd=self.log.parent)

    def answer(self) -> None:
        """Wait until it answers if it is one that answers."""
        if (url := self.ready) and self.process:
            wait_until(lambda: answers(url), self.process, self.log, seconds=60)

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process = None

    @property
    def gave_up(self) -> bool:
        """Whether it ended because it could not start: a database out of reach, as a supervisor knows it.

        One that had started and ended by itself is a failure of the test.
        """
        if self.process is None or not self.process.poll():  # killed by us, alive, or ended in good order
            return False
        said = self.log.read_bytes()[self.said_before :]
        assert b"Executing" not in said, f"{self.log.name} ended by itself: {said[-2000:].decode(errors='replace')}"
        return True

    def pause(self) -> None:
        """Stop its clock; it notices nothing."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on where it was."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self.process
        assert self.process.poll() is None, self.log.read_text(errors="replace")[-2000:]
        self.process.send_signal(number)

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self.process
        return self.process.pid


@dataclass
class Fleet:
    """Everything of one deployment."""

    home: Path
    database_url: str
    proxy: Proxy
    broker: Member
    server: Member
    workers: list[Member] = field(default_factory=list)
    paused: set[int] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where the server answers."""
        assert self.server.ready
        return self.server.ready.removesuffix("/ok")

    @property
    def traces(self) -> Path:
        """The file that the graph's nodes write to."""
        return self.home / "traces.jsonl"

    def client(self) -> httpx.Client:
        """A client of the server."""
        return httpx.Client(base_url=self.url, timeout=30)

    def revive(self) -> None:
        """Start the workers again that could not start, as a supervisor does."""
        for worker in self.workers:
            if worker.gave_up:
                worker.launch()

    def disconnect_everybody(self) -> None:
        """Let PostgreSQL end every session of the fleet."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    def said(self) -> str:
        """The end of each log."""
        logs = [member.log for member in (self.server, *self.workers)]
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs)


@contextmanager
def fleet(server: Postgres, *, workers: int = 2, executes: bool = False) -> Iterator[Fleet]:
    """Start a fleet on a database of its own.

    Args:
        server: The PostgreSQL.
        workers: How many worker processes.
        executes: Whether the server executes runs itself.
    """
    name = server.create()
    migrate(server.url(name))
    with tempfile.TemporaryDirectory(prefix="codelab-chaos-", ignore_cleanup_errors=True) as folder:
        direct = urlsplit(server.url(name))
        with Proxy(direct.port or 5432) as proxy:
            running = _fleet(Path(folder), server.url(name), proxy, workers=workers, executes=executes)
            try:
                for member in (running.broker, running.server, *running.workers):
                    member.launch()
                running.server.answer()
                yield running
            finally:
                for member in (*running.workers, running.server, running.broker):
                    member.kill()
    server.drop(name)


def _fleet(home: Path, database_url: str, proxy: Proxy, *, workers: int, executes: bool) -> Fleet:
    parts = urlsplit(database_url)
    through = urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{proxy.port}"))
    broker_port, port = free_port(), free_port()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("CODELAB_", "OPENAI_", "LANGSMITH_"))}
    env |= {
        "CHAOS_TRACES": str(home / "traces.jsonl"),
        "CODELAB_AUTH__MODE": "anonymous",
        "CODELAB_DATABASE__URL": through,
        "CODELAB_DATA_DIR": str(home / "data"),
        "CODELAB_LOG__LEVEL": "WARNING",
        "CODELAB_REDIS__URL": f"redis://127.0.0.1:{broker_port}/0",
        "CODELAB_RUNS__HEARTBEAT_S": "0.5",
        "CODELAB_RUNS__LEASE_S": str(LEASE_S),
        "CODELAB_RUNS__MAX_ATTEMPTS": "50",
    }
    (home / "data").mkdir()
    codelab = [sys.executable, "-m", "codelab.cli"]
    serve = [*codelab, "serve", "--config", str(CONFIG), "--port", str(port)]
    idle = {} if executes else {"CODELAB_RUNS__MAX_CONCURRENT": "0"}
    return Fleet(
        home=home,
        database_url=database_url,
        proxy=proxy,
        broker=_broker(home, broker_port),
        server=Member(serve, env | idle, home / "serve.log", f"http://127.0.0.1:{port}/ok"),
        workers=[
            Member([*codelab, "worker", "--config", str(CONFIG)], env, home / f"worker{n}.log") for n in range(workers)
        ],
    )


def _broker(home: Path, port: int) -> Member:
    argv = [str(redis_binary()), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(home), "--save", ""]
    return Member([*argv, "--appendonly", "no"], dict(os.environ), home / "redis.log")


def broker_answers(member: Member) -> bool:
    """Whether the Redis of a fleet is up."""
    port = int(member.argv[member.argv.index("--port") + 1])
    with redis.Redis(port=port, socket_connect_timeout=1) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False
