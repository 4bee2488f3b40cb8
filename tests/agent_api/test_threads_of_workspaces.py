"""One table of threads, two interfaces: a workspace's thread is one of the `codelab` graph, and back again."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from codelab.core.settings import Settings
from codelab.llm.models import StaticModels
from codelab.llm.scripted import Reply, Script, ScriptedChatModel
from codelab.runtime.compose import build_runtime
from codelab.runtime.served import WHOLE
from codelab.runtime.threads.showing import OUR_GRAPH
from codelab.server.app import create_app
from tests.agent_api.thread_graphs import got, made, sent

API = "/api/v1/threads"


@pytest.fixture
async def both(tmp_path: Any, git_repo: Any, database_url: str) -> Any:
    """The whole service, signed in, and the id of its workspace."""
    settings = Settings(
        data_dir=tmp_path / "data",
        database={"url": database_url},
        server={"token": "both-sides"},
        workspaces={"roots": [git_repo]},
        _env_file=None,
    )
    model = ScriptedChatModel(script=Script(name="both", replies=(Reply(text="Done."),)))
    app = create_app(settings, runtime=build_runtime(settings, models=StaticModels(model)))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        headers = {"authorization": "Bearer both-sides"}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            answer = await client.post("/api/v1/workspaces", json={"path": str(git_repo)})
            assert answer.status_code in {200, 201}, answer.text
            yield client, answer.json()["id"]


async def ours(client: httpx.AsyncClient, workspace: str) -> str:
    """A thread of the workspace, after one turn."""
    thread = (await client.post(API, json={"workspace_id": workspace})).json()["id"]
    run = (await client.post(f"{API}/{thread}/runs", json={"text": "hello"})).json()
    assert "id" in run, run
    async with client.stream("GET", f"{API}/{thread}/events?run_id={run['id']}") as events:
        await events.aread()
    return str(thread)


async def test_a_workspaces_thread_is_one_of_our_graph(both: tuple[httpx.AsyncClient, str]) -> None:
    client, workspace = both
    assert WHOLE == OUR_GRAPH
    name = await ours(client, workspace)
    thread = await got(client, f"/threads/{name}")
    assert thread["metadata"]["graph_id"] == "codelab"
    assert thread["status"] == "idle"
    said = [(m["type"], m["content"]) for m in thread["values"]["messages"]]
    assert said == [("human", "hello"), ("ai", "Done.")]
    assert (await got(client, f"/threads/{name}/state"))["values"]["messages"] == thread["values"]["messages"]
    assert len(await sent(client, f"/threads/{name}/history", {"limit": 3})) == 3
    for metadata in ({"graph_id": "codelab"}, {}):
        found = await sent(client, "/threads/search", {"metadata": metadata})
        assert [each["thread_id"] for each in found] == [name]
        assert await sent(client, "/threads/count", {"metadata": metadata}) == 1
    assert await sent(client, "/threads/count", {"metadata": {"graph_id": "coder"}}) == 0


async def test_only_turns_change_a_workspaces_thread(both: tuple[httpx.AsyncClient, str]) -> None:
    """The policy of a turn stands in its state: whoever could write that would need no approval."""
    client, workspace = both
    name = await ours(client, workspace)
    before = await got(client, f"/threads/{name}/state")
    await sent(client, f"/threads/{name}/state", {"values": {"policy": {"mode": "auto"}}}, status=403)
    refused = await sent(client, f"/threads/{name}/state", {"values": {"messages": []}}, status=409)
    assert "belongs to a workspace" in refused["detail"]
    assert await got(client, f"/threads/{name}/state") == before
    again = await client.post(f"{API}/{name}/runs", json={"text": "again"})
    assert again.status_code < 300, again.text


async def test_a_copy_stays_in_the_workspace(both: tuple[httpx.AsyncClient, str]) -> None:
    client, workspace = both
    name = await ours(client, workspace)
    copy = (await sent(client, f"/threads/{name}/copy"))["thread_id"]
    assert (await got(client, f"{API}/{copy}"))["workspace_id"] == workspace
    contents = [message["content"] for message in await got(client, f"{API}/{copy}/messages")]
    assert contents == ["hello", "Done."]
    assert await got(client, f"{API}/{copy}/runs") == []
    assert (await client.delete(f"/threads/{name}")).status_code == 204
    assert (await client.get(f"{API}/{name}")).status_code == 404
    assert (await client.post(f"{API}/{copy}/runs", json={"text": "again"})).status_code < 300


async def test_a_thread_without_a_workspace(both: tuple[httpx.AsyncClient, str]) -> None:
    client, workspace = both
    name = (await made(client, metadata={"mine": 1})).removeprefix("/threads/")
    mine = await ours(client, workspace)
    assert [each["id"] for each in (await got(client, API))["items"]] == [mine]
    thread = await got(client, f"{API}/{name}")
    assert (thread["workspace_id"], thread["metadata"]) == (None, {"mine": 1})
    assert (await client.post(f"{API}/{name}/runs", json={"text": "hello"})).status_code == 409
    for path in ("messages", "changes"):
        answer = await client.get(f"{API}/{name}/{path}")
        assert answer.status_code in {404, 409}, (path, answer.text)
    assert (await client.get(f"{API}/{name}/messages")).json()["detail"].startswith("This thread has no workspace")
    assert (await client.patch(f"{API}/{name}", json={"title": "t"})).status_code == 200
    assert (await client.delete(f"{API}/{name}")).status_code == 204
    assert (await client.get(f"/threads/{name}")).status_code == 404
