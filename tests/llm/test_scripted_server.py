"""The real ChatOpenAI over a real socket: streams, tools, shapes, faults."""

import json
import socket
import subprocess
import sys
import time
from typing import Literal

import httpx
import pytest
from langchain_core.exceptions import ModelAPIError, ModelConnectionError, ModelRateLimitError, ModelTimeoutError
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from codelab.core.settings_llm import LLMSettings, ModelNames
from codelab.llm.models import build_models
from codelab.llm.scripted import Script
from codelab.llm.scripted_server import serve

ARGS = {"path": "calc.py", "note": "длинный аргумент, чтобы его разрезать"}
CALL = {"name": "read_file", "args": ARGS}


@tool
def read_file(path: str) -> str:
    """Read a file."""
    return path


class RouteChoice(BaseModel):
    """Who takes it."""

    agent: Literal["coder", "debug"]
    confidence: float


def script(*replies, **rest):
    return Script.model_validate({"name": "net", "replies": replies, **rest})


def client(server, role="strong", **settings):
    names = ModelNames(strong="big", fast="small")
    return build_models(LLMSettings(base_url=server.url, models=names, **settings)).chat(role)


async def streamed(model, messages):
    chunks = [chunk async for chunk in model.astream(messages)]
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    return chunks, whole


async def test_streams_text_calls_and_usage_as_whole_answers_have_them():
    async with serve(script({"text": "I read the file first.", "tool_calls": [CALL, CALL]})) as server:
        model = client(server).bind_tools([read_file])
        chunks, whole = await streamed(model, "go")
        answer = await model.ainvoke("go")
    assert whole.content == answer.content == "I read the file first."
    assert whole.tool_calls == answer.tool_calls
    assert [(call["name"], call["args"]) for call in answer.tool_calls] == [("read_file", ARGS)] * 2
    assert whole.usage_metadata["total_tokens"] == answer.usage_metadata["total_tokens"] > 20
    assert sum(bool(chunk.tool_call_chunks) for chunk in chunks) > 4
    assert chunks[-1].chunk_position == "last"


async def test_the_conversation_decides_the_reply_and_is_kept():
    replies = [
        {"when": {"agent": "you are coder", "called": "read_file", "result": "/a - b/"}, "text": "a bug"},
        {"when": {"turn": 0, "tools": ["read_file"]}, "tool_calls": [CALL]},
        {"when": {"model": "small"}, "text": "fast"},
    ]
    async with serve(script(*replies)) as server:
        model = client(server).bind_tools([read_file])
        said = [SystemMessage("You are Coder"), HumanMessage("read")]
        first = await model.ainvoke(said)
        again = await model.ainvoke(said)
        call = first.tool_calls[0]
        assert again.tool_calls == first.tool_calls
        second = await model.ainvoke([*said, first, ToolMessage("return a - b", tool_call_id=call["id"])])
        assert second.text == "a bug"
        assert (await client(server, "fast").ainvoke([AIMessage("x"), HumanMessage("hi")])).text == "fast"
        assert "No reply of script 'net'" in (await client(server).ainvoke("hi")).text
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as web:
            seen = (await web.get("/_requests")).json()["requests"]
            assert [one["reply"] for one in seen] == [1, 1, 0, 2, None]
            assert (seen[2]["turn"], seen[2]["tools"], seen[2]["body"]["model"]) == (1, ["read_file"], "big")
            assert (await web.get("/v1/models")).json()["data"][0]["id"] == "scripted"
            assert (await web.delete("/_requests")).json() == {"requests": []}
            assert server.requests == []
            assert (await web.get("/nowhere")).status_code == 404
            assert (await web.post("/v1/chat/completions", content=b"{")).status_code == 400
            assert (await web.post("/v1/chat/completions", json={"messages": 1})).status_code == 400


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
async def test_structured_output(method):
    reply = {"structured": {"agent": "debug", "confidence": 0.9}}
    async with serve(script(reply, {"text": "plain"})) as server:
        model = client(server)
        choice = await model.with_structured_output(RouteChoice, method=method).ainvoke("route, as JSON")
        assert choice == RouteChoice(agent="debug", confidence=0.9)
        assert (await model.ainvoke("hi")).text == "plain"
        assert server.requests[0]["structured"] == ("json_object" if method == "json_mode" else "RouteChoice")


async def test_an_unscripted_shape_is_refused():
    async with serve(script({"text": "plain"})) as server:
        with pytest.raises(Exception, match="RouteChoice is demanded"):
            await client(server).with_structured_output(RouteChoice).ainvoke("hi")


@pytest.mark.parametrize(
    "fault", [{"kind": "rate_limit", "retry_after": 0.2}, {"kind": "server_error", "status": 502, "retry_after": 0.2}]
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_refusal_is_retried_when_the_server_says(fault, stream):
    async with serve(script({"fault": fault, "once": True}, {"text": "then"})) as server:
        start = time.monotonic()
        model = client(server, max_retries=2)
        answer = (await streamed(model, "hi"))[1] if stream else await model.ainvoke("hi")
        assert answer.text == "then"
        assert time.monotonic() - start >= 0.2
        assert [one["reply"] for one in server.requests] == [0, 1]


async def test_refusals_without_retries_are_raised():
    replies = [{"when": {"last": "a"}, "fault": {"kind": "rate_limit"}}, {"fault": {"kind": "server_error"}}]
    async with serve(script(*replies)) as server:
        model = client(server, max_retries=0)
        with pytest.raises(ModelRateLimitError):
            await model.ainvoke("a")
        with pytest.raises(ModelAPIError):
            await model.ainvoke("x")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "cut", "after": 2}, "connection error"),
        ({"kind": "malformed_json", "after": 2}, "Unterminated string|delimiter|Expecting|JSON"),
        ({"kind": "timeout", "after": 2, "seconds": 1}, "timed? ?out|timeout|chunk"),
        ({"kind": "timeout", "seconds": 1}, "timed out|timeout"),
    ],
)
async def test_faults_in_a_stream(fault, error):
    async with serve(script({"text": "one two three four", "fault": fault})) as server:
        patience = 0.5 if fault["kind"] == "timeout" else 30
        model = client(server, max_retries=0, timeout_s=patience)
        seen = []
        with pytest.raises(Exception, match=f"(?i){error}"):
            await collect(model, seen)
        assert "".join(chunk.text for chunk in seen) == ("one two " if fault.get("after") else "")


async def collect(model, seen):
    async for chunk in model.astream("x"):
        seen += [chunk]


@pytest.mark.parametrize("kind", ["cut", "malformed_json", "timeout"])
async def test_faults_in_a_whole_answer(kind):
    async with serve(script({"text": "one two", "fault": {"kind": kind, "seconds": 1}})) as server:
        with pytest.raises((ModelConnectionError, ModelTimeoutError, json.JSONDecodeError)):
            await client(server, max_retries=0, timeout_s=0.5).ainvoke("x")


async def test_a_delay_paces_the_stream():
    async with serve(script({"text": "one two three four five"}, delay_s=0.05)) as server:
        start = time.monotonic()
        arrived = [time.monotonic() - start async for chunk in client(server).astream("x") if chunk.content]
        assert len(arrived) == 5
        assert arrived[-1] - arrived[0] > 0.15


def test_the_command_serves_a_file(tmp_path):
    file = tmp_path / "s.json"
    file.write_text(json.dumps({"replies": [{"text": "from a file"}]}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "codelab.llm.scripted_server", "--port", str(port), "--script"]
    assert subprocess.run([*command, str(tmp_path / "no.yaml")], capture_output=True, check=False).returncode == 2
    with subprocess.Popen([*command, str(file)]) as process:
        try:
            body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
            with httpx.Client(base_url=f"http://127.0.0.1:{port}") as web:
                said = until_up(lambda: web.post("/v1/chat/completions", json=body)).json()
            assert said["choices"][0]["message"]["content"] == "from a file"
        finally:
            process.terminate()


def until_up(ask):
    deadline = time.monotonic() + 20
    while True:
        try:
            return ask()
        except httpx.ConnectError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
