"""Answers without the cuts they were streamed in."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from codelab.llm.events import Event, Extra, Finish, Reasoning, Refusal, Text, ToolCall, Used


def merged(events: Iterable[Event]) -> list[tuple[Any, ...]]:
    """What a stream says, in its order: the usage at its end, what repeats said once."""
    told: dict[str, Any] = {}
    said: list[tuple[Any, ...]] = []
    usage = None
    for event in events:
        if isinstance(event, Used):
            usage = event.usage
        elif isinstance(event, Extra) and event.choice is None:
            new = {key: value for key, value in event.data.items() if told.get(key) != value}
            told |= new
            said += [("extra", None, new)] if new else []
        elif not (isinstance(event, Extra) and event.data == {"delta": {}}):
            said.append((type(event), event))
    return [*said, ("usage", usage)]


def by_choice(events: Iterable[Event]) -> dict[Any, Any]:
    """What an answer says, choice by choice: a completion does not know in which order it was said."""
    events = list(events)
    beside: dict[str, Any] = {}
    for event in events:
        if isinstance(event, Extra) and event.choice is None:
            beside |= event.data
    usage = [event.usage for event in events if isinstance(event, Used)]
    choices = {event.choice for event in events if not isinstance(event, Used) and event.choice is not None}
    return {
        "beside": beside,
        "usage": usage[-1:],
        **{choice: _choice([e for e in events if getattr(e, "choice", None) == choice]) for choice in choices},
    }


def _choice(events: list[Any]) -> dict[str, Any]:
    return {
        "text": "".join(e.text for e in events if isinstance(e, Text)),
        "refusal": "".join(e.text for e in events if isinstance(e, Refusal)),
        "thoughts": _thoughts([e for e in events if isinstance(e, Reasoning)]),
        "calls": _calls([e for e in events if isinstance(e, ToolCall)]),
        "logprobs": [p for e in events if isinstance(e, Extra) for p in e.data.get("logprobs", {}).get("content", [])],
        "annotations": [
            a for e in events if isinstance(e, Extra) for a in e.data.get("delta", {}).get("annotations", [])
        ],
        "finish": [e.reason for e in events if isinstance(e, Finish)],
    }


def _thoughts(events: list[Reasoning]) -> list[tuple[str, str]]:
    thoughts: list[tuple[str, str]] = []
    text = ""
    for event in events:
        text += event.text
        if event.signature:
            thoughts.append((text, event.signature))
            text = ""
    return [*thoughts, (text, "")] if text else thoughts


def _calls(events: list[ToolCall]) -> list[tuple[str, str, str, str]]:
    ordered = groupby(sorted(events, key=lambda e: e.index), key=lambda e: e.index)
    return [_call(list(parts)) for _, parts in ordered]


def _call(parts: list[ToolCall]) -> tuple[str, str, str, str]:
    return (
        next((e.id for e in parts if e.id), ""),
        "".join(e.name for e in parts),
        "".join(e.arguments for e in parts),
        next((e.signature for e in reversed(parts) if e.signature), ""),
    )
