"""Every table, one module per noun. Importing this package fills `Base.metadata`."""

from .approval import ApprovalRow
from .artifact import ArtifactRow
from .base import Base
from .event import RunEventRow
from .execution import ToolExecutionRow
from .run import RunRow
from .thread import ThreadRow
from .turn import TurnRow
from .workspace import WorkspaceRow

__all__ = [
    "ApprovalRow",
    "ArtifactRow",
    "Base",
    "RunEventRow",
    "RunRow",
    "ThreadRow",
    "ToolExecutionRow",
    "TurnRow",
    "WorkspaceRow",
]
