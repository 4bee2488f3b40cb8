"""One seam, two sides: the service embedded in this process, or a server far away."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from ..core.errors import InvalidInput
from ..core.settings import LogSettings, Settings
from ..core.telemetry import configure_logs
from ..lab import CodeLab
from ..server.turns import Json, Rows, Service
from ..tools.processes import keep_private
from .bearing import SignedIn
from .credentials import Credentials
from .remote import Remote
from .texts import say

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Threads(Protocol):
    """The conversations."""

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> Json:
        """List threads, last changed first."""

    async def get(self, thread_id: str) -> Json:
        """Look at one thread."""

    async def messages(self, thread_id: str) -> Rows:
        """Read the conversation."""

    async def delete(self, thread_id: str) -> None:
        """Drop a thread."""

    async def changes(self, thread_id: str) -> Json:
        """All changes of a thread as one diff."""

    async def undo(self, thread_id: str, turn_id: str) -> Json:
        """Put the files of a turn back."""


class Client(Service, Protocol):
    """What the commands work with."""

    @property
    def threads(self) -> Threads:
        """The conversations."""

    async def start(
        self, task: str, *, agent: str | None = None, mode: str | None = None, thread_id: str | None = None
    ) -> Json:
        """Start a turn; its first run."""

    async def agents(self) -> Rows:
        """List the agents."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the service.

    Attributes:
        workspace: The folder; None when the command needs none.
        server: A server's URL; None embeds the service.
        token: The server's bearer token, if given on the command line.
    """

    workspace: Path | None = None
    server: str | None = None
    token: str | None = None


@asynccontextmanager
async def connect(access: Access) -> AsyncIterator[Client]:
    """Open the service for one command."""
    settings = Settings()
    quiet = LogSettings(level="ERROR", format=settings.log.format)  # a failed tool is told in the transcript
    configure_logs(settings.log if "level" in settings.log.model_fields_set else quiet)
    if access.server:
        credential = access.token or _credential(access.server, settings)
        async with Remote(access.server, credential, workspace=access.workspace) as remote:
            yield remote
    else:
        keep_private()
        async with CodeLab(access.workspace, settings=settings) as lab:
            yield lab


def _credential(server: str, settings: Settings) -> str | httpx.Auth:
    """The token set, else the login there, else this machine's own token, which is shown to nobody else."""
    if settings.server.token is not None:
        return settings.server.token.get_secret_value()
    kept = Credentials(settings.data_dir)
    if kept.get(server) is not None:
        return SignedIn(server, kept)
    file = settings.data_dir / "token"
    if urlsplit(server).hostname in _LOOPBACK and os.access(file, os.R_OK):
        return file.read_text("ascii").strip()
    raise InvalidInput(say("no_token", server=server))
