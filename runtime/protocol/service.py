"""The thread protocol of one process: what its routes need."""

from __future__ import annotations

from ...store.eventlog import EventLog
from ..agent_runs.service import AgentRuns
from .commands import Commands
from .following import Following


class ThreadProtocol:
    """Commands and streams.

    Args:
        runs: Makes the runs.
        log: Where they tell what they do.

    Attributes:
        commands: Carries out commands.
        following: Follows threads.
    """

    def __init__(self, *, runs: AgentRuns, log: EventLog) -> None:
        self.following = Following(log)
        self.commands = Commands(runs=runs, log=log, following=self.following)
