"""What the agents changed: one diff a thread, and undo of a turn."""

from __future__ import annotations

from fastapi import APIRouter

from ...runtime.changes.schemas import Changes, Undone
from ..deps import CurrentRuntime, ThreadReader, ThreadWriter

router = APIRouter(prefix="/threads/{thread_id}/changes", tags=["changes"])


@router.get("")
async def get_changes(thread_id: str, principal: ThreadReader, runtime: CurrentRuntime) -> Changes:
    """Show all changes of this task as one diff, and the turns that made them."""
    return await runtime.changes.diff(principal, thread_id)


@router.post("/{turn_id}/undo")
async def undo_turn(thread_id: str, turn_id: str, principal: ThreadWriter, runtime: CurrentRuntime) -> Undone:
    """Put the files of a turn back; refused where a file has changed since."""
    return await runtime.changes.undo(principal, thread_id, turn_id)
