"""A server with pages, and somebody to sign in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.site import Site, open_site


@pytest.fixture
async def site(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Site]:
    """Anybody may register; Ann has an account."""
    async with open_site(tmp_path, sqlite_url, registration="open") as opened:
        await opened.person()
        yield opened
