"""Repair of what a cut-off turn left behind: each tool call gets exactly one result, else providers answer 400."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage

LOST = "This call was interrupted and has no result; its effect is unknown."


def repaired(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Return the messages with a result for every call, results moved behind their call, stray ones dropped."""
    results = {m.tool_call_id: m for m in messages if isinstance(m, ToolMessage)}
    out: list[AnyMessage] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            continue
        out.append(message)
        for call in message.tool_calls if isinstance(message, AIMessage) else ():
            call_id = call["id"] or ""
            lost = ToolMessage(LOST, name=call["name"], tool_call_id=call_id, status="error")
            out.append(results.get(call_id, lost))
    return out
