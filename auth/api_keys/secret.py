"""The secret itself: what it looks like, and what is kept of it."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final, NamedTuple

MARK: Final = "sk-cl-"
_BYTES: Final = 32
_SHOWN: Final = len(MARK) + 6
_FORM: Final = re.compile(MARK + r"[A-Za-z0-9_-]{43}")


class Secret(NamedTuple):
    """A new key: the secret that is shown once, the part of it that may be seen, and what is stored."""

    token: str
    prefix: str
    digest: str


def new_secret() -> Secret:
    """Make a key of 256 random bits."""
    token = MARK + secrets.token_urlsafe(_BYTES)
    return Secret(token, token[:_SHOWN], digest_of(token))


def digest_of(token: str) -> str:
    """Hash a key. Plain SHA-256 is enough: nobody guesses 256 bits, so there is nothing to slow down."""
    return hashlib.sha256(token.encode("ascii")).hexdigest()


def is_key(token: str) -> bool:
    """Whether something has the form of a key; what has not is never looked up."""
    return _FORM.fullmatch(token) is not None
