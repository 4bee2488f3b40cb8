"""Routing rules: what can be said of a message for certain, in English and Russian. No model, no I/O.

A rule names an agent only where people would not disagree; everything else is left to the model, or stays where it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from .words import CHANGE, DESIGN, FAILURE, FIX, FOLLOW_UP, OPINION, QUESTION, WEAK

_MENTION = re.compile(r"(?:^|\s)@([a-z][a-z0-9_-]{0,39})\b", re.IGNORECASE)
_LOOKED_AT = 2000


@dataclass(frozen=True, slots=True)
class RouteGuess:
    """An agent, how sure (0 to 1), and why."""

    agent: str
    confidence: float
    reason: str


def mentioned(text: str, roster: Collection[str]) -> str | None:
    """The agent that the person names with `@name`, if there is one of that name."""
    names = (match.group(1).lower() for match in _MENTION.finditer(text))
    return next((name for name in names if name in roster), None)


_UNSURE = 0.5


_VAGUE = 4
"""An order of fewer words than this does not say what is wanted."""


def _by_words(text: str, current: str | None) -> RouteGuess | None:
    """Read the kind of work from the words; a reading that people could dispute is marked as unsure."""
    design, failure = bool(DESIGN.search(text)), bool(FAILURE.search(text))
    change, question = bool(CHANGE.match(text)), bool(QUESTION.match(text))
    vague = len(text.split()) < _VAGUE
    readings = (
        (design and not failure, "architect", "asks for a design or a plan", change),
        (failure and not design, "debug", "tells of a failure", change or question or bool(FIX.match(text))),
        (change and not failure, "coder", "asks for a change", vague or current == "architect"),
        # Inside a conversation a question mostly goes to whoever did the work.
        (
            question and not failure,
            "ask",
            "asks a question",
            vague or current is not None or bool(OPINION.search(text)),
        ),
    )
    for holds, agent, reason, doubtful in readings:
        if holds:
            return RouteGuess(agent, _UNSURE if doubtful or WEAK.search(text) else 0.85, reason)
    return None


def route_by_rules(text: str, *, current: str | None, roster: Collection[str]) -> RouteGuess | None:
    """Choose an agent by rules alone.

    Args:
        text: The person's message.
        current: The agent that holds the conversation.
        roster: Names of the agents there are.

    Returns:
        A guess with its confidence, or None where the rules have nothing certain to say.
    """
    text = text[:_LOOKED_AT]
    if named := mentioned(text, roster):
        return RouteGuess(named, 1.0, "named by the person")
    if FOLLOW_UP.match(text):
        return RouteGuess(current, 0.95, "goes on") if current and current in roster else None
    guess = _by_words(text, current)
    return guess if guess and guess.agent in roster else None
