"""The tool journal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned, thread_key


class ToolExecutionRow(Owned, Base):
    """One execution of one call, under the key that redelivery does not change."""

    __tablename__ = "tool_executions"

    thread_id: Mapped[str] = thread_key(primary_key=True)
    message_id: Mapped[str] = mapped_column(primary_key=True)
    tool_call_id: Mapped[str] = mapped_column(primary_key=True)
    run_id: Mapped[str]
    tool: Mapped[str]
    state: Mapped[str]
    pgid: Mapped[int | None]
    before: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
