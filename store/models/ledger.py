"""What each request to a model used and cost."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned

IN_THREAD = text("thread_id <> ''")
IN_RUN = text("run_id <> ''")


class LedgerRow(Owned, Base):
    """One request, however it ended; money is in nano-dollars. What is not known is an empty text, 0 or null."""

    __tablename__ = "ledger"
    __table_args__ = (
        Index(None, "tenant_id", "started_at", "id"),
        Index(None, "tenant_id", "owner_id", "started_at", "id"),
        Index("ix_ledger_thread", "thread_id", postgresql_where=IN_THREAD, sqlite_where=IN_THREAD),
        Index("ix_ledger_run", "run_id", postgresql_where=IN_RUN, sqlite_where=IN_RUN),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    request_id: Mapped[str] = mapped_column(index=True)
    key_id: Mapped[str]
    thread_id: Mapped[str]
    run_id: Mapped[str]
    agent: Mapped[str]
    provider: Mapped[str]
    model: Mapped[str]
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    cached_tokens: Mapped[int] = mapped_column(BigInteger)
    cache_write_tokens: Mapped[int] = mapped_column(BigInteger)
    cache_write_1h_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    reasoning_tokens: Mapped[int] = mapped_column(BigInteger)
    usage: Mapped[dict[str, Any]]
    estimated: Mapped[bool]
    cost: Mapped[int] = mapped_column(BigInteger)
    saved: Mapped[int] = mapped_column(BigInteger)
    baseline_cost: Mapped[int] = mapped_column(BigInteger)
    price_version: Mapped[str]
    first_token_ms: Mapped[float | None]
    duration_ms: Mapped[float]
    tokens_per_second: Mapped[float | None]
    attempts: Mapped[int]
    cache: Mapped[str]
    degraded: Mapped[str]
    error: Mapped[str]
    day: Mapped[str]
    started_at: Mapped[datetime]
