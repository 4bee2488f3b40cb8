"""Every example runs as it stands, without a key, and fits on a screen."""

import os
import re
import signal
import subprocess
import sys

import pytest

from tests.support.processes import before_exec, stop
from tests.support.tree import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
MAX_LINES = 40


@pytest.fixture
def environment(tmp_path):
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "CODELAB_SERVER__TOKEN": "choose-one",
    }


@pytest.fixture
def example(environment, tmp_path):
    def run(*argv):
        done = subprocess.run(
            [sys.executable, *map(str, argv)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return lambda name, *argv: run(ROOT / "examples" / name, *argv) if name.endswith(".py") else run(name, *argv)


def test_there_are_five_and_they_are_short():
    assert len(EXAMPLES) == 5
    assert not [path.name for path in EXAMPLES if len(path.read_text("utf-8").splitlines()) > MAX_LINES]


def test_library_run(example, git_repo):
    said = example("library_run.py", git_repo)
    assert "[coder asks for write_file" in said
    assert (git_repo / "NOTES.md").exists()


def test_embed_graph(example, git_repo):
    assert example("embed_graph.py", git_repo).rstrip().endswith("Seen by our node.")
    assert (git_repo / "NOTES.md").exists()


def test_custom_agent(example, git_repo):
    said = example("custom_agent.py", git_repo)
    assert "At work: reviewer" in said
    assert "pyproject.toml" in said


def test_scripted_model(example):
    said = example("-m", "pytest", "-q", "-p", "no:cacheprovider", ROOT / "examples" / "test_scripted_model.py")
    assert "1 passed" in said


@pytest.fixture
def server(environment, git_repo, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "codelab.cli", "serve", "-w", str(git_repo), "--port", "0"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=before_exec(None),  # noqa: PLW1509 - makes system calls only
    )
    with process:
        listening = next(line for line in process.stdout if "listens" in line)
        yield re.search(r"http://\S+", listening)[0]
        stop(process, signal.SIGTERM)


def test_http_client(example, server):
    kinds = example("http_client.py", server).split()
    assert kinds[-1] == "RUN_FINISHED"
    assert kinds.count("RUN_STARTED") == kinds.count("TOOL_CALL_RESULT") == 1
