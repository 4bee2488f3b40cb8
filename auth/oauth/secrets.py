"""Codes and tokens that say nothing by themselves: how they are made, and what is kept of them."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

REFRESH: Final = "cl_rt_"
CODE: Final = "cl_ac_"
DEVICE: Final = "cl_dc_"
CLIENT: Final = "cl_cs_"
_BYTES: Final = 32


def new_secret(mark: str) -> str:
    """Make a secret of 256 random bits; by its mark scanners know it."""
    return mark + secrets.token_urlsafe(_BYTES)


def digest_of(secret: str) -> str:
    """Hash a secret. Plain SHA-256 is enough: nobody guesses 256 bits, so there is nothing to slow down."""
    return hashlib.sha256(secret.encode()).hexdigest()
