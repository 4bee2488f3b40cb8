"""Bring a database to the newest schema, or refuse to start on an older one.

Alembic is imported only when there is something to do: a start on a database at head does without it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.pool import NullPool

from ..core.errors import ConfigError
from .engine import Database
from .locking import file_lock, lock_beside
from .models import Base

if TYPE_CHECKING:
    from alembic.config import Config

_SCRIPTS = Path(__file__).parent / "migrations"


def alembic_config(connection: Connection | None = None) -> Config:
    """Make Alembic's configuration: the packaged scripts, the models, an open connection."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes.update(connection=connection, metadata=Base.metadata)
    return config


async def prepare(database: Database) -> None:
    """Make a start possible: SQLite migrates itself under a lock; PostgreSQL must be at head already.

    Raises:
        ConfigError: The PostgreSQL schema is not at head; the message names `codelab db upgrade`.
    """
    if database.in_memory:
        async with database.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
    elif database.is_sqlite:
        await asyncio.to_thread(_upgrade_sqlite, database)
    elif await current_revision(database) != head_revision():
        raise ConfigError("The database schema is not at head; run `codelab db upgrade` and start again")


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    """Open a database that is ready for use; raises as `prepare` does."""
    database = Database(url)
    try:
        await prepare(database)
        yield database
    finally:
        await database.close()


async def upgrade(database: Database) -> None:
    """Bring the schema to head, LangGraph's own tables included (`codelab db upgrade`)."""
    from .checkpoints import open_checkpoints  # noqa: PLC0415 - brings LangGraph, which a mere start can do without

    if database.is_sqlite:
        await prepare(database)
    else:
        await asyncio.to_thread(_upgrade, database)
    async with open_checkpoints(database) as checkpoints:
        await checkpoints.setup()


def head_revision() -> str:
    """Name the newest step: they are numbered."""
    return max(script.stem[:4] for script in (_SCRIPTS / "versions").glob("[0-9]*.py"))


async def current_revision(database: Database) -> str | None:
    """Name the step the database stands at; None when it has no schema."""
    async with database.engine.connect() as connection:
        return await connection.run_sync(_revision)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _upgrade_sqlite(database: Database) -> None:
    assert database.file is not None  # noqa: S101 - memory databases do not come here
    database.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file_lock(lock_beside(database.file)):
        database.file.touch(mode=0o600)  # it holds what people say and their code; SQLite's side files take its rights
        _upgrade(database)
        # Changing the mode does not wait for other connections, it fails: do it while there are none.
        with closing(sqlite3.connect(database.file)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")


def _upgrade(database: Database) -> None:
    # An engine of its own: with the pragma hook's `foreign_keys=ON`, a batch ALTER deletes all child rows.
    driver = "sqlite" if database.is_sqlite else "postgresql+psycopg"
    engine = create_engine(database.url.set(drivername=driver), poolclass=NullPool)
    try:
        with engine.begin() as connection:
            _lock_postgres(connection, database)
            if _revision(connection) != head_revision():
                from alembic import command  # noqa: PLC0415

                command.upgrade(alembic_config(connection), "head")
    finally:
        engine.dispose()


def _lock_postgres(connection: Connection, database: Database) -> None:
    if not database.is_sqlite:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7235171)")
