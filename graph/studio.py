"""The graphs that langgraph.json names, for `langgraph dev` and Studio: the router with all agents, and each alone.

An entry point: it reads settings and builds a host for one workspace. The server that loads it brings the checkpointer.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from ..agents.build import Limits
from ..agents.host import WorkspaceHost
from ..agents.spec import load_agents
from ..core.settings import Settings
from ..llm.models import build_models
from ..tools.workspaces.local import LocalWorkspace
from .build import Graph, build_graph


@cache
def _parts() -> dict[str, Any]:
    settings = Settings()
    models = build_models(settings.llm)
    folder = Path(os.environ.get("CODELAB_STUDIO_WORKSPACE") or next(iter(settings.workspaces.roots), Path.cwd()))
    limits = Limits.of(settings.agents)
    host = WorkspaceHost(LocalWorkspace(folder, id="studio"), models)
    return {"models": models, "host": host, "limits": limits}


@cache
def codelab() -> Graph:
    """The whole: router and specialists."""
    return build_graph(agents=load_agents(), **_parts())


def _alone(name: str) -> Graph:
    agent = load_agents()[name].model_copy(update={"single_mode_only": True})
    return build_graph(agents={name: agent}, mode="single", **_parts())


@cache
def coder() -> Graph:
    """The coder alone."""
    return _alone("coder")


@cache
def architect() -> Graph:
    """The architect alone."""
    return _alone("architect")


@cache
def debug() -> Graph:
    """The debugger alone."""
    return _alone("debug")


@cache
def ask() -> Graph:
    """The explainer alone."""
    return _alone("ask")


@cache
def universal() -> Graph:
    """The single-mode agent."""
    return _alone("universal")
