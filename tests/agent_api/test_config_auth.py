"""An application's own `Auth`: who comes in, what its rules deny, hide and change."""

import json

import httpx
import pytest

from codelab.core.errors import ConfigError
from codelab.runtime.graphs.loading import load_config
from codelab.server.agent_api.app import agent_app, create_agent_server
from codelab.server.agent_api.rules import deed_of
from tests.support.configs import AUTH, alive, config_served, project, ran

RULES = (
    AUTH
    + """
@auth.on
async def own(ctx, value):
    filters = {"owner": ctx.user.identity}
    value.setdefault("metadata", {}).update(filters)
    return filters

@auth.on.threads.delete
async def never(ctx, value):
    return False

@auth.on.threads.create_run
async def run(ctx, value):
    value["kwargs"].setdefault("config", {}).setdefault("configurable", {})["stamped"] = ctx.user["org"]
    if (value["kwargs"].get("input") or {}).get("log") == ["forbidden"]:
        raise Auth.exceptions.HTTPException(status_code=403, detail="Not that")
    return {"owner": ctx.user.identity}

@auth.on.threads.search
async def find(ctx, value):
    return {"owner": {"$eq": ctx.user.identity}}

@auth.on.store
async def space(ctx, value):
    if value.get("key") == "secret":
        return False
    value["namespace"] = (ctx.user.identity, *(value.get("namespace") or ()))
"""
)


@pytest.fixture
async def who(tmp_path, database_url):
    """Everybody may do everything with what is theirs."""
    path = project(tmp_path, auth={"path": "./auth.py:auth"})
    async with config_served(path, database_url) as client:
        yield client


@pytest.fixture
async def ruled(tmp_path, database_url):
    path = project(tmp_path, {"auth.py": RULES}, auth={"path": "./auth.py:auth"})
    async with config_served(path, database_url) as client:
        yield client


async def thread_of(api: httpx.AsyncClient, **sent) -> str:
    answer = await api.post("/threads", json=sent)
    assert answer.status_code == 200, answer.text
    return answer.json()["thread_id"]


async def test_nobody_comes_in_unasked(who):
    for headers in ({}, {"authorization": "Basic x"}, {"x-auth-scheme": "langsmith", "x-api-key": "k"}):
        answer = await who(**headers).post("/threads", json={})
        assert (answer.status_code, answer.json()) == (401, {"detail": "Who are you?"})
    for public in ("/ok", "/info"):
        assert (await who().get(public)).status_code == 200


async def test_each_has_what_is_theirs(who):
    ann, bob = who("ann"), who("bob")
    thread = await thread_of(ann)
    assert (await ann.get(f"/threads/{thread}")).status_code == 200
    assert (await bob.get(f"/threads/{thread}")).status_code == 404
    assert (await bob.post("/threads/search", json={})).json() == []


async def test_a_graph_learns_who_asks(who):
    seen = (await ran(who("ann")))["seen"]
    assert seen["langgraph_auth_user_id"] == "ann"
    assert (seen["langgraph_auth_user"]["org"], seen["langgraph_auth_permissions"]) == ("acme", ["talk"])


async def test_a_client_cannot_say_who_it_is(who):
    config = {"configurable": {"langgraph_auth_user": {"identity": "root"}, "langgraph_auth_user_id": "root"}}
    seen = (await ran(who("ann"), config=config))["seen"]
    assert (seen["langgraph_auth_user_id"], seen["langgraph_auth_user"]["identity"]) == ("ann", "ann")


async def test_a_rule_that_says_no_is_a_403(ruled):
    ann = ruled("ann")
    thread = await thread_of(ann)
    answer = await ann.delete(f"/threads/{thread}")
    assert (answer.status_code, answer.json()) == (403, {"detail": "Forbidden"})
    assert (await ann.request("DELETE", f"/threads/{thread}", json=[])).status_code == 403
    assert (await ann.get(f"/threads/{thread}")).status_code == 200
    run = {"assistant_id": "echo", "input": {"log": ["forbidden"]}}
    for path in ("/runs", "/runs/stream", f"/threads/{thread}/runs/wait"):
        answer = await ann.post(path, json=run)
        assert (answer.status_code, answer.json()) == (403, {"detail": "Not that"})
    assert (await ann.post("/runs/batch", json=[{"assistant_id": "echo"}, run])).status_code == 403
    command = {"id": 1, "method": "run.start", "params": run}
    assert (await ann.post(f"/threads/{thread}/commands", json=command)).status_code == 403


async def test_a_rule_changes_what_is_made(ruled):
    ann = ruled("ann")
    thread = await thread_of(ann, metadata={"owner": "bob", "kept": 1})
    assert (await ann.get(f"/threads/{thread}")).json()["metadata"] == {"owner": "ann", "kept": 1}
    assert (await ran(ann, thread))["seen"]["stamped"] == "acme"
    made = "0199aaaa-0000-7000-8000-000000000001"
    await ran(ann, made, if_not_exists="create")
    assert (await ann.get(f"/threads/{made}")).json()["metadata"]["owner"] == "ann"


async def test_a_filter_hides_what_it_does_not_fit(tmp_path, database_url):
    """The same person with other filters: what was made before the rule is not to be seen."""
    before = project(tmp_path / "a", auth={"path": "./auth.py:auth"})
    async with config_served(before, database_url) as client:
        old = await thread_of(client("ann"), metadata={"n": 1})
    after = project(tmp_path / "b", {"auth.py": RULES}, auth={"path": "./auth.py:auth"})
    async with config_served(after, database_url) as client:
        ann = client("ann")
        new = await thread_of(ann, metadata={"n": 1})
        found = (await ann.post("/threads/search", json={"metadata": {"n": 1}})).json()
        assert [thread["thread_id"] for thread in found] == [new]
        assert (await ann.post("/threads/count", json={})).json() == 1
        assert (await ann.post("/threads/search", json={"metadata": {"owner": "bob"}})).json() == []
        assert (await ann.post("/threads/count", json={"metadata": {"owner": "bob"}})).json() == 0
        for hidden in (old, f"{{{old}}}", old.upper()):
            for path in ("", "/state", "/history", "/runs"):
                assert (await ann.get(f"/threads/{hidden}{path}")).status_code in {404, 422}, (hidden, path)
        for method, path, sent in (
            ("PATCH", "", {"metadata": {"owner": "ann"}}),
            ("POST", "/state", {"values": {"log": ["x"]}}),
            ("POST", "/copy", None),
            ("POST", "/runs", {"assistant_id": "echo"}),
            ("POST", "/history", {}),
            ("POST", "/stream/events", {"channels": ["values"]}),
            ("POST", "/commands", {"id": 1, "method": "run.start", "params": {"assistant_id": "echo"}}),
        ):
            answer = await ann.request(method, f"/threads/{old}{path}", json=sent)
            assert answer.status_code == 404, (method, path, answer.text)
        answer = await ann.post("/threads", json={"thread_id": old, "if_exists": "do_nothing"})
        assert answer.status_code == 404
        assert (await ann.post("/runs/cancel", json={"status": "all"})).status_code == 403


async def test_a_blanket_filter_hides_the_graphs_own_assistants(ruled):
    assert (await ruled("ann").post("/assistants/search", json={})).json() == []
    assert (await ruled("ann").get("/assistants/echo/graph")).status_code == 404


async def test_assistants_and_crons_too(ruled):
    ann = ruled("ann")
    made = (await ann.post("/assistants", json={"graph_id": "echo"})).json()
    assert made["metadata"] == {"owner": "ann"}
    found = (await ann.post("/assistants/search", json={})).json()
    assert [each["assistant_id"] for each in found] == [made["assistant_id"]]
    assert (await ann.get(f"/assistants/{made['assistant_id']}")).status_code == 200
    cron = await ann.post("/runs/crons", json={"assistant_id": "echo", "schedule": "0 0 1 1 *", "input": {"log": []}})
    assert cron.status_code == 200, cron.text
    assert cron.json()["metadata"]["owner"] == "ann"
    assert (await ann.get(f"/runs/crons/{cron.json()['cron_id']}")).status_code == 200
    assert len((await ann.post("/runs/crons/search", json={})).json()) == 1


async def test_a_rule_moves_namespaces(ruled):
    ann = ruled("ann")
    sent = {"namespace": ["notes"], "key": "k", "value": {"n": 1}}
    assert (await ann.put("/store/items", json=sent)).status_code == 204
    got = (await ann.get("/store/items", params={"namespace": "notes", "key": "k"})).json()
    assert (got["value"], got["namespace"]) == ({"n": 1}, ["ann", "notes"])
    found = (await ann.post("/store/items/search", json={"namespace_prefix": ["notes"]})).json()["items"]
    assert [item["key"] for item in found] == ["k"]
    assert (await ann.post("/store/namespaces", json={})).json() == {"namespaces": [["ann", "notes"]]}
    assert (await ann.get("/store/items", params={"namespace": "notes", "key": "secret"})).status_code == 403
    assert (await ann.request("DELETE", "/store/items", json={"namespace": ["notes"], "key": "k"})).status_code == 204
    assert (await ann.get("/store/items", params={"namespace": "notes", "key": "k"})).json() is None


async def test_what_is_no_json_stays_a_422(ruled):
    for raw in (b"{", b"3", b'"x"'):
        assert (await ruled("ann").post("/threads/search", content=raw)).status_code == 422


async def test_a_filter_nobody_knows_shows_nothing(tmp_path):
    rules = AUTH + '\n@auth.on\nasync def odd(ctx, value):\n    return {"$or": [{"a": 1}]}\n'
    path = project(tmp_path, {"auth.py": rules}, auth={"path": "./auth.py:auth"})
    async with config_served(path, "sqlite:///:memory:") as client:
        answer = await client("ann").post("/threads/search", json={})
        assert (answer.status_code, "$or" in answer.json()["detail"]) == (403, True)


def test_every_route_is_asked_about():
    free = {"/ok", "/info", "/mcp"}
    for path, methods in agent_app().openapi()["paths"].items():
        for method in methods:
            asked = deed_of(method.upper(), path.replace("{", "").replace("}", ""), {})
            assert path in free or asked is not None, (method, path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("auth = 3", "langgraph_sdk.Auth"),
        ("from langgraph_sdk import Auth\nauth = Auth()", "@auth.authenticate"),
        (
            "from langgraph_sdk import Auth\nauth = Auth()\n@auth.authenticate\nasync def a(moon): ...",
            "moon",
        ),
    ],
)
async def test_an_auth_that_cannot_work_is_refused_at_the_start(tmp_path, text, said):
    path = project(tmp_path, {"auth.py": text}, auth={"path": "./auth.py:auth"})
    with pytest.raises(ConfigError, match=said) as failed:
        async with config_served(path, "sqlite:///:memory:"):
            pass
    assert str(path) in str(failed.value)


async def test_authenticate_gets_what_it_names(tmp_path):
    asking = """
from langgraph_sdk import Auth
auth = Auth()

@auth.authenticate
def authenticate(headers, path, method, query_params, body, request):
    name = headers[b"x-name"].decode()
    assert (path, method, query_params, body, request.headers["x-name"]) == (
        "/threads", "POST", {"a": "1"}, {"metadata": {"m": 1}}, name)
    return name
"""
    path = project(tmp_path, {"auth.py": asking}, auth={"path": "./auth.py:auth"})
    async with config_served(path, "sqlite:///:memory:") as client:
        answer = await client(**{"x-name": "eve"}).post("/threads?a=1", json={"metadata": {"m": 1}})
        assert (answer.status_code, answer.json()["metadata"]) == (200, {"m": 1})


async def test_an_sdk_auth_serves_without_a_file(tmp_path):
    served = load_config(project(tmp_path, auth={"path": "./auth.py:auth"}))
    app = create_agent_server(served.graphs, "sqlite:///:memory:", served.auth)
    async with alive(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as api:
            assert (await api.get("/threads/x")).status_code == 401
            answer = await api.post("/threads", headers={"authorization": "Bearer a"}, content=json.dumps({}))
            assert answer.status_code == 200
