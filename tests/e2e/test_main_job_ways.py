"""The main job by its other ways in: `codelab run`, and the library. The model is behind a real socket each time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from codelab import CodeLab
from codelab.core.settings import Settings
from codelab.core.settings_llm import LLMSettings, ModelNames
from tests.e2e.test_main_job import SCRIPT, TASK
from tests.support.repos import git
from tests.support.service import scripted_server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
CALLS = ["read_file", "execute_command", "switch_agent", "edit_file", "execute_command", "git_branch", "git_branch", "git_commit"]  # fmt: skip  # noqa: E501


@pytest.fixture
def model_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    with scripted_server(SCRIPT) as url:
        yield url


def assert_done(repo: Path, events: list[dict[str, Any]]) -> None:
    assert git(repo, "branch", "--show-current") == "fix-mean"
    assert git(repo, "log", "--format=%s") == "Divide the mean by the number of values\nBegin"
    assert git(repo, "status", "--porcelain") == ""
    assert [e["toolCallName"] for e in events if e["type"] == "TOOL_CALL_START"] == CALLS
    assert [e["value"]["target"] for e in events if e.get("name") == "agent_switched"] == ["debug", "coder"]
    assert events[-1]["outcome"]["type"] == "success"


def test_codelab_run(tmp_path: Path, git_repo: Path, model_url: str) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("CODELAB_", "OPENAI_"))}
    env |= {
        "CODELAB_DATA_DIR": str(tmp_path / "data"),
        "CODELAB_LLM__BASE_URL": model_url,
        "CODELAB_LLM__API_KEY": "scripted",
        "CODELAB_LLM__MODELS__STRONG": "scripted",
    }
    command = [sys.executable, "-m", "codelab.cli", "run", TASK, "-w", str(git_repo), "--json"]
    waiting = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert waiting.returncode == 3, waiting.stderr  # nobody there to approve the tests' run
    assert git(git_repo, "status", "--porcelain") == ""

    done = subprocess.run([*command, "--approve", "auto"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert_done(git_repo, [json.loads(line) for line in done.stdout.splitlines()])


async def test_the_library(tmp_path: Path, git_repo: Path, model_url: str) -> None:
    asked: list[str] = []

    def approve(interrupt: dict[str, Any]) -> str:
        asked.append(interrupt["metadata"]["tool"])
        return "approve"

    settings = Settings(
        data_dir=tmp_path / "data",
        llm=LLMSettings(base_url=model_url, api_key=SecretStr("x"), models=ModelNames(strong="scripted")),
        _env_file=None,
    )
    async with CodeLab(git_repo, settings=settings) as lab:
        events = [event async for event in lab.run(TASK, approve=approve)]
    assert_done(git_repo, events)
    assert asked == [call for call in CALLS if call not in {"read_file", "switch_agent"}]
