"""One real server for each module, where people have accounts; and what comes from the package indexes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.people_service import PeopleService, people_service
from tests.support.person import Person


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PeopleService]:
    with people_service(tmp_path_factory.mktemp("people")) as running:
        yield running


@pytest.fixture(scope="module")
def ann(service: PeopleService) -> Person:
    """A member."""
    return service.person("ann")


@pytest.fixture(scope="module")
def bob(service: PeopleService) -> Person:
    """Another member."""
    return service.person("bob")
