"""Identity: people, roles, clients, what was issued, signing keys, audit; and what a run may do."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_TIME = sa.DateTime(timezone=True)
_FLAG = sa.Boolean()
_ACTIVE = sa.text("state = 'active'")
_TABLES = (
    "users sessions invites roles role_parents user_roles rbac_versions oauth_clients token_families refresh_tokens "
    "authorization_codes device_codes consents used_assertions revocations signing_keys audit_events"
)


def upgrade() -> None:
    _people()
    _roles()
    _clients()
    _grants()
    _codes()
    _marks()
    _keys()
    _audit()
    op.add_column("runs", sa.Column("scopes", _JSON, nullable=True))
    op.add_column("crons", sa.Column("scopes", _JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("crons", "scopes")
    op.drop_column("runs", "scopes")
    for table in reversed(_TABLES.split()):
        op.drop_table(table)


def _some(names: str, kind: Any = None, *, null: bool = False) -> tuple[sa.Column[Any], ...]:
    return tuple(sa.Column(name, kind if kind is not None else sa.String(), nullable=null) for name in names.split())


def _key(column: str, table: str, target: str, *, null: bool = False) -> tuple[sa.Column[Any], ...]:
    name = f"fk_{table}_{column}_{target}"
    return (
        sa.Column(column, sa.String(), sa.ForeignKey(f"{target}.id", name=name, ondelete="CASCADE"), nullable=null),
    )


def _table(name: str, *parts: tuple[Any, ...], key: str = "id", unique: str = "") -> None:
    flat = [part for group in parts for part in group]
    owned = _some("owner_id" if name == "rbac_versions" else "owner_id tenant_id")
    limits = [sa.UniqueConstraint(*unique.split(), name=f"uq_{name}_{unique.replace(' ', '_')}")] if unique else []
    op.create_table(name, *flat, *owned, sa.PrimaryKeyConstraint(*key.split(), name=f"pk_{name}"), *limits)


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def _people() -> None:
    _table(
        "users",
        _some("id email name hashed_password"),
        _some("is_active is_superuser is_verified", _FLAG),
        _some("created_at", _TIME),
        _some("password_changed_at last_sign_in_at", _TIME, null=True),
        unique="email",
    )
    _index("users", "tenant_id", "created_at", "id")
    _table(
        "sessions",
        _some("id digest address user_agent acr"),
        _key("user_id", "sessions", "users"),
        _some("amr", _JSON),
        _some("auth_time created_at last_seen_at expires_at", _TIME),
        _some("revoked_at", _TIME, null=True),
        unique="digest",
    )
    _index("sessions", "user_id", "created_at")
    _index("sessions", "expires_at")
    _table(
        "invites",
        _some("id digest"),
        _some("email", null=True),
        _some("roles", _JSON),
        _some("created_at expires_at", _TIME),
        _some("used_at", _TIME, null=True),
        unique="digest",
    )
    _index("invites", "tenant_id", "created_at", "id")


def _roles() -> None:
    _table(
        "roles",
        _some("id name description"),
        _some("permissions", _JSON),
        _some("built_in", _FLAG),
        _some("created_at", _TIME),
        unique="tenant_id name",
    )
    _table(
        "role_parents",
        _key("role_id", "role_parents", "roles"),
        _key("parent_id", "role_parents", "roles"),
        key="role_id parent_id",
    )
    _table(
        "user_roles",
        _key("user_id", "user_roles", "users"),
        _key("role_id", "user_roles", "roles"),
        _some("granted_by"),
        _some("granted_at", _TIME),
        key="user_id role_id",
    )
    _table("rbac_versions", _some("tenant_id"), _some("version", sa.Integer()), key="tenant_id")


def _clients() -> None:
    _table(
        "oauth_clients",
        _some("id name auth_method"),
        _some("secret_digest old_secret_digest", null=True),
        _some("old_secret_until disabled_at", _TIME, null=True),
        _some("jwks", _JSON, null=True),
        _some("redirect_uris grant_types scopes audiences", _JSON),
        _some("first_party dynamic", _FLAG),
        _some("created_at", _TIME),
    )
    _index("oauth_clients", "tenant_id", "created_at", "id")


def _grants() -> None:
    _table(
        "token_families",
        _some("id scope acr"),
        _key("client_id", "token_families", "oauth_clients"),
        _key("user_id", "token_families", "users"),
        _some("session_id resource reason", null=True),
        _some("amr", _JSON),
        _some("auth_time created_at last_used_at expires_at", _TIME),
        _some("revoked_at", _TIME, null=True),
    )
    _index("token_families", "user_id", "client_id")
    _index("token_families", "client_id")
    _index("token_families", "expires_at")
    _table(
        "refresh_tokens",
        _some("digest"),
        _key("family_id", "refresh_tokens", "token_families"),
        _some("issued_at expires_at", _TIME),
        _some("used_at", _TIME, null=True),
        key="digest",
    )
    _index("refresh_tokens", "family_id")
    _index("refresh_tokens", "expires_at")
    _table(
        "consents",
        _key("user_id", "consents", "users"),
        _key("client_id", "consents", "oauth_clients"),
        _some("scopes", _JSON),
        _some("created_at updated_at", _TIME),
        key="user_id client_id",
    )


def _codes() -> None:
    _table(
        "authorization_codes",
        _some("digest family_id redirect_uri scope code_challenge acr"),
        _key("client_id", "authorization_codes", "oauth_clients"),
        _key("user_id", "authorization_codes", "users"),
        _some("session_id resource nonce", null=True),
        _some("amr", _JSON),
        _some("auth_time created_at expires_at", _TIME),
        _some("used_at", _TIME, null=True),
        key="digest",
    )
    _index("authorization_codes", "expires_at")
    _table(
        "device_codes",
        _some("digest user_code scope"),
        _key("client_id", "device_codes", "oauth_clients"),
        _key("user_id", "device_codes", "users", null=True),
        _some("resource session_id acr", null=True),
        _some("interval_s", sa.Integer()),
        _some("approved", _FLAG, null=True),
        _some("amr", _JSON),
        _some("created_at expires_at", _TIME),
        _some("auth_time polled_at decided_at used_at", _TIME, null=True),
        key="digest",
        unique="user_code",
    )
    _index("device_codes", "expires_at")


def _marks() -> None:
    _table(
        "used_assertions",
        _key("client_id", "used_assertions", "oauth_clients"),
        _some("jti"),
        _some("expires_at", _TIME),
        key="client_id jti",
    )
    _index("used_assertions", "expires_at")
    _table("revocations", _some("subject"), _some("revoked_at expires_at", _TIME), key="subject")
    _index("revocations", "revoked_at")
    _index("revocations", "expires_at")


def _keys() -> None:
    _table(
        "signing_keys",
        _some("kid alg state"),
        _some("public", _JSON),
        _some("sealed", null=True),
        _some("created_at", _TIME),
        _some("activated_at retiring_at retired_at", _TIME, null=True),
        key="kid",
    )
    only: dict[str, Any] = {"postgresql_where": _ACTIVE, "sqlite_where": _ACTIVE}
    op.create_index("uq_signing_keys_active", "signing_keys", ["alg"], unique=True, **only)


def _audit() -> None:
    _table(
        "audit_events",
        _some("id type outcome"),
        _some("at", _TIME),
        _some("client_id subject address correlation_id", null=True),
        _some("details", _JSON),
    )
    _index("audit_events", "tenant_id", "at", "id")
    _index("audit_events", "tenant_id", "owner_id", "at")
    _index("audit_events", "at")
