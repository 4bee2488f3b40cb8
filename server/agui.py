"""The one place where the event log becomes AG-UI 1.0 events. Stateless: one record in, one event out (or none).

Source: the `ag-ui-protocol` package; the tests validate every event made here against its models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

Event = dict[str, Any]


class Record(Protocol):
    """What the encoder needs of a log record."""

    @property
    def thread_id(self) -> str:
        """The log's thread."""
        ...

    @property
    def run_id(self) -> str | None:
        """The run that wrote it, if any."""
        ...

    @property
    def type(self) -> str:
        """The record's type."""
        ...

    @property
    def data(self) -> Mapping[str, Any]:
        """Its fields."""
        ...

    @property
    def at(self) -> datetime:
        """When it was written (aware)."""
        ...


def _run_started(record: Record) -> Event:
    data = record.data
    if data.get("again"):
        return _custom("run_restarted", {"runId": record.run_id, "attempt": data["attempt"]})
    started = {
        "type": "RUN_STARTED",
        "threadId": record.thread_id,
        "runId": record.run_id,
        "metadata": {"turnId": data.get("turn_id")},
    }
    if data.get("resumes_run_id"):
        started["parentRunId"] = data["resumes_run_id"]
    return started


def interrupt_of(approval: Mapping[str, Any]) -> Event:
    """An approval as an AG-UI interrupt; its id answers `POST /api/v1/approvals/{id}`."""
    return {
        "id": approval["id"],
        "reason": "tool_approval",
        "message": approval.get("description"),
        "toolCallId": approval.get("tool_call_id"),
        "expiresAt": approval.get("expires_at"),
        "metadata": {
            key: approval.get(key)
            for key in ("tool", "arguments", "agent", "risk", "reason", "preview", "allowed_decisions", "interrupt_id")
        },
    }


def _run_finished(record: Record) -> Event:
    data = record.data
    status, error = data["status"], data.get("error")
    if error or status in {"error", "timeout"}:
        error = error or {}
        return {"type": "RUN_ERROR", "message": error.get("message", status), "code": error.get("code", status)}
    outcome: Event = {"type": "success"}
    if data.get("interrupts"):
        outcome = {"type": "interrupt", "interrupts": [interrupt_of(a) for a in data["interrupts"]]}
    elif status == "interrupted":
        outcome = {"type": "cancelled"}
    return {"type": "RUN_FINISHED", "threadId": record.thread_id, "runId": record.run_id, "outcome": outcome}


def _custom(name: str, value: Any) -> Event:
    return {"type": "CUSTOM", "name": name, "value": value}


def _tool_started(record: Record) -> Event:
    data = record.data
    return {
        "type": "ACTIVITY_SNAPSHOT",
        "messageId": f"activity:{data['tool_call_id']}",
        "activityType": "TOOL_RUNNING",
        "content": {"toolCallId": data["tool_call_id"], "name": data["name"], "args": data.get("args") or {}},
        "replace": True,
    }


def _tool_result(record: Record) -> Event:
    data = record.data
    return {
        "type": "TOOL_CALL_RESULT",
        "messageId": data["message_id"],
        "toolCallId": data["tool_call_id"],
        "content": data["content"],
        "role": "tool",
        "metadata": {"status": data.get("status", "success")},
    }


def _text_delta(record: Record) -> Event | None:
    if not record.data["delta"]:
        return None
    return {"type": "TEXT_MESSAGE_CONTENT", "messageId": record.data["message_id"], "delta": record.data["delta"]}


def _text_start(record: Record) -> Event:
    data = record.data
    return {
        "type": "TEXT_MESSAGE_START",
        "messageId": data["message_id"],
        "role": "assistant",
        "metadata": {"agent": data.get("agent")},
    }


def _tool_call(record: Record) -> Event:
    data = record.data
    return {
        "type": "TOOL_CALL_START",
        "toolCallId": data["tool_call_id"],
        "toolCallName": data["name"],
        "parentMessageId": data.get("message_id"),
    }


_ENCODERS: Mapping[str, Callable[[Record], Event | None]] = {
    "run.started": _run_started,
    "run.finished": _run_finished,
    "attempt_superseded": lambda r: _custom("attempt_superseded", dict(r.data)),
    "message.user": lambda r: {
        "type": "TEXT_MESSAGE_CHUNK",
        "messageId": r.data["message_id"],
        "role": "user",
        "delta": r.data["text"],
    },
    "agent.switched": lambda r: _custom("agent_switched", dict(r.data)),
    "agent.started": lambda r: {"type": "STEP_STARTED", "stepName": r.data["agent"]},
    "agent.finished": lambda r: {"type": "STEP_FINISHED", "stepName": r.data["agent"]},
    "text.start": _text_start,
    "text.delta": _text_delta,
    "text.end": lambda r: {"type": "TEXT_MESSAGE_END", "messageId": r.data["message_id"]},
    "tool.call": _tool_call,
    "tool.args": lambda r: {
        "type": "TOOL_CALL_ARGS",
        "toolCallId": r.data["tool_call_id"],
        "delta": r.data["delta"],
    },
    "tool.call_end": lambda r: {"type": "TOOL_CALL_END", "toolCallId": r.data["tool_call_id"]},
    "tool.started": _tool_started,
    "tool.result": _tool_result,
    "approval.requested": lambda r: _custom("approval_requested", interrupt_of(r.data["approval"])),
    "approval.decided": lambda r: _custom("approval_decided", dict(r.data)),
    "state": lambda r: {"type": "STATE_SNAPSHOT", "snapshot": dict(r.data)},
    "custom": lambda r: _custom(r.data["name"], r.data.get("value")),
}


def encode(record: Record) -> Event | None:
    """Encode one log record; None for those that AG-UI clients need not see."""
    encoder = _ENCODERS.get(record.type)
    event = encoder(record) if encoder else None
    if event is not None:
        event["timestamp"] = int(record.at.timestamp() * 1000)
    return event
