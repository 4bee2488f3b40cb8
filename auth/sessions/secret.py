"""The cookie's value: how it is made, and what is kept of it."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

_BYTES: Final = 32
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def new_token() -> str:
    """Make a value of 256 random bits."""
    return secrets.token_urlsafe(_BYTES)


def digest_of(token: str) -> str:
    """Hash a value. Plain SHA-256 is enough: nobody guesses 256 bits, so there is nothing to slow down."""
    return hashlib.sha256(token.encode("ascii")).hexdigest()


def is_token(value: str) -> bool:
    """Whether something has the form of such a value; what has not is never looked up."""
    return _FORM.fullmatch(value) is not None
