"""CodeLab: a router and specialised coding agents that work on a repository, under approval.

The public face. Nothing is imported before it is asked for (PEP 562), so `import codelab` costs milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .agents.spec import AgentSpec
    from .graph.build import build_graph
    from .lab import CodeLab
    from .server.app import create_app

__all__ = ["AgentSpec", "CodeLab", "build_graph", "create_app"]

_HOMES = {
    "AgentSpec": ".agents.spec",
    "CodeLab": ".lab",
    "build_graph": ".graph.build",
    "create_app": ".server.app",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    """Show the public names in `dir()`."""
    return __all__
