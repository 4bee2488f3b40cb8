"""Pages of others: none may call, but for those that are named; and those never on a person's cookie."""

import httpx
import pytest

from codelab.auth.local import COOKIE, LocalAuth
from codelab.core.settings import DatabaseSettings, ServerSettings, Settings
from codelab.server.app import create_app

STUDIO = "https://smith.langchain.com"
ASKED = {"origin": STUDIO, "access-control-request-method": "PATCH", "access-control-request-private-network": "true"}
AUTH = LocalAuth("choose-one")


@pytest.fixture
async def client_for(tmp_path):
    opened = []

    async def make(origins):
        server = ServerSettings(cors_origins=origins)
        settings = Settings(
            data_dir=tmp_path, database=DatabaseSettings(url="sqlite:///:memory:"), server=server, _env_file=None
        )
        app = create_app(settings, auth=AUTH)
        living = app.router.lifespan_context(app)
        await living.__aenter__()
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost")
        opened.append((living, client))
        return client

    yield make
    for living, client in opened:
        await client.aclose()
        await living.__aexit__(None, None, None)


async def test_none_by_default(client_for):
    client = await client_for([])
    answer = await client.options("/threads/search", headers=ASKED)
    assert answer.status_code == 401
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_named_page_with_the_token(client_for):
    client = await client_for([STUDIO])
    answer = await client.options("/threads/search", headers=ASKED)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, STUDIO)
    assert answer.headers["access-control-allow-private-network"] == "true"
    assert (await client.options("/threads", headers=ASKED | {"origin": "https://x.example"})).status_code == 400
    page = {"origin": STUDIO, "sec-fetch-site": "cross-site"}
    token = {"authorization": "Bearer choose-one"}
    assert (await client.post("/threads", json={}, headers=page | token)).status_code == 200
    assert (await client.post("/threads", json={}, headers=page)).status_code == 401


async def test_a_cookie_never_counts_for_a_named_page(client_for):
    client = await client_for([STUDIO])
    cookie = {"cookie": f"{COOKIE}={AUTH.session}"}
    page = {"origin": STUDIO, "sec-fetch-site": "cross-site"}
    assert (await client.post("/threads", json={}, headers=cookie | page)).status_code == 403
    assert (
        await client.post("/threads", json={}, headers=cookie | {"sec-fetch-site": "same-origin"})
    ).status_code == 200
