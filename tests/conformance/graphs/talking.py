"""A conversation with a model that always says the same, token by token."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.graph import START, MessagesState, StateGraph

WORDS = ("One", " two", " three.")


class Parrot(BaseChatModel):
    """Says three words."""

    @property
    def _llm_type(self) -> str:
        return "parrot"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        message = AIMessage(content="".join(WORDS), id=f"said-{len(messages)}")
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for word in WORDS:
            yield ChatGenerationChunk(message=AIMessageChunk(content=word, id=f"said-{len(messages)}"))

    async def _astream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._stream(messages):
            yield chunk


_MODEL = Parrot()


async def _talk(state: MessagesState) -> dict[str, Any]:
    return {"messages": [await _MODEL.ainvoke(state["messages"])]}


_builder = StateGraph(MessagesState)
_builder.add_node("talk", _talk)
_builder.add_edge(START, "talk")
chat = _builder.compile()
