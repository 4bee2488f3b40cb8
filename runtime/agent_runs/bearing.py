"""Writing down new runs: those that are made meanwhile share the next transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ...core.errors import CodeLabError, Conflict, NotFound
from ...core.types import Principal
from ...store.checkpoints_batch import Batches
from ...store.eventlog import LogTransaction
from ...store.models import RunRow
from ...store.outage import is_ones_own
from ...store.rows import insert_rows
from ..runs.engine import Claimed
from ..runs.queue import Queue
from ..runs.seats import Seat
from .accepting import Configured, row_of
from .inputs import keyed
from .repository import inflight_of
from .room import make_room
from .schemas import RunRequest
from .standing import Standing, found, occupy, standing

AT_ONCE: Final = 100
"""Runs in one transaction."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Birth:
    """A run to be stored.

    Attributes:
        principal: Whose it is.
        thread_id: None for a thread of its own.
        assistant: What it is of.
        request: What is asked.
        seat: Where it may begin at once.
    """

    principal: Principal
    thread_id: str | None
    assistant: Configured
    request: RunRequest
    seat: Seat


@dataclass(frozen=True, kw_only=True)
class Born:
    """A run that is stored.

    Attributes:
        run: Its row.
        claimed: Set when it begins at once.
        after: The thread's last `seq` before anything of this run was logged.
        stopped: Runs that must be told to make room for it.
    """

    run: RunRow
    claimed: Claimed | None
    after: int
    stopped: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """A run whose thread has room for it."""

    birth: Birth
    thread: Standing
    free: bool
    stopped: Sequence[str]


class Births:
    """Stores runs.

    Args:
        queue: Takes them.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._batches: Batches[Birth] = Batches(self._commit, apart=is_ones_own, most=AT_ONCE)

    async def add(self, birth: Birth) -> Born:
        """Store one in a transaction that it may share.

        Raises:
            NotFound: There is no such thread of this principal's.
            Conflict: The thread is busy and the strategy is `reject`, or it is a workspace's.
            IntegrityError: Somebody made a thread of this id, or a run of this thread began, in this moment.
        """
        born: Born = await self._batches.add(birth)
        return born

    async def _commit(self, births: Sequence[Birth]) -> Sequence[Born | CodeLabError]:
        told: dict[Birth, Born | CodeLabError] = {}
        async with self._queue.log.direct() as writing:
            for turn in _turns(births):
                ready = await _places(writing, turn, told)
                if ready:
                    told |= await self._store(writing, ready)
        return [told[birth] for birth in births]

    async def _store(self, writing: LogTransaction, ready: Sequence[_Ready]) -> Mapping[Birth, Born]:
        session = writing.session
        rows = [_row(each) for each in ready]
        leases = [
            each.birth.seat.take(row) if each.free and row.not_before is None else None
            for each, row in zip(ready, rows, strict=True)
        ]
        whose = [(each.birth.principal, each.thread, row) for each, row in zip(ready, rows, strict=True)]
        await occupy(session, whose)
        await insert_rows(session, *rows)
        born: dict[Birth, Born] = {}
        for each, row, lease in zip(ready, rows, leases, strict=True):
            claimed = await self._queue.claimed(session, row, lease) if lease is not None else None
            born[each.birth] = Born(run=row, claimed=claimed, after=each.thread.last_seq, stopped=each.stopped)
        return born


async def _places(
    writing: LogTransaction, births: Sequence[Birth], told: dict[Birth, Born | CodeLabError]
) -> list[_Ready]:
    """Find out where runs of a thread each can be stored; who cannot is told why."""
    session, ready = writing.session, []
    known = await found(session, [birth.thread_id for birth in births if birth.thread_id is not None])
    inflight = await inflight_of(session, list(known))
    for birth in births:
        row = known.get(birth.thread_id or "")
        try:
            create = birth.request.if_not_exists == "create"
            thread = standing(birth.principal, birth.thread_id, row, create=create)
            active = inflight.get(thread.id, {})
            stopped: Sequence[str] = ()
            if active:
                stopped = await make_room(writing, thread.id, active, birth.request.multitask_strategy)
                active = (await inflight_of(session, [thread.id])).get(thread.id, {})
        except (NotFound, Conflict) as exc:
            told[birth] = exc
        else:
            ready.append(_Ready(birth=birth, thread=thread, free=not active, stopped=stopped))
    return ready


def _row(ready: _Ready) -> RunRow:
    birth, thread = ready.birth, ready.thread
    row = row_of(birth.principal, thread.id, birth.assistant, birth.request, temporary=birth.thread_id is None)
    if row.kwargs and row.kwargs.get("command"):
        row.kwargs = {**row.kwargs, "command": keyed(row.kwargs["command"], thread.interrupts)}
    return row


def _turns(births: Sequence[Birth]) -> Sequence[Sequence[Birth]]:
    """Split so that runs of one thread are stored one after the other, in the order they came."""
    turns: list[list[Birth]] = []
    seen: dict[str, int] = defaultdict(int)
    for birth in births:
        turn = 0 if birth.thread_id is None else seen[birth.thread_id]
        if birth.thread_id is not None:
            seen[birth.thread_id] += 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(birth)
    return turns
