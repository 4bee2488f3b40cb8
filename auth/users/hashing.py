"""Passwords at rest: argon2id, computed in threads of its own, never on the event loop."""

from __future__ import annotations

import asyncio
import base64
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from ...core.errors import Unavailable

MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
MOST_WAITING: Final = 200
"""Who comes when so many wait is sent away: they would wait for longer than they have patience."""
LONGEST: Final = 256
"""Characters of a password; a longer one is none."""
NEVER: Final = "!"
"""How the stored value begins of somebody who has no password."""

T = TypeVar("T")


def no_password() -> str:
    """Make a stored value that no password fits, another one each time."""
    return NEVER + secrets.token_urlsafe(16)


class Hasher:
    """Hashes and checks passwords (19 MiB, two passes, one lane), so many at once.

    Args:
        threads: How many at once.
        waiting: How many may wait.
    """

    def __init__(self, threads: int, *, waiting: int = MOST_WAITING) -> None:
        self._hash = PasswordHash((Argon2Hasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1),))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._most = threads + waiting
        self._inside = 0
        self._dummy = _dummy()

    async def hash(self, password: str) -> str:
        """Hash a password for the database; raises `Unavailable` if too many wait."""
        return await self._run(lambda: self._hash.hash(_bytes(password)))

    async def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Check a password against what is stored; either way it takes the time of one hash.

        Args:
            password: As it was typed.
            hashed: What is stored; None for who is not there.

        Returns:
            Whether it fits, and a new hash to store if the old one is weaker than today's.

        Raises:
            Unavailable: Too many wait.
        """
        if hashed is None or hashed.startswith(NEVER) or len(password) > LONGEST:
            hashed, password = self._dummy, password[:LONGEST]
        stored = hashed
        return await self._run(lambda: self._hash.verify_and_update(_bytes(password), stored))

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._inside >= self._most:
            raise Unavailable("Too many people sign in just now; try again in a moment.")
        self._inside += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._inside -= 1


def _bytes(password: str) -> bytes:
    """One form of what a person typed: a keyboard may send й as one character or as two."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _dummy() -> str:
    """A stored value of today's cost that nobody knows the password of."""
    salt, digest = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${salt}${digest}"
