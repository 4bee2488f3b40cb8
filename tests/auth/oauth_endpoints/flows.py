"""Ways to tokens that several tests go."""

from __future__ import annotations

from typing import Any

import httpx

from codelab.auth.oauth.families import Agreement, add_refresh, begin_family
from codelab.auth.oauth.registry import open_server
from codelab.auth.oauth.tokens import family_token
from codelab.auth.seams import Proof
from codelab.store.models import UserRow
from tests.support.identity import ISSUER, World


async def person_tokens(
    world: World, user: UserRow, *, client: str = "web", scope: str = "threads:read openid", target: str = ISSUER
) -> dict[str, Any]:
    """What a client holds after a person said yes to it, as if it had redeemed a code."""

    def act(session) -> dict[str, Any]:
        server = open_server(session, world.identity.oauth)
        agreement = Agreement(
            user_id=user.id,
            tenant_id=user.tenant_id,
            session_id="browser",
            scope=scope,
            resource=target,
            proof=Proof(auth_time=server.now),
            since=server.now,
        )
        found = server.query_client(client)
        family = begin_family(server, found, agreement)
        tokens = family_token(server, family, scope=scope, target=target)
        return {**tokens, "refresh_token": add_refresh(server, family)}

    async with world.database.transaction() as session:
        return await session.run_sync(act)


async def revoke(world: World, token: str, *, auth: tuple[str, str] | None = None, **form: str) -> httpx.Response:
    return await world.http.post("/oauth/revoke", data={"token": token, **form}, auth=auth)


async def introspect(world: World, token: str, *, auth: tuple[str, str] | None = None, **form: str) -> httpx.Response:
    return await world.http.post("/oauth/introspect", data={"token": token, **form}, auth=auth)


async def is_active(world: World, token: str, auth: tuple[str, str]) -> bool:
    response = await introspect(world, token, auth=auth)
    assert response.status_code == 200, response.text
    told = response.json()
    assert told["active"] or told == {"active": False}, "nothing is told of a dead token"
    return told["active"]
