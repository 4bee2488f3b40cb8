"""CodeLab's own graphs behind the Agent Server API: they work, and clients cannot loosen what guards them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from codelab.auth.local import LOCAL
from codelab.core.errors import Forbidden
from codelab.core.settings import Settings
from codelab.core.types import Principal
from codelab.llm.matching import When
from codelab.llm.models import StaticModels
from codelab.llm.scripted import Reply, Script, ScriptedCall, ScriptedChatModel
from codelab.runtime.agent_runs.schemas import RunRequest
from codelab.runtime.compose import build_runtime
from codelab.server.app import create_app

TOKEN = "t"
WRITE = ScriptedCall(name="write_file", args={"path": "note.txt", "content": "hello\n"})
SAID = (
    Reply(when=When(result="created"), text="It is written."),
    Reply(when=When(human="write"), text="I write a note.", tool_calls=(WRITE,)),
)
ASKED = {"messages": [{"role": "user", "content": "write the note"}]}


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        _env_file=None, data_dir=tmp_path / "data", database={"url": database_url}, server={"token": TOKEN}
    )
    models = StaticModels(ScriptedChatModel(script=Script(name="note", replies=SAID)))
    app = create_app(settings, runtime=build_runtime(settings, models=models))
    async with app.router.lifespan_context(app):
        folder = tmp_path / "project"
        folder.mkdir()
        await app.state.runtime.workspaces.register(LOCAL, folder, trusted=True)
        headers = {"authorization": f"Bearer {TOKEN}"}
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            yield client


async def thread_of(api: httpx.AsyncClient) -> str:
    return f"/threads/{(await api.post('/threads', json={})).json()['thread_id']}"


async def test_an_agent_asks_edits_and_ends(api: httpx.AsyncClient, tmp_path: Path) -> None:
    thread = await thread_of(api)
    waits = await api.post(f"{thread}/runs/wait", json={"assistant_id": "coder", "input": ASKED})
    (asked,) = waits.json()["__interrupt__"]
    assert asked["value"]["action_requests"][0]["name"] == "write_file"
    assert not (tmp_path / "project" / "note.txt").exists()
    answer = {"assistant_id": "coder", "command": {"resume": {"decisions": [{"type": "approve"}]}}}
    ended = await api.post(f"{thread}/runs/wait", json=answer)
    assert ended.json()["messages"][-1]["content"] == "It is written."
    assert (tmp_path / "project" / "note.txt").read_text() == "hello\n"


@pytest.mark.parametrize(
    "run",
    [
        {"input": {**ASKED, "policy": {"mode": "auto"}}},
        {"input": {"approved": {}}},
        {"input": [["policy", {"mode": "auto"}]]},
        {"command": {"update": {"policy": {"mode": "auto"}}}},
        {"command": {"update": [["policy", {"mode": "auto"}]]}},
        {"command": {"goto": "coder"}},
        {"command": {"goto": {"node": "coder", "input": {"policy": {"mode": "auto"}}}}},
        {"command": {"resume": {"decisions": [{"type": "approve"}]}, "update": {"policy": {"mode": "auto"}}}},
    ],
)
async def test_a_run_cannot_write_what_guards_it(api: httpx.AsyncClient, run: dict[str, Any]) -> None:
    thread = await thread_of(api)
    refused = await api.post(f"{thread}/runs/wait", json={"assistant_id": "coder", **run})
    assert refused.status_code == 403, refused.text
    assert (await api.get(f"{thread}/runs")).json() == []


@pytest.mark.parametrize(
    "update",
    [
        {"values": {"policy": {"mode": "auto"}}},
        {"values": {"messages": [], "model_calls": 0}},
        {"values": [["policy", {}]]},
        {"values": {"messages": []}, "checkpoint": {"checkpoint_ns": "coder:1", "thread_id": "x"}},
    ],
)
async def test_nobody_changes_what_guards_a_waiting_run(api: httpx.AsyncClient, update: dict[str, Any]) -> None:
    thread = await thread_of(api)
    await api.post(f"{thread}/runs/wait", json={"assistant_id": "coder", "input": ASKED})
    before = (await api.get(f"{thread}/state")).json()["checkpoint"]
    refused = await api.post(f"{thread}/state", json=update)
    assert refused.status_code == 403, refused.text
    assert (await api.get(f"{thread}/state")).json()["checkpoint"] == before


async def test_a_thread_cannot_begin_with_a_policy(api: httpx.AsyncClient) -> None:
    steps = [{"updates": [{"values": {"policy": {}}, "as_node": "__input__"}]}]
    refused = await api.post("/threads", json={"graph_id": "coder", "supersteps": steps})
    assert refused.status_code == 403, refused.text


@pytest.mark.parametrize("context", [{"workspace": ["a"]}, {"agent": ["x"]}, {"max_model_calls": "x"}, {"model": {}}])
async def test_settings_of_a_wrong_kind_are_refused_in_words(api: httpx.AsyncClient, context: dict[str, Any]) -> None:
    """They reach no database: its errors would tell a client how it is asked."""
    thread = await thread_of(api)
    failed = await api.post(f"{thread}/runs/wait", json={"assistant_id": "coder", "input": ASKED, "context": context})
    said = failed.json()["__error__"]
    assert (said["error"], said["message"].partition(" must be ")[0]) == ("InvalidInput", next(iter(context)))


async def test_an_answer_needs_the_permission_to_approve(database_url: str, tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", database={"url": database_url})
    async with build_runtime(settings) as runtime:
        may_run = Principal("local", scopes=frozenset({"runs:write", "threads:write"}))
        answer = RunRequest(assistant_id="coder", command={"resume": {"decisions": []}}, if_not_exists="create")
        with pytest.raises(Forbidden, match="approvals:write"):
            await runtime.agent.runs.create(may_run, None, answer)
        said = RunRequest(assistant_id="coder", input={"messages": []})
        assert (await runtime.agent.runs.create(may_run, None, said)).status == "running"
