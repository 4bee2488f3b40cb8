"""Assistants as MCP tools: the wire itself, and the official client on it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import mcp
import pytest
from langchain_core.messages import AIMessage, AnyMessage
from langgraph.func import entrypoint
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import interrupt
from mcp.client.streamable_http import streamablehttp_client
from typing_extensions import TypedDict

from codelab.core import permissions
from codelab.core.types import Principal
from codelab.runtime.mcp import tools as tools_module
from codelab.runtime.mcp.shapes import tool_name
from codelab.server.agent_api.app import create_agent_server
from codelab.server.agent_api.mcp import VERSIONS
from tests.support.agent_server import listening


class Chat(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


class Sum(TypedDict, total=False):
    a: int
    b: int
    total: int


class People:
    """`alice` may do everything, `reader` only read."""

    cookie_name = "codelab_session"

    async def bearer(self, token: str, path: str = "/") -> Principal | None:  # noqa: ARG002
        scopes = {"alice": permissions.ALL, "reader": frozenset({"assistants:read"})}.get(token)
        return Principal(token, scopes=scopes) if scopes else None

    async def cookie(self, _value: str) -> Principal | None:
        return None

    async def lives(self, token: str) -> bool:
        return bool(token)

    async def bounded(self, principal: Principal) -> Principal:
        return principal

    def nobody(self) -> Principal | None:
        return None


def compiled(state: Any, step: Any) -> Any:
    graph = StateGraph(state)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    return graph.compile()


def add(state: Sum) -> Sum:
    if state["a"] < 0:
        raise ValueError("too small")
    return {"total": state["a"] + state["b"]}


def reply(state: Chat) -> Any:
    return {"messages": [AIMessage(f"you said {state['messages'][-1].text}")]}


def ask(_state: Sum) -> Sum:
    return {"total": interrupt("how many?")}


@entrypoint()
async def double(number: int) -> int:
    return number * 2


GRAPHS = {
    "sum": compiled(Sum, add),
    "chat": compiled(Chat, reply),
    "ask": compiled(Sum, ask),
    "double it!": double,
    "made": lambda: compiled(Sum, add),
}
JSON = {"accept": "application/json, text/event-stream"}


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with listening(create_agent_server(GRAPHS, database_url, People())) as client:
        client.headers.update({"authorization": "Bearer alice", **JSON})
        yield client


async def rpc(client: httpx.AsyncClient, method: str, **params: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    answer = await client.post("/mcp", json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["jsonrpc"], told["id"]) == ("2.0", 7)
    return told["result"] if "result" in told else told["error"]


async def called(client: httpx.AsyncClient, tool: str, **arguments: Any) -> Any:
    return await rpc(client, "tools/call", name=tool, arguments=arguments)


@pytest.mark.parametrize(
    ("asked", "agreed"), [*[(v, v) for v in VERSIONS], ("1999-01-01", VERSIONS[0]), (None, VERSIONS[0])]
)
async def test_the_version_is_agreed_on(client, asked, agreed):
    told = await rpc(
        client, "initialize", protocolVersion=asked, capabilities={}, clientInfo={"name": "x", "version": "1"}
    )
    assert told["protocolVersion"] == agreed
    assert told["capabilities"] == {"tools": {"listChanged": False}}
    assert told["serverInfo"]["name"] == "CodeLab"
    assert await rpc(client, "ping") == {}


async def test_each_assistant_is_a_tool(client):
    tools = {each["name"]: each for each in (await rpc(client, "tools/list"))["tools"]}
    assert set(tools) == {"sum", "chat", "ask", "double_it", "made"}
    assert tools["sum"]["inputSchema"]["properties"].keys() == {"a", "b", "total"}
    assert tools["made"]["inputSchema"] == tools["sum"]["inputSchema"]
    assert tools["chat"]["inputSchema"]["properties"]["messages"]["type"] == "string"
    assert "$defs" not in tools["chat"]["inputSchema"]
    assert tools["double_it"]["inputSchema"]["properties"]["input"]["type"] == "integer"
    assert all(each["inputSchema"]["type"] == "object" and each["description"] for each in tools.values())


async def test_a_call_is_a_run_to_its_rest(client):
    told = await called(client, "sum", a=1, b=2)
    assert told["structuredContent"] == {"a": 1, "b": 2, "total": 3}
    assert json.loads(told["content"][0]["text"]) == told["structuredContent"]
    assert not told.get("isError")


async def test_a_chat_takes_a_text_or_messages(client):
    for said in ("hi", [{"role": "user", "content": "hi"}]):
        told = await called(client, "chat", messages=said)
        assert told["structuredContent"]["messages"][-1]["content"] == "you said hi"


async def test_input_that_is_no_object(client):
    told = await called(client, "double_it", input=21)
    assert told["content"] == [{"type": "text", "text": "42"}]


async def test_a_failure_is_told_to_the_model(client):
    told = await called(client, "sum", a=-1, b=2)
    assert told == {"content": [{"type": "text", "text": "ValueError: too small"}], "isError": True}


async def test_a_question_is_part_of_the_answer(client):
    told = await called(client, "ask", a=1)
    assert told["structuredContent"]["__interrupt__"][0]["value"] == "how many?"


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("nonsense", {}, -32601),
        ("resources/list", {}, -32601),
        ("tools/call", {"name": "nonsense"}, -32602),
        ("tools/call", {}, -32602),
        ("tools/call", {"name": "sum", "arguments": [1]}, -32602),
        ("tools/list", {"cursor": "x"}, -32602),
        ("tools/list", {"cursor": "9" * 40}, -32602),
    ],
)
async def test_errors_are_json_rpc(client, method, params, code):
    told = await rpc(client, method, **params)
    assert told["code"] == code
    assert told["message"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("garbage", 400, -32700),
        ("[" * 100_000, 400, -32700),
        ("[]", 400, -32600),
        ('{"id": 1, "method": "ping"}', 400, -32600),
        ('{"jsonrpc": "1.0", "id": 1, "method": "ping"}', 400, -32600),
    ],
)
async def test_what_is_no_message(client, body, status, code):
    answer = await client.post("/mcp", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    "message", [{"method": "notifications/initialized"}, {"id": 1, "result": {}}, {"method": "notifications/cancelled"}]
)
async def test_what_needs_no_answer(client, message):
    answer = await client.post("/mcp", json={"jsonrpc": "2.0", **message})
    assert (answer.status_code, answer.content) == (202, b"")


async def test_the_transport(client):
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    moved = await client.post("/mcp/", json=ping)
    assert (moved.status_code, moved.headers["location"].endswith("/mcp")) == (307, True)
    for method in ("GET", "DELETE"):
        assert (await client.request(method, "/mcp")).status_code == 405
    assert (await client.post("/mcp", json=ping, headers={"accept": "text/html"})).status_code == 406
    assert (await client.post("/mcp", json=ping, headers={"mcp-protocol-version": "1900"})).status_code == 400
    assert (await client.post("/mcp", json=ping, headers={"authorization": ""})).status_code == 401


async def test_who_may_only_read_calls_nothing(client):
    client.headers["authorization"] = "Bearer reader"
    assert (await rpc(client, "tools/list"))["tools"]
    assert "runs:write" in (await called(client, "sum", a=1, b=2))["message"]


def test_names_that_every_client_accepts():
    assert tool_name("My agent (v2)") == "My_agent_v2"
    assert tool_name("агент") == "assistant"
    assert len(tool_name("x" * 500)) == 64


async def test_the_official_client(client):
    headers = {"Authorization": "Bearer alice"}
    async with (
        streamablehttp_client(f"{client.base_url}/mcp", headers=headers) as (
            reading,
            writing,
            _,
        ),
        mcp.ClientSession(reading, writing) as session,
    ):
        assert (await session.initialize()).protocolVersion == VERSIONS[0]
        assert "sum" in {tool.name for tool in (await session.list_tools()).tools}
        told = await session.call_tool("sum", {"a": 2, "b": 3})
        assert told.structuredContent == {"a": 2, "b": 3, "total": 5}
        assert (await session.call_tool("sum", {"a": -2, "b": 3})).isError
        with pytest.raises(mcp.McpError, match="Unknown tool"):
            await session.call_tool("nonsense", {})
        await session.send_ping()


async def test_assistants_of_one_name_are_told_apart(client):
    for each in ("one", "other"):
        await client.post("/assistants", json={"graph_id": "sum", "name": "sum", "description": each})
    tools = {each["description"]: each["name"] for each in (await rpc(client, "tools/list"))["tools"]}
    names = [tools[each] for each in ("one", "other")]
    assert len({*names, "sum"}) == 3
    for name in names:
        assert (await called(client, name, a=1, b=1))["structuredContent"]["total"] == 2


async def test_the_list_has_pages(client, monkeypatch):
    monkeypatch.setattr(tools_module, "PAGE", 2)
    seen, cursor = [], None
    while True:
        told = await rpc(client, "tools/list", **({"cursor": cursor} if cursor else {}))
        seen += [each["name"] for each in told["tools"]]
        if (cursor := told.get("nextCursor")) is None:
            break
    assert len(seen) == len(set(seen)) == len(GRAPHS)
