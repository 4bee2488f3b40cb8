"""Local mode: one user, one bearer token, and a one-time sign-in link that turns into a cookie."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from ..core import permissions
from ..core.types import Principal

LOCAL = Principal(user_id="local", tenant_id="default", scopes=permissions.ALL)
COOKIE = "codelab_session"
LINK_SECONDS = 600
MAX_LINKS = 16


def read_or_make_token(data_dir: Path) -> str:
    """Return the machine's own token: made once, kept in `token` in the data folder, readable by its owner only."""
    path = data_dir / "token"
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text("ascii").strip()
    token = secrets.token_urlsafe(32)
    with os.fdopen(handle, "w") as file:
        file.write(token)
    return token


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())


class LocalAuth:
    """The `Authenticator` of local mode.

    Args:
        token: The bearer token.
        clock: Seconds, monotonic.
    """

    def __init__(self, token: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._token = token
        self._clock = clock
        self._links: dict[str, float] = {}

    @property
    def session(self) -> str:
        """The cookie's value: derived from the token, so that a restart signs nobody out and a new token does."""
        return hmac.new(self._token.encode(), b"codelab-session-v1", hashlib.sha256).hexdigest()

    @property
    def cookie_name(self) -> str:
        """See `Authenticator`."""
        return COOKIE

    async def bearer(self, token: str, path: str) -> Principal | None:  # noqa: ARG002 - it opens everything
        """See `Authenticator`."""
        return LOCAL if _same(token, self._token) else None

    async def cookie(self, value: str) -> Principal | None:
        """See `Authenticator`."""
        return LOCAL if _same(value, self.session) else None

    async def lives(self, token: str) -> bool:  # noqa: ARG002 - nobody takes it back
        """See `Authenticator`."""
        return True

    async def bounded(self, principal: Principal) -> Principal:
        """See `Authenticator`; there is one person, who may do everything."""
        return principal

    def nobody(self) -> Principal | None:
        """See `Authenticator`."""
        return None

    def make_link_code(self) -> str:
        """Make a code that signs one browser in, once, within ten minutes."""
        code = secrets.token_urlsafe(24)
        self._links[code] = self._clock() + LINK_SECONDS
        for old in list(self._links)[:-MAX_LINKS]:
            del self._links[old]
        return code

    def redeem(self, code: str) -> str | None:
        """Exchange a code for the cookie's value; None if it was used, is too old, or never was."""
        expires = self._links.pop(code, None)
        return self.session if expires is not None and self._clock() < expires else None
