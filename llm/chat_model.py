"""The gateway as a LangChain chat model: what the agents talk to, without a network hop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelConnectionError,
    ModelError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelRateLimitError,
    ModelTimeoutError,
)
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field, PrivateAttr

from ..core.errors import CodeLabError
from . import errors
from .chat import AGENT, CompletionRequest, Controls, Outcome, current_caller
from .gateway import Answering, Gateway
from .messages import to_chunk, to_dialect

_ERRORS: Final[tuple[tuple[type[CodeLabError], type[ModelError]], ...]] = (
    (errors.Overloaded, ModelRateLimitError),
    (errors.BudgetExceeded, ModelRateLimitError),
    (errors.TimedOut, ModelTimeoutError),
    (errors.ConnectFailed, ModelConnectionError),
    (errors.Interrupted, ModelConnectionError),
    (errors.NoModel, ModelNotFoundError),
    (errors.Rejected, ModelInvalidRequestError),
    (CodeLabError, ModelAPIError),
)
_LONG: Final = frozenset({"context_length_exceeded", "string_above_max_length"})


class CodeLabChatModel(BaseChatModel):
    """A model of the gateway's catalogue, by id, alias or role.

    Attributes:
        model_name: What to ask for.
        settings: Members of OpenAI's request that every call gets (`temperature`, `max_tokens`, …).
        controls: How the gateway treats its calls; an agent's answers are never taken from the cache by default.
    """

    model_name: str
    settings: dict[str, Any] = Field(default_factory=dict)
    controls: Controls = AGENT
    _gateway: Gateway = PrivateAttr()

    def __init__(self, *, gateway: Gateway, **values: Any) -> None:
        super().__init__(**values)
        self._gateway = gateway

    @property
    def _llm_type(self) -> str:
        return "codelab"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name, **self.settings}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools in any form LangChain knows."""
        strict = kwargs.pop("strict", None)
        schemas = [convert_to_openai_tool(tool, strict=strict) for tool in tools]
        names = {schema["function"]["name"] for schema in schemas}
        if kwargs.pop("ls_structured_output_format", None) and len(names) == 1:  # it says only "any"
            tool_choice = next(iter(names))
        if tool_choice is not None:
            kwargs["tool_choice"] = _choice(tool_choice, names)
        return self.bind(tools=schemas, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("The model gateway is asynchronous: use ainvoke or astream.")

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        del run_manager
        answering = self._gateway.answer(self._request(messages, stop, kwargs, stream=False))
        events = [event for batch in await _all(answering) for event in batch.events]
        whole = AIMessageChunk(content="", id=_id(answering.outcome))
        chunks = [chunk for event in events if (chunk := to_chunk(event, whole.id or "")) is not None]
        said = whole.__add__(chunks) if chunks else whole
        message = AIMessage(
            content=said.content,
            id=whole.id,
            additional_kwargs=said.additional_kwargs,
            tool_calls=said.tool_calls,
            invalid_tool_calls=said.invalid_tool_calls,
            usage_metadata=answering.outcome.usage.metadata(),
            response_metadata=_told(answering.outcome),
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        del run_manager
        answering = self._gateway.answer(self._request(messages, stop, kwargs, stream=True))
        message_id = _id(answering.outcome)
        try:
            async for batch in answering:
                for event in batch.events:
                    if (chunk := to_chunk(event, message_id)) is not None and chunk.usage_metadata is None:
                        yield ChatGenerationChunk(message=chunk)
        except CodeLabError as exc:
            raise _as_langchain(exc) from exc
        finally:
            await answering.close()
        outcome = answering.outcome
        end = AIMessageChunk(
            content="",
            id=message_id,
            usage_metadata=outcome.usage.metadata(),
            response_metadata=_told(outcome),
            chunk_position="last",
        )
        yield ChatGenerationChunk(message=end)

    def _request(
        self, messages: Sequence[BaseMessage], stop: Sequence[str] | None, kwargs: dict[str, Any], *, stream: bool
    ) -> CompletionRequest:
        body = {"model": self.model_name, "messages": to_dialect(messages), **self.settings, **kwargs}
        if stop:
            body["stop"] = list(stop)
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return CompletionRequest(body=body, caller=current_caller(), controls=self.controls)


async def _all(answering: Answering) -> list[Any]:
    try:
        return [batch async for batch in answering]
    except CodeLabError as exc:
        raise _as_langchain(exc) from exc
    finally:
        await answering.close()


def _id(outcome: Outcome) -> str:
    """An answer's id: the request's, so that a redelivered run that asks again gets another."""
    return f"msg_{outcome.request_id}"


def _told(outcome: Outcome) -> dict[str, Any]:
    """Tell beside an answer what it took."""
    return {
        "model_provider": outcome.provider,
        "model_name": outcome.model,
        "finish_reason": outcome.finish,
        "cost": outcome.cost,
        "cache": outcome.cache,
        "attempts": outcome.attempts,
        **({"degraded": outcome.degraded} if outcome.degraded else {}),
    }


def _choice(choice: str | dict[str, Any] | bool, names: set[str]) -> Any:  # noqa: FBT001 - LangChain's own contract
    """Write LangChain's ways to force a tool as OpenAI has them."""
    if choice is True or choice == "any":
        return "required"
    if isinstance(choice, str) and choice in names:
        return {"type": "function", "function": {"name": choice}}
    return choice


def _as_langchain(error: CodeLabError) -> ModelError:
    if error.code in _LONG:
        return ContextOverflowError(error.message)
    return next(theirs for ours, theirs in _ERRORS if isinstance(error, ours))(error.message)
