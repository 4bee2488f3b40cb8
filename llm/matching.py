"""When a scripted reply is given: conditions on the request, all of which must hold."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from .request import ChatRequest


class When(BaseModel):
    """Conditions; an absent one always holds. Texts are found anywhere, in any case; `/…/` is a regular expression."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    last: str | None = Field(None, description="In the last message, whoever said it")
    human: str | None = Field(None, description="In the person's last message")
    result: str | None = Field(None, description="In one of the tool results the conversation ends with")
    called: str | None = Field(None, description="The tool whose result came last")
    agent: str | None = Field(None, description="In the system prompt")
    model: str | None = Field(None, description="The model's name")
    turn: int | None = Field(None, description="Answers of a model in the conversation")
    step: int | None = Field(None, description="Answers of a model since the person's last message")
    tools: tuple[str, ...] = Field((), description="Bound tools")
    without: tuple[str, ...] = Field((), description="Tools that are not bound")
    structured: bool | str | None = Field(None, description="Whether a shape is demanded, or which")

    def holds(self, request: ChatRequest) -> bool:
        """Say whether every condition holds."""
        return self._texts(request) and self._numbers(request) and self._tools(request) and self._shape(request)

    def _texts(self, request: ChatRequest) -> bool:
        return (
            _found(self.last, [request.last])
            and _found(self.human, [request.human])
            and _found(self.agent, [request.system])
            and _found(self.result, request.results)
            and self.model in {None, request.model}
        )

    def _numbers(self, request: ChatRequest) -> bool:
        return self.turn in {None, request.turn} and self.step in {None, request.step}

    def _tools(self, request: ChatRequest) -> bool:
        names = {tool.name for tool in request.tools}
        last = request.done[-1].name if request.done and request.results else ""
        return names.issuperset(self.tools) and names.isdisjoint(self.without) and self.called in {None, last}

    def _shape(self, request: ChatRequest) -> bool:
        if self.structured is None:
            return True
        name = request.structured.name if request.structured else None
        return self.structured == name if isinstance(self.structured, str) else self.structured == (name is not None)


def _found(pattern: str | None, texts: Sequence[str]) -> bool:
    if pattern is None:
        return True
    expression = pattern[1:-1] if re.fullmatch(r"/.+/", pattern, re.DOTALL) else re.escape(pattern)
    search = re.compile(expression, re.IGNORECASE | re.DOTALL).search
    return any(search(text) for text in texts)
