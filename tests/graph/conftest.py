"""An empty workspace."""

from pathlib import Path

import pytest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder the agents work in."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder
