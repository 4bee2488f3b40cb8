"""Telling a database that is out of reach from everything else that goes wrong."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
from sqlalchemy.exc import DBAPIError


def is_outage(failure: BaseException | None) -> bool:
    """Whether a failure is, or was caused by, a connection that ended or could not be had."""
    return any(_lost(each) for each in _chain(failure))


def is_ones_own(failure: BaseException) -> bool:
    """Whether a shared transaction failed of one of those who share it, or of their sharing it."""
    return not is_outage(failure) or isinstance(getattr(failure, "orig", None), psycopg.errors.DeadlockDetected)


def _lost(failure: BaseException) -> bool:
    if isinstance(failure, DBAPIError):
        return failure.connection_invalidated or isinstance(failure.orig, psycopg.OperationalError)
    return isinstance(failure, psycopg.OperationalError)


def _chain(failure: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while failure is not None and id(failure) not in seen:
        seen.add(id(failure))
        yield failure
        failure = failure.__cause__ or failure.__context__
