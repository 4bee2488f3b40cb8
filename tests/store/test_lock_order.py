"""Two transactions of one thread never wait for each other."""

import asyncio

import pytest

from codelab.core.types import Principal
from codelab.store.engine import Database
from codelab.store.eventlog import EventLog
from codelab.store.journal import SqlJournal
from codelab.store.lease import Lease
from codelab.tools.context import CallKey


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)  # SQLite has one writer at a time
async def test_a_call_begins_while_a_cancel_locks_thread_then_run(
    database: Database, thread_id: str, run_id: str
) -> None:
    """A call's start locks the run, and its row refers to the thread; a cancel locks the thread, then the run."""
    lease = Lease(run_id, 1, "me")
    locked, waiting = asyncio.Event(), asyncio.Event()

    async def cancel() -> None:
        async with EventLog(database).transaction() as writing:
            await writing.lock(thread_id)
            locked.set()
            await waiting.wait()
            await lease.hold(writing.session)

    class SlowLease:
        run_id = lease.run_id

        async def hold(self, session: object) -> None:
            await lease.hold(session)
            waiting.set()
            await asyncio.sleep(0.2)  # the other one asks for the run meanwhile

    cancelling = asyncio.create_task(cancel())
    await locked.wait()
    journal = SqlJournal(database, principal=Principal("local"), lease=SlowLease())
    async with asyncio.timeout(10):
        assert (await journal.begin(CallKey(thread_id, "m1", "c1"), tool="write_file")).fresh
        await cancelling
