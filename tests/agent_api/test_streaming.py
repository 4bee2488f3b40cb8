"""The response of streams, called as a server calls it: frames, heartbeats, and the three ways in which one ends."""

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest
from sse_starlette.sse import AppStatus

from codelab.server.agent_api import streaming
from codelab.server.agent_api.streaming import Frames, OpenStreams

FRAME = b"event: a\ndata: 1\n\n"
HEARTBEAT = b": heartbeat\n\n"


class Client:
    """What is at the other end; `slow` keeps whole frames from being taken."""

    def __init__(self) -> None:
        self.streams = OpenStreams()
        self.heard: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        self.slow = asyncio.Event()
        self.slow.set()
        self.news = asyncio.Condition()

    async def follow(self, frames: Frames) -> None:
        scope = {"type": "http", "method": "GET", "app": SimpleNamespace(state=SimpleNamespace(streams=self.streams))}
        await frames(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await self.slow.wait()
        self.heard.append(message)
        async with self.news:
            self.news.notify_all()

    async def hears(self, body: bytes) -> None:
        async with asyncio.timeout(10), self.news:
            await self.news.wait_for(lambda: body in self.bodies)

    @property
    def bodies(self) -> list[bytes]:
        return [message["body"] for message in self.heard if message["type"] == "http.response.body"]


class Source:
    """Frames that a test gives one by one; `closed` once nobody wants more."""

    def __init__(self) -> None:
        self.due: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            while (due := await self.due.get()) is not None:
                if isinstance(due, BaseException):
                    raise due
                yield due
        finally:
            self.closed.set()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_S", 0.02)
    monkeypatch.setattr(streaming, "_LOOK_S", 0.01)


async def test_frames_are_sent_as_they_come_and_then_the_end() -> None:
    client, source = Client(), Source()
    source.due.put_nowait(FRAME)
    source.due.put_nowait(None)
    await client.follow(Frames(source.chunks(), {"location": "/there"}))
    assert client.heard[0]["status"] == 200
    headers = dict(client.heard[0]["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert (headers[b"cache-control"], headers[b"location"]) == (b"no-store", b"/there")
    assert client.bodies == [FRAME, b""]
    assert [message["more_body"] for message in client.heard[1:]] == [True, False]


@pytest.mark.usefixtures("quick")
async def test_silence_is_filled_with_comments() -> None:
    client, source = Client(), Source()
    following = asyncio.create_task(client.follow(Frames(source.chunks())))
    await client.hears(HEARTBEAT)
    source.due.put_nowait(FRAME)
    await client.hears(FRAME)
    source.due.put_nowait(None)
    await following
    assert client.bodies[-1] == b""


async def test_a_stream_that_speaks_is_not_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_LOOK_S", 0.001)
    client, source = Client(), Source()
    following = asyncio.create_task(client.follow(Frames(source.chunks())))
    for _ in range(20):
        source.due.put_nowait(FRAME)
        await asyncio.sleep(0.002)
    source.due.put_nowait(None)
    await following
    assert HEARTBEAT not in client.bodies


async def test_the_frames_are_closed_when_the_client_leaves() -> None:
    client, source = Client(), Source()
    following = asyncio.create_task(client.follow(Frames(source.chunks())))
    source.due.put_nowait(FRAME)
    await client.hears(FRAME)
    client.gone.set()
    async with asyncio.timeout(10):
        await following
    assert source.closed.is_set()
    assert client.bodies == [FRAME]


async def test_a_client_that_takes_nothing_may_leave_too() -> None:
    client, source = Client(), Source()
    following = asyncio.create_task(client.follow(Frames(source.chunks())))
    source.due.put_nowait(FRAME)
    await client.hears(FRAME)
    client.slow.clear()
    source.due.put_nowait(FRAME)
    await asyncio.sleep(0)
    client.gone.set()
    async with asyncio.timeout(10):
        await following
    assert source.closed.is_set()


@pytest.mark.usefixtures("quick")
async def test_streams_end_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    client, sources = Client(), [Source(), Source()]
    following = [asyncio.create_task(client.follow(Frames(source.chunks()))) for source in sources]
    await client.hears(HEARTBEAT)
    monkeypatch.setattr(AppStatus, "should_exit", True)
    async with asyncio.timeout(10):
        await asyncio.gather(*following)
    assert all(source.closed.is_set() for source in sources)


async def test_a_cancelled_request_is_cancelled() -> None:
    client, source = Client(), Source()
    following = asyncio.create_task(client.follow(Frames(source.chunks())))
    source.due.put_nowait(FRAME)
    await client.hears(FRAME)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert source.closed.is_set()


async def test_what_the_frames_raise_comes_out() -> None:
    client, source = Client(), Source()
    source.due.put_nowait(TimeoutError("the database"))
    with pytest.raises(TimeoutError, match="the database"):
        await client.follow(Frames(source.chunks()))


def test_one_app_serves_in_one_loop_after_another() -> None:
    streams = OpenStreams()

    async def served() -> list[bytes]:
        client, source = Client(), Source()
        client.streams = streams
        source.due.put_nowait(None)
        await client.follow(Frames(source.chunks()))
        return client.bodies

    assert [asyncio.run(served()) for _ in range(2)] == [[b""], [b""]]
