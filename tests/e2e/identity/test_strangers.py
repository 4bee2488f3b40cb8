"""The whole OpenAPI, asked by nobody, by a stranger and by who it belongs to (schemathesis makes the requests up)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from codelab.core.permissions import GRANTABLE
from tests.support.people_service import PeopleService

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
SCHEMATHESIS = "schemathesis==4.32.5"
SECONDS = 80
PUBLIC = ["/oauth/", "/.well-known/", "/health", "/ok", "/info"]
EVERYTHING = " ".join(sorted(GRANTABLE))
MEMBER = " ".join(sorted(scope for scope in GRANTABLE if not scope.endswith(":admin") and scope != "audit:read"))


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own: it does not go with what we develop with."""
    folder = tmp_path_factory.mktemp("schemathesis") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    found = folder / "bin" / "python"
    uv = Path(sys.executable).parent / "uv"
    subprocess.run([uv, "pip", "install", "-q", "--python", found, SCHEMATHESIS], check=True)
    return found


def things_of(http: httpx.Client) -> dict[str, str]:
    """One of each kind of thing that somebody can have; addresses of those that can be looked at, and their ids."""
    thread = http.post("/threads", json={"metadata": {"graph_id": "codelab"}}).json()["thread_id"]
    said = {"assistant_id": "codelab", "input": {"messages": [{"role": "user", "content": "hello"}]}}
    run = http.post(f"/threads/{thread}/runs", json=said).json()["run_id"]
    http.get(f"/threads/{thread}/runs/{run}/join")
    assistant = http.post("/assistants", json={"graph_id": "codelab", "name": "mine"}).json()["assistant_id"]
    (workspace, *_) = [each["id"] for each in http.get("/api/v1/workspaces").json()]
    own = http.post("/api/v1/threads", json={"workspace_id": workspace}).json()["id"]
    key = http.post("/api/v1/api-keys", json={"name": "mine"}).json()["id"]
    client = {"name": "Mine", "redirect_uris": ["https://mine.example.org/back"], "scopes": ["threads:read"]}
    known = http.post("/api/v1/clients", json=client).json()["id"]
    stored = {"namespace": ["mine"], "key": "secret-place", "value": {"word": "a-word-of-mine-4711"}}
    assert http.put("/store/items", json=stored).is_success
    return {
        f"/threads/{thread}": thread,
        f"/threads/{thread}/runs/{run}": run,
        f"/assistants/{assistant}": assistant,
        f"/api/v1/threads/{own}": own,
        f"/api/v1/clients/{known}": known,
        "/api/v1/workspaces": workspace,
        "/api/v1/api-keys": key,
        "/store/items?namespace=mine&key=secret-place": "a-word-of-mine-4711",
    }


def test_strangers_learn_nothing(service: PeopleService, python: Path) -> None:
    owner, stranger = service.administrator(), service.person("stranger")
    token, other = service.tokens(owner, EVERYTHING), service.tokens(stranger, MEMBER)
    with service.http(token["access_token"]) as http:
        things = things_of(http)
        before = {address: http.get(address).text for address in things}
        assert all(found in before[address] for address, found in things.items()), before
        schema = http.get("/openapi.json").json()
    tokens = {"nobody": "", "stranger": other["access_token"]}
    found = ask(python, service, schema, tokens, things)
    with service.http(token["access_token"]) as http:
        after = {address: http.get(address).text for address in things}
    assert found["wrong"] == []
    assert after == before, "a stranger changed something"
    assert found["statuses"]["nobody 4"] > found["operations"]
    assert found["statuses"]["stranger 2"] > 30
    assert set(found["asked"].values()) == {found["operations"]}, "there was no time for all of it"
    found = ask(python, service, schema, {"owner": token["access_token"]}, things)
    assert found["wrong"] == []


def ask(
    python: Path, service: PeopleService, schema: Any, tokens: dict[str, str], things: dict[str, str]
) -> dict[str, Any]:
    told = {
        "url": service.url,
        "schema": schema,
        "tokens": tokens,
        "ids": list(things.values()),
        "public": PUBLIC,
        "seconds": SECONDS,
    }
    done = subprocess.run(
        [python, Path(__file__).with_name("strangers.py")],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS + 40,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))
