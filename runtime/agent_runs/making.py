"""Making a run: what it is of, whether that may be asked, and its way into the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy.exc import IntegrityError

from ...core.errors import Forbidden
from ...core.types import Principal
from ...store.wakeups import Wakeups
from ..graphs.registry import GraphRegistry
from ..runs.queue import Queue
from ..webhooks.service import WebhookService
from .accepting import Configured
from .bearing import Birth, Births
from .schemas import AgentRun, RunRequest

APPROVES: Final = "approvals:write"


class Assistants(Protocol):
    """Finds what a run is of."""

    async def resolve(self, principal: Principal, assistant_id: str) -> Configured:
        """Find by id or by a graph's name."""
        ...


@dataclass(frozen=True, kw_only=True)
class Made:
    """A run that was made.

    Attributes:
        run: On the wire.
        after: The thread's last `seq` before anything of this run was logged.
    """

    run: AgentRun
    after: int


class RunMaker:
    """Stores runs.

    Args:
        queue: Takes them.
        wakeups: Stops what is in the way, wherever that executes.
        assistants: What a run is of.
        graphs: Know what clients may write.
        webhooks: Refuses those that would not be called.
    """

    def __init__(
        self,
        *,
        queue: Queue,
        wakeups: Wakeups,
        assistants: Assistants,
        graphs: GraphRegistry,
        webhooks: WebhookService,
    ) -> None:
        self._queue = queue
        self._births = Births(queue)
        self._wakeups = wakeups
        self._assistants = assistants
        self._graphs = graphs
        self._webhooks = webhooks

    async def make(self, principal: Principal, thread_id: str | None, request: RunRequest) -> Made:
        """Store a run; it starts at once, behind others, or later, as the request says.

        Args:
            principal: Whose it is.
            thread_id: None makes a thread for this run alone.
            request: What is asked.

        Raises:
            NotFound: There is no such thread or assistant of this principal's.
            Conflict: The thread is busy and the strategy is `reject`.
            InvalidInput: The request asks for something that is not to be had.
            Forbidden: It writes what the graphs keep to themselves.
        """
        assistant = await self._assistants.resolve(principal, request.assistant_id)
        self._graphs.check_written(request.input)
        self._graphs.check_steered(request.command.model_dump() if request.command is not None else None)
        if self._graphs.guarded and request.command is not None and "resume" in request.command.model_fields_set:
            _may_approve(principal)
        if request.webhook is not None:
            await self._webhooks.check(request.webhook)
        try:
            return await self._make(principal, thread_id, assistant, request)
        except IntegrityError:  # somebody made a thread of this id: just now, or it is not this principal's to see
            found = request.model_copy(update={"if_not_exists": "reject"})
            return await self._make(principal, thread_id, assistant, found)

    async def _make(
        self, principal: Principal, thread_id: str | None, assistant: Configured, request: RunRequest
    ) -> Made:
        with self._queue.seat() as seat:
            birth = Birth(principal=principal, thread_id=thread_id, assistant=assistant, request=request, seat=seat)
            born = await self._births.add(birth)
            self._queue.admit(seat, born.claimed, () if born.claimed is not None else (born.run.id,))
        for run_id in born.stopped:
            self._wakeups.cancel(run_id)
        return Made(run=AgentRun.model_validate(born.run), after=born.after)


def _may_approve(principal: Principal) -> None:
    """An answer to one of our own graphs decides what runs, so it needs what the approvals' own route needs."""
    if APPROVES not in principal.scopes:
        raise Forbidden(f"To answer what these graphs ask needs the permission {APPROVES}.")
