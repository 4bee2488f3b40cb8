"""The LangChain face of a model that needs no network: it binds tools, streams, and counts tokens."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from .answer import Answer, Piece
from .request import ChatRequest, Shape


class OfflineChatModel(BaseChatModel):
    """A chat model whose answers come from `answer(request)`; streamed and whole answers are equal, ids included."""

    model_name: str = "offline"

    @abstractmethod
    def answer(self, request: ChatRequest) -> Answer:
        """Decide what to say; pure or at least quick: it runs on the event loop."""

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools in any form LangChain knows; the model sees their JSON schemas."""
        schemas = [convert_to_openai_tool(tool) for tool in tools]
        if "ls_structured_output_format" in kwargs:  # from with_structured_output, which says only "any"
            tool_choice = schemas[0]["function"]["name"]
        return self.bind(tools=schemas, tool_choice=tool_choice, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        del stop, run_manager
        return self._result(self.answer(self._request(messages, kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        del stop, run_manager
        answer = self.answer(self._request(messages, kwargs))
        async for _ in answer.paced():
            pass
        await _hang(answer)
        return self._result(answer)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        del stop, run_manager
        answer = self.answer(self._request(messages, kwargs))
        async for piece in answer.paced():
            yield ChatGenerationChunk(message=_chunk(piece, answer.id))
        await _hang(answer)
        if answer.fault:
            raise answer.fault.error()
        end = AIMessageChunk(content="", id=answer.id, usage_metadata=answer.usage.metadata(), chunk_position="last")
        yield ChatGenerationChunk(message=end, generation_info=self._info(answer))

    def _request(self, messages: Sequence[BaseMessage], kwargs: Mapping[str, Any]) -> ChatRequest:
        tools = tuple(Shape.of_tool(tool) for tool in kwargs.get("tools") or ())
        return ChatRequest(messages, tools, _demanded(tools, kwargs), model=self.model_name)

    def _result(self, answer: Answer) -> ChatResult:
        if answer.fault:
            raise answer.fault.error()
        chunk = AIMessageChunk(
            content=answer.text,
            tool_call_chunks=[
                tool_call_chunk(name=call.name, args=call.arguments, id=call.id, index=index)
                for index, call in enumerate(answer.calls)
            ],
        )
        message = AIMessage(
            content=answer.text,
            id=answer.id,
            tool_calls=chunk.tool_calls,
            invalid_tool_calls=chunk.invalid_tool_calls,
            usage_metadata=answer.usage.metadata(),
        )
        return ChatResult(generations=[ChatGeneration(message=message, generation_info=self._info(answer))])

    def _info(self, answer: Answer) -> dict[str, Any]:
        return {"finish_reason": answer.finish_reason, "model_name": self.model_name}


def _demanded(tools: Sequence[Shape], kwargs: Mapping[str, Any]) -> Shape | None:
    """Find the tool that the caller forces by name: the shape of a structured answer."""
    choice = kwargs.get("tool_choice")
    name = choice.get("function", {}).get("name") if isinstance(choice, dict) else choice
    return next((tool for tool in tools if tool.name == name), None)


def _chunk(piece: Piece, message_id: str) -> AIMessageChunk:
    if piece.index is None:
        return AIMessageChunk(content=piece.text, id=message_id)
    call = tool_call_chunk(name=piece.name, args=piece.args, id=piece.id, index=piece.index)
    return AIMessageChunk(content="", id=message_id, tool_call_chunks=[call])


async def _hang(answer: Answer) -> None:
    if answer.fault and answer.fault.kind == "timeout":
        await asyncio.sleep(answer.fault.seconds)
