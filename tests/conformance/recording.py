"""A client that writes down every answer, with ids and times made equal, so that two servers can be compared."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import httpx

_HEADERS: Final = (
    "content-type",
    "location",
    "content-location",
    "x-pagination-total",
    "x-pagination-next",
    "cache-control",
)
_PATTERNS: Final = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<hash>"),
)
_VOLATILE: Final = {
    "seq": "<seq>",
    "event_id": "<event id>",
    "timestamp": "<ms>",
    "applied_through_seq": "<seq>",
    "__request_start_time_ms__": "<ms>",
}
Frame = dict[str, Any]


class Recorder:
    """Calls one server and keeps what it answered, by step.

    Args:
        url: Of the server.
        scenario: The name before each step's.
    """

    def __init__(self, url: str, scenario: str) -> None:
        self.http = httpx.AsyncClient(base_url=url, timeout=60, limits=httpx.Limits(max_keepalive_connections=0))
        self.seen: dict[str, Any] = {}
        self._scenario = scenario
        self._names = {url: "$url"}

    def name(self, name: str, value: str) -> str:
        """Give an id a name, by which it is written down from now on; the id."""
        self._names[value] = f"${name}"
        return value

    async def call(self, step: str, method: str, path: str, *, name: str | None = None, **sent: Any) -> Any:
        """Send a request, write the answer down, give its body.

        Args:
            step: What the answer is known by.
            method: The HTTP method.
            path: Where to.
            name: `KEY=NAME`: the body's KEY is an id, to be known as NAME.
            sent: As httpx takes it (`json`, `params`, `content`, `headers`).
        """
        answer = await self.http.request(method, path, **sent)
        body = _body(answer)
        if name and isinstance(body, dict):
            key, _, known = name.partition("=")
            if isinstance(body.get(key), str):
                self.name(known, body[key])
        self._write(step, answer, body)
        return body

    async def stream(
        self, step: str, method: str, path: str, *, until: Callable[[Frame], bool] | None = None, **sent: Any
    ) -> list[Frame]:
        """Read a stream to its end (or to a frame, or five seconds of silence) and write it down; its frames."""
        async with self.opened(method, path, **sent) as answer:
            frames: list[Frame] = []
            if answer.status_code >= 400:
                await answer.aread()
                self._write(step, answer, _body(answer))
                return frames
            with suppress(TimeoutError, httpx.ReadTimeout):
                async with asyncio.timeout(20):
                    async for frame in read_frames(answer):
                        frames.append(frame)
                        if until and until(frame):
                            break
            for frame in frames:
                if frame["event"] == "metadata" and "run_id" in frame["data"]:
                    self.name("run", frame["data"]["run_id"])
            self._write(step, answer, [_frame(frame) for frame in frames])
            return frames

    @asynccontextmanager
    async def opened(self, method: str, path: str, **sent: Any) -> AsyncIterator[httpx.Response]:
        """Open a stream without writing anything down."""
        async with self.http.stream(method, path, **sent) as answer:
            yield answer

    async def settle(self, thread: str, *, seconds: float = 20) -> None:
        """Wait until no run of a thread is pending or running; nothing is written down."""
        async with asyncio.timeout(seconds):
            while True:
                runs = (await self.http.get(f"/threads/{thread}/runs")).json()
                if all(run["status"] not in {"pending", "running"} for run in runs):
                    return
                await asyncio.sleep(0.1)

    async def running(self, thread: str, run: str) -> None:
        """Wait until a run has begun and shown its first step."""
        async with asyncio.timeout(20):
            while True:  # the state of another process has no event to wait for
                if (await self.http.get(f"/threads/{thread}/runs/{run}")).json()["status"] == "running":
                    break
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)

    def note(self, step: str, value: Any) -> None:
        """Write down something that was found out by other means."""
        self.seen[f"{self._scenario}/{step}"] = {"noted": self._plain(value)}

    def _write(self, step: str, answer: httpx.Response, body: Any) -> None:
        key = f"{self._scenario}/{step}"
        assert key not in self.seen, f"two steps are called {key}"
        headers = {name: answer.headers[name] for name in _HEADERS if name in answer.headers}
        self.seen[key] = {"status": answer.status_code, "headers": self._plain(headers), "body": self._plain(body)}

    def _plain(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._plain_object(value)
        if isinstance(value, list):
            return [self._plain(item) for item in value]
        if not isinstance(value, str):
            return value
        for found, name in self._names.items():
            value = value.replace(found, name)
        for pattern, name in _PATTERNS:
            value = pattern.sub(name, value)
        return value

    def _plain_object(self, value: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, inner in sorted(value.items(), key=lambda pair: str(self._plain(pair[1]))):
            name = self._plain(key)
            while name in made:  # two ids that are written down alike
                name += "'"
            made[name] = _VOLATILE[key] if key in _VOLATILE else self._plain(inner)
        return made


def _body(answer: httpx.Response) -> Any:
    if not answer.content:
        return "<empty>"
    try:
        return answer.json()
    except ValueError:
        return answer.text[:2000]


def _frame(frame: Frame) -> Frame:
    return {"event": frame["event"], "data": frame["data"], "id": "id" in frame}


async def read_frames(answer: httpx.Response) -> AsyncIterator[Frame]:
    """Yield each server-sent event as `{event, data[, id]}`; comments are left out."""
    frame: Frame = {}
    async for line in answer.aiter_lines():
        field, _, value = line.partition(":")
        if line and field:
            frame[field] = frame[field] + "\n" + value if field in frame else value.removeprefix(" ")
        elif not line and frame:
            if "data" in frame:
                yield {"event": "message", **frame, "data": _json(frame["data"])}
            frame = {}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
