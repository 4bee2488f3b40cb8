"""Keeps a long conversation within the model's window: a summary stands for old messages in the model's view only.

Nothing is deleted. Rules, plan and todos live in the system prompt, and approvals in their rows, so that no summary
can lose them. One attempt a turn; one that does not shrink the view is thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage
from langchain_core.messages.utils import count_tokens_approximately, get_buffer_string

from ..agents.briefing import windowed
from ..agents.state import Summary

log = structlog.get_logger(__name__)

KEEP = 12
_PROMPT = (
    "Summarise this conversation between a person and coding agents for the agents themselves. Keep: the person's "
    "goals and decisions in their own words, files read and changed, commands run and their outcome, open questions. "
    "Leave out greetings and tool noise. At most 400 words."
)


def _cut(messages: Sequence[AnyMessage]) -> int:
    """Where the kept tail starts: at a person's message, so that no call is parted from its result."""
    for index in range(max(len(messages) - KEEP, 0), len(messages)):
        if isinstance(messages[index], HumanMessage):
            return index
    return 0


async def condense(
    messages: Sequence[AnyMessage], old: Summary | None, *, model: BaseChatModel, max_tokens: int
) -> Summary | None:
    """Return a new summary when the view exceeds `max_tokens` (approximate); None when there is nothing to do."""
    view = windowed(messages, old)
    if count_tokens_approximately(view) <= max_tokens:
        return None
    head = view[: _cut(view)]
    if not head or head[-1].id is None:
        return None
    told = get_buffer_string(head)[-max_tokens * 4 :]
    reply = await model.ainvoke([SystemMessage(_PROMPT), HumanMessage(told)], {"tags": ["condense", "nostream"]})
    summary = Summary(text=reply.text, upto=head[-1].id)
    if count_tokens_approximately(windowed(messages, summary)) >= count_tokens_approximately(view):
        log.warning("condense_did_not_shrink", messages=len(head))
        return None
    return summary
