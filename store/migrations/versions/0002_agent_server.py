"""The Agent Server API: runs of any graph, threads without a workspace, assistants, crons."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_TIME = sa.DateTime(timezone=True)
_WAITING = "status IN ('pending', 'running')"
_RUNNING = "status = 'running'"


def upgrade() -> None:
    _threads()
    _runs()
    _assistants()
    _crons()
    _webhook_deliveries()


def downgrade() -> None:
    raise NotImplementedError("threads without a workspace have no place in the schema before: restore a backup")


def _column(name: str, kind: Any = None, *, null: bool = False, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, kind if kind is not None else sa.String(), nullable=null, server_default=default)


def _table(name: str, *parts: sa.schema.SchemaItem, key: tuple[str, ...] = ("id",)) -> None:
    owned = (_column("owner_id"), _column("tenant_id"))
    op.create_table(name, *parts, *owned, sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"))


def _belongs(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=f"fk_{table}_{column}_{other}", ondelete="CASCADE")


def _index(table: str, *columns: str, name: str | None = None, where: str | None = None, unique: bool = False) -> None:
    only: dict[str, Any] = {} if where is None else {"postgresql_where": sa.text(where), "sqlite_where": sa.text(where)}
    op.create_index(name or f"ix_{table}_{'_'.join(columns)}", table, list(columns), unique=unique, **only)


def _add(table: str, columns: list[sa.Column[Any]], *, optional: str) -> None:
    """Add columns, and let another one be empty. What old rows get as a default does not stay in the schema."""
    with op.batch_alter_table(table) as batch:
        for column in columns:
            batch.add_column(column)
        batch.alter_column(optional, existing_type=sa.String(), nullable=True)
    defaulted = [column for column in columns if column.server_default is not None]
    with op.batch_alter_table(table) as batch:
        for column in defaulted:
            batch.alter_column(column.name, existing_type=column.type, server_default=None)


def _threads() -> None:
    columns = [
        _column("trimmed_seq", sa.Integer(), default="0"),
        _column("config", _JSON, default="{}"),
        _column("interrupts", _JSON, default="{}"),
        _column("error", _JSON, null=True),
        _column("ttl", _JSON, null=True),
        _column("expires_at", _TIME, null=True),
        _column("state_updated_at", _TIME, null=True),
    ]
    _add("threads", columns, optional="workspace_id")
    _index("threads", "expires_at", name="ix_threads_expiring", where="expires_at IS NOT NULL")


def _runs() -> None:
    for index in ("uq_runs_running_thread", "ix_runs_waiting"):
        op.drop_index(index, table_name="runs")
    columns = [
        _column("kind", default="turn"),
        _column("assistant_id", null=True),
        _column("graph_id", null=True),
        _column("metadata", _JSON, default="{}"),
        _column("kwargs", _JSON, null=True),
        _column("multitask_strategy", null=True),
        _column("priority", sa.Integer(), default="0"),
        _column("not_before", _TIME, null=True),
        _column("cancel_action", null=True),
        _column("updated_at", _TIME, default="1970-01-01 00:00:00+00:00"),
    ]
    _add("runs", columns, optional="turn_id")
    op.execute("UPDATE runs SET updated_at = coalesce(ended_at, started_at, created_at)")
    _index("runs", "thread_id", name="uq_runs_running_thread", where=_RUNNING, unique=True)
    _index("runs", "status", "priority", "created_at", name="ix_runs_waiting", where=_WAITING)
    _index("runs", "assistant_id")


def _described() -> tuple[sa.Column[Any], ...]:
    return (
        _column("graph_id"),
        _column("name"),
        _column("description", null=True),
        _column("config", _JSON),
        _column("context", _JSON),
        _column("metadata", _JSON),
        _column("created_at", _TIME),
    )


def _assistants() -> None:
    _table("assistants", _column("id"), *_described(), _column("version", sa.Integer()), _column("updated_at", _TIME))
    _index("assistants", "graph_id")
    _index("assistants", "tenant_id", "owner_id", "created_at", "id")
    _table(
        "assistant_versions",
        _column("assistant_id"),
        _column("version", sa.Integer()),
        *_described(),
        _belongs("assistant_versions", "assistant_id", "assistants"),
        key=("assistant_id", "version"),
    )


def _crons() -> None:
    _table(
        "crons",
        _column("id"),
        _column("assistant_id"),
        _column("thread_id", null=True),
        _column("schedule"),
        _column("timezone", null=True),
        _column("enabled", sa.Boolean()),
        _column("end_time", _TIME, null=True),
        _column("next_run_at", _TIME, null=True),
        _column("on_run_completed"),
        _column("payload", _JSON),
        _column("metadata", _JSON),
        _column("error", null=True),
        _column("created_at", _TIME),
        _column("updated_at", _TIME),
        _belongs("crons", "thread_id", "threads"),
    )
    _index("crons", "assistant_id")
    _index("crons", "thread_id")
    _index("crons", "next_run_at", name="ix_crons_due", where="next_run_at IS NOT NULL")
    _index("crons", "tenant_id", "owner_id", "created_at", "id")


def _webhook_deliveries() -> None:
    _table(
        "webhook_deliveries",
        *(_column(name) for name in ("id", "run_id", "thread_id", "url")),
        _column("body", _JSON, null=True),
        _column("status"),
        _column("attempts", sa.Integer()),
        _column("next_attempt_at", _TIME, null=True),
        _column("answered", sa.Integer(), null=True),
        _column("error", null=True),
        _column("created_at", _TIME),
        _column("finished_at", _TIME, null=True),
    )
    _index("webhook_deliveries", "run_id")
    _index("webhook_deliveries", "finished_at")
    _index(
        "webhook_deliveries", "next_attempt_at", name="ix_webhook_deliveries_due", where="next_attempt_at IS NOT NULL"
    )
