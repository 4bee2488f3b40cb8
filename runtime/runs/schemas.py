"""What a run looks like from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from ...core.types import FINISHED_RUNS, RunStatus


class RunError(BaseModel):
    """Why a run failed: a stable code and a sentence."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str


class Run(BaseModel):
    """One execution of the graph.

    Attributes:
        reason: Why it rests, where the status does not say it: `approval`, `cancelled`, `deleted`, …
        attempt: Deliveries so far.
        usage: Tokens of its model calls (`input_tokens`, `output_tokens`, `total_tokens`).
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    thread_id: str
    turn_id: str
    resumes_run_id: str | None
    status: RunStatus
    reason: str | None
    error: RunError | None
    settings: dict[str, Any]
    usage: dict[str, Any] | None
    attempt: int
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def finished(self) -> bool:
        """Whether it came to rest."""
        return self.status in FINISHED_RUNS
