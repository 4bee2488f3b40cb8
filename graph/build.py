"""The graph: `route` chooses an agent, the agent works as a subgraph, a hand-off leads back to `route` by an edge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import HumanMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Checkpointer, Command, interrupt

from ..agents.build import Limits, build_agent
from ..agents.decisions import answer_schema
from ..agents.host import Host
from ..agents.spec import AgentSpec
from ..core.context import RunSettings
from ..core.errors import ConfigError
from ..core.events import AgentSwitched
from ..core.types import ApprovalMode
from ..tools.context import Models, RunContext
from ..tools.policy import PolicyPin
from .condense import condense
from .router import Route, Router
from .state import Clarify, RootState, RootUpdate

POLICY_VERSION = "1"

Graph = CompiledStateGraph[Any, Any, Any, Any]


def pin_policy(context: RunContext) -> PolicyPin:
    """The policy of this turn, as it stands when the turn starts."""
    return PolicyPin(
        version=POLICY_VERSION,
        mode=context.approval_mode,
        turn_id=context.turn_id,
        expires_s=context.approval_expiry_s,
        allow=[],
    )


def _fresh_turn(context: RunContext) -> RootUpdate:
    return {
        "turn_id": context.turn_id,
        "policy": pin_policy(context),
        "hops": 0,
        "model_calls": 0,
        "handoff": None,
        "finished": None,
        "clarify": None,
    }


class _Nodes:
    """The root's own nodes, with what they need."""

    def __init__(self, *, agents: Mapping[str, AgentSpec], models: Models, host: Host, limits: Limits) -> None:
        self._models = models
        self._host = host
        self._limits = limits
        self._router = Router(agents=agents, models=models)

    async def route(self, state: RootState, runtime: Runtime[RunSettings]) -> Command[Any]:
        context = await self._host.live(runtime)
        context.charge("router")
        if (handoff := state.get("handoff")) and not isinstance(state["messages"][-1], HumanMessage):
            return await self._hand_over(handoff["to"], handoff["reason"], state, runtime)
        update: RootUpdate = {}
        if state.get("turn_id") != context.turn_id:
            update = {**_fresh_turn(context), **await self._condensed(state)}
        route = await self._router.choose(state["messages"], current=state.get("agent"), context=context)
        if route.options and context.approval_mode != ApprovalMode.DENY:
            anchor = state["messages"][-1].id or context.turn_id
            question = Clarify(options=list(route.options), guess=route.agent, message_id=anchor)
            return Command(goto="clarify", update={**update, "clarify": question})
        return await self._enter(route, state, runtime, update)

    async def _condensed(self, state: RootState) -> RootUpdate:
        summary = await condense(
            state["messages"],
            state.get("summary"),
            model=self._models.chat("fast"),
            max_tokens=self._limits.context_tokens,
        )
        return {"summary": summary} if summary else {}

    async def _hand_over(self, to: str, reason: str, state: RootState, runtime: Runtime[RunSettings]) -> Command[Any]:
        update: RootUpdate = {"handoff": None, "hops": state.get("hops", 0) + 1}
        return await self._enter(Route(to, 1.0, reason, "handoff"), state, runtime, update)

    async def clarify(self, state: RootState, runtime: Runtime[RunSettings]) -> Command[Any]:
        question = state.get("clarify")
        if question is None:
            raise ConfigError("clarify runs only after the router asked a question")
        reply = interrupt(_clarification(question), response_schema=answer_schema(("prompt_user",)))
        agent = _chosen(reply.decisions[0], question)
        route = Route(agent, 1.0, "the person chose", "clarified")
        return await self._enter(route, state, runtime, {"clarify": None})

    async def _enter(
        self, route: Route, state: RootState, runtime: Runtime[RunSettings], update: RootUpdate
    ) -> Command[Any]:
        before = state.get("agent")
        if route.agent != before:
            await self._announce(route, before, runtime)
        return Command(goto=route.agent, update={**update, "agent": route.agent})

    async def _announce(self, route: Route, before: str | None, runtime: Runtime[RunSettings]) -> None:
        context = await self._host.live(runtime)
        facts: dict[str, Any] = {
            "source": before,
            "target": route.agent,
            "reason": route.reason,
            "confidence": route.confidence,
            "method": route.method,
        }
        runtime.stream_writer({"type": AgentSwitched.type, **facts})
        await context.bus.publish(
            AgentSwitched(
                **facts,
                **context.about,
            )
        )


def _clarification(question: Clarify) -> dict[str, Any]:
    text = "Which agent should take this?"
    asked = {"question": text, "kind": "choice", "choices": question["options"]}
    return {
        "action_requests": [
            {
                "name": "prompt_user",
                "args": {"questions": [asked], "answer": ""},
                "description": text,
                "tool_call_id": f"route:{question['message_id']}",
                "agent": "orchestrator",
                "risk": "low",
                "reason": "the message does not say what is wanted",
                "preview": {"kind": "question", "questions": [asked]},
            }
        ],
        "review_configs": [{"action_name": "prompt_user", "allowed_decisions": ["respond", "edit", "reject"]}],
    }


def _chosen(decision: Mapping[str, Any], question: Clarify) -> str:
    """The option that the answer names; the router's guess when it names none."""
    if decision["type"] == "edit":
        answer = str(decision["edited_action"]["args"].get("answer", ""))
    else:
        answer = str(decision.get("message") or "")
    named = [option for option in question["options"] if option in answer.lower()]
    return named[0] if named else question["guess"]


def _after_agent(state: RootState) -> str:
    return "route" if state.get("handoff") else END


def _active(agents: Mapping[str, AgentSpec], mode: str) -> dict[str, AgentSpec]:
    single = mode == "single"
    chosen = {name: spec for name, spec in agents.items() if spec.single_mode_only == single}
    if single and not chosen:
        chosen = dict(agents)
    if not chosen or (single and len(chosen) != 1):
        raise ConfigError(f"mode {mode!r} needs {'exactly one agent' if single else 'agents'}; found {sorted(chosen)}")
    return chosen


def build_graph(
    *,
    agents: Mapping[str, AgentSpec],
    models: Models,
    host: Host,
    checkpointer: Checkpointer = None,
    store: Any = None,
    mode: str = "multi",
    limits: Limits | None = None,
) -> Graph:
    """Compile the whole graph; it holds no globals and does no I/O.

    Args:
        agents: The agents, by name (`agents.spec.load_agents`).
        models: Roles to chat models.
        host: Makes the run context; `ContextHost()` when you pass `context=RunContext(...)` yourself.
        checkpointer: A LangGraph saver; approvals need one.
        store: A LangGraph store, if the agents should have one.
        mode: `multi` (router and specialists) or `single` (one agent).
        limits: The turn's limits.

    Raises:
        ConfigError: No agent fits the mode, or an agent names an unknown tool.
    """
    limits = limits or Limits()
    active = _active(agents, mode)
    nodes = _Nodes(agents=active, models=models, host=host, limits=limits)
    roster = {name: spec.description for name, spec in active.items()}
    builder: StateGraph[Any, Any, Any, Any] = StateGraph(RootState, context_schema=RunSettings)
    builder.add_node("route", nodes.route, destinations=(*active, "clarify"))
    builder.add_node("clarify", nodes.clarify, destinations=tuple(active))
    builder.add_edge(START, "route")
    for name, spec in active.items():
        builder.add_node(name, build_agent(spec, models=models, host=host, roster=roster, limits=limits))
        builder.add_conditional_edges(name, _after_agent, ["route", END])
    return builder.compile(checkpointer=checkpointer, store=store, name="codelab")


def user_message(text: str, message_id: str) -> HumanMessage:
    """A person's message with a fixed id, so that sending it again cannot double it."""
    return HumanMessage(text, id=message_id)
