"""What was issued and is over goes, a part at a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, or_, select

from ...store.engine import Database
from ...store.models import (
    AuthorizationCodeRow,
    DeviceCodeRow,
    RefreshTokenRow,
    TokenFamilyRow,
    UsedAssertionRow,
)
from ...store.models.base import Base

AT_ONCE: Final = 1000
KEPT: Final = timedelta(days=1)
"""What is over is kept this long: a code or a token that turns up once more still tells of a thief."""


async def trim_issued(database: Database, now: datetime) -> int:
    """Delete what is over, at most `AT_ONCE` rows of each kind; how many there were."""
    over = now - KEPT
    ended = or_(TokenFamilyRow.expires_at < over, TokenFamilyRow.revoked_at < over)
    gone = 0
    for kind, key, where in (
        (AuthorizationCodeRow, (AuthorizationCodeRow.digest,), AuthorizationCodeRow.expires_at < over),
        (DeviceCodeRow, (DeviceCodeRow.digest,), DeviceCodeRow.expires_at < over),
        (RefreshTokenRow, (RefreshTokenRow.digest,), RefreshTokenRow.expires_at < over),
        (TokenFamilyRow, (TokenFamilyRow.id,), ended),
        (UsedAssertionRow, (UsedAssertionRow.client_id, UsedAssertionRow.jti), UsedAssertionRow.expires_at < now),
    ):
        gone += await _trim(database, kind, key, where)
    return gone


async def _trim(database: Database, kind: type[Base], key: tuple[Any, ...], where: ColumnElement[bool]) -> int:
    async with database.transaction() as session:
        keys = (await session.execute(select(*key).where(where).limit(AT_ONCE))).all()
        for values in keys:
            same = and_(*(column == value for column, value in zip(key, values, strict=True)))
            await session.execute(delete(kind).where(same))
        return len(keys)
