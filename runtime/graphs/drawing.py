"""A graph as nodes and edges, and the graphs inside it."""

from __future__ import annotations

from typing import Any

from ...core.errors import InvalidInput
from .registry import Graph

Json = dict[str, Any]


def read_xray(value: str | None) -> bool | int:
    """Read how many levels of sub-graphs a drawing opens: none, all, or a number; `InvalidInput` on anything else."""
    if value is None or value.lower() == "false":
        return False
    if value.lower() == "true":
        return True
    if value.isdecimal() and len(value) < 4 and int(value) > 0:  # noqa: PLR2004 - nobody nests a thousand graphs
        return int(value)
    raise InvalidInput("Invalid xray value")


async def drawn(graph: Graph, *, xray: bool | int) -> Json:
    """Draw a graph as `{nodes, edges}`."""
    picture = (await graph.aget_graph(xray=xray)).to_json()
    for node in picture["nodes"]:
        if isinstance(node.get("data"), dict):
            node["data"].pop("id", None)  # where a node's code lies is nothing to clients
    return picture
