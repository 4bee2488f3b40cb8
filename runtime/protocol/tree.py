"""The tree of a run: its graph and the subgraphs that it entered, each with where it stands. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...store.records import LoggedEvent
from .encoding import encode

Node = dict[str, Any]


def tree_of(records: Iterable[LoggedEvent]) -> Node | None:
    """Fold a run's records; None when it has told nothing yet."""
    nodes: dict[tuple[str, ...], Node] = {}
    for record in records:
        for event in encode(record):
            if event["method"] == "lifecycle":
                _note(nodes, tuple(event["params"]["namespace"]), event["params"]["data"])
    root = nodes.get(())
    for namespace, node in nodes.items():
        if namespace and root is not None:
            _parent(nodes, namespace).setdefault("children", []).append(node)
    return root


def _note(nodes: dict[tuple[str, ...], Node], namespace: tuple[str, ...], data: Node) -> None:
    node = nodes.setdefault(namespace, {"namespace": list(namespace), "graph_name": ""})
    node["status"] = data["event"]
    node["graph_name"] = data.get("graph_name") or node["graph_name"]


def _parent(nodes: dict[tuple[str, ...], Node], namespace: tuple[str, ...]) -> Node:
    """The nearest graph above that told of itself."""
    above = namespace[:-1]
    while above not in nodes:
        above = above[:-1]
    return nodes[above]
