"""A real browser for tests: Debian's Chromium, driven by playwright. Import the fixture where it is used."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Chromium with a fresh profile. In CI it must be there; a developer may do without."""
    if not CHROMIUM.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{CHROMIUM} is missing: apt-get install chromium")
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield started
        await started.close()


class Watched:
    """A page, and what it complained about.

    Args:
        page: Watched from now on.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))

    def _note(self, kind: str, text: str) -> None:
        # A page that answers 401 or 403 is no fault of what it holds.
        if kind in {"error", "warning"} and not text.startswith("Failed to load resource: the server responded"):
            self.complaints.append(text)

    def check(self) -> None:
        """Fail if the browser refused anything that a page of ours asked for."""
        assert self.complaints == []


async def watched_page(context: Browser | BrowserContext) -> Watched:
    """Open a page whose complaints are kept."""
    return Watched(await context.new_page())
