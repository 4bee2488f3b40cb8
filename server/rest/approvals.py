"""Approvals: what waits for a person, and the person's decision."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from ...core.types import ApprovalStatus
from ...runtime.approvals.schemas import Approval
from ..deps import ApprovalReader, ApprovalWriter, CurrentRuntime
from .bodies import Decision

router = APIRouter(prefix="/approvals", tags=["approvals"])


class Decided(BaseModel):
    """The approval as it stands; `replayed` when this very decision had been made before."""

    approval: Approval
    replayed: bool


@router.get("")
async def list_approvals(
    principal: ApprovalReader,
    runtime: CurrentRuntime,
    status: ApprovalStatus | None = None,
    thread_id: Annotated[str | None, Query(max_length=64)] = None,
) -> list[Approval]:
    """List approvals, oldest first."""
    return await runtime.approvals.list(principal, status=status, thread_id=thread_id)


@router.get("/{approval_id}")
async def get_approval(approval_id: str, principal: ApprovalReader, runtime: CurrentRuntime) -> Approval:
    """Look at one approval, its preview included."""
    return await runtime.approvals.get(principal, approval_id)


@router.post("/{approval_id}", response_model=Decided)
async def decide(approval_id: str, body: Decision, principal: ApprovalWriter, runtime: CurrentRuntime) -> Response:
    """Decide one call; the turn goes on when all calls of its step are decided."""
    approval, replayed = await runtime.approvals.decide(
        principal, approval_id, body.decision, arguments=body.arguments, message=body.message
    )
    answer = Decided(approval=approval, replayed=replayed)
    return Response(answer.model_dump_json(), media_type="application/json")
