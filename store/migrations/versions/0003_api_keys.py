"""API keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "api_keys",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("id", "name", "prefix", "digest")),
        sa.Column("scopes", _JSON, nullable=False),
        sa.Column("models", _JSON, nullable=True),
        sa.Column("requests_per_minute", sa.Integer(), nullable=True),
        sa.Column("tokens_per_minute", sa.Integer(), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        *(sa.Column(name, _TIME, nullable=True) for name in ("last_used_at", "expires_at", "revoked_at")),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("owner_id", "tenant_id")),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    op.create_index(
        "ix_api_keys_tenant_id_owner_id_created_at_id", "api_keys", ["tenant_id", "owner_id", "created_at", "id"]
    )


def downgrade() -> None:
    op.drop_table("api_keys")
