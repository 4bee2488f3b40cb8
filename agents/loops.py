"""The loop guard: the same call with the same arguments and the same result, again and again, is not progress.

Polling is legal: a result that changes resets the count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolCall, ToolMessage

REPEATS = 3
"""So many identical results are given; the next identical call is refused."""


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=12).hexdigest()


def this_turn(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    """The messages since the person last spoke, theirs included."""
    start = max((i for i, m in enumerate(messages) if isinstance(m, HumanMessage)), default=0)
    return messages[start:]


def _history(messages: Sequence[BaseMessage]) -> dict[str, list[str]]:
    """Map each (tool, arguments) of this turn to the digests of its results, in order."""
    recent = this_turn(messages)
    results = {m.tool_call_id: _digest(m.content) for m in recent if isinstance(m, ToolMessage)}
    seen: dict[str, list[str]] = {}
    for message in recent:
        for call in message.tool_calls if isinstance(message, AIMessage) else ():
            seen.setdefault(_digest([call["name"], call["args"]]), []).append(results.get(call["id"] or "", ""))
    return seen


def repeated_calls(messages: Sequence[BaseMessage], calls: Sequence[ToolCall]) -> dict[str, str]:
    """Name the calls that would repeat without news: call id → what to tell the model."""
    if not calls:
        return {}
    seen = _history(messages)
    refused: dict[str, str] = {}
    for call in calls:
        tail = seen.get(_digest([call["name"], call["args"]]), [])[-REPEATS:]
        if len(tail) == REPEATS and len(set(tail)) == 1:
            refused[call["id"] or ""] = (
                f"this exact call gave the same result {REPEATS} times. Try another way, or say what you are missing."
            )
    return refused
