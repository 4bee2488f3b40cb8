"""The host of real runs: it gives every run its workspace, journal, artifacts, models and bus."""

from __future__ import annotations

from pathlib import Path

from ..core.context import RunSettings
from ..core.events import EventBus
from ..core.settings import Settings
from ..store.artifacts import SqlArtifacts
from ..store.engine import Database
from ..store.journal import SqlJournal
from ..tools.context import Models, RunContext
from ..tools.workspaces.local import LocalWorkspace
from .changes.snapshots import SnapshotJournal, TurnSnapshots
from .runs.turns import ClaimedTurn


class RunHost:
    """Makes run contexts.

    Args:
        database: For journal and artifacts.
        models: Roles to chat models.
        bus: Domain events.
        snapshots: Keeps the folder before a turn changes it.
        settings: Expiry and time-outs.
    """

    def __init__(
        self, *, database: Database, models: Models, bus: EventBus, snapshots: TurnSnapshots, settings: Settings
    ) -> None:
        self._database = database
        self._models = models
        self._bus = bus
        self._snapshots = snapshots
        self._settings = settings

    def context(self, claimed: ClaimedTurn) -> RunContext:
        """Make the context of one claimed run."""
        run, principal = claimed.run, claimed.principal
        asked = RunSettings(**run.settings)
        journal = SqlJournal(self._database, principal=principal, lease=claimed.lease)
        return RunContext(
            agent=asked.agent,
            approval_mode=asked.approval_mode,
            model=asked.model,
            workspace=claimed.workspace_id,
            max_model_calls=asked.max_model_calls,
            max_tool_calls=asked.max_tool_calls,
            principal=principal,
            thread_id=run.thread_id,
            turn_id=claimed.turn.id,
            run_id=run.id,
            workspace_handle=LocalWorkspace(Path(claimed.workspace_path), id=claimed.workspace_id),
            journal=SnapshotJournal(journal, self._snapshots, claimed),
            artifacts=SqlArtifacts(self._database, principal),
            models=self._models,
            bus=self._bus,
            approval_expiry_s=self._settings.approvals.expiry.total_seconds(),
            command_timeout_s=self._settings.runs.command_timeout_s,
        )
