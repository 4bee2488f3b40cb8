"""The wheel, installed alone in an empty environment, does the main job with the demo model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tree import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def run(*argv: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The folder of programs of a new environment that holds the lock file's packages and the wheel."""
    home = tmp_path_factory.mktemp("installed")
    uv = Path(sys.executable).with_name("uv")
    commands = (
        (sys.executable, "-m", "venv", "--without-pip", home / "venv"),
        (uv, "pip", "install", "-q", "--python", home / "venv", "--require-hashes", "-r", ROOT / "requirements.lock"),
        (uv, "pip", "install", "-q", "--python", home / "venv", "--no-deps", wheel),
    )
    for command in commands:
        done = run(*command, cwd=home)
        assert done.returncode == 0, done.stderr
    return home / "venv" / "bin"


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8"}


def test_a_task_runs_with_the_demo_model(installed, git_repo, environment):
    done = run(installed / "codelab", "run", "list files", "-w", git_repo, cwd=git_repo.parent, env=environment)
    assert done.returncode == 0, done.stderr
    assert "README.md" in done.stdout
    assert "calc/" in done.stdout


def test_the_package_comes_from_the_wheel(installed, environment, tmp_path):
    done = run(installed / "python", "-c", "import codelab; print(codelab.__file__)", cwd=tmp_path, env=environment)
    assert str(installed.parent) in done.stdout
