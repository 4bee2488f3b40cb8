from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from codelab.auth.signing.sealing import Seal
from codelab.auth.signing.service import KeyRing
from codelab.core.settings_auth import AuthSettings
from codelab.store.engine import Database
from tests.support.tokens import SECRET_KEY, Clock, Facts


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def facts() -> Facts:
    return Facts()


@pytest.fixture
async def databases(database_url: str) -> AsyncIterator[Callable[[], Database]]:
    """Make as many engines as there are processes."""
    made: list[Database] = []

    def make() -> Database:
        made.append(Database(database_url))
        return made[-1]

    yield make
    for database in made:
        await database.close()


@pytest.fixture
def new_ring(databases, clock: Clock, facts: Facts) -> Callable[..., KeyRing]:
    """Make the ring of one more process."""

    def make(*secrets: str) -> KeyRing:
        seal = Seal(secrets or [SECRET_KEY])
        settings = AuthSettings(key_days=90)
        return KeyRing(databases(), seal=seal, settings=settings, audit=facts, now=clock.now)

    return make
