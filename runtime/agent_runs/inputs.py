"""What goes into the graph for one delivery of a run: its input or command, config and context. Pure."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, Send

from ...store.models import RunRow

_RESERVED: Final = ("__pregel", "langgraph_auth", "checkpoint_map")
GOTO: Final = "goto takes names of nodes, and {node, input}"
_INTERRUPT_ID: Final = re.compile(r"[0-9a-f]{32}")
_OURS: Final = frozenset({"thread_id", "run_id", "checkpoint_id", "checkpoint_ns"})


def config_of(run: RunRow, *, recursion_limit: int, progressed: bool) -> RunnableConfig:
    """Make the config of a delivery.

    Args:
        run: The row; `kwargs` is the request as it was accepted.
        recursion_limit: Unless the request says less.
        progressed: Whether an earlier delivery left a checkpoint: the run goes on there and forks no more.
    """
    asked: Mapping[str, Any] = run.kwargs or {}
    config = dict(asked.get("config") or {})
    sent = {k: v for k, v in (config.pop("configurable", None) or {}).items() if is_theirs(k)}
    named = {"graph_id": run.graph_id, "assistant_id": run.assistant_id, "user_id": run.owner_id}
    headers = {k: v for k, v in (asked.get("headers") or {}).items() if is_theirs(k)}
    configurable = {**sent, **headers, **named, "thread_id": run.thread_id, "run_id": run.id, "checkpoint_ns": ""}
    configurable["langgraph_auth_user_id"] = run.owner_id
    if user := asked.get("user"):
        configurable |= {"langgraph_auth_user": user, "langgraph_auth_permissions": user.get("permissions", [])}
    if asked.get("strict_resume"):
        configurable["__pregel_strict_resume"] = True
    if not progressed and (fork := asked.get("forks_from")):
        configurable["checkpoint_id"] = fork
    return {
        "tags": list(config.get("tags") or ()),
        "metadata": {**(config.get("metadata") or {}), **run.meta, **named, "run_id": run.id},
        "recursion_limit": min(int(config.get("recursion_limit") or recursion_limit), recursion_limit),
        "configurable": configurable,
        "run_id": uuid.UUID(run.id),
    }


def is_theirs(name: str) -> bool:
    """Whether a client may set it: identity and the graph's own machinery are the server's."""
    return name not in _OURS and not name.startswith(_RESERVED)


def input_of(asked: Mapping[str, Any]) -> Any:
    """What a first delivery sends."""
    command = asked.get("command")
    if command is None:
        return asked.get("input")
    update, goto = command.get("update"), command.get("goto")
    jumps = [goto] if isinstance(goto, str | Mapping) else goto or []
    if not isinstance(jumps, list):
        raise TypeError(GOTO)
    sent: dict[str, Any] = {"update": update} if update is not None else {}
    if "resume" in command:
        sent["resume"] = command["resume"]
    return Command(**sent, goto=[_jump(each) for each in jumps])


def input_again(asked: Mapping[str, Any]) -> Any:
    """What a later delivery of a run that left checkpoints sends: only an answer, which may have been lost.

    A change of state or a jump was applied by the first checkpoint; a consumed answer, being keyed, is ignored.
    """
    command = asked.get("command")
    return Command(resume=command["resume"]) if command is not None and "resume" in command else None


def _jump(to: Any) -> Any:
    if isinstance(to, Mapping):
        if not isinstance(to.get("node"), str):
            raise TypeError(GOTO)
        return Send(to["node"], to.get("input"))
    return to


def keyed(command: dict[str, Any], interrupts: Mapping[str, Any]) -> dict[str, Any]:
    """Name the question that an answer is for, where only one is open: then it can be given twice without harm."""
    if "resume" not in command:
        return command
    open_ids = [each["id"] for asked in interrupts.values() for each in asked if each.get("id")]
    answer = command["resume"]
    named = isinstance(answer, dict) and bool(answer) and all(_INTERRUPT_ID.fullmatch(str(key)) for key in answer)
    if len(open_ids) != 1 or named:
        return command
    return {**command, "resume": {open_ids[0]: answer}}
