"""The demo model: a deterministic rule engine that needs no key. It is honest about being one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field

from .answer import Answer, Call, identified, shaped
from .demo_fit import fit, hand_over
from .demo_intents import Intent, read_intents
from .demo_plan import make_plan
from .demo_router import fill
from .demo_words import Words, brief
from .offline import OfflineChatModel
from .request import ChatRequest

MAX_STEPS = 20
_SUMMARY_CHARS = 1500


class DemoChatModel(OfflineChatModel):
    """Follows simple orders in English and Russian with the tools it is given, one call at a time.

    Attributes:
        tokens_per_s: Speed of the stream; 0 streams without pause.
        seed: Mixed into message and call ids.
    """

    model_name: str = "codelab-demo"
    tokens_per_s: float = Field(500, ge=0)
    seed: int = 0

    def answer(self, request: ChatRequest) -> Answer:
        """Decide the next step from what was asked and what was already done."""
        pace = 1 / self.tokens_per_s if self.tokens_per_s else 0
        return replace(identified(_decide(request), request, seed=("demo", self.seed)), delay_s=pace)

    @property
    def _llm_type(self) -> str:
        return "codelab-demo"


def _decide(request: ChatRequest) -> Answer:
    if request.structured is not None:
        return shaped(fill(request.structured, request), request)
    if not request.tools and len(request.human) > _SUMMARY_CHARS // 3:
        return Answer(_condensed(request.human))
    intents = read_intents(request.human)
    words = Words.for_text(request.human, introduced=request.step > 0)
    return _proceed(intents, request, words) if intents else Answer(words.say("help"))


def _proceed(intents: Sequence[Intent], request: ChatRequest, words: Words) -> Answer:
    """Take the next step; after a failure, or with nothing left, tell what the results say."""
    plan = make_plan(intents, request.done)
    refused = next((done for done in request.done if done.name == "switch_agent" and done.failed), None)
    if failed := plan.failed or refused:
        return Answer(words.failure(failed))
    if plan.next is None:
        return Answer(words.summary(plan.parts))
    if request.step >= MAX_STEPS:
        return Answer(words.say("stuck"))
    return _act(plan.next, request, words)


def _act(call: Call, request: ChatRequest, words: Words) -> Answer:
    """Make the call with the tool that is bound, or hand over to who holds it, or say that it cannot be."""
    tool = request.tool(call.name)
    if tool is not None and call.name != "switch_agent":
        fitted = fit(call, tool, request)
        return Answer(words.say("doing", call=brief(fitted)), (fitted,))
    handed = hand_over(call, request)
    if handed is None:
        return Answer(words.say("no_tool", tool=call.name))
    agent = handed.args["agent"] if not isinstance(handed.args, str) else ""
    return Answer(words.say("hand", tool=call.name, agent=agent), (handed,))


def _condensed(text: str) -> str:
    """Shorten a conversation for a summary: the demo model cannot judge, it keeps both ends."""
    if len(text) <= _SUMMARY_CHARS:
        return text
    half = _SUMMARY_CHARS // 2
    return f"Demo model: shortened, not summarised.\n{text[:half]}\n…\n{text[-half:]}"
