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
from codelab.core.events import EventBus
from codelab.core.permissions import ALL
from codelab.core.settings import Settings
from codelab.core.types import Principal, new_id
from codelab.llm.models import build_models
from codelab.tools.context import RunContext
from codelab.tools.memory import MemoryArtifacts, MemoryJournal
from codelab.tools.workspaces.local import LocalWorkspace


async def main(folder: str) -> None:
    """Ask once, approve what is asked, print what was said."""
    models = build_models(Settings().llm)
    handles = {"models": models, "journal": MemoryJournal(), "artifacts": MemoryArtifacts(), "bus": EventBus()}
    handles |= {"principal": Principal("me", scopes=ALL), "workspace_handle": LocalWorkspace(Path(folder), id="here")}
    context = RunContext(thread_id="1", turn_id=new_id(), run_id=new_id(), **handles)
    outer = StateGraph(MessagesState, context_schema=RunContext).add_edge(START, "codelab")
    codelab = build_graph(agents=load_agents(), models=models, host=ContextHost())
    outer.add_sequence([("codelab", codelab), ("sign", lambda _: {"messages": [("ai", "Seen by our node.")]})])
    graph, config = outer.compile(InMemorySaver()), {"configurable": {"thread_id": "1"}}
    result = await graph.ainvoke({"messages": [("user", "create NOTES.md with first")]}, config, context=context)
    while asked := result.get("__interrupt__"):
        yes = {i.id: {"decisions": [{"type": "approve"}] * len(i.value["action_requests"])} for i in asked}
        result = await graph.ainvoke(Command(resume=yes), config, context=context)
    print("\n".join(message.text for message in result["messages"]))


asyncio.run(main(sys.argv[1]))
