"""What the changes of a thread look like from outside."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class TurnChanges(BaseModel):
    """One turn that changed files; `undone_at` tells whether it was taken back."""

    model_config = ConfigDict(frozen=True)

    turn_id: str
    created_at: datetime
    undone_at: datetime | None


class Changes(BaseModel):
    """All changes of a thread as one unified diff, and the turns they came from, oldest first."""

    model_config = ConfigDict(frozen=True)

    thread_id: str
    diff: str
    turns: list[TurnChanges]


class Undone(BaseModel):
    """What an undo put back."""

    model_config = ConfigDict(frozen=True)

    turn_id: str
    files: list[str]
