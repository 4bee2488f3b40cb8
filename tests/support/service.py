"""The real thing as processes: the service, the scripted model server, and a client that reads SSE."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

TOKEN = "test-token"
Event = dict[str, Any]


def free_port() -> int:
    """A TCP port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(check: Callable[[], Any], what: str, *, seconds: float = 30) -> Any:
    """Wait until `check` gives something true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.05)
    raise AssertionError(f"timed out waiting for {what}")


def answers(url: str) -> bool:
    """Whether a server answers there."""
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


@dataclass
class Service:
    """`codelab serve` as a process that can be killed and started again on the same data."""

    workspace: Path
    data_dir: Path
    database_url: str | None = None
    model_url: str | None = None
    extra_env: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("CODELAB_", "OPENAI_"))}
        env |= {"CODELAB_DATA_DIR": str(self.data_dir), "CODELAB_SERVER__TOKEN": TOKEN, "CODELAB_LOG__LEVEL": "WARNING"}
        if self.database_url:
            env["CODELAB_DATABASE__URL"] = self.database_url
        if self.model_url:
            env |= {
                "CODELAB_LLM__BASE_URL": self.model_url,
                "CODELAB_LLM__API_KEY": "scripted",
                "CODELAB_LLM__MODELS__STRONG": "scripted-strong",
                "CODELAB_LLM__MODELS__FAST": "scripted-fast",
            }
        return env | self.extra_env

    def start(self) -> Service:
        args = [sys.executable, "-m", "codelab.cli", "serve", "-w", str(self.workspace), "--port", str(self.port)]
        log = (self.data_dir.parent / "serve.log").open("ab")
        self.process = subprocess.Popen(args, env=self.env, stdout=log, stderr=log, cwd=self.data_dir.parent)
        until(lambda: answers(f"{self.url}/health/ready"), "the service", seconds=90)
        return self

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {TOKEN}"}, timeout=60)


@contextmanager
def scripted_server(script: Path) -> Iterator[str]:
    """The scripted OpenAI-compatible server as a process; its base URL."""
    port = free_port()
    args = [sys.executable, "-m", "codelab.llm.scripted_server", "--script", str(script), "--port", str(port)]
    process = subprocess.Popen(args)
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/v1/models"), "the scripted model server", seconds=60)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def parse_sse(lines: Iterator[str]) -> Iterator[tuple[str, Event]]:
    """Yield (id, event) of each server-sent event."""
    event_id, data = "", ""
    for line in lines:
        if line.startswith("id:"):
            event_id = line[3:].strip()
        elif line.startswith("data:"):
            data += line[5:].strip()
        elif not line and data:
            yield event_id, json.loads(data)
            data = ""


def replay(client: httpx.Client, thread_id: str, *, after: str | None = None) -> list[tuple[str, Event]]:
    """Replay a thread's log, without following."""
    headers = {"last-event-id": after} if after else {}
    with client.stream("GET", f"/api/v1/threads/{thread_id}/events?follow=false", headers=headers) as response:
        assert response.status_code == 200, response.read()
        return list(parse_sse(response.iter_lines()))


def run_to_rest(client: httpx.Client, thread_id: str, run_id: str) -> list[Event]:
    """Follow one run to its end."""
    with client.stream("GET", f"/api/v1/threads/{thread_id}/events?run_id={run_id}") as response:
        assert response.status_code == 200, response.read()
        return [event for _, event in parse_sse(response.iter_lines())]
