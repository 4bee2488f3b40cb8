"""A database with the clients' service on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from codelab.auth.audit.service import Audit
from codelab.auth.clients.service import Clients
from codelab.auth.verify.revocations import SqlRevocations
from codelab.store.engine import Database

MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)


class Time:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.at = MIDNIGHT

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, **time: float) -> None:
        self.at += timedelta(**time)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def revocations(database: Database, time: Time) -> SqlRevocations:
    return SqlRevocations(database, now=time)


@pytest.fixture
def audit(database: Database, time: Time) -> Audit:
    return Audit(database, now=time)


@pytest.fixture
def clients(database: Database, revocations: SqlRevocations, audit: Audit, time: Time) -> Clients:
    return Clients(database, revocations=revocations, audit=audit, now=time)
