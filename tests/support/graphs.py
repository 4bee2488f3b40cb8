"""A graph on a real workspace with a scripted model, in process."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langchain_core.messages import AnyMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from codelab.agents.build import Limits
from codelab.agents.host import ContextHost
from codelab.agents.spec import AgentSpec, load_agents
from codelab.core.events import DomainEvent, EventBus
from codelab.core.permissions import ALL
from codelab.core.types import Principal, new_id
from codelab.graph.build import build_graph
from codelab.llm.matching import When
from codelab.llm.models import StaticModels
from codelab.llm.scripted import Reply, Script, ScriptedCall, ScriptedChatModel
from codelab.tools.context import Journal, RunContext
from codelab.tools.memory import MemoryArtifacts, MemoryJournal
from codelab.tools.workspaces.local import LocalWorkspace


def says(text: str = "", *calls: tuple[str, dict[str, Any]], **when: Any) -> Reply:
    """A scripted reply."""
    made = tuple(ScriptedCall(name=name, args=args) for name, args in calls)
    return Reply(when=When(**when), text=text, tool_calls=made)


@dataclass
class Lab:
    """One thread on one workspace."""

    root: Path
    replies: list[Reply]
    mode: str = "ask"
    agent: str | None = "coder"
    journal: Journal = field(default_factory=MemoryJournal)
    limits: Limits = field(default_factory=Limits)
    agents: dict[str, AgentSpec] | None = None
    single: bool = False
    max_model_calls: int | None = None
    expiry_s: float = 3600
    scopes: frozenset[str] = ALL

    def __post_init__(self) -> None:
        self.model = ScriptedChatModel(script=Script(name="test", replies=tuple(self.replies)))
        self.models = StaticModels(self.model)
        self.saver = InMemorySaver()
        self.events: list[DomainEvent] = []
        self.thread_id = new_id()
        self.turn_id = new_id()
        self.bus = EventBus()
        self.bus.subscribe(self._record)
        self.graph = build_graph(
            agents=self.agents or load_agents(),
            models=self.models,
            host=ContextHost(),
            checkpointer=self.saver,
            mode="single" if self.single else "multi",
            limits=self.limits,
        )

    async def _record(self, event: DomainEvent) -> None:
        self.events.append(event)

    @property
    def config(self) -> Any:
        return {"configurable": {"thread_id": self.thread_id}, "recursion_limit": 200}

    def context(self) -> RunContext:
        return RunContext(
            agent=self.agent,
            approval_mode=self.mode,
            max_model_calls=self.max_model_calls,
            principal=Principal("tester", scopes=self.scopes),
            thread_id=self.thread_id,
            turn_id=self.turn_id,
            run_id=new_id(),
            workspace_handle=LocalWorkspace(self.root, id="w"),
            journal=self.journal,
            artifacts=MemoryArtifacts(),
            models=self.models,
            bus=self.bus,
            approval_expiry_s=self.expiry_s,
        )

    async def _go(self, asked: Any) -> Any:
        return await self.graph.ainvoke(asked, self.config, context=self.context(), version="v2", durability="sync")

    async def say(self, text: str) -> Any:
        """Start a turn."""
        self.turn_id = new_id()
        return await self._go({"messages": [HumanMessage(text, id=new_id())]})

    async def answer(self, result: Any, *decisions: dict[str, Any]) -> Any:
        """Resume with decisions, keyed."""
        (interrupt,) = result.interrupts
        return await self._go(Command(resume={interrupt.id: {"decisions": list(decisions)}}))

    async def messages(self) -> list[AnyMessage]:
        """The conversation as the root state holds it."""
        state = await self.graph.aget_state(self.config)
        return list(state.values["messages"])

    async def results(self) -> dict[str, ToolMessage]:
        """Tool results by tool name (the last of each)."""
        return {m.name or "": m for m in await self.messages() if isinstance(m, ToolMessage)}


def requests_of(result: Any) -> list[dict[str, Any]]:
    """The action requests of the one open interrupt."""
    (interrupt,) = result.interrupts
    found: list[dict[str, Any]] = interrupt.value["action_requests"]
    return found
