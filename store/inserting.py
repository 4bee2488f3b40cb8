"""Putting records into the log's table: many in one statement of the driver's own, built once per number of them.

SQLAlchemy prepares each parameter of each row, which costs more than the database; and SQLite takes a statement in one
step, in which the event loop runs on, where rows one by one would make the two take turns at each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Dialect

from .models import RunEventRow
from .models.base import table_of
from .prepared import Transaction
from .records import LoggedEvent

Owner = tuple[str, str]
"""A user and a tenant."""
MOST: Final = 250
"""Records of one statement: databases take some 30 000 parameters."""
_COLUMNS: Final = ("thread_id", "seq", "run_id", "attempt", "type", "data", "at", "owner_id", "tenant_id")
_MARKS: Final = {"qmark": "?", "format": "%s", "pyformat": "%s"}
_EVENTS: Final = table_of(RunEventRow)


async def insert(session: Transaction, records: Sequence[LoggedEvent], owners: Mapping[str, Owner]) -> None:
    """Insert records that one transaction wrote at one time, with their JSON as it is.

    Args:
        session: The transaction.
        records: At least one.
        owners: Whose each thread is.
    """
    dialect = session.dialect
    at = _bound(records[0].at, dialect)
    last = {thread_id: (at, *owner) for thread_id, owner in owners.items()}
    for start in range(0, len(records), MOST):
        some = records[start : start + MOST]
        values: list[Any] = []
        for record in some:
            said = record.run_id, record.attempt, record.type, record.content
            values += (record.thread_id, record.seq, *said, *last[record.thread_id])
        await session.run(_statement(len(some), _MARKS[dialect.paramstyle]), tuple(values))


def _bound(at: datetime, dialect: Dialect) -> Any:
    """A time as this database's driver takes it."""
    process = _EVENTS.c.at.type.dialect_impl(dialect).bind_processor(dialect)
    return process(at) if process is not None else at


@lru_cache(maxsize=MOST)
def _statement(count: int, mark: str) -> str:
    row = f"({','.join([mark] * len(_COLUMNS))})"
    return f"INSERT INTO {_EVENTS.name} ({','.join(_COLUMNS)}) VALUES {','.join([row] * count)}"  # noqa: S608
