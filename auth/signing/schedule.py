"""When a key changes its state. Pure.

A key is shown before it signs for as long as anybody may hold an older JWKS, and after it signed for as long as a token
of its may live.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ...core.settings_auth import ACCESS_TOKEN_MOST_S
from .schemas import KeyState, SigningKey

MAX_AGE_S: Final = 300
"""A JWKS may be kept for so long: its `Cache-Control: max-age`."""
LOOK_S: Final = 5.0
"""How often each process looks what became of the keys."""
SHOWN: Final = timedelta(seconds=MAX_AGE_S + 2 * LOOK_S)
OVERLAP: Final = timedelta(seconds=ACCESS_TOKEN_MOST_S + MAX_AGE_S)


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done now.

    Attributes:
        promote: The pending key that becomes active; the active one begins to retire.
        retire: Keys that no living token was signed with.
        begin: Whether a new key is to be made: pending, or active if there is none that is.
    """

    promote: str | None = None
    retire: frozenset[str] = frozenset()
    begin: bool = False

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return self.begin or self.promote is not None or bool(self.retire)


def due(keys: Sequence[SigningKey], now: datetime, lifetime: timedelta) -> Due:
    """Tell what is to be done.

    Args:
        keys: Those that are not retired, oldest first.
        now: The time of day.
        lifetime: How long a key signs before the next one is made.
    """
    active = next((key for key in keys if key.state is KeyState.ACTIVE), None)
    pending = [key for key in keys if key.state is KeyState.PENDING]
    retire = frozenset(
        key.kid for key in keys if key.state is KeyState.RETIRING and _passed(key.retiring_at, OVERLAP, now)
    )
    if active is None:
        return Due(retire=retire, begin=True)
    promote = next((key.kid for key in pending if _passed(key.created_at, SHOWN, now)), None)
    return Due(promote, retire, begin=not pending and _passed(active.activated_at, lifetime, now))


def _passed(since: datetime | None, span: timedelta, now: datetime) -> bool:
    return since is not None and since + span <= now
