"""From an interrupt to rows, and from decided rows back to the answer that the interrupt wants. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final, Protocol

from langgraph.types import Interrupt

from ...core.types import ApprovalStatus, DecisionKind, new_id, utc_now
from ...store.models import ApprovalRow

EXPIRED_TEXT: Final = "Nobody decided this in time, so it was not run. Ask again if it is still needed."
FOREIGN_TOOL: Final = "interrupt"
_EVERYTHING = [kind.value for kind in DecisionKind]
_RUNNING = frozenset({DecisionKind.APPROVE, DecisionKind.EDIT})
_ANSWERED_BY = {
    ApprovalStatus.APPROVED: DecisionKind.APPROVE,
    ApprovalStatus.EDITED: DecisionKind.EDIT,
    ApprovalStatus.REJECTED: DecisionKind.REJECT,
    ApprovalStatus.RESPONDED: DecisionKind.RESPOND,
}


class RunFacts(Protocol):
    """What an approval takes over from the run that asked."""

    @property
    def id(self) -> str:
        """The run."""
        ...

    @property
    def thread_id(self) -> str:
        """Its thread."""
        ...

    @property
    def turn_id(self) -> str | None:
        """Its turn."""
        ...


def rows_for(
    interrupts: Iterable[Interrupt], *, run: RunFacts, owner: dict[str, Any], expiry: timedelta
) -> list[ApprovalRow]:
    """Make one pending row per requested action; an interrupt that requests none becomes one question."""
    rows = []
    for interrupt in interrupts:
        for position, fields in enumerate(_actions(interrupt)):
            expires = _time(fields.pop("expires_at", None)) or utc_now() + expiry
            rows.append(
                ApprovalRow(
                    id=new_id(),
                    thread_id=run.thread_id,
                    turn_id=run.turn_id,
                    run_id=run.id,
                    interrupt_id=interrupt.id,
                    position=position,
                    status=ApprovalStatus.PENDING,
                    expires_at=expires,
                    created_at=utc_now(),
                    **fields,
                    **owner,
                )
            )
    return rows


def _actions(interrupt: Interrupt) -> list[dict[str, Any]]:
    value = interrupt.value
    requests = value.get("action_requests") if isinstance(value, dict) else None
    if not requests:
        return [_question(interrupt)]
    configs = value.get("review_configs") or []
    return [
        {
            "kind": "tool",
            "tool_call_id": request.get("tool_call_id") or f"{interrupt.id}:{position}",
            "tool": request["name"],
            "args": dict(request.get("args") or {}),
            "agent": request.get("agent"),
            "description": request.get("description"),
            "risk": request.get("risk") or "medium",
            "reason": request.get("reason"),
            "preview": request.get("preview"),
            "policy_version": request.get("policy_version"),
            "expires_at": request.get("expires_at"),
            "allowed": list(configs[position]["allowed_decisions"]) if position < len(configs) else _EVERYTHING,
        }
        for position, request in enumerate(requests)
    ]


def _question(interrupt: Interrupt) -> dict[str, Any]:
    value = interrupt.value
    return {
        "kind": "question",
        "tool_call_id": interrupt.id,
        "tool": FOREIGN_TOOL,
        "args": value if isinstance(value, dict) else {"value": value},
        "description": value if isinstance(value, str) else None,
        "risk": "low",
        "allowed": [DecisionKind.RESPOND.value, DecisionKind.EDIT.value],
    }


def _time(value: Any) -> datetime | None:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value if isinstance(value, datetime) and value.tzinfo is not None else None


def resume_for(rows: Sequence[ApprovalRow]) -> dict[str, Any]:
    """Make the keyed answer of one run's interrupts, each positional by its own rows."""
    ordered = sorted(rows, key=lambda row: (row.interrupt_id, row.position))
    grouped = groupby(ordered, key=lambda row: row.interrupt_id)
    return {interrupt_id: _answer(list(asked)) for interrupt_id, asked in grouped}


def _answer(rows: list[ApprovalRow]) -> Any:
    if rows[0].kind == "question":
        return rows[0].edited_args if rows[0].status == ApprovalStatus.EDITED else rows[0].message
    return {"decisions": [_decision(row) for row in rows]}


def _decision(row: ApprovalRow) -> dict[str, Any]:
    if row.status == ApprovalStatus.EXPIRED:
        kind = DecisionKind.REJECT if DecisionKind.REJECT in row.allowed else DecisionKind.RESPOND
        return {"type": kind.value, "message": EXPIRED_TEXT}
    made: dict[str, Any] = {"type": _ANSWERED_BY[ApprovalStatus(row.status)].value}
    if row.status == ApprovalStatus.EDITED:
        made["edited_action"] = {"name": row.tool, "args": row.edited_args or {}}
    if row.message:
        made["message"] = row.message
    return made


def lets_run(resume: dict[str, Any] | None) -> bool:
    """Whether an answer lets a call run, as it was or edited."""
    answers = (answer for answer in (resume or {}).values() if isinstance(answer, dict))
    return any(made["type"] in _RUNNING for answer in answers for made in answer.get("decisions", ()))
