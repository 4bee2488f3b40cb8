"""What all hosts serve: one node, a model that says many tokens, and a node that writes many events."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.config import get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph


class State(TypedDict, total=False):
    """`count` events after `wait` seconds; each tells when it was made, by the machine's monotonic clock."""

    count: int
    wait: float


class Talker(BaseChatModel):
    """Says as many words as it was asked for; between two it yields to the loop, as one that reads a socket does."""

    @property
    def _llm_type(self) -> str:
        return "talker"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("word " * int(str(messages[-1].content))))])

    async def _astream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        for _word in range(int(str(messages[-1].content))):
            await asyncio.sleep(0)
            yield ChatGenerationChunk(message=AIMessageChunk(content="word "))


_TALKER = Talker()


async def _one(state: State) -> dict[str, Any]:
    return {"count": state.get("count", 0) + 1}


async def _talk(state: MessagesState) -> dict[str, Any]:
    return {"messages": [await _TALKER.ainvoke(state["messages"])]}


async def _frames(state: State) -> dict[str, Any]:
    await asyncio.sleep(state.get("wait", 0))
    write = get_stream_writer()
    for number in range(state.get("count", 0)):
        write({"at": time.monotonic(), "number": number})
        if number % 20 == 0:
            await asyncio.sleep(0)
    return {"wait": 0}


def _graph(schema: Any, node: Any) -> Any:
    builder = StateGraph(schema)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder.compile()


one = _graph(State, _one)
talk = _graph(MessagesState, _talk)
frames = _graph(State, _frames)
