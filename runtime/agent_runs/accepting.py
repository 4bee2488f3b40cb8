"""A run's row, from what was asked: the assistant's configuration is merged in now, not when the run starts. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol

from ...core.types import Principal, new_id, utc_now
from ...store.models import RunRow
from ..runs.repository import GRAPH, new_run
from .schemas import RunRequest


class Configured(Protocol):
    """What a run is of: a graph with a configuration."""

    @property
    def assistant_id(self) -> Any:
        """The assistant."""
        ...

    @property
    def graph_id(self) -> str:
        """Its graph."""
        ...

    @property
    def config(self) -> dict[str, Any]:
        """What the run's own config is merged into."""
        ...

    @property
    def context(self) -> dict[str, Any]:
        """What the run's own context is merged into."""
        ...


def row_of(
    principal: Principal, thread_id: str, assistant: Configured, request: RunRequest, *, temporary: bool
) -> RunRow:
    """Make the row of a run that was not claimed yet; a `temporary` one's thread goes soon after its end."""
    later = request.after_seconds
    return new_run(
        principal,
        id=new_id(),
        thread_id=thread_id,
        kind=GRAPH,
        assistant_id=str(assistant.assistant_id),
        graph_id=assistant.graph_id,
        meta={"created_by": "system", **request.metadata, "graph_id": assistant.graph_id}
        | {"assistant_id": str(assistant.assistant_id)},
        kwargs=_kwargs(assistant, request, temporary=temporary and request.on_completion == "delete")
        | _told(principal),
        multitask_strategy=request.multitask_strategy,
        priority=request.priority,
        not_before=utc_now() + timedelta(seconds=later) if later else None,
    )


def _kwargs(assistant: Configured, request: RunRequest, *, temporary: bool) -> dict[str, Any]:
    """The request as it will be executed: the assistant's configuration is merged in now, not when the run starts."""
    kept = request.model_dump(
        mode="json",
        include={"stream_mode", "stream_subgraphs", "stream_resumable", "interrupt_before", "interrupt_after"}
        | {"input", "on_disconnect", "webhook", "feedback_keys", "strict_resume"},
    )
    command = request.command.model_dump(mode="json", exclude_unset=True) if request.command is not None else None
    return {
        **kept,
        "command": command,
        "config": _config(assistant, request),
        "context": {**assistant.context, **request.settings},
        "durability": request.how_durable,
        "forks_from": request.forks_from,
        "protocol": request.protocol,
        "temporary": temporary,
    }


def _told(principal: Principal) -> dict[str, Any]:
    """What the graph learns of who asked, beside the bare id."""
    told = {"user": dict(principal.facts), "headers": dict(principal.headers)}
    return {name: facts for name, facts in told.items() if facts}


def _config(assistant: Configured, request: RunRequest) -> dict[str, Any]:
    """Graphs of old read from `configurable` what others read from the context: what is said either way is in both."""
    asked, base = request.config, assistant.config
    configurable = {**(base.get("configurable") or {}), **(asked.get("configurable") or {}), **request.settings}
    return {**base, **asked, **({"configurable": configurable} if configurable else {})}
