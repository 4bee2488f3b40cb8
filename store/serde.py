"""How checkpoints are encoded: strict msgpack. A type that is not listed comes back as plain data, so list them all."""

from __future__ import annotations

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ..core.types import ApprovalMode, DecisionKind, PolicyDecision, ToolGroup

ALLOWED: tuple[type, ...] = (ApprovalMode, DecisionKind, PolicyDecision, ToolGroup)
"""Our own types that may land in state, beyond LangGraph's safe list (messages, Command, Interrupt, Send, dates …).

Everything else that we put into state is a TypedDict, which is a plain dict once encoded.
"""


def make_serde() -> JsonPlusSerializer:
    """Make the serialiser of every saver: no pickle, nothing imported that is not listed."""
    return JsonPlusSerializer(pickle_fallback=False, allowed_json_modules=None, allowed_msgpack_modules=ALLOWED)
