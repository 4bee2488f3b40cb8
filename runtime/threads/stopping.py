"""Bringing a thread to rest: its runs are told to stop, and waited for."""

from __future__ import annotations

import asyncio
from typing import Final

from ...core.types import Principal
from ...store.engine import Database
from ...store.wakeups import Wakeups
from ..agent_runs.repository import ask_to_stop, drop_pending, inflight
from .repository import get_thread

PATIENCE_S: Final = 10.0


async def stop_runs(database: Database, wakeups: Wakeups, principal: Principal, thread_id: str) -> bool:
    """Stop what runs in a thread; False when something did not stop in time.

    Raises:
        NotFound: There is no such thread of this principal's.
    """
    async with database.transaction() as session:
        await get_thread(session, principal, thread_id, lock=True)
        active = await inflight(session, thread_id)
        for run_id in active:
            await drop_pending(session, run_id, delete_row=False)
        told = await ask_to_stop(session, list(active), "interrupt")
    for run_id in told:
        wakeups.cancel(run_id)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while told:
        async with database.read() as session:
            if not await inflight(session, thread_id):
                return True
        if loop.time() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True
