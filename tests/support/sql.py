"""A statement against a test's database, beside the program that uses it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import create_engine, text


def execute(url: str, statement: str, **values: Any) -> int:
    """Run one statement in a transaction of its own; how many rows it touched. `then` is a time in UTC, as text."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    if "then" in values:
        then = datetime.fromisoformat(values["then"])
        values["then"] = then if url.startswith("postgresql") else f"{then:%Y-%m-%d %H:%M:%S.%f}"
    try:
        with engine.begin() as connection:
            return int(connection.execute(text(statement), values).rowcount)
    finally:
        engine.dispose()
