"""Where this person is signed in: tokens by server, in a file that only they can read."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from ..core.settings import Settings
from ..store.locking import file_lock

_EARLY_S: Final = 30
"""A token that has this little left is replaced before it is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What a server gave us.

    Attributes:
        expires_at: Unix time.
        refresh_token: Good once; None: the person must sign in again when the access token is over.
    """

    client_id: str
    token_endpoint: str
    revocation_endpoint: str | None
    access_token: str
    expires_at: float
    refresh_token: str | None

    @property
    def is_fresh(self) -> bool:
        """Whether the access token will do for a while."""
        return time.time() + _EARLY_S < self.expires_at

    def renewed(self, answer: dict[str, Any]) -> Login:
        """Take in what a token endpoint answered."""
        return replace(
            self,
            access_token=str(answer["access_token"]),
            expires_at=time.time() + float(answer.get("expires_in", 0)),
            refresh_token=answer.get("refresh_token") or self.refresh_token,
        )


class Credentials:
    """The file of logins. Whoever changes it, or uses a refresh token, holds its lock: several commands run at once.

    Args:
        folder: The data folder.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "credentials.json"

    @classmethod
    def here(cls) -> Credentials:
        """This machine's."""
        return cls(Settings().data_dir)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the file for oneself; blocks the thread."""
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with file_lock(self._file.with_suffix(".lock")):
            yield

    def get(self, server: str) -> Login | None:
        """The login at a server; None if there is none."""
        found = self._read().get(name_of(server))
        return Login(**found) if found else None

    def put(self, server: str, login: Login | None) -> None:
        """Keep a login, or with None forget it."""
        known = self._read()
        if login is None:
            known.pop(name_of(server), None)
        else:
            known[name_of(server)] = asdict(login)
        fresh = self._file.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(known, file)
        fresh.replace(self._file)

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._file.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


def name_of(server: str) -> str:
    """Name a server as the file does: without a slash at its end."""
    return server.rstrip("/").lower()
