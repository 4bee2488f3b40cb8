"""A provider's imitation and the clients, in one process on one core: what a model gateway is measured between.

    python -m bench.llm_load '{"port": 8000, "upstream": 8100, …}'

prints one line of JSON. Both ends are bare protocols, so that what is measured is the gateway.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

CHUNKS: Final = 60
_HEAD_END: Final = b"\r\n\r\n"
_LAST: Final = b"0\r\n\r\n"
_FIRST: Final = b'"content":'


def _chunk(data: dict[str, Any]) -> bytes:
    said = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "bench", **data}
    return b"data: " + json.dumps(said, separators=(",", ":")).encode() + b"\n\n"


def _delta(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return _chunk({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


_USAGE: Final = {"prompt_tokens": 120, "completion_tokens": CHUNKS, "total_tokens": 120 + CHUNKS}
_EVENTS: Final = [
    _delta({"role": "assistant", "content": ""}),
    *(_delta({"content": f"word{n} "}) for n in range(CHUNKS)),
    _delta({}, "stop"),
    _chunk({"choices": [], "usage": _USAGE}),
    b"data: [DONE]\n\n",
]
_STREAM_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _framed(events: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)


_STREAM: Final = _STREAM_HEAD + _framed(_EVENTS) + _LAST
_WHOLE_BODY: Final = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "bench",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "word " * CHUNKS}, "finish_reason": "stop"}
        ],
        "usage": _USAGE,
    }
).encode()
_WHOLE: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_WHOLE_BODY) + _WHOLE_BODY
)


class Upstream(asyncio.Protocol):
    """Answers every request at once; a stream is written whole, or its first piece now and the rest in about `pause`.

    The pauses differ, or all clients of a crowd would ask at the same moment for ever.
    """

    pause: float = 0.0
    draw: Final = Random(1).uniform

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport: Any = transport
        self._got = b""

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._got += data
        while (end := self._got.find(_HEAD_END)) >= 0:
            head = self._got[:end].lower()
            at = head.find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._got) < end + 4 + size:
                return
            body, self._got = self._got[end + 4 : end + 4 + size], self._got[end + 4 + size :]
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        if b'"stream":true' not in body and b'"stream": true' not in body:
            self._transport.write(_WHOLE)
        elif not self.pause:
            self._transport.write(_STREAM)
        else:
            self._transport.write(_STREAM_HEAD + _framed(_EVENTS[:2]))
            rest = _framed(_EVENTS[2:]) + _LAST
            pause = self.pause * self.draw(0.5, 1.5)
            asyncio.get_running_loop().call_later(pause, self._transport.write, rest)


@dataclass
class Crowd:
    """Clients that each have one connection and ask again as soon as they were answered."""

    request: bytes
    count: int
    taken: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    events: int = 0
    left: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Client(asyncio.Protocol):
    """One of a crowd."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport: Any = transport
        self.ask()

    def ask(self) -> None:
        """Send the next request, if there is one."""
        if self._crowd.count <= 0:
            self._crowd.left -= 1
            if not self._crowd.left:
                self._crowd.done.set()
            return
        self._crowd.count -= 1
        self._got, self._size, self._seen = bytearray(), -1, False
        self._began = time.perf_counter()
        self._transport.write(self._crowd.request)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._got += data
        if not self._seen and _FIRST in self._got:
            self._seen = True
            self._crowd.first.append(time.perf_counter() - self._began)
        if self._size < 0:
            self._read_head()
        if self._size >= 0 and (len(self._got) >= self._size if self._size else self._got.endswith(_LAST)):
            self._crowd.taken.append(time.perf_counter() - self._began)
            self._crowd.events += self._got.count(b"data: ")
            self.ask()

    def _read_head(self) -> None:
        end = self._got.find(_HEAD_END)
        if end < 0:
            return
        head = bytes(self._got[:end]).lower()
        if b" 200" not in head[:16]:
            raise SystemExit(f"refused: {bytes(self._got[:800])!r}")
        at = head.find(b"content-length:")
        self._size = end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        if not self._crowd.done.is_set() and self._crowd.count > 0:
            raise SystemExit(f"hung up on: {exc!r} {bytes(self._got[:400])!r}")


def request_of(asked: dict[str, Any], size: int = 641) -> bytes:
    """Write a request of `size` bytes of JSON."""
    body = {
        "model": asked.get("model", "bench"),
        "stream": bool(asked.get("stream")),
        **asked.get("body", {}),
        "messages": [{"role": "system", "content": "You answer."}, {"role": "user", "content": ""}],
    }
    body["messages"][1]["content"] = "x" * max(1, size - len(json.dumps(body, separators=(",", ":"))))
    content = json.dumps(body, separators=(",", ":")).encode()
    headers = "".join(f"{name}: {value}\r\n" for name, value in asked.get("headers", {}).items())
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{headers}"
        f"content-length: {len(content)}\r\n\r\n"
    ).encode() + content


async def crowd(port: int, request: bytes, *, count: int, connections: int) -> Crowd:
    """Have `connections` clients ask `count` times in all."""
    loop = asyncio.get_running_loop()
    crowd = Crowd(request, count, left=connections)
    made = [await loop.create_connection(lambda: Client(crowd), "127.0.0.1", port) for _ in range(connections)]
    await asyncio.wait_for(crowd.done.wait(), 600)
    for transport, _ in made:
        transport.close()
    return crowd


def figures(crowd: Crowd, seconds: float) -> dict[str, float]:
    """Sum a crowd up: milliseconds, and rates per second."""
    taken, first = sorted(crowd.taken), sorted(crowd.first)
    return {
        "p50": quantile(taken, 0.5) * 1000,
        "p99": quantile(taken, 0.99) * 1000,
        "first": quantile(first, 0.5) * 1000,
        "rate": len(taken) / seconds,
        "events": crowd.events / seconds,
        "count": len(taken),
    }


def quantile(ordered: list[float], share: float) -> float:
    """The value that a share of others is below; 0 of none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


async def serve(port: int) -> None:
    """Serve the imitation until somebody ends it."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    await server.serve_forever()


async def run(asked: dict[str, Any]) -> dict[str, float]:
    """Serve the imitation while the clients ask."""
    Upstream.pause = asked.get("pause", 0.0)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", asked["upstream"], reuse_address=True)
    request = request_of(asked)
    cpu = asked.get("pid")
    async with server:
        await crowd(asked["port"], request, count=asked.get("warm", 50), connections=asked["connections"])
        before, began = cpu_of(cpu), time.perf_counter()
        seen = await crowd(asked["port"], request, count=asked["count"], connections=asked["connections"])
        seconds = time.perf_counter() - began
        spent = cpu_of(cpu) - before
    return figures(seen, seconds) | {"cpu_us": spent * 1e6 / asked["count"]}


def cpu_of(pid: int | None) -> float:
    """Seconds of processor time that a process has used."""
    if pid is None:
        return 0.0
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123 - no path to speak of
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main(run: Callable[[dict[str, Any]], Any] = run) -> None:
    """Run what the argument says."""
    import uvloop  # noqa: PLC0415 - only this program needs it

    sys.stdout.write(json.dumps(uvloop.run(run(json.loads(sys.argv[1])))) + "\n")


if __name__ == "__main__":
    main()
