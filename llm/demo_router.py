"""How the demo model fills a demanded shape: the router's choice by simple words, anything else by type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .demo_fit import agents_of
from .demo_intents import read_intents
from .request import ChatRequest, Shape

_AGENT_OF_INTENT = {
    "debug": {"tests", "run", "fix_tests"},
    "ask": {
        "list",
        "read",
        "search",
        "explain",
        "git_status",
        "git_diff",
        "git_log",
        "branch_list",
        "question",
        "finish",
    },
}
_WORDS = (
    ("architect", r"architect|design\b|\bplan\b|\badr\b|roadmap|trade-?offs?|архитект|спроектир|план\b|проектирован"),
    (
        "debug",
        r"\bdebug|\bbug\b|crash|traceback|exception|stack ?trace|\bfail|broken|отлад|ошибк|пада[ею]|слома|не работает",
    ),
    (
        "coder",
        r"implement|refactor|\bfix\b|\bwrite\b|\bcreate\b|\badd\b|\bchange\b|rename|реализу|исправ|добав|напиш|созда|перепиш",
    ),
    ("ask", r"\?|\bwhat\b|\bwhy\b|\bhow\b|\bwhere\b|explain|что\b|почему|как\b|где\b|зачем|объясн"),
)
_UNSURE = 0.4


def fill(shape: Shape, request: ChatRequest) -> dict[str, Any]:
    """Fill the shape."""
    known = {} if "agent" not in shape.properties else _route(shape, request)
    names = [name for name in shape.properties if name in known or name in shape.required]
    return {name: known.get(name, _plain(shape.properties[name], request)) for name in names}


def _route(shape: Shape, request: ChatRequest) -> dict[str, Any]:
    roster = agents_of(shape.properties["agent"]) or re.findall(r"(?m)^- (\w[\w-]*):", request.system)
    agent, confidence, reason = _choose(request)
    if roster and agent not in roster:
        agent = next((name for name in ("coder", "universal") if name in roster), roster[0])
    return {"agent": agent, "confidence": confidence, "reason": reason}


def _choose(request: ChatRequest) -> tuple[str, float, str]:
    kinds = {intent.kind for intent in read_intents(request.human)}
    if kinds:
        fits = (agent for agent, known in _AGENT_OF_INTENT.items() if kinds <= known)
        return next(fits, "coder"), 0.9, f"demo model: the request is to {', '.join(sorted(kinds))}"
    for agent, words in _WORDS:
        if found := re.search(words, request.human, re.IGNORECASE):
            return agent, 0.7, f"demo model: the request says {found[0]!r}"
    current = re.search(r"Current agent: (?!none)([\w-]+)", request.system)
    if current:
        return current[1], 0.6, "demo model: nothing asks for another agent"
    return "ask", _UNSURE, "demo model: no word of the request tells"


def _plain(schema: Mapping[str, Any], request: ChatRequest) -> Any:
    if schema.get("enum"):
        return schema["enum"][0]
    match schema.get("type"):
        case "string":
            return request.human[:200]
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case "array":
            return []
        case _:
            return {}
