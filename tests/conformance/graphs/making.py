"""A factory that reads its configuration."""

from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph


class State(TypedDict, total=False):
    """What the factory was told."""

    colour: str


def made(config: RunnableConfig) -> Any:
    """Build a graph that says which colour it was made with."""
    colour = config.get("configurable", {}).get("colour", "none")

    async def tell(_state: State) -> dict[str, Any]:
        return {"colour": colour}

    builder = StateGraph(State)
    builder.add_node("tell", tell)
    builder.add_edge(START, "tell")
    return builder.compile()
