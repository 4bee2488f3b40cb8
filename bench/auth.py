"""What sign-in and tokens cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from cryptography.fernet import Fernet

from bench import auth_served
from bench.figures import Budget, Figure
from bench.folders import work_folder
from codelab.auth.audit.service import Audit
from codelab.auth.signing.sealing import Seal
from codelab.auth.signing.service import KeyRing
from codelab.auth.verify.revocations import SqlRevocations
from codelab.auth.verify.tokens import Verifier
from codelab.core.permissions import GRANTABLE
from codelab.core.settings_auth import AuthSettings
from codelab.store.engine import Database
from codelab.store.migrate import prepare

ISSUER: Final = "https://codelab.bench"
ROUNDS: Final = 9
TOKENS: Final = 500
CACHED: Final = 20_000
LOOKUPS: Final = 1_000_000
REVOKED: Final = 1000


async def measure() -> list[dict[str, Any]]:
    """Measure everything."""
    return [*await local_check(), *await auth_served.measure()]


async def local_check() -> list[dict[str, Any]]:
    """CPU time that a resource server adds to a request: a token seen first, seen before, and a permission."""
    cold = Figure("a token checked, seen first", "µs CPU")
    cached = Figure("a token checked, seen before", "µs CPU")
    allowed = Figure("a permission looked up", "µs CPU", 3)
    signed = Figure("a token signed", "µs CPU")
    async with work_folder() as folder:
        database = Database(f"sqlite:///{folder / 'codelab.db'}")
        await prepare(database)
        seal = Seal([Fernet.generate_key().decode()])
        ring = KeyRing(database, seal=seal, settings=AuthSettings(), audit=Audit(database))
        await ring.load()
        revocations = SqlRevocations(database)
        async with database.transaction() as session:
            gone = [f"user:gone-{number}" for number in range(REVOKED)]
            await session.run_sync(lambda inner: revocations.revoke(inner, gone))
        for _ in range(ROUNDS):
            tokens = _issue(ring, signed)
            verifier = Verifier(ring, revocations=revocations, issuer=ISSUER)
            cold.ours.append(await _checks(verifier, tokens))
            cached.ours.append(await _checks(verifier, [tokens[0]] * CACHED))
            allowed.ours.append(_lookups())
        await database.close()
    return [
        cold.row(Budget(most=300)),
        cached.row(Budget(most=300)),
        allowed.row(Budget(most=1)),
        signed.row(None),
    ]


def _issue(ring: KeyRing, figure: Figure) -> list[str]:
    began = time.process_time()
    tokens = [ring.sign(_claims(number), typ="at+jwt") for number in range(TOKENS)]
    figure.ours.append((time.process_time() - began) / TOKENS * 1e6)
    return tokens


def _claims(number: int) -> Mapping[str, Any]:
    now = int(time.time())
    return {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": "0199a7c2-1111-7000-8000-000000000001",
        "client_id": "codelab-cli",
        "scope": " ".join(sorted(GRANTABLE)),
        "iat": now,
        "exp": now + 600,
        "jti": f"0199a7c2-2222-7000-8000-{number:012}",
        "tid": "default",
        "fid": "0199a7c2-3333-7000-8000-000000000001",
        "amr": ["pwd"],
        "acr": "1",
        "auth_time": now,
    }


async def _checks(verifier: Verifier, tokens: list[str]) -> float:
    audiences = frozenset({ISSUER})
    began = time.process_time()
    for token in tokens:
        await verifier.verify(token, audiences)
    return (time.process_time() - began) / len(tokens) * 1e6


def _lookups() -> float:
    held, wanted = GRANTABLE, "threads:write"
    began = time.process_time()
    for _ in range(LOOKUPS):
        assert wanted in held
    return (time.process_time() - began) / LOOKUPS * 1e6
