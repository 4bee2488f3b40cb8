"""Webhooks: noted in the transaction that ends a run, called until somebody answers or the tries are used up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import httpx
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import ConfigError, InvalidInput
from ...core.settings import WebhookSettings
from ...core.types import RunStatus, new_id, utc_now
from ...store.engine import Database
from ...store.models import RunRow, WebhookDeliveryRow
from ...store.rows import insert_rows
from ...store.texts import dump_json
from ..agent_runs.schemas import AgentRun
from ..failures import told
from .calling import Caller, signature
from .deliveries import DeliveryStatus, claim, due, forget, note, pause
from .guard import WebhookRefused, WebhookUnresolved

log = structlog.get_logger(__name__)

EVERY_S: Final = 1.0
_AT_ONCE: Final = 16
_TIDY_EVERY: Final = 3600
_GONE: Final = 410


@dataclass(frozen=True, kw_only=True)
class RunEnd:
    """How a run ended, for whoever asked to be called.

    Attributes:
        values: The thread's state, as JSON data.
        error: `{"error": kind, "message": sentence}` of a run that failed.
    """

    status: RunStatus
    ended_at: datetime
    values: Any = None
    error: dict[str, Any] | None = None


class WebhookService:
    """Checks, notes and delivers calls.

    Args:
        database: Where deliveries are noted.
        rules: What was set.
        caller: Makes the calls; default: over the network, by the rules.

    Raises:
        ConfigError: Webhooks are enabled without a secret to sign them with.
    """

    def __init__(self, *, database: Database, rules: WebhookSettings, caller: Caller | None = None) -> None:
        self._secret = rules.secret.get_secret_value() if rules.secret is not None else ""
        if rules.enabled and not self._secret:
            raise ConfigError("CODELAB_WEBHOOKS__ENABLED needs a CODELAB_WEBHOOKS__SECRET to sign the calls with")
        self._database = database
        self._rules = rules
        self._caller = caller or Caller(rules)
        self._loop: asyncio.Task[None] | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def check(self, url: str) -> None:
        """Refuse a webhook that would not be called; whoever makes a run or a cron asks first.

        Raises:
            InvalidInput: Webhooks are off, or this one may not be called.
        """
        if not self._rules.enabled:
            raise InvalidInput(
                "This server calls no webhooks: leave `webhook` out, or set CODELAB_WEBHOOKS__ENABLED=true and "
                "CODELAB_WEBHOOKS__SECRET"
            )
        await self._caller.check(url)

    async def enqueue(self, session: AsyncSession, run: RunRow, url: str, end: RunEnd) -> None:
        """Note a call in the transaction that ends the run; nothing when webhooks were turned off meanwhile."""
        if not self._rules.enabled:
            log.warning("webhook_not_called", run_id=run.id, reason="webhooks are off")
            return
        row = WebhookDeliveryRow(
            id=new_id(),
            run_id=run.id,
            thread_id=run.thread_id,
            url=url,
            body=self._body(run, end),
            status=DeliveryStatus.PENDING,
            attempts=0,
            next_attempt_at=end.ended_at,
            created_at=utc_now(),
            owner_id=run.owner_id,
            tenant_id=run.tenant_id,
        )
        await insert_rows(session, row)

    def _body(self, run: RunRow, end: RunEnd) -> dict[str, Any]:
        body = AgentRun.model_validate(run).model_dump(mode="json")
        body |= {
            "status": end.status.value,
            "updated_at": end.ended_at.isoformat(),
            "run_started_at": run.started_at.isoformat() if run.started_at is not None else None,
            "run_ended_at": end.ended_at.isoformat(),
            "values": end.values,
        }
        if end.error is not None:
            body["error"] = end.error
        if len(dump_json(body)) > self._rules.max_bytes:
            body |= {"values": None, "kwargs": None, "values_omitted": True}
        return body

    def start(self) -> None:
        """Begin to deliver, if webhooks are on."""
        if self._rules.enabled:
            self._loop = asyncio.create_task(self._forever())

    async def stop(self) -> None:
        """Deliver no more; what is under way is tried again by whoever starts next."""
        tasks = {self._loop, *self._calls} - {None}
        for task in tasks:
            task.cancel()  # type: ignore[union-attr]
        if tasks:
            await asyncio.wait(tasks)  # type: ignore[type-var]

    async def _forever(self) -> None:
        tidy_at = 0.0
        clock = asyncio.get_running_loop().time
        while True:
            try:
                await self.begin_due(utc_now())
                if clock() >= tidy_at:
                    tidy_at = clock() + _TIDY_EVERY
                    await self.tidy(utc_now())
            except Exception as exc:  # noqa: BLE001 - the loop must outlive a database that blinks
                log.warning("webhooks_stalled", **told(exc))
            await asyncio.sleep(EVERY_S)

    async def begin_due(self, now: datetime) -> list[asyncio.Task[None]]:
        """Claim what is due, as far as there are hands free, and begin to call."""
        async with self._database.read() as session:
            waiting = await due(session, now, max(_AT_ONCE - len(self._calls), 0))
        until = now + timedelta(seconds=3 * self._rules.timeout_s + 10)
        begun = []
        for seen in waiting:
            async with self._database.transaction() as session:
                row = await claim(session, seen, until)
            if row is not None:
                begun.append(asyncio.create_task(self._deliver(row)))
        self._calls.update(begun)
        for task in begun:
            task.add_done_callback(self._calls.discard)
        return begun

    async def tidy(self, now: datetime) -> None:
        """Forget deliveries that were finished long ago."""
        async with self._database.transaction() as session:
            await forget(session, now - timedelta(days=self._rules.keep_days))

    async def _deliver(self, row: WebhookDeliveryRow) -> None:
        sent_at = utc_now()
        body = dump_json({**(row.body or {}), "webhook_sent_at": sent_at.isoformat()}).encode()
        headers = {
            "content-type": "application/json",
            "user-agent": "codelab-webhook",
            "x-codelab-delivery": row.id,
            "x-codelab-signature": signature(self._secret, int(sent_at.timestamp()), body),
        }
        answered, problem, final = None, None, False
        try:
            answered = await self._caller.call(row.url, body, headers)
        except WebhookRefused as exc:
            problem, final = exc.message, True
        except (WebhookUnresolved, httpx.HTTPError, OSError, TimeoutError) as exc:
            problem = f"{type(exc).__name__}: {exc}"[:500]
        await self._note(row, answered=answered, problem=problem, final=final)

    async def _note(self, row: WebhookDeliveryRow, *, answered: int | None, problem: str | None, final: bool) -> None:
        now = utc_now()
        if answered is not None and httpx.codes.is_success(answered):
            values: dict[str, Any] = {"status": DeliveryStatus.DELIVERED, "error": None, **_over(now)}
        else:
            error = problem or f"It answered {answered}"
            if final or answered == _GONE or row.attempts >= self._rules.max_attempts:
                values = {"status": DeliveryStatus.FAILED, "error": error, **_over(now)}
                log.warning(
                    "webhook_given_up", delivery_id=row.id, run_id=row.run_id, attempts=row.attempts, error=error
                )
            else:
                values = {"error": error, "next_attempt_at": now + pause(row.attempts, self._rules.backoff_s)}
        async with self._database.transaction() as session:
            await note(session, row, answered=answered, **values)


def _over(now: datetime) -> dict[str, Any]:
    return {"finished_at": now, "next_attempt_at": None, "body": None}
