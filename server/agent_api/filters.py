"""The filters that rules of `@auth.on` return: metadata that a thing must have to be seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.errors import Forbidden, NotFound
from ...core.types import Principal
from ...runtime.agent import AgentRuntime
from ...runtime.threads.shapes import ThreadFilter
from ...store.containment import holds

Json = dict[str, Any]


def wanted(rule: Mapping[str, Any]) -> Json:
    """Turn a filter into the metadata that a thing must contain.

    Raises:
        Forbidden: It uses an operator that is not known here: nothing is shown rather than too much.
    """
    found: Json = {}
    for name, value in rule.items():
        if name.startswith("$"):
            raise _strange(name)
        found[name] = _operand(value) if isinstance(value, Mapping) else value
    return found


def _operand(value: Mapping[str, Any]) -> Any:
    match dict(value):
        case {"$eq": same, **rest} if not rest:
            return same
        case {"$contains": part, **rest} if not rest:
            return list(part) if isinstance(part, list | tuple) else [part]
        case {} as plain if not any(str(name).startswith("$") for name in plain):
            return plain
    raise _strange(", ".join(map(str, value)))


def _strange(operator: str) -> Forbidden:
    return Forbidden(f"A rule of this application filters with {operator}, which this server does not know.")


def marks_of(rule: Mapping[str, Any]) -> Json:
    """Name the metadata that a new thing gets, so that the rule lets its maker see it again."""
    return {name: value for name, value in wanted(rule).items() if not isinstance(value, list | dict)}


def joined(asked: Mapping[str, Any], needed: Mapping[str, Any]) -> Json | None:
    """Join what a search asks for with what a rule needs; None where nothing can be both."""
    both = dict(asked)
    for name, value in needed.items():
        if name not in both or both[name] == value:
            both[name] = value
        elif isinstance(value, list) and isinstance(both[name], list):
            both[name] = [*both[name], *value]
        else:
            return None
    return both


async def check_seen(
    agent: AgentRuntime, principal: Principal, resource: str, thing: str, needed: Mapping[str, Any]
) -> None:
    """Let a thing of the principal's pass that has the metadata; one that does not exist is for the route to tell.

    Raises:
        NotFound: It has them not.
    """
    if resource == "threads":
        await _check_thread(agent, principal, thing, needed)
        return
    if resource == "assistants":
        assistant = await agent.assistants.get(principal, await _assistant_id(agent, principal, thing))
        seen = holds(assistant.metadata, needed)
    else:
        seen = holds((await agent.crons.get(principal, thing)).metadata, needed)
    if not seen:
        raise NotFound(f"{resource.capitalize().removesuffix('s')} with ID {thing} not found")


async def _check_thread(agent: AgentRuntime, principal: Principal, thing: str, needed: Mapping[str, Any]) -> None:
    meant = ThreadFilter.model_validate({"ids": [thing], "metadata": dict(needed)})
    if await agent.threads.count(principal, meant):
        return
    if await agent.threads.count(principal, meant.model_copy(update={"metadata": {}})):
        raise NotFound(f"Thread with ID {thing} not found")


async def _assistant_id(agent: AgentRuntime, principal: Principal, thing: str) -> str:
    return str((await agent.assistants.resolve(principal, thing)).assistant_id)
