"""Which passwords are good enough: long, not guessed first, not the person's own address."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Final

from ...core.errors import InvalidInput
from .hashing import LONGEST

LEAST: Final = 8


async def check_password(password: str, *personal: str) -> None:
    """Refuse a password that would be guessed.

    Args:
        password: Any characters; they count as they are typed.
        personal: Their own address and name.

    Raises:
        InvalidInput: `password_too_short`, `password_too_long`, `password_common` or `password_personal`.
    """
    if len(password) < LEAST:
        raise InvalidInput(f"The password has fewer than {LEAST} characters.", code="password_too_short")
    if len(password) > LONGEST:
        raise InvalidInput(f"The password has more than {LONGEST} characters.", code="password_too_long")
    check_personal(password, *personal)
    if password.casefold() in await asyncio.to_thread(_common):
        raise InvalidInput("Many people use this password, so it is guessed first.", code="password_common")


def check_personal(password: str, *personal: str) -> None:
    """Refuse a password that is somebody's own address, the part before its @, or their name."""
    if password.casefold() in {word for told in personal for word in _parts(told)}:
        raise InvalidInput("The password is your own address or name: choose another.", code="password_personal")


def _parts(told: str) -> set[str]:
    folded = told.strip().casefold()
    return {folded, folded.partition("@")[0]}


@cache
def _common() -> frozenset[str]:
    """Some ten thousand that are long enough, of the passwords that leaked most often. Read when first needed."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415 - two megabytes

    return frozenset(word for word in FREQUENCY_LISTS["passwords"] if len(word) >= LEAST)
