"""Cursor pages: newest first, the cursor opaque."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from ..core.errors import InvalidInput
from ..store.texts import clean_text

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """Some items, and where to go on; `next_cursor` is None on the last page."""

    model_config = ConfigDict(frozen=True)

    items: list[T]
    next_cursor: str | None = None


def encode_cursor(at: datetime, item_id: str) -> str:
    """Remember the last item of a page."""
    return base64.urlsafe_b64encode(f"{at.isoformat()}|{item_id}".encode()).decode()


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    """Read a cursor back; `InvalidInput` when it is not one of ours."""
    try:
        at, _, item_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        return datetime.fromisoformat(at).astimezone(UTC), clean_text(item_id)
    except (ValueError, OverflowError, binascii.Error) as exc:
        raise InvalidInput("The cursor is not one that this service gave out") from exc
