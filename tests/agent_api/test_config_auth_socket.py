"""The rules of an application's `Auth` hold over a WebSocket too."""

import asyncio
from uuid import uuid4

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from codelab.core.settings import DatabaseSettings, Settings
from codelab.runtime.graphs.loading import load_config
from codelab.server.agent_api.configured import create_configured_server
from tests.agent_api.test_config_auth import RULES
from tests.support.configs import project


@pytest.fixture
def app(tmp_path, database_url):
    served = load_config(project(tmp_path, {"auth.py": RULES}, auth={"path": "./auth.py:auth"}))
    return create_configured_server(served, Settings(database=DatabaseSettings(url=database_url), _env_file=None))


def start(log):
    return {"id": 1, "method": "run.start", "params": {"assistant_id": "echo", "input": {"log": log}}}


def talk(app, what):
    """Do something with a client of the app, which lives in a thread of its own."""

    def inside():
        with TestClient(app, base_url="http://localhost") as client:
            return what(client)

    return asyncio.to_thread(inside)


def socket(client, thread, **headers):
    return client.websocket_connect(f"ws://localhost/threads/{thread}/stream/events", headers=headers)


async def test_nobody_is_let_in(app):
    def what(client):
        with pytest.raises(WebSocketDisconnect), socket(client, uuid4()):
            pass

    await talk(app, what)


async def test_a_run_over_a_socket_bears_what_the_rules_put_on_it(app):
    thread = str(uuid4())
    ann = {"authorization": "Bearer ann"}

    def what(client):
        with socket(client, thread, **ann) as opened:
            opened.send_json(start(["in"]))
            assert opened.receive_json()["type"] == "success"
        made = client.get(f"/threads/{thread}", headers=ann).json()
        (run,) = client.get(f"/threads/{thread}/runs", headers=ann).json()
        client.get(f"/threads/{thread}/runs/{run['run_id']}/join", headers=ann)
        state = client.get(f"/threads/{thread}/state", headers=ann).json()
        return made["metadata"]["owner"], state["values"]["seen"]["stamped"]

    assert await talk(app, what) == ("ann", "acme")


async def test_a_command_that_a_rule_denies_is_answered_so(app):
    thread = str(uuid4())
    ann = {"authorization": "Bearer ann"}

    def what(client):
        with socket(client, thread, **ann) as opened:
            opened.send_json(start(["forbidden"]))
            answer = opened.receive_json()
            there = client.get(f"/threads/{thread}", headers=ann).status_code
            opened.send_json(start(["in"]))
            return answer, there, opened.receive_json()["type"]

    answer, there, after = await talk(app, what)
    assert (answer["type"], answer["id"], answer["error"]) == ("error", 1, "permission_denied")
    assert (there, after) == (404, "success")


async def test_somebody_elses_thread_is_not_told_about(app):
    ann, bob = ({"authorization": f"Bearer {name}"} for name in ("ann", "bob"))

    def what(client):
        thread = client.post("/threads", json={}, headers=ann).json()["thread_id"]
        with socket(client, thread, **bob) as opened:
            opened.send_json(start(["in"]))
            return opened.receive_json()["type"]

    assert await talk(app, what) == "error"
