"""Real git repositories to work on."""

import os
import subprocess
from pathlib import Path
from textwrap import dedent

CALC_FILES = {
    "README.md": """\
        # calc

        Small arithmetic on lists of numbers. Run the tests with `python -m pytest -q`.
        """,
    "pyproject.toml": """\
        [project]
        name = "calc"
        version = "0.1.0"

        [tool.pytest.ini_options]
        testpaths = ["tests"]
        pythonpath = ["."]
        addopts = "-p no:cacheprovider"
        """,
    ".gitignore": """\
        __pycache__/
        """,
    "calc/__init__.py": """\
        from calc.stats import mean, total

        __all__ = ["mean", "total"]
        """,
    "calc/stats.py": """\
        def total(numbers):
            result = 0
            for number in numbers:
                result += number
            return result


        def mean(numbers):
            return total(numbers) / (len(numbers) - 1)
        """,
    "tests/test_stats.py": """\
        from calc import mean, total


        def test_total():
            assert total([1, 2, 3]) == 6


        def test_mean():
            assert mean([2, 4, 6]) == 4
        """,
}
"""A package with one bug: `mean` divides by one too few, and `test_mean` says so."""


def git(repo: Path, *args: str) -> str:
    """Run git in `repo` the same on every machine and return what it printed."""
    env = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(["git", *args], cwd=repo, env=env, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def make_repo(path: Path, files: dict[str, str] | None = None) -> Path:
    """Make a repository on branch `main` with one commit; by default the failing `calc` package."""
    for name, text in (CALC_FILES if files is None else files).items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(dedent(text), "utf-8")
    git(path, "init", "-q", "-b", "main")
    git(path, "config", "user.name", "Ada Example")
    git(path, "config", "user.email", "ada@example.org")
    git(path, "config", "commit.gpgsign", "false")
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "Begin")
    return path
