"""A small OpenAI-compatible server that answers from a script, faults included, over a real socket.

    python -m codelab.llm.scripted_server --script FILE [--port 8090]

`GET /_requests` lists what was asked and which reply was given, `DELETE /_requests` forgets it and makes every
`once` reply free again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from ..core.errors import ConfigError
from . import wire
from .answer import Answer
from .scripted import Playbook, Script, UnscriptedRequest

_JSON = "application/json"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ScriptedApp:
    """The ASGI application.

    Attributes:
        script: What it answers from.
        requests: What was asked so far, as `GET /_requests` shows it.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self._playbook = Playbook(script)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        match scope["method"], scope["path"].rstrip("/"):
            case "POST", "/v1/chat/completions":
                await self._complete(await _body(receive), send)
            case "GET", "/v1/models":
                model = {"id": "scripted", "object": "model", "created": 0, "owned_by": "codelab"}
                await _reply(send, {"object": "list", "data": [model]})
            case "GET", "/_requests":
                await _reply(send, {"requests": self.requests})
            case "DELETE", "/_requests":
                self.requests, self._playbook = [], Playbook(self.script)
                await _reply(send, {"requests": []})
            case _:
                await _reply(send, wire.error("there is nothing here", "invalid_request_error"), status=404)

    async def _complete(self, raw: bytes, send: Send) -> None:
        try:
            body = json.loads(raw)
            answer = self._answer(body)
        except (wire.BadRequest, json.JSONDecodeError) as exc:
            await _reply(send, wire.error(str(exc), "invalid_request_error"), status=400)
            return
        except UnscriptedRequest as exc:
            await _reply(send, wire.error(str(exc), "invalid_request_error", code="unscripted"), status=400)
            return
        model = str(body.get("model", "scripted"))
        if answer.fault and answer.fault.refuses:
            status, headers, said = wire.refusal(answer.fault)
            await _reply(send, said, status=status, headers=headers)
        elif body.get("stream"):
            await _stream(send, answer, model, with_usage=bool((body.get("stream_options") or {}).get("include_usage")))
        else:
            await _whole(send, answer, model)

    def _answer(self, body: Mapping[str, Any]) -> Answer:
        request = wire.read_request(body)
        note: dict[str, Any] = {
            "turn": request.turn,
            "step": request.step,
            "model": request.model,
            "last": request.last,
            "tools": [tool.name for tool in request.tools],
            "structured": request.structured.name if request.structured else None,
            "stream": bool(body.get("stream")),
            "reply": None,
            "body": body,
        }
        self.requests.append(note)
        answer = self._playbook.answer(request)
        note["reply"] = self._playbook.received[-1].reply
        return answer


async def _stream(send: Send, answer: Answer, model: str, *, with_usage: bool) -> None:
    """Stream an answer. A fault ends it without its end, which makes uvicorn drop the connection."""
    fault = answer.fault
    if fault and fault.kind == "timeout" and not fault.after:
        await asyncio.sleep(fault.seconds)
        return
    await _start(send, 200, {"content-type": "text/event-stream", "cache-control": "no-store"})
    async for piece in answer.paced():
        await _send(send, wire.piece_event(piece, answer, model), more=True)
    if fault is None:
        await _send(send, wire.end_events(answer, model, with_usage=with_usage))
    elif fault.kind == "malformed_json":
        await _send(send, b'data: {"id": "broken", "choi\n\ndata: [DONE]\n\n')
    elif fault.kind == "timeout":
        await asyncio.sleep(fault.seconds)


async def _whole(send: Send, answer: Answer, model: str) -> None:
    async for _ in answer.paced():
        pass
    data = json.dumps(wire.completion(answer, model), ensure_ascii=False).encode()
    kind = answer.fault.kind if answer.fault else None
    if answer.fault and kind == "timeout":
        await asyncio.sleep(answer.fault.seconds)
        return
    await _start(send, 200, {"content-type": _JSON, **({"content-length": str(len(data))} if kind == "cut" else {})})
    await _send(send, data if kind is None else data[: len(data) // 2], more=kind == "cut")


async def _body(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        parts.append(message["body"])
        more = message["more_body"]
    return b"".join(parts)


async def _reply(
    send: Send, data: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> None:
    await _start(send, status, {"content-type": _JSON, **(headers or {})})
    await _send(send, json.dumps(data, ensure_ascii=False).encode())


async def _start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs, "trailers": False})


async def _send(send: Send, data: bytes, *, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


@dataclass(frozen=True)
class RunningServer:
    """A server that listens; `url` is what a client takes as its base URL."""

    app: ScriptedApp
    port: int

    @property
    def url(self) -> str:
        """The OpenAI base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def requests(self) -> Sequence[Mapping[str, Any]]:
        """What was asked so far."""
        return self.app.requests


class _Embedded(uvicorn.Server):
    """A server inside somebody else's process: signals stay theirs."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _config(app: ScriptedApp, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Config:
    # A dropped connection is a fault we play, so uvicorn must not report it as an error.
    return uvicorn.Config(
        app, host=host, port=port, log_level="critical", lifespan="off", timeout_graceful_shutdown=1, ws="none"
    )


@asynccontextmanager
async def serve(script: Script) -> AsyncIterator[RunningServer]:
    """Serve a script on a free port of 127.0.0.1 while the block runs."""
    # With the protocol said asyncio sends small packets at once; else each answer waits 40 ms for the client's word.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    app = ScriptedApp(script)
    server = _Embedded(_config(app))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield RunningServer(app, listener.getsockname()[1])
    finally:
        server.should_exit = True
        await task
        listener.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Serve a script file until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m codelab.llm.scripted_server", description=__doc__)
    parser.add_argument("--script", required=True, help="YAML or JSON file of replies")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    options = parser.parse_args(argv)
    try:
        app = ScriptedApp(Script.load(options.script))
    except ConfigError as exc:
        sys.stderr.write(f"{exc.message}\n")
        return 2
    uvicorn.Server(_config(app, options.host, options.port)).run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
