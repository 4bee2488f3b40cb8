"""The client of the MCP SDK at `/mcp`: it finds its way to a token by itself, and the token is for `/mcp` alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from codelab.core.permissions import GRANTABLE, OPENID
from tests.support.people_service import CALLBACK, REGISTRATION_TOKEN, PeopleService
from tests.support.person import Person

pytestmark = pytest.mark.e2e


@dataclass
class Kept:
    """Where the client keeps what it was given."""

    client: OAuthClientInformationFull | None = None
    tokens: list[OAuthToken] = field(default_factory=list)

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens[-1] if self.tokens else None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens.append(tokens)

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


async def show_registration_token(request: httpx.Request) -> None:
    """The SDK knows of no initial access token: an operator puts it before the request."""
    if request.url.path == "/oauth/register":
        request.headers["authorization"] = f"Bearer {REGISTRATION_TOKEN}"


async def list_tools(service: PeopleService, person: Person, kept: Kept) -> list[str]:
    back: dict[str, str] = {}

    async def opened(address: str) -> None:
        asked = dict(parse_qsl(urlsplit(address).query))
        assert asked["resource"] == f"{service.url}/mcp"
        back.update(parse_qsl(urlsplit(await asyncio.to_thread(person.allow, address)).query))

    async def answered() -> tuple[str, str | None]:
        return back["code"], back["state"]

    metadata = OAuthClientMetadata(
        client_name="An MCP client",
        redirect_uris=[CALLBACK],
        grant_types=["authorization_code", "refresh_token"],
        token_endpoint_auth_method="none",
    )
    auth = OAuthClientProvider(f"{service.url}/mcp", metadata, kept, opened, answered)
    hooks: Any = {"request": [show_registration_token]}
    async with (
        httpx.AsyncClient(auth=auth, event_hooks=hooks, timeout=30) as http,
        streamable_http_client(f"{service.url}/mcp", http_client=http) as (reading, writing, _),
        ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        return [tool.name for tool in (await session.list_tools()).tools]


def check(service: PeopleService, kept: Kept) -> None:
    """The token opens `/mcp`, and nothing else."""
    (made,) = kept.tokens
    service.keep(made.model_dump())
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    with service.http(made.access_token) as http:
        assert http.post("/mcp", json=listing).status_code == 200
        for path in ("/api/v1/threads", "/v1/models", "/openapi.json", "/runs/crons", "/oauth/userinfo"):
            assert http.get(path).status_code in {401, 405}, path
        assert http.post("/threads/search", json={}).status_code == 401
        assert http.post("/assistants/search", json={}).status_code == 401


def test_a_client_that_registers_itself(service: PeopleService, ann: Person) -> None:
    kept = Kept()
    assert "coder" in asyncio.run(list_tools(service, ann, kept))
    assert kept.client is not None
    check(service, kept)


def test_a_client_that_is_known(service: PeopleService, ann: Person) -> None:
    made = service.client(scopes=sorted(GRANTABLE | OPENID))
    known = OAuthClientInformationFull(
        client_id=made.id, redirect_uris=[CALLBACK], token_endpoint_auth_method="none", issuer=service.url
    )
    kept = Kept(known)
    assert "coder" in asyncio.run(list_tools(service, ann, kept))
    check(service, kept)
