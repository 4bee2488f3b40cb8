"""Make the whole of CodeLab one node of your own LangGraph graph. python examples/embed_graph.py DIR."""

import asyncio
import sys
from pathlib import Path

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command

from codelab import build_graph
from codelab.agents.host import ContextHost
from codelab.agents.spec import load_agents
from codelab.auth.local import LOCAL
from codelab.core.events import EventBus
from codelab.core.settings import Settings
from codelab.llm.models import build_models
from codelab.tools.context import RunContext
from codelab.tools.memory import MemoryArtifacts, MemoryJournal
from codelab.tools.workspaces.local import LocalWorkspace


async def main(folder: str) -> None:
    """Ask once, approve what is asked, print what was said."""
    models = build_models(Settings().llm)
    handles = {"models": models, "journal": MemoryJournal(), "artifacts": MemoryArtifacts(), "bus": EventBus()}
    handles |= {"principal": LOCAL, "workspace_handle": LocalWorkspace(Path(folder), id="here")}
    context = RunContext(thread_id="1", turn_id="1", run_id="1", **handles)
    outer = StateGraph(MessagesState, context_schema=RunContext).add_edge(START, "codelab")
    codelab = build_graph(agents=load_agents(), models=models, host=ContextHost())
    outer.add_sequence([("codelab", codelab), ("sign", lambda _: {"messages": [("ai", "Seen by our node.")]})])
    graph, told = outer.compile(InMemorySaver()), {"config": {"configurable": {"thread_id": "1"}}, "context": context}
    result = await graph.ainvoke({"messages": [("user", "create NOTES.md with first")]}, **told)
    while asked := result.get("__interrupt__"):
        yes = {i.id: {"decisions": [{"type": "approve"}] * len(i.value["action_requests"])} for i in asked}
        result = await graph.ainvoke(Command(resume=yes), **told)
    print("\n".join(message.text for message in result["messages"]))


asyncio.run(main(sys.argv[1]))
