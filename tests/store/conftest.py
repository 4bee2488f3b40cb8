from collections.abc import AsyncIterator

import pytest
from sqlalchemy import insert

from codelab.core.types import new_id, utc_now
from codelab.store.engine import Database
from codelab.store.models import RunRow, ThreadRow, TurnRow, WorkspaceRow

OWNER = {"owner_id": "local", "tenant_id": "default"}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def thread_id(database: Database) -> str:
    return await make_thread(database)


async def make_thread(database: Database) -> str:
    thread_id, workspace_id, now = new_id(), new_id(), utc_now()
    folder = {"id": workspace_id, "name": "w", "path": workspace_id, "created_at": now}
    async with database.transaction() as session:
        await session.execute(insert(WorkspaceRow).values(**folder, **OWNER))
        await session.execute(
            insert(ThreadRow).values(
                id=thread_id,
                workspace_id=workspace_id,
                status="idle",
                epoch="e",
                last_seq=0,
                trimmed_seq=0,
                meta={},
                config={},
                interrupts={},
                created_at=now,
                updated_at=now,
                **OWNER,
            )
        )
    return thread_id


@pytest.fixture
async def run_id(database: Database, thread_id: str) -> str:
    """A running run, attempt 1, of owner `me`."""
    turn_id, made, now = new_id(), new_id(), utc_now()
    async with database.transaction() as session:
        await session.execute(
            insert(TurnRow).values(
                id=turn_id,
                thread_id=thread_id,
                message_id="m",
                approval_mode="ask",
                status="running",
                created_at=now,
                **OWNER,
            )
        )
        await session.execute(
            insert(RunRow).values(
                id=made,
                thread_id=thread_id,
                turn_id=turn_id,
                kind="turn",
                meta={},
                priority=0,
                updated_at=now,
                status="running",
                settings={},
                attempt=1,
                handed_back=0,
                owner="me",
                cancel_requested=False,
                created_at=now,
                **OWNER,
            )
        )
    return made
