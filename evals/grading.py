"""Runs hidden tests on a copy of a workspace, in a process with a cleared environment and a time-out."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ..core.errors import ConfigError
from ..tools.workspaces.local import LocalWorkspace

TESTS_TIMEOUT_S = 60.0
_PYTEST = ("-q", "--no-header", "-p", "no:cacheprovider", "--rootdir=.", "-c", "/dev/null", "--import-mode=importlib")
_ENVIRONMENT = {"PYTHONPATH": ".", "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@dataclass(frozen=True, slots=True)
class Tested:
    """How the hidden tests ended."""

    passed: bool
    output: str


def pytest_command(files: Sequence[str]) -> list[str]:
    """Return the command line that runs Python tests with this interpreter."""
    if find_spec("pytest") is None:
        raise ConfigError("grading Python code needs pytest: pip install 'codelab-ai[evals]'")
    options = [
        "-q",
        "--no-header",
        "-p",
        "no:cacheprovider",
        "--rootdir=.",
        "-c",
        "/dev/null",
        "--import-mode=importlib",
    ]
    return [sys.executable, "-B", "-m", "pytest", *options, *files]


def custom_command(template: str, files: Sequence[str]) -> list[str]:
    """Fill a command line of the user's: `{tests}` becomes the test files."""
    named = " ".join(shlex.quote(name) for name in files)
    return shlex.split(template.replace("{tests}", named))


async def run_tests(
    work: Path, hidden: Mapping[str, bytes], argv: Sequence[str], *, timeout_s: float = TESTS_TIMEOUT_S
) -> Tested:
    """Copy `work`, lay the hidden files over it (theirs win), and run the command there."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "graded"
        await asyncio.to_thread(_prepare, work, hidden, root)
        result = await LocalWorkspace(root, id="grading").run(argv, timeout_s=timeout_s, env=_ENVIRONMENT)
    late = f"\nThe tests did not end within {timeout_s:g} s." if result.timed_out else ""
    return Tested(result.exit_code == 0, result.output + late)


def _prepare(work: Path, hidden: Mapping[str, bytes], root: Path) -> None:
    shutil.copytree(work, root, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", ".git"))
    write_files(hidden, root)


def write_files(contents: Mapping[str, bytes], root: Path) -> None:
    """Write files below `root`, replacing what is there (a symlink itself, not what it points to)."""
    root.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(data)


def contents(folder: Path) -> dict[str, bytes]:
    """Read every file of a folder, caches apart."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
