"""A turn as one stream of AG-UI events: its runs one after another, with the decisions in between."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final, Protocol

from ..core.errors import Conflict

Json = dict[str, Any]
Rows = list[Json]
Event = Json
Answer = str | Mapping[str, Any]
"""`"approve"`, `"reject"`, or `{"decision": …, "message"?: …, "arguments"?: …}`."""
Decider = Callable[[Json], Answer | Awaitable[Answer]]
"""Takes an AG-UI interrupt (`metadata` holds tool, arguments, risk, preview) and answers it."""

RESTS: Final = frozenset({"RUN_FINISHED", "RUN_ERROR"})


class Service(Protocol):
    """What following a turn needs. `CodeLab` is one; a server far away can be another."""

    def events(self, thread_id: str, run_id: str) -> AsyncGenerator[Event, None]:
        """Stream one run, from its start to its rest."""

    async def runs(self, thread_id: str) -> Rows:
        """List a thread's runs, newest first."""

    async def approvals(self, thread_id: str | None = None, status: str | None = "pending") -> Rows:
        """List approvals, oldest first."""

    async def decide(
        self, approval_id: str, decision: str, *, arguments: Json | None = None, message: str | None = None
    ) -> Json:
        """Decide one call."""

    async def cancel(self, thread_id: str, run_id: str) -> None:
        """Stop a run, or give up the approvals it waits for; nothing happens when it is over."""


async def follow(
    service: Service, thread_id: str, run_id: str, decider: Decider | None = None
) -> AsyncGenerator[Event, None]:
    """Stream a run and, as its approvals are decided, the next runs of its turn, until the turn rests.

    Without a decider the stream ends at the first interrupt. Closing it early cancels the run in progress.
    """
    current: str | None = run_id
    while current is not None:
        event: Event = {}
        try:
            async with aclosing(service.events(thread_id, current)) as events:
                async for event in events:
                    yield event
        except (GeneratorExit, asyncio.CancelledError):
            if event.get("type") not in RESTS:
                await service.cancel(thread_id, current)
            raise
        interrupts = (event.get("outcome") or {}).get("interrupts", ())
        if not interrupts or decider is None:
            return
        for interrupt in interrupts:
            await _decide(service, thread_id, interrupt, decider)
        runs = await service.runs(thread_id)
        current = next((run["id"] for run in runs if run["resumes_run_id"] == current), None)


async def _decide(service: Service, thread_id: str, interrupt: Json, decider: Decider) -> None:
    """Ask about one interrupt, unless somebody else (or the clock) was faster."""
    if interrupt["id"] not in {approval["id"] for approval in await service.approvals(thread_id)}:
        return
    answer = decider(interrupt)
    if inspect.isawaitable(answer):
        answer = await answer
    said: Json = {"decision": answer} if isinstance(answer, str) else dict(answer)
    with suppress(Conflict):
        await service.decide(
            interrupt["id"], said["decision"], arguments=said.get("arguments"), message=said.get("message")
        )
