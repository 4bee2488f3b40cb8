"""The first schema: workspaces, threads, turns, runs, approvals, the event log, the tool journal, artifacts."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_TIME = sa.DateTime(timezone=True)
_TABLES = ("approvals", "artifacts", "tool_executions", "run_events", "runs", "turns", "threads", "workspaces")


def upgrade() -> None:
    _workspaces()
    _threads()
    _turns()
    _runs()
    _approvals()
    _run_events()
    _tool_executions()
    _artifacts()


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)


def _column(name: str, kind: Any = None, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind if kind is not None else sa.String(), nullable=null)


def _table(name: str, *parts: sa.schema.SchemaItem, key: tuple[str, ...] = ("id",)) -> None:
    owned = (_column("owner_id"), _column("tenant_id"))
    op.create_table(name, *parts, *owned, sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"))


def _belongs(table: str, column: str, other: str, *, cascade: bool = True) -> sa.ForeignKeyConstraint:
    name, ondelete = f"fk_{table}_{column}_{other}", "CASCADE" if cascade else None
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=name, ondelete=ondelete)


def _index(table: str, *columns: str, name: str | None = None, where: str | None = None, unique: bool = False) -> None:
    only: dict[str, Any] = {} if where is None else {"postgresql_where": sa.text(where), "sqlite_where": sa.text(where)}
    op.create_index(name or f"ix_{table}_{'_'.join(columns)}", table, list(columns), unique=unique, **only)


def _workspaces() -> None:
    _table(
        "workspaces",
        _column("id"),
        _column("name"),
        _column("path"),
        _column("created_at", _TIME),
        sa.UniqueConstraint("tenant_id", "owner_id", "path", name="uq_workspaces_tenant_id_owner_id_path"),
    )


def _threads() -> None:
    _table(
        "threads",
        _column("id"),
        _column("workspace_id"),
        _column("title", null=True),
        _column("status"),
        _column("agent", null=True),
        _column("epoch"),
        _column("last_seq", sa.Integer()),
        _column("metadata", _JSON),
        _column("created_at", _TIME),
        _column("updated_at", _TIME),
        _belongs("threads", "workspace_id", "workspaces", cascade=False),
    )
    _index("threads", "tenant_id", "owner_id", "updated_at", "id")


def _turns() -> None:
    _table(
        "turns",
        _column("id"),
        _column("thread_id"),
        _column("message_id"),
        _column("agent", null=True),
        _column("approval_mode"),
        _column("policy", _JSON, null=True),
        _column("status"),
        _column("snapshot_before", null=True),
        _column("snapshot_after", null=True),
        _column("undone_at", _TIME, null=True),
        _column("usage", _JSON, null=True),
        _column("created_at", _TIME),
        _column("ended_at", _TIME, null=True),
        _belongs("turns", "thread_id", "threads"),
    )
    _index("turns", "thread_id", "created_at")


def _runs() -> None:
    _table(
        "runs",
        _column("id"),
        _column("thread_id"),
        _column("turn_id"),
        _column("resumes_run_id", null=True),
        _column("status"),
        _column("reason", null=True),
        _column("error", _JSON, null=True),
        _column("input", _JSON, null=True),
        _column("resume", _JSON, null=True),
        _column("settings", _JSON),
        _column("usage", _JSON, null=True),
        _column("attempt", sa.Integer()),
        _column("handed_back", sa.Integer()),
        _column("owner", null=True),
        _column("heartbeat_at", _TIME, null=True),
        _column("cancel_requested", sa.Boolean()),
        _column("created_at", _TIME),
        _column("started_at", _TIME, null=True),
        _column("ended_at", _TIME, null=True),
        _belongs("runs", "thread_id", "threads"),
        _belongs("runs", "turn_id", "turns"),
    )
    _index("runs", "thread_id", name="uq_runs_running_thread", where="status = 'running'", unique=True)
    _index("runs", "status", "created_at", name="ix_runs_waiting", where="status IN ('pending', 'running')")
    _index("runs", "thread_id", "created_at")
    _index("runs", "turn_id")


def _approvals() -> None:
    unique = ("thread_id", "interrupt_id", "tool_call_id")
    _table(
        "approvals",
        _column("id"),
        *(_column(name) for name in ("thread_id", "turn_id", "run_id", "interrupt_id", "tool_call_id")),
        _column("position", sa.Integer()),
        _column("kind"),
        _column("agent", null=True),
        _column("tool"),
        _column("args", _JSON),
        _column("edited_args", _JSON, null=True),
        _column("allowed", _JSON),
        _column("description", null=True),
        _column("risk"),
        _column("reason", null=True),
        _column("preview", _JSON, null=True),
        _column("policy_version", null=True),
        _column("status"),
        *(_column(name, null=True) for name in ("decision", "message", "decided_by")),
        *(_column(name, _TIME, null=True) for name in ("decided_at", "expires_at")),
        _column("created_at", _TIME),
        *(_belongs("approvals", f"{noun}_id", f"{noun}s") for noun in ("thread", "turn", "run")),
        sa.UniqueConstraint(*unique, name="uq_approvals_thread_id_interrupt_id_tool_call_id"),
    )
    _index("approvals", "expires_at", name="ix_approvals_pending", where="status = 'pending'")
    _index("approvals", "turn_id")
    _index("approvals", "run_id")


def _run_events() -> None:
    _table(
        "run_events",
        _column("thread_id"),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        _column("run_id", null=True),
        _column("attempt", sa.Integer()),
        _column("type"),
        _column("data", _JSON),
        _column("at", _TIME),
        _belongs("run_events", "thread_id", "threads"),
        key=("thread_id", "seq"),
    )
    _index("run_events", "run_id", "seq")


def _tool_executions() -> None:
    _table(
        "tool_executions",
        *(_column(name) for name in ("thread_id", "message_id", "tool_call_id", "run_id", "tool", "state")),
        _column("pgid", sa.Integer(), null=True),
        _column("before", _JSON, null=True),
        _column("result", _JSON, null=True),
        _column("started_at", _TIME),
        _column("finished_at", _TIME, null=True),
        _belongs("tool_executions", "thread_id", "threads"),
        key=("thread_id", "message_id", "tool_call_id"),
    )


def _artifacts() -> None:
    _table(
        "artifacts",
        _column("id"),
        _column("thread_id"),
        _column("text"),
        _column("size", sa.Integer()),
        _column("created_at", _TIME),
        _belongs("artifacts", "thread_id", "threads"),
    )
    _index("artifacts", "thread_id", "created_at")
