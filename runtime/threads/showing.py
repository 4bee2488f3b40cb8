"""Threads and states as the wire shows them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from langgraph.types import PregelTask, StateSnapshot

from ...core.errors import InvalidInput
from ...core.types import ThreadStatus
from ...store.models import ThreadRow
from ..runs.plain import plain

Json = dict[str, Any]
OUR_GRAPH: Final = "codelab"
"""The graph of threads that belong to a workspace."""
_PLACE: Final = ("checkpoint_id", "thread_id", "checkpoint_ns", "checkpoint_map")
_STATE_FIELDS: Final = frozenset(
    ("values", "next", "tasks", "metadata", "created_at", "checkpoint", "parent_checkpoint", "interrupts")
) | {"checkpoint_id", "parent_checkpoint_id"}


def graph_of(row: ThreadRow) -> str | None:
    """Name the graph that a thread's state belongs to; None before its first run."""
    known = row.meta.get("graph_id")
    if isinstance(known, str):
        return known
    return None if row.workspace_id is None else OUR_GRAPH


def shown_thread(row: ThreadRow, values: Any) -> Json:
    """Show a thread; its values were read from its newest checkpoint (None: it has none)."""
    graph = {"graph_id": OUR_GRAPH} if row.workspace_id is not None else {}
    return {
        "thread_id": row.id,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
        "state_updated_at": (row.state_updated_at or row.updated_at).isoformat(),
        "metadata": graph | row.meta,
        "status": row.status,
        "config": row.config,
        "values": values,
        "error": row.error,
        "interrupts": {task: [_interrupt(each) for each in asked] for task, asked in row.interrupts.items()},
    }


def shown_ttl(row: ThreadRow) -> Json | None:
    """Show how long a thread is kept; None when that is not limited."""
    if row.ttl is None or row.expires_at is None:
        return None
    return {**row.ttl, "ttl_minutes": row.ttl["ttl"], "expires_at": row.expires_at.isoformat()}


def no_state() -> Json:
    """The state of a thread that has none."""
    return _state(StateSnapshot({}, (), {}, None, None, None, (), ()))


def shown_state(state: StateSnapshot, select: Sequence[str] = ()) -> Json:
    """Show a state, or only the members that `select` names.

    Raises:
        InvalidInput: There is no such member.
    """
    shown = _state(state)
    return _selected(shown, select) if select else shown


def shown_values(state: StateSnapshot) -> Any:
    """Show a state's values; None before the first checkpoint."""
    return None if state.metadata is None else plain(state.values)


def resting(state: StateSnapshot) -> Json:
    """What a thread at rest does, and what it asks, as columns of its row."""
    asks = {task.id: [plain(each) for each in task.interrupts] for task in state.tasks if task.interrupts}
    return {"status": ThreadStatus.INTERRUPTED if state.next else ThreadStatus.IDLE, "interrupts": asks}


def _state(state: StateSnapshot) -> Json:
    here, parent = _place(state.config), _place(state.parent_config)
    return {
        "values": plain(state.values),
        "next": list(state.next),
        "tasks": [_task(task) for task in state.tasks],
        "metadata": plain(state.metadata),
        "created_at": state.created_at,
        "checkpoint": here,
        "parent_checkpoint": parent,
        "interrupts": [_interrupt(plain(each)) for each in state.interrupts],
        "checkpoint_id": (here or {}).get("checkpoint_id"),
        "parent_checkpoint_id": (parent or {}).get("checkpoint_id"),
    }


def _task(task: PregelTask) -> Json:
    inner = task.state
    error = task.error if task.error is None or isinstance(task.error, str) else repr(task.error)
    return {
        "id": task.id,
        "name": task.name,
        "path": plain(task.path),
        "error": error,
        "interrupts": [_interrupt(plain(each)) for each in task.interrupts],
        "checkpoint": dict(inner["configurable"]) if isinstance(inner, dict) else None,
        "state": _state(inner) if isinstance(inner, StateSnapshot) else None,
        "result": plain(task.result),
    }


def _place(config: Any) -> Json | None:
    """The checkpoint that a config names; None when it names none."""
    named = (config or {}).get("configurable", {})
    if "checkpoint_id" not in named:
        return None
    return {key: named[key] for key in _PLACE if key in named}


def _interrupt(asked: Mapping[str, Any]) -> Json:
    """An interrupt without what it does not have."""
    return {key: value for key, value in asked.items() if key != "response_schema" or value is not None}


def _selected(shown: Json, select: Sequence[str]) -> Json:
    members: Json = {}
    for name in select:
        member, _, key = name.partition(".")
        if member not in _STATE_FIELDS or (key and member != "values"):
            raise InvalidInput(f"A state has no {name!r}; select members such as values, values.<key>, next, tasks")
        if not key:
            members[member] = shown[member]
        elif isinstance(shown["values"], dict):
            kept = members.setdefault("values", {})
            kept |= {key: shown["values"][key]} if key in shown["values"] else {}
    return members
