"""`codelab serve --config` as a process: the SDK's client, anonymous and with an application's own `Auth`."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.errors import APIStatusError, PermissionDeniedError

from tests.support.configs import AUTH, project
from tests.support.processes import spawn, stop, wait_until
from tests.support.service import answers, free_port

pytestmark = pytest.mark.e2e

RULES = (
    AUTH
    + """
@auth.on.threads.delete
async def never(ctx, value):
    return False
"""
)


@contextmanager
def served(path, home, **env):
    port = free_port()
    home.mkdir()
    argv = [sys.executable, "-m", "codelab.cli", "serve", "--config", str(path), "--port", str(port)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CODELAB_")}
    log = home / "log"
    process = spawn(argv, log=log, env=kept | {"CODELAB_DATA_DIR": str(home / "data"), **env}, cwd=home)
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/ok"), process, log, seconds=60)
        yield f"http://127.0.0.1:{port}", log
    finally:
        stop(process, signal.SIGTERM)


async def test_the_sdk_without_a_credential(tmp_path):
    path = project(tmp_path / "app", env={"CODELAB_AUTH__MODE": "anonymous"})
    with served(path, tmp_path / "home") as (url, log):
        client = get_client(url=url)
        assert [each["graph_id"] for each in await client.assistants.search()] == ["echo"]
        thread = await client.threads.create()
        parts = [
            part.event
            async for part in client.runs.stream(
                thread["thread_id"], "echo", input={"log": ["in"]}, stream_mode=["values", "updates"]
            )
        ]
        assert parts[0] == "metadata"
        assert {"values", "updates"} <= set(parts)
        state = await client.threads.get_state(thread["thread_id"])
        assert state["values"]["log"] == ["in", "echo"]
        assert "Graphs: echo" in log.read_text()


async def test_local_mode_asks_for_the_token(tmp_path):
    with served(project(tmp_path / "app"), tmp_path / "home") as (url, log):
        async with httpx.AsyncClient(base_url=url) as nobody:
            assert (await nobody.get("/threads/x")).status_code == 401
        token = (tmp_path / "home" / "data" / "token").read_text()
        assert str(tmp_path / "home" / "data" / "token") in log.read_text()
        client = get_client(url=url, headers={"authorization": f"Bearer {token}"})
        assert (await client.threads.create())["status"] == "idle"


async def test_an_applications_own_auth(tmp_path):
    path = project(tmp_path / "app", {"auth.py": RULES}, auth={"path": "./auth.py:auth"})
    with served(path, tmp_path / "home") as (url, _log):
        ann, bob = (get_client(url=url, headers={"authorization": f"Bearer {name}"}) for name in ("ann", "bob"))
        thread = (await ann.threads.create())["thread_id"]
        values = await ann.runs.wait(thread, "echo", input={"log": []})
        assert values["seen"]["langgraph_auth_user"]["identity"] == "ann"
        with pytest.raises(PermissionDeniedError):
            await ann.threads.delete(thread)
        with pytest.raises(APIStatusError) as hidden:
            await bob.threads.get(thread)
        assert hidden.value.response.status_code == 404


async def test_a_wrong_config_ends_with_a_sentence(tmp_path):
    path = project(tmp_path / "app", graphs={"g": "./nowhere.py:graph"})
    argv = [sys.executable, "-m", "codelab.cli", "serve", "--config", str(path), "--port", "0"]
    env = os.environ | {"CODELAB_DATA_DIR": str(tmp_path / "data")}
    ended = await asyncio.to_thread(
        subprocess.run, argv, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert f"{path}: graphs.g: there is no file" in ended.stderr
    assert "Traceback" not in ended.stderr
