"""Every table, one module per noun. Importing this package fills `Base.metadata`."""

from .approval import ApprovalRow
from .artifact import ArtifactRow
from .assistant import AssistantRow, AssistantVersionRow
from .base import Base
from .cron import CronRow
from .event import RunEventRow
from .execution import ToolExecutionRow
from .run import RunRow
from .thread import ThreadRow
from .turn import TurnRow
from .webhook import WebhookDeliveryRow
from .workspace import WorkspaceRow

__all__ = [
    "ApprovalRow",
    "ArtifactRow",
    "AssistantRow",
    "AssistantVersionRow",
    "Base",
    "CronRow",
    "RunEventRow",
    "RunRow",
    "ThreadRow",
    "ToolExecutionRow",
    "TurnRow",
    "WebhookDeliveryRow",
    "WorkspaceRow",
]
