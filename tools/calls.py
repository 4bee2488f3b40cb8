"""Finding the idempotency key of the tool call that runs now."""

from __future__ import annotations

from typing import Any

from langchain.tools import ToolRuntime
from langchain_core.messages import AIMessage

from ..core.errors import CodeLabError
from .context import CallKey


def call_key(runtime: ToolRuntime[Any, Any]) -> CallKey:
    """Name the call by its thread, the newest model message that holds it, and its id.

    Raises:
        CodeLabError: No message of the state holds the call.
    """
    call_id = runtime.tool_call_id or ""
    for message in reversed(runtime.state["messages"]):
        if isinstance(message, AIMessage) and any(call["id"] == call_id for call in message.tool_calls):
            return CallKey(runtime.context.thread_id, message.id or "", call_id)
    raise CodeLabError(f"the tool call {call_id} stands in no message of this thread")
