"""Every log record becomes a valid AG-UI 1.0 event, one to one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from ag_ui.core import Event
from pydantic import TypeAdapter

from codelab.server.agui import _ENCODERS, encode


@dataclass
class Record:
    type: str
    data: dict[str, Any] = field(default_factory=dict)
    thread_id: str = "t1"
    run_id: str | None = "r1"
    at: datetime = datetime(2026, 11, 24, tzinfo=UTC)


APPROVAL = {
    "id": "a1",
    "tool": "edit_file",
    "tool_call_id": "c1",
    "arguments": {"path": "a.py"},
    "expires_at": "2026-11-25T00:00:00Z",
    "description": "coder wants to edit",
    "allowed_decisions": ["approve", "reject"],
}
RECORDS = [
    Record("run.started", {"run_id": "r1", "turn_id": "u1", "attempt": 1}),
    Record("run.started", {"run_id": "r1", "turn_id": "u1", "attempt": 1, "resumes_run_id": "r0"}),
    Record("run.started", {"run_id": "r1", "turn_id": "u1", "attempt": 2, "again": True}),
    Record("run.finished", {"status": "success"}),
    Record("run.finished", {"status": "interrupted", "reason": "approval", "interrupts": [APPROVAL]}),
    Record("run.finished", {"status": "interrupted", "reason": "cancelled"}),
    Record("run.finished", {"status": "error", "error": {"code": "model_failed", "message": "no answer"}}),
    Record("run.finished", {"status": "timeout"}),
    Record("attempt_superseded", {"from_seq": 3, "message_ids": ["m1"], "tool_call_ids": []}),
    Record("message.user", {"message_id": "m0", "text": "fix it"}),
    Record("agent.switched", {"source": None, "target": "coder", "reason": "x", "confidence": 1, "method": "rules"}),
    Record("agent.started", {"agent": "coder"}),
    Record("agent.finished", {"agent": "coder"}),
    Record("text.start", {"message_id": "m1", "agent": "coder"}),
    Record("text.delta", {"message_id": "m1", "delta": "Hel"}),
    Record("text.end", {"message_id": "m1"}),
    Record("tool.call", {"tool_call_id": "c1", "name": "edit_file", "message_id": "m1"}),
    Record("tool.args", {"tool_call_id": "c1", "delta": "{"}),
    Record("tool.call_end", {"tool_call_id": "c1"}),
    Record("tool.started", {"tool_call_id": "c1", "name": "edit_file", "args": {"path": "a.py"}}),
    Record("tool.result", {"tool_call_id": "c1", "message_id": "m2", "name": "edit_file", "content": "ok"}),
    Record("approval.requested", {"approval": APPROVAL}),
    Record("approval.decided", {"approval_id": "a1", "tool_call_id": "c1", "decision": "approve", "by": "local"}),
    Record("state", {"agent": "coder", "todos": []}),
    Record("custom", {"name": "ui.progress", "value": {"done": 1, "total": 2}}),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.type)
def test_the_event_is_valid(record: Record) -> None:
    event = encode(record)
    assert event is not None
    parsed = TypeAdapter(Event).validate_python(event)
    assert parsed.timestamp == 1795478400000


def test_every_record_type_is_covered_here() -> None:
    assert {record.type for record in RECORDS} == set(_ENCODERS)


def test_an_interrupt_names_the_approval_that_answers_it() -> None:
    event = encode(RECORDS[4])
    assert event is not None
    (interrupt,) = event["outcome"]["interrupts"]
    assert (interrupt["id"], interrupt["toolCallId"]) == ("a1", "c1")
    assert interrupt["metadata"]["allowed_decisions"] == ["approve", "reject"]


def test_unknown_and_empty_records_are_left_out() -> None:
    assert encode(Record("internal.note")) is None
    assert encode(Record("text.delta", {"message_id": "m", "delta": ""})) is None
