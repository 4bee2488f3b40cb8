"""The router: it chooses who takes the turn. It answers nothing and calls no tool.

Order: a hand-off, the agent the client or the person names, rules, one structured model call, the current agent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, Field

from ..agents.spec import AgentSpec
from ..tools.context import Models, RunContext
from .rules import RouteGuess, route_by_rules

log = structlog.get_logger(__name__)

CERTAIN = 0.75
"""From here on the rules decide alone."""
CONFIDENT = 0.5
"""Below this the person is asked."""
_RECENT = 8
_CUT = 600

Method = Literal["request", "mention", "rules", "model", "current", "handoff", "clarified", "single"]


@dataclass(frozen=True, slots=True)
class Route:
    """A choice and how it was made; `options` holds the candidates when it is not clear."""

    agent: str
    confidence: float
    reason: str
    method: Method
    options: tuple[str, ...] = ()


class RouteChoice(BaseModel):
    """The agent that should take the person's last message."""

    agent: str = Field(description="Name of the agent")
    confidence: float = Field(ge=0, le=1, description="How sure, 0 to 1")
    reason: str = Field(description="One short sentence")


def _prompt(agents: Mapping[str, AgentSpec], current: str | None) -> str:
    roll = "\n".join(f"- {a.name}: {a.description} {a.when_to_use}".rstrip() for a in agents.values())
    return (
        "You route a person's message to one agent of a coding service. Do not answer the message.\n"
        f"Agents:\n{roll}\n"
        f"Current agent: {current or 'none'}. Stay with it unless the message clearly asks for another.\n"
        "If you cannot tell, give a low confidence."
    )


def _recent(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """The last things people and agents said, cut short; no tool traffic."""
    spoken = [m for m in messages if isinstance(m, HumanMessage) or (isinstance(m, AIMessage) and m.text.strip())]
    return [
        HumanMessage(m.text[:_CUT]) if isinstance(m, HumanMessage) else AIMessage(m.text[:_CUT])
        for m in spoken[-_RECENT:]
    ]


class Router:
    """Chooses an agent for a message.

    Args:
        agents: The agents there are, by name.
        models: The `fast` model reads what the rules cannot.
    """

    def __init__(self, *, agents: Mapping[str, AgentSpec], models: Models) -> None:
        self._agents = agents
        self._models = models

    async def choose(self, messages: Sequence[AnyMessage], *, current: str | None, context: RunContext) -> Route:
        """Choose for the newest message of the person."""
        if len(self._agents) == 1:
            return Route(next(iter(self._agents)), 1.0, "the only agent", "single")
        if context.agent and context.agent in self._agents:
            return Route(context.agent, 1.0, "chosen in the request", "request")
        text = next((m.text for m in reversed(messages) if isinstance(m, HumanMessage)), "")
        guess = route_by_rules(text, current=current, roster=self._agents)
        if guess and guess.confidence >= CERTAIN:
            return Route(guess.agent, guess.confidence, guess.reason, "mention" if guess.confidence == 1 else "rules")
        return await self._by_model(messages, current=current, guess=guess)

    async def _by_model(
        self, messages: Sequence[AnyMessage], *, current: str | None, guess: RouteGuess | None
    ) -> Route:
        choice = await self._ask_model(messages, current)
        if choice and choice.confidence >= CONFIDENT:
            return Route(choice.agent, choice.confidence, choice.reason, "model")
        if current in self._agents and current:
            return Route(current, CONFIDENT, "nothing clearly asks for another agent", "current")
        if choice is None:  # asking the person would only hide that the model does not answer
            agent = guess.agent if guess else self._harmless()
            return Route(agent, guess.confidence if guess else 0.0, "the router's model gave no answer", "rules")
        best = choice.agent
        others = [name for name in self._agents if name != best]
        return Route(best, 0.0, "the message does not say what is wanted", "model", (best, *others[:3]))

    def _harmless(self) -> str:
        return "ask" if "ask" in self._agents else next(iter(self._agents))

    async def _ask_model(self, messages: Sequence[AnyMessage], current: str | None) -> RouteChoice | None:
        # By a tool call: more endpoints know it than JSON schemas, and the parsed answers of openai warn when dumped.
        model = self._models.chat("fast").with_structured_output(RouteChoice, method="function_calling")
        asked: list[Any] = [SystemMessage(_prompt(self._agents, current)), *_recent(messages)]
        try:
            choice = await model.ainvoke(asked, {"tags": ["router", "nostream"]})
        except Exception as exc:  # noqa: BLE001 - whatever the provider raises, the conversation goes on
            log.warning("router_model_failed", error=repr(exc))
            return None
        if isinstance(choice, RouteChoice) and choice.agent in self._agents:
            return choice
        return None
