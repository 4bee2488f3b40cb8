"""The ring of keys, shared by processes. On both databases."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter

import pytest
import structlog
from cryptography.fernet import Fernet
from joserfc.jwk import KeySet
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError

from codelab.auth.audit.service import Audit
from codelab.auth.signing import service
from codelab.auth.signing.changes import Change, draft_key
from codelab.auth.signing.schedule import OVERLAP, SHOWN
from codelab.auth.signing.sealing import Seal
from codelab.auth.signing.service import PAUSE_S, KeyRing, open_key_ring
from codelab.auth.verify.jose import public_key
from codelab.core.errors import ConfigError, Unavailable
from codelab.core.settings_auth import AuthSettings
from codelab.store.engine import Database
from codelab.store.models import SigningKeyRow
from tests.support.tokens import SECRET_KEY, Clock, Facts, part, rsa_key

PRIVATE = {"d", "p", "q", "dp", "dq", "qi"}


def header_of(token: str) -> dict[str, str]:
    header: dict[str, str] = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
    return header


async def rows_of(database: Database) -> list[SigningKeyRow]:
    async with database.read() as session:
        return list(await session.scalars(select(SigningKeyRow).order_by(SigningKeyRow.created_at)))


async def states(database: Database) -> list[str]:
    return [row.state for row in await rows_of(database)]


async def test_the_first_key_is_shown_and_signs_at_once(new_ring, databases) -> None:
    ring = new_ring()
    with pytest.raises(Unavailable):
        ring.sign({}, typ="at+jwt")
    assert ring.jwks() == {"keys": []}
    await ring.load()
    header = header_of(ring.sign({"sub": "ann"}, typ="at+jwt"))
    assert header == {"alg": "RS256", "typ": "at+jwt", "kid": ring.jwks()["keys"][0]["kid"]}
    assert await ring.find(header["kid"])
    assert await states(databases()) == ["active"]


async def test_a_restart_finds_the_same_key(new_ring) -> None:
    first, second = new_ring(), new_ring()
    await first.load()
    await second.load()
    assert first.jwks() == second.jwks()
    token = first.sign({"sub": "ann"}, typ="JWT")
    assert header_of(token) == header_of(second.sign({}, typ="JWT"))


async def test_the_key_is_the_active_one_and_is_named(new_ring, clock: Clock) -> None:
    """The library signs with any key of a set, and names none by itself."""
    ring = new_ring()
    await ring.load()
    (active,) = (key["kid"] for key in ring.jwks()["keys"])
    pending = await ring.rotate("op")
    assert {key["kid"] for key in ring.jwks()["keys"]} == {active, pending.kid}
    assert Counter(header_of(ring.sign({}, typ="at+jwt"))["kid"] for _ in range(20)) == {active: 20}
    clock.seconds = SHOWN.total_seconds()
    await ring.tend()
    assert Counter(header_of(ring.sign({}, typ="at+jwt"))["kid"] for _ in range(20)) == {pending.kid: 20}
    assert ring.jwks()["keys"][0]["kid"] == pending.kid


async def test_claims_are_signed_as_they_are_and_left_alone(new_ring) -> None:
    ring = new_ring()
    await ring.load()
    said = {"sub": "анна", "exp": 1, "amr": ["pwd"]}
    token = ring.sign(said, typ="at+jwt")
    assert said == {"sub": "анна", "exp": 1, "amr": ["pwd"]}
    assert token.split(".")[1] == part(json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode())


async def test_nothing_private_is_shown_logged_or_stored_in_clear(new_ring, databases, clock, facts, caplog):
    """Attack 32."""
    caplog.set_level("DEBUG")
    with structlog.testing.capture_logs() as logs:
        ring = new_ring()
        await ring.load()
        await ring.rotate("op")
        clock.seconds = SHOWN.total_seconds()
        await ring.tend()
        other = new_ring(Fernet.generate_key().decode())
        with pytest.raises(ConfigError) as caught:
            await other.load()
    assert all(key.keys() == {"kty", "use", "alg", "kid", "n", "e"} for key in ring.jwks()["keys"])
    assert [(await ring.find(key["kid"])).is_private for key in ring.jwks()["keys"]] == [False, False]
    rows = await rows_of(databases())
    told = [caught.value.message, str(logs), caplog.text, repr(vars(ring)), str(facts.entries)]
    for row in rows:
        jwk = Seal([SECRET_KEY]).open(row.sealed)
        assert jwk.keys() > PRIVATE
        kept = str([row.public, row.sealed])
        assert not [name for name in PRIVATE if jwk[name] in "".join([*told, kept, json.dumps(ring.jwks())])]
        assert SECRET_KEY not in "".join(told)


async def test_every_change_is_a_fact_and_says_who(new_ring, facts: Facts, clock: Clock) -> None:
    ring = new_ring()
    await ring.load()
    await ring.rotate("ann")
    clock.seconds = SHOWN.total_seconds()
    await ring.tend()
    clock.seconds += OVERLAP.total_seconds()
    await ring.tend()
    told = [(entry.type, entry.actor, entry.details["state"]) for entry in facts.entries]
    assert told == [
        ("auth.key_changed", "", "active"),
        ("auth.key_changed", "ann", "pending"),
        ("auth.key_changed", "", "retiring"),
        ("auth.key_changed", "", "active"),
        ("auth.key_changed", "", "retired"),
    ]


async def test_facts_stand_with_the_change(databases, clock: Clock) -> None:
    database = databases()
    audit = Audit(database, now=clock.now)
    ring = KeyRing(database, seal=Seal([SECRET_KEY]), settings=AuthSettings(), audit=audit, now=clock.now)
    await ring.load()
    async with database.read() as session:
        found = (await (await session.connection()).exec_driver_sql("SELECT type, subject FROM audit_events")).all()
    assert found == [("auth.key_changed", f"key:{ring.jwks()['keys'][0]['kid']}")]


async def test_a_key_goes_its_way_by_itself(new_ring, databases, clock: Clock) -> None:
    ring, database = new_ring(), databases()
    await ring.load()
    (old,) = (key["kid"] for key in ring.jwks()["keys"])
    clock.seconds = 90 * 86_400 - 1
    await ring.tend()
    assert await states(database) == ["active"]
    clock.seconds += 1
    await ring.tend()
    assert await states(database) == ["active", "pending"]
    clock.seconds += SHOWN.total_seconds()
    await ring.tend()
    assert await states(database) == ["retiring", "active"]
    assert await ring.find(old)
    clock.seconds += OVERLAP.total_seconds()
    await ring.tend()
    assert await states(database) == ["retired", "active"]
    assert old not in str(ring.jwks())
    assert await ring.find(old) is None
    retired, active = await rows_of(database)
    assert (retired.sealed, retired.retired_at) == (None, clock.now())
    assert active.sealed
    assert [key.state for key in await ring.list()] == ["retired", "active"]


async def test_two_processes_that_start_together_make_one_key(new_ring, databases) -> None:
    rings = [new_ring() for _ in range(4)]
    await asyncio.gather(*(ring.load() for ring in rings))
    assert await states(databases()) == ["active"]
    assert len({header_of(ring.sign({}, typ="at+jwt"))["kid"] for ring in rings}) == 1


async def test_two_processes_that_turn_together_turn_once(new_ring, databases, clock: Clock) -> None:
    rings, database = [new_ring(), new_ring()], databases()
    for ring in rings:
        await ring.load()
    for turn in range(1, 5):
        clock.seconds += 90 * 86_400
        await asyncio.gather(*(ring.tend() for ring in rings))
        assert (await states(database))[turn - 1 :] == ["active", "pending"]
        clock.seconds += SHOWN.total_seconds()
        await asyncio.gather(*(ring.tend() for ring in rings))
        assert (await states(database))[turn - 1 :] == ["retiring", "active"]
        clock.seconds += OVERLAP.total_seconds()
        await asyncio.gather(*(ring.tend() for ring in rings))
        assert (await states(database))[turn - 1 :] == ["retired", "active"]
        assert rings[0].jwks() == rings[1].jwks()


async def test_many_operators_at_once(new_ring, databases) -> None:
    rings, database = [new_ring() for _ in range(3)], databases()
    await rings[0].load()
    made = await asyncio.gather(*(ring.rotate("op") for ring in rings))
    assert len({key.kid for key in made}) == 1
    assert await states(database) == ["active", "pending"]
    await asyncio.gather(*(ring.rotate("op", now=True) for ring in rings))
    assert Counter(await states(database)) == {"retired": 4, "active": 1}


async def test_the_database_itself_refuses_a_second_active_key(new_ring, databases, facts, clock) -> None:
    await new_ring().load()
    draft = await draft_key(Seal([SECRET_KEY]))
    with pytest.raises(IntegrityError):
        async with databases().transaction() as session:
            await Change(session, audit=facts, by="", now=clock.now())._add(draft, is_first=True)


async def test_another_process_knows_a_new_key_at_its_first_token(new_ring, clock: Clock) -> None:
    mine, theirs = new_ring(), new_ring()
    await mine.load()
    await theirs.load()
    made = await mine.rotate("op", now=True)
    clock.seconds += PAUSE_S
    assert (await theirs.find(made.kid)).kid == made.kid
    assert header_of(theirs.sign({}, typ="at+jwt"))["kid"] == made.kid


async def test_unknown_kids_read_the_database_once_in_a_while(new_ring, clock: Clock) -> None:
    ring = new_ring()
    await ring.load()
    clock.seconds += PAUSE_S
    reads: list[str] = []
    event.listen(ring._database.engine.sync_engine, "before_cursor_execute", lambda *said: reads.append(said[2]))
    known = ring.jwks()["keys"][0]["kid"]
    found = await asyncio.gather(*(ring.find(f"evil-{number}") for number in range(1000)), ring.find(known))
    assert (found[:-1], bool(found[-1])) == ([None] * 1000, True)
    assert len([sql for sql in reads if "signing_keys" in sql]) == 1
    clock.seconds += PAUSE_S
    await ring.find("evil")
    assert len([sql for sql in reads if "signing_keys" in sql]) == 2


async def test_in_an_emergency_everything_old_is_gone(new_ring, databases) -> None:
    ring, database = new_ring(), databases()
    await ring.load()
    await ring.rotate("op")
    old = [key["kid"] for key in ring.jwks()["keys"]]
    made = await ring.rotate("op", now=True)
    assert [key["kid"] for key in ring.jwks()["keys"]] == [made.kid]
    assert [await ring.find(kid) for kid in old] == [None, None]
    assert [(row.state, row.sealed is None) for row in await rows_of(database)] == [
        ("retired", True),
        ("retired", True),
        ("active", False),
    ]
    assert header_of(ring.sign({}, typ="at+jwt"))["kid"] == made.kid


async def test_a_lost_secret_stops_the_start_and_an_emergency_helps(new_ring, databases) -> None:
    await new_ring().load()
    ring = new_ring(Fernet.generate_key().decode())
    with pytest.raises(ConfigError, match="AUTH__SECRET_KEYS"):
        await ring.load()
    with pytest.raises(ConfigError):
        await ring.rotate("op")
    assert await states(databases()) == ["active"]
    with pytest.raises(Unavailable):
        ring.sign({}, typ="at+jwt")
    await ring.rotate("op", now=True)
    await ring.load()
    assert ring.sign({}, typ="at+jwt")


async def test_a_key_that_cannot_be_opened_here_is_not_promoted_here(new_ring, databases, clock: Clock) -> None:
    new = Fernet.generate_key().decode()
    old_ring, new_ring_ = new_ring(SECRET_KEY), new_ring(new, SECRET_KEY)
    await old_ring.load()
    await new_ring_.load()
    made = await new_ring_.rotate("op")
    clock.seconds = SHOWN.total_seconds()
    with pytest.raises(ConfigError):
        await old_ring.tend()
    assert await states(databases()) == ["active", "pending"]
    await new_ring_.tend()
    assert header_of(new_ring_.sign({}, typ="at+jwt"))["kid"] == made.kid
    with pytest.raises(ConfigError):
        await old_ring.tend()
    assert await old_ring.find(made.kid)  # it still tells good tokens from bad ones
    assert old_ring.sign({}, typ="at+jwt")  # and its own are good while the old key is shown


@pytest.mark.parametrize("jwk", [{}, {"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB"}], ids=["empty", "weak"])
async def test_a_broken_private_part_is_said_to_be_broken(new_ring, databases, jwk) -> None:
    await new_ring().load()
    async with databases().transaction() as session:
        row = (await session.scalars(select(SigningKeyRow))).one()
        row.sealed = Seal([SECRET_KEY]).seal(jwk)
    ring = new_ring()
    with pytest.raises(ConfigError, match="rotate --now"):
        await ring.load()
    assert await ring.find(row.kid)


async def test_a_database_that_cannot_tell_is_no_bad_token(new_ring, databases, clock: Clock) -> None:
    ring = new_ring()
    await ring.load()
    known = ring.jwks()["keys"][0]["kid"]
    async with databases().transaction() as session:
        await (await session.connection()).exec_driver_sql("ALTER TABLE signing_keys RENAME TO hidden")
    clock.seconds += PAUSE_S
    for _ in range(2):
        with pytest.raises(Unavailable):
            await ring.find("unknown")
    assert await ring.find(known)
    assert ring.sign({}, typ="at+jwt")


async def test_it_is_looked_after_while_it_is_open(databases, facts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "LOOK_S", 0.01)
    options = {"seal": Seal([SECRET_KEY]), "settings": AuthSettings(), "audit": facts}
    async with open_key_ring(databases(), **options) as mine, open_key_ring(databases(), **options) as theirs:
        made = await mine.rotate("op", now=True)
        while theirs.jwks()["keys"][0]["kid"] != made.kid:  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.01)


def test_a_set_of_keys_would_be_a_trap() -> None:
    """Why the ring signs with one key: a set picks any. This fails when the library no longer does."""
    both = KeySet([rsa_key("one"), rsa_key("two")])
    assert {both.pick_random_key("RS256").kid for _ in range(64)} == {"one", "two"}


def test_a_broken_public_part_is_no_key() -> None:
    assert public_key({"kty": "RSA", "kid": "x"}) is None
