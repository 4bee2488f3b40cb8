"""Who a graph runs for, in the shape graphs of this ecosystem expect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig

from ...core.types import Principal
from ...core.user import User

USER_KEY = "langgraph_auth_user"


def user_facts(principal: Principal) -> dict[str, Any]:
    """What is known of a principal, as plain values."""
    return {"identity": principal.user_id, "permissions": sorted(principal.scopes), **principal.facts}


def user_of(principal: Principal, config: RunnableConfig) -> User:
    """Name the user: as the config knows them (whom the server's own auth let in), else the bare principal."""
    known = (config.get("configurable") or {}).get(USER_KEY)
    return User(known if isinstance(known, Mapping) and "identity" in known else user_facts(principal))
