"""Which requests may be answered from the cache, and which answers may go into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ...core.settings_llm import ResponseCacheSettings
from ..chat import Caller, CompletionRequest

_STATEFUL: Final = ("store", "previous_response_id", "conversation", "background")
"""The provider remembers something of these: the answer is not all that is wanted."""


def wanted(request: CompletionRequest, settings: ResponseCacheSettings) -> bool:
    """Whether the cache may be used at all for a request."""
    use = request.controls.cache
    if not settings.enabled or use == "off" or is_stateful(request.body):
        return False
    return use != "default" or by_default(request, settings)


def by_default(request: CompletionRequest, settings: ResponseCacheSettings) -> bool:
    """Whether the cache is used although nobody asked for it.

    A direct client who sets the temperature to 0 wants the same answer each time. An old answer that an agent gets in
    the middle of its turn is a fault, and one that an evaluation gets is a lie.
    """
    if is_run(request.caller) and not settings.agents:
        return False
    temperature = request.body.get("temperature")
    return temperature is not None and temperature == 0 and "web_search_options" not in request.body


def is_run(caller: Caller) -> bool:
    """Whether an agent or an evaluation asks."""
    return bool(caller.agent or caller.run_id)


def is_stateful(body: Mapping[str, Any]) -> bool:
    """Whether the request leaves something behind at the provider, or goes on from something."""
    return any(body.get(name) for name in _STATEFUL)
