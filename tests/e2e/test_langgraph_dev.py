"""`langgraph dev` serves our graphs, so that Studio can debug them; one approval turn through `langgraph-sdk`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from tests.support.service import answers, free_port, until
from tests.support.tree import ROOT

TOKEN = "of-langgraph-dev"

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture
def dev_url(tmp_path: Path, git_repo: Path) -> Iterator[str]:
    folder = tmp_path / "dev"  # the server writes its state beside its config
    folder.mkdir()
    shutil.copy(ROOT / "langgraph.json", folder)
    port = free_port()
    command = [str(Path(sys.executable).with_name("langgraph")), "dev", "--no-browser", "--no-reload"]
    env = os.environ | {"CODELAB_STUDIO_WORKSPACE": str(git_repo), "CODELAB_DATA_DIR": str(tmp_path / "data")}
    env["CODELAB_SERVER__TOKEN"] = TOKEN
    with (tmp_path / "dev.log").open("wb") as log:
        process = subprocess.Popen([*command, "--port", str(port)], cwd=folder, env=env, stdout=log, stderr=log)
        try:
            until(lambda: answers(f"http://127.0.0.1:{port}/ok"), "langgraph dev", seconds=60)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def client_of(url: str) -> LangGraphClient:
    return get_client(url=url, headers={"authorization": f"Bearer {TOKEN}"})


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"x-auth-scheme": "langsmith"}])
async def test_nothing_answers_without_a_credential(dev_url: str, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=dev_url, headers=headers) as http:
        answers = [await http.post("/threads", json={}), await http.post("/assistants/search", json={})]
        answers += [await http.get("/assistants/codelab/schemas"), await http.post("/runs/wait", json={})]
    assert [answer.status_code for answer in answers] == [401] * 4


async def test_one_approval_turn(dev_url: str, git_repo: Path) -> None:
    client = client_of(dev_url)
    assistants = {a["graph_id"]: a["assistant_id"] for a in await client.assistants.search()}
    assert set(assistants) == {"codelab", "coder", "architect", "debug", "ask", "universal"}
    schemas = await client.assistants.get_schemas(assistants["codelab"])
    assert {"agent", "approval_mode"} <= schemas["context_schema"]["properties"].keys()
    assert "messages" in schemas["state_schema"]["properties"]

    thread = await client.threads.create()
    asked = {"messages": [{"role": "user", "content": 'create file hello.txt with "hi"'}]}
    await client.runs.wait(thread["thread_id"], "codelab", input=asked, context={"approval_mode": "ask"})
    state = await client.threads.get_state(thread["thread_id"])
    (interrupt,) = [i for task in state["tasks"] for i in task["interrupts"]]
    (request,) = interrupt["value"]["action_requests"]
    assert (request["name"], request["agent"]) == ("write_file", "coder")
    assert not (git_repo / "hello.txt").exists()

    resume = {interrupt["id"]: {"decisions": [{"type": "approve"}]}}
    done = await client.runs.wait(thread["thread_id"], "codelab", command={"resume": resume})
    assert (git_repo / "hello.txt").read_text("utf-8") == "hi\n"
    assert done["messages"][-1]["type"] == "ai"


async def test_each_agent_is_a_graph_of_its_own(dev_url: str) -> None:
    client = client_of(dev_url)
    asked = {"messages": [{"role": "user", "content": "list files"}]}
    for graph in ("coder", "architect", "debug", "ask", "universal"):
        done = await client.runs.wait(None, graph, input=asked)
        assert "README.md" in done["messages"][-1]["content"]
        assert done["agent"] == graph
