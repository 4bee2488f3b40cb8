"""Consent: what a person is asked, and what they said yes to before."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite

from ...store.models import ConsentRow
from ...store.models.base import table_of
from ..seams import AuditEntry
from .client import Client
from .families import Agreement
from .server import Server


@dataclass(frozen=True, kw_only=True)
class ConsentAsk:
    """What a person is asked about a client.

    Attributes:
        redirect_uri: Where the answer leads; `redirect_host` is that for a person.
        scopes: All it would get.
        new_scopes: Those among them that were not allowed before.
        again: Whether something was allowed before, and it is more now.
        email: The person's.
        dynamic: Whether the client registered itself: its name is its own word.
        fields: What the form sends back, besides `action` and `csrf`.
    """

    client_name: str
    redirect_uri: str
    redirect_host: str
    scopes: Sequence[str]
    new_scopes: Sequence[str]
    again: bool
    email: str
    dynamic: bool
    fields: Sequence[tuple[str, str]]


def allowed_before(server: Server, client: Client, user_id: str) -> frozenset[str]:
    """What a person has allowed a client so far."""
    row = server.session.get(ConsentRow, (user_id, client.id))
    return frozenset() if row is None else frozenset(row.scopes)


def remember(server: Server, client: Client, agreement: Agreement, before: Collection[str]) -> None:
    """Remember that a person allowed what was agreed to, on top of what they had allowed before."""
    scopes = sorted({*before, *agreement.scope.split()})
    insert: Any = sqlite.insert if server.session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = insert(table_of(ConsentRow)).values(
        user_id=agreement.user_id,
        owner_id=agreement.user_id,
        tenant_id=agreement.tenant_id,
        client_id=client.id,
        scopes=scopes,
        created_at=server.now,
        updated_at=server.now,
    )
    changed = {"scopes": scopes, "updated_at": server.now}
    server.session.execute(statement.on_conflict_do_update(index_elements=["user_id", "client_id"], set_=changed))
    entry = AuditEntry(
        type="auth.consent_granted",
        tenant_id=agreement.tenant_id,
        actor=agreement.user_id,
        client_id=client.id,
        subject=f"client:{client.id}",
        origin=server.origin,
        details={"scopes": scopes},
    )
    server.parts.audit.note(server.session, entry)
