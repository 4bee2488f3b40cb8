"""Make, change and read crons, and start what is due."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Final

import structlog
from pydantic import ValidationError

from ...core.errors import BadRequest, CodeLabError, Conflict, InvalidInput, NotFound
from ...core.types import Principal, new_id, utc_now
from ...store.engine import Database
from ...store.models import CronRow
from ..agent_runs.making import Assistants
from ..agent_runs.schemas import RunRequest
from ..agent_runs.service import AgentRuns
from ..scope import actor_of, kept_scopes, owned_by
from ..threads.repository import get_thread
from ..webhooks.guard import WebhookUnresolved
from ..webhooks.service import WebhookService
from .repository import count_crons, due_crons, get_cron, note_problem, page_of_crons, take_tick
from .schedule import next_tick
from .schemas import Cron, CronChange, CronFilter, CronSearch, NewCron

log = structlog.get_logger(__name__)

BEHIND: Final = -1
"""The priority of a cron's runs: somebody waits for the others."""
_AT_ONCE: Final = 16
_PATIENCE_S: Final = 1.0
_OF_THE_ROW: Final = frozenset({"schedule", "timezone", "end_time", "enabled", "on_run_completed"})


class CronService:
    """Crons of one principal at a time, and the clock of all of them.

    Args:
        database: Where the rows are.
        runs: Starts what is due.
        assistants: What a cron runs.
        webhooks: Refuses those that would not be called.
    """

    def __init__(self, database: Database, runs: AgentRuns, assistants: Assistants, webhooks: WebhookService) -> None:
        self._database = database
        self._runs = runs
        self._assistants = assistants
        self._webhooks = webhooks
        self._firing: set[asyncio.Task[bool]] = set()

    async def create(self, principal: Principal, thread_id: str | None, asked: NewCron) -> Cron:
        """Make a cron whose runs share a thread, or have one each (None).

        Raises:
            NotFound: There is no such assistant or thread of this principal's.
            InvalidInput: The schedule, the time zone or the webhook is none that this server takes.
        """
        now, cron_id = utc_now(), new_id()
        assistant_id = await self._assistant(principal, asked.assistant_id)
        if asked.webhook is not None:
            await self._webhooks.check(asked.webhook)
        tick = next_tick(asked.schedule, asked.timezone, now, asked.end_time)
        row = CronRow(
            id=cron_id,
            assistant_id=assistant_id,
            thread_id=thread_id,
            schedule=asked.schedule,
            timezone=asked.timezone,
            enabled=asked.enabled,
            end_time=asked.end_time,
            next_run_at=tick if asked.enabled else None,
            on_run_completed=asked.on_run_completed,
            payload=_payload(asked.model_dump(mode="json", exclude_unset=True), cron_id, assistant_id),
            scopes=kept_scopes(principal.scopes),
            meta=asked.metadata,
            created_at=now,
            updated_at=now,
            **owned_by(principal),
        )
        async with self._database.transaction() as session:
            if thread_id is not None:
                thread = await get_thread(session, principal, thread_id)
                if thread.workspace_id is not None:
                    raise Conflict("This thread belongs to a workspace; a cron needs a thread of the Agent Server API")
            session.add(row)
        return Cron.model_validate(row)

    async def get(self, principal: Principal, cron_id: str) -> Cron:
        """Fetch one; `NotFound` when there is none of this principal's."""
        async with self._database.read() as session:
            return Cron.model_validate(await get_cron(session, principal, cron_id))

    async def update(self, principal: Principal, cron_id: str, change: CronChange) -> Cron:
        """Change what was sent and leave the rest; metadata is merged, and an earlier failure forgiven.

        Its runs may do from now on what both whoever made it and whoever changes it may.

        Raises:
            BadRequest: Nothing was sent.
        """
        sent = change.sent
        if not sent:
            raise BadRequest("Request body cannot be empty")
        if "webhook" in sent:
            await self._webhooks.check(sent["webhook"])
        now = utc_now()
        async with self._database.transaction() as session:
            row = await get_cron(session, principal, cron_id, lock=True)
            for name in sent.keys() & _OF_THE_ROW:
                setattr(row, name, sent[name])
            row.payload = _payload(
                row.payload | change.model_dump(mode="json", exclude_unset=True), row.id, row.assistant_id
            )
            _check_run(row.payload)
            row.scopes = kept_scopes(principal.scopes & actor_of(row).scopes)
            row.meta = {**row.meta, **sent.get("metadata", {})}
            tick = next_tick(row.schedule, row.timezone, now, row.end_time)
            row.next_run_at = tick if row.enabled else None
            row.error, row.updated_at = None, now
            await session.flush()
            return Cron.model_validate(row)

    async def delete(self, principal: Principal, cron_id: str) -> None:
        """Forget a cron; runs it started go on."""
        async with self._database.transaction() as session:
            await session.delete(await get_cron(session, principal, cron_id, lock=True))

    async def search(self, principal: Principal, asked: CronSearch) -> tuple[list[Cron], bool]:
        """List a page of crons; whether there are more."""
        asked = await self._resolved(principal, asked)
        async with self._database.read() as session:
            rows = await page_of_crons(session, principal, asked)
        return [Cron.model_validate(row) for row in rows[: asked.limit]], len(rows) > asked.limit

    async def count(self, principal: Principal, asked: CronFilter) -> int:
        """Count crons."""
        asked = await self._resolved(principal, asked)
        async with self._database.read() as session:
            return await count_crons(session, principal, asked)

    async def fire_due(self, now: datetime | None = None) -> int:
        """Start a run for every cron that is due; any process may ask, one starts each.

        Ticks that nobody was there for are made up for by one run. A run is started after its tick is taken: a process
        that dies in between skips a tick rather than to run it twice. A start that takes long (a slow name service)
        goes on behind the caller's back.
        """
        now = now or utc_now()
        async with self._database.read() as session:
            rows = await due_crons(session, now, _AT_ONCE - len(self._firing)) if len(self._firing) < _AT_ONCE else []
        if not rows:
            return 0
        tasks = {asyncio.create_task(self._fire(row, now)) for row in rows}
        self._firing |= tasks
        done, _ = await asyncio.wait(tasks, timeout=_PATIENCE_S)
        self._firing = {task for task in self._firing if not task.done()}
        return sum([task.result() for task in done])

    async def _fire(self, row: CronRow, now: datetime) -> bool:
        try:
            following = next_tick(row.schedule, row.timezone, now, row.end_time)
        except CodeLabError:
            following = None  # this was the last one
        async with self._database.transaction() as session:
            if not await take_tick(session, row, following):
                return False
        try:
            asked = RunRequest.model_validate(row.payload | {"on_completion": row.on_run_completed})
            asked.priority = BEHIND
            run = await self._runs.create(actor_of(row), row.thread_id, asked)
        except (CodeLabError, ValidationError) as exc:
            await self._failed(row, exc, now)
            return False
        log.info("cron_fired", cron_id=row.id, run_id=str(run.run_id))
        if row.error is not None:
            async with self._database.transaction() as session:
                await note_problem(session, row, None, now=now, stop=False)
        return True

    async def _failed(self, row: CronRow, exc: Exception, now: datetime) -> None:
        """A busy thread or a name service that is down passes; what is gone does not come back."""
        passes = isinstance(exc, Conflict | WebhookUnresolved)
        log.warning("cron_failed", cron_id=row.id, error=str(exc), disabled=not passes)
        async with self._database.transaction() as session:
            await note_problem(session, row, str(exc)[:1000], now=now, stop=not passes)

    async def _assistant(self, principal: Principal, named: str) -> str:
        try:
            return str((await self._assistants.resolve(principal, named)).assistant_id)
        except (NotFound, InvalidInput) as exc:
            raise NotFound(f"Assistant {named!r} not found") from exc

    async def _resolved(self, principal: Principal, asked: Any) -> Any:
        """A filter may name a graph in place of its assistant."""
        if asked.assistant_id is None:
            return asked
        try:
            assistant = await self._assistants.resolve(principal, asked.assistant_id)
        except NotFound:
            return asked
        except InvalidInput as exc:
            raise InvalidInput("Invalid assistant ID: must be a UUID or a graph's name") from exc
        return asked.model_copy(update={"assistant_id": assistant.assistant_id})


def _payload(sent: dict[str, Any], cron_id: str, assistant_id: str) -> dict[str, Any]:
    """The request of each run, which names its cron to the graph."""
    config = sent.get("config") or {}
    named = {**config, "configurable": {**(config.get("configurable") or {}), "cron_id": cron_id}}
    return {**sent, "assistant_id": assistant_id, "config": named}


def _check_run(payload: dict[str, Any]) -> None:
    try:
        RunRequest.model_validate(payload)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        raise InvalidInput(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from exc
