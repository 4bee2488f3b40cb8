"""Our own turns on workers that are killed: by the tool journal a command runs once or not at all."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import soak
from tests.support.fleet import Member
from tests.support.processes import free_port
from tests.support.redis_server import redis_binary
from tests.support.repos import make_repo
from tests.support.service import Service, scripted_server, until

pytestmark = [pytest.mark.timeout(400)]
NAMES = [f"worker{n}" for n in range(4)]


@pytest.fixture
def service(tmp_path: Path, postgres_url: str) -> Iterator[Service]:
    """A server that executes nothing; a person's words come through it."""
    for name in ("data", "repo"):
        (tmp_path / name).mkdir()
    repo = make_repo(tmp_path / "repo", {"README.md": "soak\n"})
    port = free_port()
    argv = [str(redis_binary()), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(tmp_path), "--save", ""]
    broker = Member([*argv, "--appendonly", "no"], {}, tmp_path / "redis.log")
    with scripted_server(soak.script(tmp_path / "soak.json", NAMES)) as model:
        env = {
            "CODELAB_REDIS__URL": f"redis://127.0.0.1:{port}/0",
            "CODELAB_RUNS__HEARTBEAT_S": "0.5",
            "CODELAB_RUNS__LEASE_S": "3",
            "CODELAB_RUNS__MAX_ATTEMPTS": "50",
            "CODELAB_RUNS__MAX_CONCURRENT": "0",
        }
        running = Service(repo, tmp_path / "data", postgres_url, model, extra_env=env)
        broker.start()
        running.start()
        yield running
        running.kill()
        broker.kill()


@pytest.fixture
def workers(service: Service) -> Iterator[list[Member]]:
    env = service.env | {"CODELAB_RUNS__MAX_CONCURRENT": "16"}
    argv = [sys.executable, "-m", "codelab.cli", "worker"]
    made = [Member(argv, env, service.data_dir.parent / f"worker{n}.log") for n in range(2)]
    for worker in made:
        worker.start()
    yield made
    for worker in made:
        worker.kill()


def test_nothing_is_done_twice(service: Service, workers: list[Member], request: pytest.FixtureRequest) -> None:
    dice = random.Random(request.config.getoption("--seed", default=0))  # noqa: S311 - a game of chance
    short = request.config.getoption("--short", default=True)
    ends = time.monotonic() + (8 if short else 90)
    people = [soak.Worker(service, name, ends, 0) for name in NAMES]
    for person in people:
        person.start()
    kills = 0
    while time.monotonic() < ends:
        time.sleep(dice.uniform(0.2, 2.0 if short else 6.0))  # a worker that never gets to work shows nothing
        victim = dice.choice(workers)
        victim.kill()
        victim.start()
        kills += 1
    for person in people:
        person.join(90)
    assert not [person.name for person in people if person.is_alive()]
    until(lambda: not soak.rows(str(service.database_url), soak.STUCK), "everything to rest")
    assert soak.verify(service, people) == []
    assert kills > 3
    assert sum(person.appends for person in people), "no command was ever finished: nothing was tested"
