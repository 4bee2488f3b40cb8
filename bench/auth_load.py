"""The clients of an authorization server, in a process of their own over bare sockets.

    python -m bench.auth_load <<< '{"port": 8000, "connections": 8, "count": 100, "requests": ["GET /health …"]}'

prints one line of JSON. Each connection asks again as soon as it was answered: for the next of `requests`, or with
the refresh token that it was given last if `tokens` to begin with are given. Meanwhile `probes`, which are paths, are
asked for now and then.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Final
from urllib.parse import urlencode

from bench.llm_load import cpu_of, quantile

FORM: Final = "application/x-www-form-urlencoded"
PROBE_S: Final = 0.02
_HEAD_END: Final = b"\r\n\r\n"


def request(method: str, path: str, form: dict[str, str] | None = None, **headers: str) -> str:
    """Write a request."""
    body = urlencode(form or {})
    named = {"host": "127.0.0.1", "content-type": FORM, **headers, "content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n{body}"


class Turn:
    """Goes through requests, together with others."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests

    def next(self) -> bytes:
        """The next request."""
        return next(self._requests)

    def learn(self, _answer: bytes) -> None:
        """Every answer is the same."""


class Chain:
    """Shows the refresh token that came last."""

    def __init__(self, token: str, *, path: str = "/oauth/token", client: str = "app") -> None:
        self._token, self._path, self._client = token, path, client

    def learn(self, answer: bytes) -> None:
        """The next token is in the answer."""
        self._token = json.loads(answer)["refresh_token"]

    def next(self) -> bytes:
        """The next request."""
        form = {"grant_type": "refresh_token", "client_id": self._client, "refresh_token": self._token}
        return request("POST", self._path, form).encode()


@dataclass
class Crowd:
    """So many requests of some connections."""

    count: int
    statuses: frozenset[int]
    taken: list[float] = field(default_factory=list)
    left: int = 0
    problem: str = ""
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Client(asyncio.Protocol):
    """One of a crowd."""

    def __init__(self, crowd: Crowd, asks: Turn | Chain) -> None:
        self._crowd = crowd
        self._asks = asks

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
        self._got, self._size = bytearray(), -1
        sent = self._asks.next()
        self._began = time.perf_counter()
        self._transport.write(sent)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._got += data
        if self._size < 0:
            self._read_head()
        if 0 <= self._size <= len(self._got):
            self._crowd.taken.append(time.perf_counter() - self._began)
            self._asks.learn(bytes(self._got[self._body :]))
            self.ask()

    def _read_head(self) -> None:
        end = self._got.find(_HEAD_END)
        if end < 0:
            return
        head = bytes(self._got[:end]).lower()
        if int(head[9:12]) not in self._crowd.statuses:
            self._fail(f"refused: {bytes(self._got[:1200])!r}")
        at = head.find(b"content-length:")
        self._body = end + 4
        self._size = self._body + (int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        if not self._crowd.done.is_set():
            self._fail(f"hung up on: {exc!r}")

    def _fail(self, problem: str) -> None:
        self._crowd.problem = problem
        self._crowd.done.set()


async def crowd(port: int, asks: Sequence[Turn | Chain], *, count: int, statuses: Sequence[int]) -> Crowd:
    """Have each of `asks` go over a connection of its own until all together have asked `count` times.

    Each comes from another address of this machine: who counts by address sees many.
    """
    loop = asyncio.get_running_loop()
    crowd = Crowd(count, frozenset(statuses), left=len(asks))
    made = [
        await loop.create_connection(
            lambda each=each: Client(crowd, each), "127.0.0.1", port, local_addr=(f"127.0.1.{number % 250 + 1}", 0)
        )
        for number, each in enumerate(asks)
    ]
    await asyncio.wait_for(crowd.done.wait(), 600)
    for transport, _ in made:
        transport.close()
    if crowd.problem:
        raise RuntimeError(crowd.problem)
    return crowd


async def probe(port: int, path: str, until: asyncio.Event) -> list[float]:
    """Ask for something again and again, with pauses; the seconds that each answer took."""
    taken: list[float] = []
    asked = cycle([request("GET", path).encode()])
    while not until.is_set():
        one = await crowd(port, [Turn(asked)], count=1, statuses=[200])
        taken += one.taken
        await asyncio.sleep(PROBE_S)
    return taken


async def run(asked: dict[str, Any]) -> dict[str, float]:
    """Do what is asked; milliseconds, rates per second, and the server's processor time of a request in µs."""
    port, count, connections = asked["port"], asked["count"], asked["connections"]
    statuses, warm = asked.get("statuses", [200]), asked.get("warm", connections)
    asks = _asks(asked, connections)
    await crowd(port, asks, count=warm, statuses=statuses)
    over = asyncio.Event()
    probes = [asyncio.create_task(probe(port, path, over)) for path in asked.get("probes", [])]
    before, began = cpu_of(asked.get("pid")), time.perf_counter()
    seen = await crowd(port, asks, count=count, statuses=statuses)
    seconds, spent = time.perf_counter() - began, cpu_of(asked.get("pid")) - before
    over.set()
    probed = [sorted(await each) for each in probes]
    taken = sorted(seen.taken)
    return {
        "p50": quantile(taken, 0.5) * 1000,
        "p95": quantile(taken, 0.95) * 1000,
        "rate": len(taken) / seconds,
        "cpu_us": spent * 1e6 / count,
        "count": len(taken),
        **{f"probe{number}": quantile(each, 0.95) * 1000 for number, each in enumerate(probed)},
        **{f"probed{number}": len(each) for number, each in enumerate(probed)},
    }


def _asks(asked: dict[str, Any], connections: int) -> list[Turn | Chain]:
    if "tokens" in asked:
        return [Chain(token, **asked.get("chain", {})) for token in asked["tokens"][:connections]]
    requests = cycle([each.encode() for each in asked["requests"]])
    return [Turn(requests) for _ in range(connections)]


def main() -> None:
    """Run what standard input says."""
    import uvloop  # noqa: PLC0415 - only this program needs it

    sys.stdout.write(json.dumps(uvloop.run(run(json.load(sys.stdin)))) + "\n")


if __name__ == "__main__":
    main()
