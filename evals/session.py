"""Drives the real graph over a folder: sends a message, answers what it asks, and notes everything that happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langchain_core.exceptions import LangChainException
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import is_invalid_resume
from langgraph.types import Command
from openai import OpenAIError
from pydantic import ValidationError

from ..agents.build import Limits
from ..agents.host import ContextHost
from ..agents.spec import load_agents
from ..core.errors import CodeLabError
from ..core.permissions import ALL
from ..core.types import ApprovalMode, Principal, new_id
from ..graph.build import build_graph, user_message
from ..tools.context import Models, RunContext
from ..tools.memory import MemoryArtifacts, MemoryJournal
from ..tools.workspaces.local import LocalWorkspace
from .meter import Meter
from .notes import Notes

FAILURES = (CodeLabError, LangChainException, OpenAIError, OSError, RuntimeError, ValueError, LookupError)
"""What may go wrong in one case without ending the suite; a programming error still does."""

Action = dict[str, Any]
Decision = dict[str, Any]
Decider = Callable[[Sequence[Action]], Sequence[Decision]]


def careful(actions: Sequence[Action]) -> Sequence[Decision]:
    """Approve what is asked unless it is risky: a real model acts on a real machine. Questions get no answer."""
    return [_decide(action) for action in actions]


def _decide(action: Action) -> Decision:
    if action["name"] == "prompt_user":
        return {"type": "respond", "message": "Nobody is there to ask. Decide for yourself."}
    if action["risk"] == "high":
        return {"type": "reject", "message": "Risky calls are not allowed here. Do without."}
    return {"type": "approve"}


@dataclass(frozen=True, slots=True)
class Ran:
    """A tool call that came back: which, by whom, and how (`ok`, `error`, `denied`)."""

    tool: str
    call_id: str
    agent: str
    outcome: str


@dataclass
class Outcome:
    """Everything one turn left behind.

    Attributes:
        agents: Who took the turn, in order.
        asked: The actions of each interrupt.
        interrupts: The ids of the interrupts.
        decided: The decisions given, by tool call id.
        ran: Tool calls that reached their tool or were refused there.
        error: What ended the turn, if it did not end by itself.
    """

    messages: list[AnyMessage] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    asked: list[list[Action]] = field(default_factory=list)
    interrupts: list[str] = field(default_factory=list)
    decided: dict[str, Decision] = field(default_factory=dict)
    ran: list[Ran] = field(default_factory=list)
    seconds: float = 0.0
    error: str | None = None

    @property
    def results(self) -> list[ToolMessage]:
        """What the model was told about its calls."""
        return [m for m in self.messages if isinstance(m, ToolMessage)]

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The calls the model made."""
        return [dict(call) for m in self.messages if isinstance(m, AIMessage) for call in m.tool_calls]

    @property
    def final(self) -> str:
        """The last thing an agent said."""
        return next((m.text for m in reversed(self.messages) if isinstance(m, AIMessage)), "")


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What a person sends, and how they answer.

    Attributes:
        agent: Pins the agent; None lets the router choose.
        mode: The approval mode.
        expiry_s: How long approvals stay open.
        timeout_s: Seconds for the whole turn.
        invalid_answers: How many answers, from the first, must be refused as not valid.
    """

    message: str
    agent: str | None = None
    mode: str = ApprovalMode.ASK.value
    decider: Decider = careful
    expiry_s: float = 86_400
    timeout_s: float = 900
    invalid_answers: int = 0


class Session:
    """One thread on one folder.

    Args:
        root: The workspace.
        models: Roles to models.
        meter: Books every model call.
        limits: Of each turn.
    """

    def __init__(self, *, root: Path, models: Models, meter: Meter, limits: Limits | None = None) -> None:
        self._models = models
        self._meter = meter
        self._workspace = LocalWorkspace(root, id="eval")
        self._journal, self._artifacts = MemoryJournal(), MemoryArtifacts()
        self._thread_id = new_id()
        self._graph = build_graph(
            agents=load_agents(),
            models=models,
            host=ContextHost(),
            checkpointer=InMemorySaver(),
            limits=limits,
        )

    async def turn(self, turn: Turn) -> Outcome:
        """Run one turn to its rest; a failure ends up in the outcome."""
        outcome, notes, started = Outcome(), Notes(), time.monotonic()
        context = self._context(turn, notes)
        try:
            async with asyncio.timeout(turn.timeout_s):
                await self._to_rest(turn, context, outcome)
        except FAILURES as exc:
            outcome.error = f"{type(exc).__name__}: {exc}"
        outcome.seconds = time.monotonic() - started
        outcome.messages = await self._said()
        outcome.agents = [event.target for event in notes.switches]
        outcome.ran = [Ran(e.tool, e.call_id, e.agent or "", e.outcome) for e in notes.calls]
        return outcome

    async def send(self, turn: Turn, given: Any) -> Any:
        """Run the graph once on an input or an answer, as a client that comes back later would."""
        return await self._run(given, self._context(turn, Notes()))

    async def _run(self, given: Any, context: RunContext) -> Any:
        return await self._graph.ainvoke(given, self._config(), context=context, version="v2")

    async def _to_rest(self, turn: Turn, context: RunContext, outcome: Outcome) -> None:
        result = await self._run({"messages": [user_message(turn.message, new_id())]}, context)
        while result.interrupts:
            question = result.interrupts[0]
            answer = self._answer(turn, question, outcome)
            if len(outcome.asked) <= turn.invalid_answers:
                await self._refused(answer, context)
                continue
            result = await self._run(answer, context)

    def _answer(self, turn: Turn, question: Any, outcome: Outcome) -> Command[Any]:
        actions = question.value["action_requests"]
        outcome.asked.append(actions)
        outcome.interrupts.append(question.id)
        decisions = list(turn.decider(actions))
        outcome.decided |= {a["tool_call_id"]: d for a, d in zip(actions, decisions, strict=False)}
        return Command(resume={question.id: {"decisions": decisions}})

    async def _refused(self, answer: Command[Any], context: RunContext) -> None:
        try:
            await self._run(answer, context)
        except ValidationError as exc:
            if is_invalid_resume(exc):
                return
            raise
        raise ValueError("an answer that is not valid was accepted")

    def _context(self, turn: Turn, notes: Notes) -> RunContext:
        return RunContext(
            agent=turn.agent,
            approval_mode=turn.mode,
            principal=Principal("eval", scopes=ALL),
            thread_id=self._thread_id,
            turn_id=new_id(),
            run_id=new_id(),
            workspace_handle=self._workspace,
            journal=self._journal,
            artifacts=self._artifacts,
            models=self._models,
            bus=notes.bus(),
            approval_expiry_s=turn.expiry_s,
            command_timeout_s=60,
        )

    def _config(self) -> Any:
        return {
            "configurable": {"thread_id": self._thread_id},
            "callbacks": [self._meter],
            "recursion_limit": 400,
        }

    async def _said(self) -> list[AnyMessage]:
        """Read the messages since the person's last one; an unfinished turn's live in the agent's own state."""
        snapshot = await self._graph.aget_state(self._config(), subgraphs=True)
        messages: list[AnyMessage] = snapshot.values.get("messages", [])
        for task in snapshot.tasks:
            inner = getattr(task.state, "values", None)
            if isinstance(inner, Mapping) and inner.get("messages"):
                messages = inner["messages"]
        last = max((i for i, m in enumerate(messages) if isinstance(m, HumanMessage)), default=-1)
        return messages[last + 1 :]
