"""What every test may ask for: an empty environment, real servers, a real repository.

Plain helpers live in `tests/support`; a test imports them as `from tests.support.repos import git`.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from tests.support import postgres, redis_server, repos

# Two workers share two cores: a slow example says nothing about the code.
settings.register_profile("house", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
settings.load_profile("house")

_FOREIGN = ("CODELAB_", "OPENAI_", "ANTHROPIC_", "LANGCHAIN_", "LANGSMITH_", "LANGGRAPH_", "OTEL_")


@pytest.fixture(autouse=True)
def quiet_logs() -> Iterator[None]:
    """A test that runs a command sets logs up for the whole process: the next one finds them as they were."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting or key of the person who runs the tests reaches them, and nothing they write leaves `tmp_path`."""
    for name in [n for n in os.environ if n.startswith(_FOREIGN)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    here = tmp_path / "cwd"  # a `.env` beside the sources must not be read
    here.mkdir()
    monkeypatch.chdir(here)


@pytest.fixture
def git_repo(tmp_path: Path) -> Path:
    """A git repository whose one failing test has a real cause (see `repos.CALC_FILES`)."""
    path = tmp_path / "calc-repo"
    path.mkdir()
    return repos.make_repo(path)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Postgres]:
    """One PostgreSQL per worker, started by the first test that needs it."""
    with postgres.running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: postgres.Postgres) -> str:
    name = postgres_server.create()
    postgres.migrate(postgres_server.url(name))
    return name


@pytest.fixture
def empty_postgres_url(postgres_server: postgres.Postgres) -> Iterator[str]:
    """A database with nothing in it."""
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def postgres_url(postgres_server: postgres.Postgres, _postgres_template: str) -> Iterator[str]:
    """A database of this test's own, at head."""
    name = postgres_server.create(_postgres_template)
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sqlite-template")
    postgres.migrate(f"sqlite:///{folder / 'codelab.db'}")
    return folder


@pytest.fixture
def sqlite_url(tmp_path: Path, _sqlite_template: Path) -> str:
    """A SQLite file of this test's own, at head."""
    folder = tmp_path / "sqlite"
    shutil.copytree(_sqlite_template, folder)
    return f"sqlite:///{folder / 'codelab.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The test runs twice: on a SQLite file and on PostgreSQL, both at head."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture(scope="session")
def _redis_server() -> Iterator[str]:
    with redis_server.running_redis() as url:
        yield url


@pytest.fixture
def redis_url(_redis_server: str) -> str:
    """An empty Redis database; workers that share one server (`TEST_REDIS_URL`) use different numbers."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    url = f"{_redis_server.rpartition('/')[0]}/{1 + int(worker)}" if _redis_server.count("/") > 2 else _redis_server
    redis_server.flush(url)
    return url
