"""Accounting: the ledger of requests to models, and budgets."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_TIME = sa.DateTime(timezone=True)
_BIG = sa.BigInteger()
_NATURAL = ("tenant_id", "scope", "subject", "period")


def upgrade() -> None:
    _ledger()
    _budgets()
    _accounts()
    _leases()


def downgrade() -> None:
    for table in ("budget_leases", "budget_accounts", "budgets", "ledger"):
        op.drop_table(table)


def _column(name: str, kind: Any = None, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind if kind is not None else sa.String(), nullable=null)


def _columns(kind: Any, *names: str) -> tuple[sa.Column[Any], ...]:
    return tuple(_column(name, kind) for name in names)


def _table(name: str, *parts: sa.schema.SchemaItem, key: tuple[str, ...] = ("id",)) -> None:
    owned = (_column("owner_id"), _column("tenant_id"))
    op.create_table(name, *parts, *owned, sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"))


def _index(table: str, *columns: str, name: str | None = None, where: str | None = None) -> None:
    only: dict[str, Any] = {} if where is None else {"postgresql_where": sa.text(where), "sqlite_where": sa.text(where)}
    op.create_index(name or f"ix_{table}_{'_'.join(columns)}", table, list(columns), **only)


def _ledger() -> None:
    _table(
        "ledger",
        *_columns(None, "id", "request_id", "key_id", "thread_id", "run_id", "agent", "provider", "model"),
        *_columns(_BIG, "prompt_tokens", "cached_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
        *_columns(_BIG, "completion_tokens", "reasoning_tokens"),
        _column("usage", _JSON),
        _column("estimated", sa.Boolean()),
        *_columns(_BIG, "cost", "saved", "baseline_cost"),
        _column("price_version"),
        _column("first_token_ms", sa.Float(), null=True),
        _column("duration_ms", sa.Float()),
        _column("tokens_per_second", sa.Float(), null=True),
        _column("attempts", sa.Integer()),
        *_columns(None, "cache", "degraded", "error", "day"),
        _column("started_at", _TIME),
    )
    _index("ledger", "tenant_id", "started_at", "id")
    _index("ledger", "tenant_id", "owner_id", "started_at", "id")
    _index("ledger", "request_id")
    _index("ledger", "thread_id", name="ix_ledger_thread", where="thread_id <> ''")
    _index("ledger", "run_id", name="ix_ledger_run", where="run_id <> ''")


def _budgets() -> None:
    _table(
        "budgets",
        *_columns(None, "id", "scope", "subject", "period"),
        _column("amount", _BIG),
        _column("thresholds", _JSON),
        _column("on_exceeded"),
        *_columns(_TIME, "created_at", "updated_at"),
        sa.UniqueConstraint(*_NATURAL, name="uq_budgets_tenant_id_scope_subject_period"),
    )


def _accounts() -> None:
    _table(
        "budget_accounts",
        *_columns(None, "budget_id", "subject", "span"),
        *_columns(_BIG, "spent", "reserved"),
        _column("warned", sa.Integer()),
        _column("forecast", sa.Boolean()),
        _column("updated_at", _TIME),
        key=("budget_id", "subject", "span"),
    )


def _leases() -> None:
    _table(
        "budget_leases",
        *_columns(None, "id", "budget_id", "subject", "span"),
        _column("held", _BIG),
        _column("expires_at", _TIME),
    )
    _index("budget_leases", "budget_id")
    _index("budget_leases", "expires_at")
