"""A small graph with the product's state keys and interrupt shape, and a model whose replies are a function."""

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Annotated, Any, NotRequired

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain.tools import ToolRuntime
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from codelab.agents.at_tool import announced

KINDS = ["approve", "edit", "reject", "respond"]


class ToyModel(BaseChatModel):
    """Streams what `script(messages)` returns, a word or twelve characters of arguments at a time."""

    script: Any
    delay: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "toy"

    def bind_tools(self, _tools: Any, **_kwargs: Any) -> "ToyModel":
        return self

    def _generate(self, messages: list, **_: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.script(messages))])

    async def _astream(self, messages: list, run_manager: Any = None, **_: Any):
        for piece in _pieces(self.script(messages)):
            await asyncio.sleep(self.delay)
            chunk = ChatGenerationChunk(message=piece)
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


def _pieces(message: AIMessage) -> list[AIMessageChunk]:
    pieces = [AIMessageChunk(content=word) for word in message.text.replace(" ", " |").split("|") if word]
    for index, call in enumerate(message.tool_calls):
        args = json.dumps(call["args"])
        for at in range(0, len(args), 12):
            head = {"name": call["name"], "id": call["id"]} if at == 0 else {"name": None, "id": None}
            part = {**head, "args": args[at : at + 12], "index": index, "type": "tool_call_chunk"}
            pieces.append(AIMessageChunk(content="", tool_call_chunks=[part]))
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    return [*pieces, AIMessageChunk(content="", chunk_position="last", usage_metadata=usage)]


def call(name: str, **args: Any) -> dict:
    return {"name": name, "args": args, "id": f"call-{uuid.uuid4().hex[:8]}", "type": "tool_call"}


def script(messages: list) -> AIMessage:
    """`touch`/`two` ask for approval, `look` does not, anything else is answered."""
    last = messages[-1]
    if not isinstance(last, HumanMessage):
        return AIMessage("all done now")
    if "two" in last.text:
        return AIMessage("Doing two", tool_calls=[call("touch", path="a.txt"), call("touch", path="b.txt")])
    if "touch" in last.text:
        return AIMessage("I will touch it", tool_calls=[call("touch", path="a.txt")])
    if "look" in last.text:
        return AIMessage("Looking", tool_calls=[call("look", path="a.txt")])
    return AIMessage("hello there friend")


class Gate(AgentMiddleware):
    """Asks for every `touch`, as the real gate does."""

    async def aafter_model(self, state: Any, runtime: Any) -> dict | None:  # noqa: ARG002
        asks = [c for c in state["messages"][-1].tool_calls if c["name"] == "touch"]
        if not asks:
            return None
        reply = interrupt(
            {
                "action_requests": [
                    {
                        "name": c["name"],
                        "args": c["args"],
                        "description": "touch a file",
                        "tool_call_id": c["id"],
                        "agent": "coder",
                        "risk": "low",
                        "reason": "edits ask",
                        "expires_at": None,
                        "preview": {"kind": "text", "text": "x"},
                    }
                    for c in asks
                ],
                "review_configs": [{"action_name": c["name"], "allowed_decisions": KINDS} for c in asks],
            }
        )
        messages = []
        for c, decision in zip(asks, reply["decisions"], strict=True):
            if decision["type"] in ("reject", "respond"):
                status = "error" if decision["type"] == "reject" else "success"
                text = decision.get("message") or "rejected"
                messages.append(ToolMessage(text, tool_call_id=c["id"], name=c["name"], status=status))
        return {"messages": messages} if messages else None

    async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
        return await announced(request, handler)


class State(TypedDict):
    messages: Annotated[list, add_messages]
    agent: NotRequired[str]
    hops: NotRequired[int]


class Toy:
    """The graph with its levers: what ran, and what to do inside a tool."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, str]] = []
        self.script: Callable[[list], AIMessage] = script
        self.inside: Callable[[str], Any] | None = None
        self.model = ToyModel(script=lambda messages: self.script(messages))  # noqa: PLW0108 - a test changes it later

    async def _act(self, name: str, path: str) -> str:
        if self.inside is not None:
            await self.inside(name)
        self.ran.append((name, path))
        return f"{name} {path} done"

    def build(self) -> Any:
        @tool
        async def touch(path: str, runtime: ToolRuntime[Any, Any]) -> str:
            """Touch."""
            runtime.stream_writer({"type": "ui.notification", "title": "touching"})
            return await self._act("touch", path)

        @tool
        async def look(path: str, runtime: ToolRuntime[Any, Any]) -> str:  # noqa: ARG001
            """Look."""
            return await self._act("look", path)

        async def route(state: State) -> Command:
            facts = {"reason": "only one", "confidence": 1.0, "method": "rules"}
            get_stream_writer()({"type": "agent.switched", "source": state.get("agent"), "target": "coder", **facts})
            return Command(goto="coder", update={"agent": "coder", "hops": 0})

        builder = StateGraph(State)
        builder.add_node("route", route, destinations=("coder",))
        builder.add_node("coder", create_agent(self.model, [touch, look], middleware=[Gate()]))
        builder.add_edge(START, "route")
        builder.add_edge("coder", END)
        return builder.compile()
