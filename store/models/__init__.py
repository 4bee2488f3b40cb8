"""Every table, one module per noun. Importing this package fills `Base.metadata`."""

from .api_key import ApiKeyRow
from .approval import ApprovalRow
from .artifact import ArtifactRow
from .assistant import AssistantRow, AssistantVersionRow
from .audit import AuditRow
from .base import Base
from .budget import BudgetAccountRow, BudgetLeaseRow, BudgetRow
from .cron import CronRow
from .event import RunEventRow
from .execution import ToolExecutionRow
from .ledger import LedgerRow
from .oauth import (
    AuthorizationCodeRow,
    ConsentRow,
    DeviceCodeRow,
    OAuthClientRow,
    RefreshTokenRow,
    RevocationRow,
    TokenFamilyRow,
    UsedAssertionRow,
)
from .role import RbacVersionRow, RoleParentRow, RoleRow, UserRoleRow
from .run import RunRow
from .signing_key import SigningKeyRow
from .thread import ThreadRow
from .turn import TurnRow
from .user import InviteRow, SessionRow, UserRow
from .webhook import WebhookDeliveryRow
from .workspace import WorkspaceRow

__all__ = [
    "ApiKeyRow",
    "ApprovalRow",
    "ArtifactRow",
    "AssistantRow",
    "AssistantVersionRow",
    "AuditRow",
    "AuthorizationCodeRow",
    "Base",
    "BudgetAccountRow",
    "BudgetLeaseRow",
    "BudgetRow",
    "ConsentRow",
    "CronRow",
    "DeviceCodeRow",
    "InviteRow",
    "LedgerRow",
    "OAuthClientRow",
    "RbacVersionRow",
    "RefreshTokenRow",
    "RevocationRow",
    "RoleParentRow",
    "RoleRow",
    "RunEventRow",
    "RunRow",
    "SessionRow",
    "SigningKeyRow",
    "ThreadRow",
    "TokenFamilyRow",
    "ToolExecutionRow",
    "TurnRow",
    "UsedAssertionRow",
    "UserRoleRow",
    "UserRow",
    "WebhookDeliveryRow",
    "WorkspaceRow",
]
