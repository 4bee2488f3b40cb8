"""What is measured over HTTP, the same calls for every host."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any, Final
from uuid import uuid4

from bench.api_wire import ApiWire

_MADE: Final = re.compile(rb'"at": ?([0-9.]+)')
Address = int
"""A port."""


async def rate(port: Address, count: int, at_once: int) -> float:
    """Runs of the one-node graph per second: create a thread, run, wait, all in one call."""
    left = iter(range(count))
    body = {"assistant_id": "one", "input": {"count": 1}, "if_not_exists": "create"}

    async def crew() -> None:
        wire = await ApiWire(port).open()
        for _ in left:
            answer = await wire.call("POST", f"/threads/{uuid4()}/runs/wait", body)
            assert answer["count"] == 2, answer
        wire.close()

    began = time.perf_counter()
    await asyncio.gather(*(crew() for _ in range(at_once)))
    return count / (time.perf_counter() - began)


async def first_message(port: Address, count: int, pause_s: float = 0.05) -> list[float]:
    """Milliseconds from the request to the first `messages` event, of each run."""
    body = {"assistant_id": "talk", "input": {"messages": [_asks(3)]}, "stream_mode": "messages-tuple"}
    taken = []
    wire = await ApiWire(port).open()
    for _ in range(count):
        thread = (await wire.call("POST", "/threads", {}))["thread_id"]
        await asyncio.sleep(pause_s)
        began, first = time.perf_counter(), 0.0
        async for part in wire.parts("POST", f"/threads/{thread}/runs/stream", body):
            if not first and b"event: messages" in part:
                first = time.perf_counter() - began
        assert first
        taken.append(first * 1000)
    wire.close()
    return taken


async def tokens(port: Address, count: int) -> float:
    """Tokens of a `messages` stream per second."""
    body = {"assistant_id": "talk", "input": {"messages": [_asks(count)]}, "stream_mode": "messages-tuple"}
    wire = await ApiWire(port).open()
    thread = (await wire.call("POST", "/threads", {}))["thread_id"]
    said, began = 0, time.perf_counter()
    async for part in wire.parts("POST", f"/threads/{thread}/runs/stream", body):
        said += part.count(b"event: messages")
    taken = time.perf_counter() - began
    wire.close()
    assert said >= count, said
    return said / taken


async def readers(port: Address, count: int, frames: int) -> float:
    """Frames delivered per second, of one run to many readers: from the first one made to the last one read."""
    wire = await ApiWire(port).open()
    thread = (await wire.call("POST", "/threads", {}))["thread_id"]
    given = {"count": frames, "wait": 1.0}
    body = {"assistant_id": "frames", "input": given, "stream_mode": ["custom"], "stream_resumable": True}
    run = (await wire.call("POST", f"/threads/{thread}/runs", body))["run_id"]
    began = 0.0

    async def read() -> int:
        nonlocal began
        mine, said = await ApiWire(port).open(), 0
        async for part in mine.parts("GET", f"/threads/{thread}/runs/{run}/stream"):
            said += part.count(b"event: custom")
            if said and not began:
                began = float(_MADE.search(part)[1])  # type: ignore[index]
        mine.close()
        return said

    delivered = sum(await asyncio.gather(*(read() for _ in range(count))))
    assert delivered >= 0.99 * count * frames, f"{delivered} of {count * frames}"
    wire.close()
    return delivered / (time.monotonic() - began)


async def open_streams(port: Address, pid: int, count: int, path: str, body: dict[str, Any] | None) -> float:
    """KiB of the server's memory for each open stream; `{thread}` in the path is a new id for each."""
    await _open(port, 20, path, body)  # what the first ones load is not theirs
    before = rss_kib(pid)
    wires = await _open(port, count, path, body)
    await asyncio.sleep(3)
    grown = rss_kib(pid) - before
    for wire in wires:
        wire.close()
    return grown / count


async def _open(port: Address, count: int, path: str, body: dict[str, Any] | None) -> list[ApiWire]:
    wires = [await ApiWire(port).open() for _ in range(count)]
    for wire in wires:
        wire.send("POST" if body else "GET", path.format(thread=uuid4()), body)
    for wire in wires:
        status, _ = await wire.head()
        assert status == 200, status
    return wires


def rss_kib(pid: int) -> float:
    """A process's resident memory."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:  # noqa: PTH123 - no path to speak of
        return int(file.read().split()[1]) * 4.0


def _asks(count: int) -> dict[str, str]:
    return {"role": "user", "content": str(count)}
