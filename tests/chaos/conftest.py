"""Fleets, and how long the storms last: `make chaos`, or `make chaos ARGS=--short`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.fleet import Fleet, fleet
from tests.support.postgres import Postgres


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--short", action="store_true", help="a storm of half a minute instead of minutes")
    parser.addoption("--seed", type=int, default=0, help="what the storm's dice are thrown with")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--short", default=True):
        items[:] = [item for item in items if item.get_closest_marker("long") is None]
    for item in items:
        if "/chaos/" in item.path.as_posix():
            item.add_marker(pytest.mark.chaos)
            item.add_marker(pytest.mark.e2e)


@pytest.fixture
def start_fleet(postgres_server: Postgres) -> Iterator[Callable[..., Fleet]]:
    """Start fleets; when the test fails, what they said is shown."""
    with ExitStack() as stack:
        running: list[Fleet] = []

        def start(**options: object) -> Fleet:
            running.append(stack.enter_context(fleet(postgres_server, **options)))
            return running[-1]

        yield start
        for one in running:
            print(one.said())  # noqa: T201 - pytest shows it with a failure only
