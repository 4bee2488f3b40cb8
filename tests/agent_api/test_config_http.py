"""What a `langgraph.json` puts around the API: an app of its own, a prefix, cross-origin rules, parts left out."""

import asyncio

import pytest
from starlette.testclient import TestClient

from codelab.auth.anonymous import Anonymous
from codelab.core.errors import ConfigError
from codelab.core.settings import DatabaseSettings, Settings
from codelab.runtime.graphs.loading import load_config
from codelab.server.agent_api.configured import create_configured_server
from tests.support.configs import AUTH, config_served, project, ran

MEMORY = "sqlite:///:memory:"
STUDIO = "https://smith.langchain.com"
OWN = """
from contextlib import asynccontextmanager
from fastapi import FastAPI, Request, WebSocket

seen = []

@asynccontextmanager
async def lifespan(app):
    seen.append("up")
    app.state.word = "alive"
    yield {"told": "at the start"}
    seen.append("down")

app = FastAPI(title="Mine", lifespan=lifespan)

@app.middleware("http")
async def stamp(request, call_next):
    answer = await call_next(request)
    answer.headers["x-mine"] = "1"
    return answer

@app.get("/mine")
async def mine(request: Request):
    return {"word": request.app.state.word, "told": request.state.told, "seen": seen}

@app.get("/info")
async def info():
    return {"mine": True}

@app.get("/threads")
async def threads():
    return "theirs"

@app.websocket("/talk")
async def talk(socket: WebSocket):
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()
"""


async def own(tmp_path, **http):
    return project(tmp_path, {"own.py": OWN}, http={"app": "./own.py:app", **http})


async def test_an_app_lives_with_the_server_and_comes_first(tmp_path, database_url):
    async with config_served(await own(tmp_path), database_url) as client:
        api = client()
        assert (await api.get("/mine")).json() == {"word": "alive", "told": "at the start", "seen": ["up"]}
        assert (await api.get("/info")).json() == {"mine": True}
        assert (await api.get("/ok")).json() == {"ok": True}
        assert (await api.get("/threads")).json() == "theirs"
        assert (await api.post("/threads", json={})).status_code == 200, "another method of the same address is ours"
        assert (await ran(api))["log"] == ["in", "echo"]
        answer = await api.post("/runs/stream", json={"assistant_id": "echo", "input": {"log": []}})
        assert answer.headers["x-mine"] == "1"
        assert "event: values" in answer.text


async def test_no_route_of_an_app_is_public_by_its_pattern(tmp_path):
    route = "@app.get('/{name}')\nasync def any(name: str):\n    return name\n"
    text = f"from fastapi import FastAPI\napp = FastAPI()\n\n{route}"
    http = {"app": "./own.py:app", "enable_custom_route_auth": True}
    path = project(tmp_path, {"own.py": text}, http=http, auth={"path": "./auth.py:auth"})
    async with config_served(path, MEMORY) as client:
        assert (await client().get("/ok")).status_code == 401
        assert (await client("ann").get("/ok")).json() == "ok"


async def test_sockets_of_an_app(tmp_path):
    served = load_config(await own(tmp_path))
    settings = Settings(database=DatabaseSettings(url=MEMORY), _env_file=None)
    app = create_configured_server(served, settings, auth=Anonymous())

    def talk():
        with (
            TestClient(app, base_url="http://localhost") as client,
            client.websocket_connect("ws://localhost/talk") as socket,
        ):
            return socket.receive_text()

    assert await asyncio.to_thread(talk) == "hello"


async def test_both_descriptions_are_one(tmp_path):
    async with config_served(await own(tmp_path), MEMORY) as client:
        described = (await client().get("/openapi.json")).json()
        assert {"/mine", "/threads/search", "/info"} <= set(described["paths"])
        assert "schemas" in described["components"]


async def test_an_app_is_open_unless_its_routes_are_guarded(tmp_path):
    for guarded, status in ((False, 200), (True, 401)):
        path = project(
            tmp_path / str(guarded),
            {"own.py": OWN, "auth.py": AUTH},
            http={"app": "./own.py:app", "enable_custom_route_auth": guarded},
            auth={"path": "./auth.py:auth"},
        )
        async with config_served(path, MEMORY) as client:
            nobody, ann = client(), client("ann")
            assert (await nobody.get("/mine")).status_code == status
            assert (await nobody.get("/info")).status_code == status
            assert (await nobody.get("/ok")).status_code == 200
            assert (await nobody.post("/threads", json={})).status_code == 401
            assert (await ann.get("/mine")).status_code == 200
            assert (await ann.post("/threads", json={})).status_code == 200


async def test_one_app_may_be_served_again(tmp_path):
    path = await own(tmp_path)
    for name in ("a", "b"):
        async with config_served(path, f"sqlite:///{tmp_path / name}.db") as client:
            assert (await client().get("/mine")).status_code == 200
            assert (await client().post("/threads", json={})).status_code == 200


async def test_everything_is_below_the_prefix(tmp_path, database_url):
    async with config_served(await own(tmp_path, mount_prefix="/api"), database_url) as client:
        api = client()
        for path in ("/mine", "/ok", "/openapi.json"):
            assert (await api.get(f"/api{path}")).status_code == 200
            assert (await api.get(path)).status_code == 404
        assert (await api.get("/apiok")).status_code == 404
        made = (await api.post("/api/threads", json={})).json()["thread_id"]
        run = {"assistant_id": "echo", "input": {"log": []}}
        answer = await api.post(f"/api/threads/{made}/runs/stream", json=run)
        assert answer.headers["location"].startswith(f"/threads/{made}/runs/")
        assert answer.headers["content-location"].startswith(f"/threads/{made}/runs/")


def preflight(origin=STUDIO, method="PATCH"):
    return {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": "x-api-key,x-auth-scheme,content-type,authorization",
        "access-control-request-private-network": "true",
    }


async def test_pages_of_others_may_do_nothing_by_default(tmp_path):
    async with config_served(project(tmp_path), MEMORY) as client:
        asked = await client().options("/threads/search", headers=preflight())
        assert "access-control-allow-origin" not in asked.headers
        sent = await client().post("/threads", json={}, headers={"origin": STUDIO, "sec-fetch-site": "cross-site"})
        assert (sent.status_code, "access-control-allow-origin" in sent.headers) == (403, False)


async def test_studio_may_when_it_is_named(tmp_path):
    async with config_served(project(tmp_path), MEMORY, cors_origins=[STUDIO]) as client:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            asked = await client().options("/threads/search", headers=preflight(method=method))
            assert asked.status_code == 200, asked.text
            assert asked.headers["access-control-allow-origin"] == STUDIO
            assert asked.headers["access-control-allow-private-network"] == "true"
        search = '{"metadata": {"created_by": "system"}}'
        headers = {"origin": STUDIO, "sec-fetch-site": "cross-site", "content-type": "text/plain;charset=UTF-8"}
        found = await client().post("/assistants/search", content=search, headers=headers)
        assert [each["graph_id"] for each in found.json()] == ["echo"]
        shown = found.headers["access-control-expose-headers"].lower()
        for name in ("content-location", "location", "x-pagination-total", "x-pagination-next"):
            assert name in shown
        for other in ("https://evil.example", "null"):
            asked = await client().options("/threads/search", headers=preflight(origin=other))
            assert asked.status_code == 400
            sent = await client().post("/threads", json={}, headers=headers | {"origin": other})
            assert sent.status_code == 403


async def test_the_configs_own_rules_are_the_only_ones(tmp_path):
    path = project(tmp_path, http={"cors": {"allow_origins": ["https://app.example"]}})
    async with config_served(path, MEMORY, cors_origins=[STUDIO]) as client:

        def rules(origin, method):
            return {"origin": origin, "access-control-request-method": method}

        assert (await client().options("/threads", headers=rules(STUDIO, "GET"))).status_code == 400
        assert (await client().options("/threads", headers=rules("https://app.example", "GET"))).status_code == 200
        assert (await client().options("/threads", headers=rules("https://app.example", "PATCH"))).status_code == 400


@pytest.mark.parametrize(
    ("part", "gone", "left"),
    [
        ("assistants", ["/assistants/search"], ["/threads/search"]),
        ("threads", ["/threads/search", "/threads"], ["/assistants/search"]),
        ("runs", ["/runs", "/runs/wait", "/runs/crons/search"], ["/threads/search"]),
        ("store", ["/store/items/search"], ["/threads/search"]),
        ("mcp", ["/mcp"], ["/threads/search"]),
    ],
)
async def test_parts_can_be_left_out(tmp_path, part, gone, left):
    async with config_served(project(tmp_path, http={f"disable_{part}": True}), MEMORY) as client:
        for path in gone:
            answer = await client().post(path, json={})
            assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"}), path
        for path in left:
            assert (await client().post(path, json={})).status_code == 200


async def test_meta_can_be_left_out(tmp_path):
    async with config_served(project(tmp_path, http={"disable_meta": True}), MEMORY) as client:
        assert (await client().get("/info")).status_code == 404


async def test_headers_reach_the_graph(tmp_path, database_url):
    names = {"includes": ["x-tone", "x-my-*", "x-api-*"], "excludes": ["*secret*"]}
    path = project(tmp_path, http={"configurable_headers": names})
    sent = {"x-tone": "kind", "x-my-word": "w", "x-my-secret": "s", "x-api-key": "k", "x-other": "o"}
    async with config_served(path, database_url) as client:
        seen = (await ran(client(**sent)))["seen"]
        assert {name: seen.get(name) for name in sent} == {
            "x-tone": "kind",
            "x-my-word": "w",
            "x-my-secret": None,
            "x-api-key": None,
            "x-other": None,
        }
        assert "x-tone" not in (await ran(client()))["seen"]


async def test_headers_cannot_say_who_somebody_is(tmp_path):
    path = project(tmp_path, http={"configurable_headers": {"includes": ["*"]}})
    async with config_served(path, MEMORY) as client:
        forged = {"langgraph_auth_user_id": "root", "thread_id": "t", "run_id": "r"}
        seen = (await ran(client(**forged)))["seen"]
        assert (seen["langgraph_auth_user_id"], seen["thread_id"] == "t") == ("local", False)


async def test_two_apps_in_one_process(tmp_path):
    async with (
        config_served(project(tmp_path / "a", graphs={"echo": "./app.py:graph"}), MEMORY) as one,
        config_served(project(tmp_path / "b", graphs={"other": "./app.py:graph"}), MEMORY) as two,
    ):
        names = [[a["graph_id"] for a in (await c().post("/assistants/search", json={})).json()] for c in (one, two)]
        assert names == [["echo"], ["other"]]
        thread = (await one().post("/threads", json={})).json()["thread_id"]
        assert (await two().get(f"/threads/{thread}")).status_code == 404


@pytest.mark.parametrize(
    ("http", "said"), [({"app": "./auth.py:auth"}, "http.app"), ({"mount_prefix": "api"}, "http.mount_prefix")]
)
async def test_what_cannot_be_served_is_refused_at_the_start(tmp_path, http, said):
    path = project(tmp_path, http=http)
    with pytest.raises(ConfigError, match=said):
        async with config_served(path, MEMORY):
            pass
