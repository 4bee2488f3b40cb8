"""Long outputs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned, thread_key


class ArtifactRow(Owned, Base):
    """A text too long for the conversation; `size` is what it would have been uncut, in characters."""

    __tablename__ = "artifacts"
    __table_args__ = (Index(None, "thread_id", "created_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    thread_id: Mapped[str] = thread_key()
    text: Mapped[str]
    size: Mapped[int]
    created_at: Mapped[datetime]
