"""A folder for one measurement."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def work_folder() -> AsyncIterator[Path]:
    """Make a folder that holds an empty workspace, and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="codelab-bench-"))
    (folder / "workspace").mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
