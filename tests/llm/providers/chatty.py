"""A LangChain chat model that says what it is given, in pieces, as integrations of providers do."""

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field


class Chatty(BaseChatModel):
    """Says `said` and makes `calls`; raises `error` first, if there is one.

    Attributes:
        heard: The settings it was called with.
    """

    said: str = ""
    thought: str = ""
    calls: tuple[dict[str, Any], ...] = ()
    usage: dict[str, Any] | None = None
    error: Any = None
    heard: list[dict[str, Any]] = Field(default_factory=list)

    def bind_tools(self, tools, **kwargs):
        return self.bind(tools=tools, **kwargs)

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        del run_manager
        self.heard.append({**kwargs, "stop": stop, "messages": messages})
        if self.error:
            raise self.error
        message = AIMessage(
            content=self.said,
            tool_calls=list(self.calls),
            usage_metadata=self.usage,
            additional_kwargs={"reasoning_content": self.thought} if self.thought else {},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        del run_manager
        whole = self._generate(messages, stop, **kwargs).generations[0].message
        if self.thought:
            yield ChatGenerationChunk(message=AIMessageChunk("", additional_kwargs=whole.additional_kwargs))
        for word in self.said.split(" "):
            yield ChatGenerationChunk(message=AIMessageChunk(word + " "))
        for at, call in enumerate(whole.tool_calls):
            args = str(call["args"]).replace("'", '"')
            for head, piece in ((call, args[:3]), ({"id": None, "name": None}, args[3:])):
                chunk = {"index": at, "id": head["id"], "name": head["name"], "args": piece, "type": "tool_call_chunk"}
                yield ChatGenerationChunk(message=AIMessageChunk("", tool_call_chunks=[chunk]))
        if self.usage:
            yield ChatGenerationChunk(message=AIMessageChunk("", usage_metadata=self.usage))

    @property
    def _llm_type(self) -> str:
        return "chatty"
