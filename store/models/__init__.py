"""Every table, one module per noun. Importing this package fills `Base.metadata`."""

from .api_key import ApiKeyRow
from .approval import ApprovalRow
from .artifact import ArtifactRow
from .assistant import AssistantRow, AssistantVersionRow
from .base import Base
from .budget import BudgetAccountRow, BudgetLeaseRow, BudgetRow
from .cron import CronRow
from .event import RunEventRow
from .execution import ToolExecutionRow
from .ledger import LedgerRow
from .run import RunRow
from .thread import ThreadRow
from .turn import TurnRow
from .webhook import WebhookDeliveryRow
from .workspace import WorkspaceRow

__all__ = [
    "ApiKeyRow",
    "ApprovalRow",
    "ArtifactRow",
    "AssistantRow",
    "AssistantVersionRow",
    "Base",
    "BudgetAccountRow",
    "BudgetLeaseRow",
    "BudgetRow",
    "CronRow",
    "LedgerRow",
    "RunEventRow",
    "RunRow",
    "ThreadRow",
    "ToolExecutionRow",
    "TurnRow",
    "WebhookDeliveryRow",
    "WorkspaceRow",
]
