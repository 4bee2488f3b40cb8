"""What tests of the command line share."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("CODELAB_LANG", "en")


@pytest.fixture
def console() -> Console:
    """A console that keeps what it is told, without colours."""
    return Console(file=io.StringIO(), markup=False, emoji=False, highlight=False, soft_wrap=True, width=200)


@pytest.fixture
def printed(console) -> Callable[[], str]:
    return console.file.getvalue


class Typist:
    """Types prepared lines; an exception instead of a line is raised."""

    def __init__(self, *lines):
        self.lines = list(lines)
        self.prompts = []

    async def __call__(self, prompt, default):
        self.prompts.append((prompt, default))
        line = self.lines.pop(0)
        if isinstance(line, BaseException):
            raise line
        return line


@pytest.fixture
def typing():
    return Typist
