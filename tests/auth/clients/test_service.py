"""Clients: who may register them and with which scopes, two secrets while one is replaced, how tokens end. On both."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from codelab.auth.audit.service import Audit
from codelab.auth.clients.schemas import ClientChange, ClientOptions
from codelab.auth.clients.service import Clients
from codelab.auth.oauth.client import Client
from codelab.auth.verify.revocations import SqlRevocations
from codelab.core.errors import Conflict, Forbidden, InvalidInput
from codelab.core.permissions import GRANTABLE, OPENID
from codelab.core.types import Principal
from codelab.store.engine import Database
from codelab.store.models import OAuthClientRow, TokenFamilyRow, UserRow
from tests.auth.clients.conftest import MIDNIGHT, Time

ADMIN = Principal("alice", scopes=GRANTABLE)
ELSEWHERE = Principal("alice", "acme", scopes=GRANTABLE)
LIMITED = Principal("bob", scopes=frozenset({"clients:admin", "threads:read"}))


def options(**more) -> ClientOptions:
    service = {"auth_method": "client_secret_basic", "grant_types": ["client_credentials"], "scopes": ["threads:read"]}
    return ClientOptions(**{"name": "robot", **service, **more})


async def stored(database: Database, client_id: str) -> OAuthClientRow:
    async with database.read() as session:
        return await session.get_one(OAuthClientRow, client_id)


async def add_family(database: Database, client_id: str) -> None:
    user = UserRow(
        id="carol", email="c@example.org", name="", hashed_password="", is_active=True, is_superuser=False,
        is_verified=True, created_at=MIDNIGHT, owner_id="carol", tenant_id="default",
    )  # fmt: skip
    family = TokenFamilyRow(
        id="family", client_id=client_id, user_id="carol", scope="", amr=[], acr="1", auth_time=MIDNIGHT,
        created_at=MIDNIGHT, last_used_at=MIDNIGHT, expires_at=MIDNIGHT + timedelta(days=1), owner_id="carol",
        tenant_id="default",
    )  # fmt: skip
    async with database.transaction() as session:
        session.add(user)
        await session.flush()
        session.add(family)


async def events(audit: Audit, kind: str = "auth.client_changed") -> list[tuple[str, str, str]]:
    found = await audit.list(ADMIN, type=kind)
    return [(event.details["action"], event.actor, event.subject) for event in reversed(found)]


async def test_a_secret_is_told_once_and_kept_as_a_digest(clients: Clients, database: Database, audit: Audit):
    made = await clients.create(ADMIN, options())
    assert made.client_secret.startswith("cl_cs_")
    row = await stored(database, made.id)
    assert made.client_secret not in str(vars(row))
    assert Client(row, MIDNIGHT).check_client_secret(made.client_secret)
    assert not Client(row, MIDNIGHT).check_client_secret("cl_cs_" + "a" * 43)
    assert [c.model_dump() for c in await clients.list(ADMIN)] == [made.model_dump(exclude={"client_secret"})]
    assert await events(audit) == [("create", "alice", f"client:{made.id}")]
    assert made.client_secret not in str([e.model_dump() for e in await audit.list(ADMIN)])


async def test_a_public_client_has_no_secret(clients: Clients):
    made = await clients.create(
        ADMIN, options(auth_method="none", grant_types=["authorization_code"], redirect_uris=["https://a.example/"])
    )
    assert made.client_secret is None
    with pytest.raises(Conflict):
        await clients.rotate_secret(ADMIN, made.id)


async def test_nobody_rises_by_way_of_a_client(clients: Clients, audit: Audit, database: Database):
    with pytest.raises(Forbidden):  # attack 35
        await clients.create(LIMITED, options(scopes=["threads:read", "users:admin"]))
    strong = await clients.create(ADMIN, options(scopes=["users:admin"]))
    weak = await clients.create(LIMITED, options(scopes=["threads:read", "openid"]))
    for attempt in (
        clients.update(LIMITED, weak.id, ClientChange(scopes=["users:admin"])),
        clients.update(LIMITED, strong.id, ClientChange(name="mine")),
        clients.rotate_secret(LIMITED, strong.id),
        clients.enable(LIMITED, strong.id),
    ):
        with pytest.raises(Forbidden):
            await attempt
    assert (await stored(database, strong.id)).name == "robot"
    assert (await stored(database, strong.id)).old_secret_digest is None
    refused = await audit.list(ADMIN, type="auth.refused")
    assert [e.details["action"] for e in reversed(refused)] == [
        "clients.create", "clients.update", "clients.update", "clients.rotate_secret", "clients.enable",
    ]  # fmt: skip


async def test_another_tenants_client_is_as_if_it_were_not(clients: Clients, audit: Audit, database: Database):
    made = await clients.create(ADMIN, options())

    async def refusals(client_id: str) -> set[str]:
        said = set()
        for attempt in (
            clients.get(ELSEWHERE, client_id),
            clients.update(ELSEWHERE, client_id, ClientChange(name="mine")),
            clients.rotate_secret(ELSEWHERE, client_id),
            clients.disable(ELSEWHERE, client_id),
            clients.enable(ELSEWHERE, client_id),
            clients.delete(ELSEWHERE, client_id),
        ):
            with pytest.raises(Forbidden) as refused:
                await attempt
            said.add(refused.value.message)
        return said

    assert await refusals(made.id) == await refusals("no-such-client")
    assert await clients.list(ELSEWHERE) == []
    row = await stored(database, made.id)
    assert (row.name, row.disabled_at, row.old_secret_digest) == ("robot", None, None)
    assert len(await audit.list(ELSEWHERE, type="auth.refused")) == 12


async def test_a_page_ends_where_the_next_begins(clients: Clients, time: Time):
    made = []
    for _ in range(5):
        made.append((await clients.create(ADMIN, options())).id)
        time.pass_(seconds=len(made) % 2)  # some of one moment
    first = await clients.list(ADMIN, limit=2)
    rest = await clients.list(ADMIN, limit=9, after=(first[-1].created_at, first[-1].id))
    assert [c.id for c in (*first, *rest)] == made[::-1]


async def test_two_secrets_are_good_while_one_is_replaced(clients: Clients, database: Database, time: Time):
    first = await clients.create(ADMIN, options())
    second = await clients.rotate_secret(ADMIN, first.id, grace=timedelta(hours=1))
    row = await stored(database, first.id)

    def good(secret: str) -> bool:
        return Client(row, time()).check_client_secret(secret)

    assert good(first.client_secret)
    assert good(second.client_secret)
    time.pass_(hours=1)
    assert not good(first.client_secret)
    assert good(second.client_secret)
    third = await clients.rotate_secret(ADMIN, first.id, grace=timedelta())
    row = await stored(database, first.id)
    assert [good(made.client_secret) for made in (first, second, third)] == [False, False, True]


@pytest.mark.parametrize("how", ["disable", "delete", "narrow"])
async def test_its_tokens_end_with_a_client(
    how: str, clients: Clients, database: Database, revocations: SqlRevocations, time: Time
):
    made = await clients.create(ADMIN, options(scopes=["threads:read", "threads:write"]))
    await add_family(database, made.id)
    claims = {"client_id": made.id, "sub": "carol", "jti": "x", "iat": time().timestamp()}
    assert not revocations.is_revoked(claims)
    if how == "narrow":
        await clients.update(ADMIN, made.id, ClientChange(scopes=["threads:read"]))
    else:
        await getattr(clients, how)(ADMIN, made.id)
    assert revocations.is_revoked(claims)
    async with database.read() as session:
        family = await session.get(TokenFamilyRow, "family")
    assert family is None if how == "delete" else family.revoked_at == MIDNIGHT
    time.pass_(seconds=1)
    assert not revocations.is_revoked({**claims, "iat": time().timestamp()}), "a client that comes back gets new ones"


async def test_what_takes_nothing_away_ends_nothing(clients: Clients, revocations: SqlRevocations, time: Time):
    made = await clients.create(ADMIN, options())
    change = ClientChange(name="automaton", scopes=["threads:write", "threads:read"])
    changed = await clients.update(ADMIN, made.id, change)
    assert (changed.name, changed.scopes) == ("automaton", ["threads:write", "threads:read"])
    assert not revocations.is_revoked({"client_id": made.id, "iat": time().timestamp()})


@pytest.mark.parametrize(
    "change",
    [
        {"grant_types": ["authorization_code"]},
        {"grant_types": ["password"]},
        {"jwks": {"keys": []}},
        {"scopes": None},
        {"name": None},
    ],
)
async def test_a_change_makes_no_impossible_client(clients: Clients, change: dict):
    made = await clients.create(ADMIN, options())
    with pytest.raises((InvalidInput, ValueError)):
        await clients.update(ADMIN, made.id, ClientChange(**change))
    assert await clients.get(ADMIN, made.id) == (await clients.list(ADMIN))[0]


async def test_a_disabled_client_comes_back_with_its_secret(clients: Clients, audit: Audit):
    made = await clients.create(ADMIN, options())
    once = await clients.disable(ADMIN, made.id)
    assert (await clients.disable(ADMIN, made.id)).disabled_at == once.disabled_at == MIDNIGHT
    assert (await clients.enable(ADMIN, made.id)).disabled_at is None
    assert [action for action, *_ in await events(audit)] == ["create", "disable", "disable", "enable"]


async def test_two_processes_seed_at_once(clients: Clients, database: Database):
    async def count() -> int:
        async with database.read() as session:
            return (await session.execute(select(func.count()).select_from(OAuthClientRow))).scalar_one()

    await asyncio.gather(*(clients.seed() for _ in range(4)))
    assert await count() == 2
    row = await stored(database, "codelab-cli")
    assert set(row.scopes) == GRANTABLE | OPENID
    assert (row.auth_method, row.first_party, row.secret_digest) == ("none", True, None)


async def test_a_built_in_client_can_be_disabled_and_nothing_else(clients: Clients, database: Database):
    await clients.seed()
    for attempt in (
        clients.delete(ADMIN, "codelab-ide"),
        clients.rotate_secret(ADMIN, "codelab-ide"),
        clients.update(ADMIN, "codelab-ide", ClientChange(redirect_uris=["https://evil.example/"])),
    ):
        with pytest.raises(Conflict):
            await attempt
    await clients.disable(ADMIN, "codelab-ide")
    async with database.transaction() as session:
        row = await session.get_one(OAuthClientRow, "codelab-ide")
        row.scopes = ["openid"]  # as an older release had it
    await clients.seed()
    row = await stored(database, "codelab-ide")
    assert row.disabled_at == MIDNIGHT
    assert set(row.scopes) == GRANTABLE | OPENID
