"""Whatever a provider does, in whichever API: a clear end for the client, one row, nothing held, nothing left."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from tests.llm.providers.dialects import DIALECTS, Dialect, dumps
from tests.llm.whole.world import CHAT, INPUT, OUTPUT, World, asking, world
from tests.support.agent_server import eventually
from tests.support.upstream import JSON, SSE, Line, Reply, drip, frame, half, silent, streamed, whole

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOTH = [
    pytest.param(dialect, stream, id=f"{dialect.name}-{'stream' if stream else 'whole'}")
    for dialect, stream in itertools.product(DIALECTS, (True, False))
]
every = pytest.mark.parametrize(("dialect", "stream"), BOTH)
LIMIT = 600_000
"""One request fits and hardly anything beside it: what is not given back is missed by the next."""
BIG = "Hello" * 400_000
EMBEDDERS = {f"embeds-{number}": {"capabilities": ["embed"]} for number in range(10)}
VECTORS = {
    "object": "list",
    "model": "m",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}],
    "usage": {"prompt_tokens": 3, "total_tokens": 3},
}
BAD_VECTORS: dict[str, tuple[Reply, int, str]] = {
    "429": (whole({"error": {"message": "no"}}, 429, retry_after="7"), 429, "rate_limited"),
    "500": (whole({"error": {"message": "no"}}, 500), 502, "upstream_error"),
    "silence": (silent(), 504, "upstream_timeout"),
    "cut": (half(dumps(VECTORS)), 502, "upstream_interrupted"),
    "malformed": (whole(b'{"data": [{"emb'), 502, "upstream_malformed"),
    "too few": (whole(VECTORS | {"data": []}), 502, "upstream_malformed"),
    "no numbers": (whole(VECTORS | {"data": [{"index": 0, "embedding": ["a"]}]}), 502, "upstream_malformed"),
    "out of order": (whole(VECTORS | {"data": [{"index": 7, "embedding": [1.0]}]}), 502, "upstream_malformed"),
}


def begun(dialect: Dialect) -> list[bytes]:
    """The frames up to the first word."""
    at = next(place for place, data in enumerate(dialect.frames) if b"Hello" in data)
    return list(dialect.frames[: at + 1])


def stalled(body: bytes) -> Reply:
    """Say half a body, and nothing more until the client hangs up."""

    async def reply(line: Line) -> None:
        await line.head(kind=JSON, length=len(body))
        await line.send(body[: len(body) // 2])

    reply.watches = True  # type: ignore[attr-defined]
    return reply


class apart:  # noqa: N801 - used as the functions beside it
    """Say some frames, and what comes next only when the client has them."""

    def __init__(self, first: list[bytes], then: bytes) -> None:
        self.first, self.then, self.read = first, then, asyncio.Event()

    async def __call__(self, line: Line) -> None:
        await line.head(kind=SSE)
        for part in self.first:
            await line.chunk(part)
        await self.read.wait()
        await line.chunk(self.then)
        await line.end()


def refusing(status: int, **headers: str) -> Callable[[Dialect, bool], Reply]:
    return lambda dialect, _stream: whole(dialect.error("not now"), status, **headers)


@dataclass(frozen=True)
class Fault:
    """What a provider does, and what comes of it before the first word; `amid`: what comes of a stream that began."""

    reply: Callable[[Dialect, bool], Reply]
    status: int
    code: str
    amid: bool = False


FAULTS = {
    "429": Fault(refusing(429, retry_after="7"), 429, "rate_limited"),
    "500": Fault(refusing(500), 502, "upstream_error"),
    "503": Fault(refusing(503), 502, "upstream_error"),
    "529": Fault(refusing(529), 502, "upstream_error"),
    "silence": Fault(lambda _dialect, _stream: silent(), 504, "upstream_timeout"),
    "silence later": Fault(
        lambda dialect, stream: silent(*begun(dialect)) if stream else stalled(dumps(dialect.answer)),
        504,
        "upstream_timeout",
        amid=True,
    ),
    "cut": Fault(
        lambda dialect, stream: streamed(*begun(dialect), cut=True) if stream else half(dumps(dialect.answer)),
        502,
        "upstream_interrupted",
        amid=True,
    ),
    "malformed": Fault(
        lambda _dialect, stream: streamed(frame(b'{"id": "x", "choi')) if stream else whole(b'{"id": "x", "choi'),
        502,
        "upstream_malformed",
    ),
    "malformed later": Fault(
        lambda dialect, stream: apart(begun(dialect), frame(b'{"id": "x", "ch')) if stream else whole(b"[1, 2"),
        502,
        "upstream_malformed",
        amid=True,
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(
        tmp_path_factory.mktemp("faults"), each=2 * len(FAULTS) + 12, more=EMBEDDERS, timeout_s=0.25
    ) as one:
        yield one


@dataclass
class Case:
    """One request: its model, and the thread whose budget it has."""

    world: World
    model: str
    thread: str
    budget: str
    tasks: set[asyncio.Task[Any]]

    @property
    def headers(self) -> dict[str, str]:
        return {"x-codelab-thread": self.thread}

    async def at_rest(self, error: str) -> dict[str, Any]:
        """See that it left nothing behind but its row, and give that."""
        row = await self.world.row(thread_id=self.thread)
        assert (row["error"], row["attempts"], row["model"]) == (error, 1, self.model)
        assert row["cost"] == row["prompt_tokens"] * INPUT + row["completion_tokens"] * OUTPUT
        assert await self.world.spent(self.budget) == (row["cost"], 0)
        state = await self.world.state(self.model)
        assert (state["in_flight"], self.world.runtime.llm.upstreams.seats.taken) == (0, 0)
        await eventually(lambda: not self.world.open_upstreams, "the connections", seconds=3)
        await eventually(lambda: not running() - self.tasks, f"tasks {running() - self.tasks}", seconds=3)
        return row


def running() -> set[asyncio.Task[Any]]:
    """All tasks but this one and the provider's own."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    return {task for task in others if "Upstream.serve" not in repr(task.get_coro())}


@pytest_asyncio.fixture(loop_scope="module")
async def case(served: World, dialect: Dialect, request: pytest.FixtureRequest) -> Case:
    thread = "".join(c if c.isalnum() else "-" for c in request.node.name)
    budget = await served.limit(LIMIT, "thread", thread)
    served.up.begun, served.up.hung_up = asyncio.Event(), asyncio.Event()
    return Case(served, served.fresh(dialect.name), thread, budget, running())


def events(body: bytes) -> list[Any]:
    return [orjson.loads(line[6:]) for line in body.split(b"\n\n") if line.startswith(b"data: {")]


def said(body: bytes, stream: bool) -> str:
    if not stream:
        return str(orjson.loads(body)["choices"][0]["message"]["content"])
    return "".join(c["delta"].get("content") or "" for e in events(body) for c in e.get("choices", ()))


@every
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_has_a_clear_end(served: World, case: Case, dialect: Dialect, stream: bool, fault: str) -> None:
    told = FAULTS[fault]
    served.up.replies = [told.reply(dialect, stream)]
    body = b""
    async with served.http.stream("POST", CHAT, json=asking(case.model, stream=stream), headers=case.headers) as answer:
        async for part in answer.aiter_raw():
            body += part
            if isinstance(served.up.replies[0], apart):
                served.up.replies[0].read.set()
    if stream and told.amid:
        assert answer.status_code == 200
        assert b"[DONE]" not in body
        assert said(body, True) == "Hello"
        error, code = events(body)[-1]["error"], "upstream_interrupted"
        assert error["retryable"] is True
    else:
        assert answer.status_code == told.status
        error, code = orjson.loads(body)["error"], told.code
        assert answer.headers.get("retry-after") == ("7" if fault == "429" else None)
    assert (error["code"], error["type"]) == (code, "rate_limit_error" if fault == "429" else "api_error")
    row = await case.at_rest(code)
    assert row["request_id"] == answer.headers["x-request-id"]
    assert (row["cost"] > 0) is (row["completion_tokens"] > 0) is (stream and told.amid)
    state = await served.state(case.model)
    assert state["state"] == ("open" if fault == "429" else "closed")
    assert state["last_error"] == (
        code if not (stream and fault in {"silence later", "malformed later"}) else told.code
    )
    assert state["error_ratio"] > 0


@every
@pytest.mark.parametrize("way", ["drip", "huge"])
async def test_an_odd_way_to_answer_is_an_answer(
    served: World, case: Case, dialect: Dialect, stream: bool, way: str
) -> None:
    async def slowly(line: Line) -> None:
        body = dumps(dialect.answer)
        await line.head(length=len(body))
        for byte in drip(body):
            await line.send(byte)

    if way == "drip":
        served.up.replies = [streamed(*drip(b"".join(dialect.frames))) if stream else slowly]
        text = "Hello there"
    elif stream:
        big = b"".join(dialect.frames).replace(b'"Hello"', b'"' + BIG.encode() + b'"', 1)
        served.up.replies, text = [streamed(big)], BIG + " there"
    else:
        served.up.replies = [whole(dumps(dialect.answer).replace(b"Hello there", BIG.encode()))]
        text = BIG
    answer = await served.chat(case.model, told=case.headers, stream=stream)
    assert answer.status_code == 200
    assert said(answer.content, stream) == text
    assert answer.content.endswith(b"data: [DONE]\n\n") is stream
    row = await case.at_rest("")
    assert (row["prompt_tokens"], row["completion_tokens"], row["estimated"]) == (5, 2, False)
    assert (await served.state(case.model))["last_error"] is None


@every
@pytest.mark.parametrize("when", ["before", "within"])
async def test_a_client_that_goes(served: World, case: Case, dialect: Dialect, stream: bool, when: str) -> None:
    """Before the first word or after it: the provider is hung up on, what was used is paid, nobody is blamed."""
    first = begun(dialect) if stream else []
    served.up.replies = [silent() if when == "before" or not stream else silent(*first)]
    if not stream and when == "within":
        served.up.replies = [stalled(dumps(dialect.answer))]
    async with httpx.AsyncClient(base_url=served.http.base_url, headers=served.http.headers) as leaving:
        body = asking(case.model, stream=stream)
        asked = leaving.build_request("POST", CHAT, json=body, headers=case.headers)
        sending = asyncio.create_task(leaving.send(asked, stream=True))
        await asyncio.wait_for(served.up.begun.wait(), 5)
        if when == "within" and stream:
            answer = await sending
            await anext(answer.aiter_raw())
            await answer.aclose()
        else:
            sending.cancel()
            await asyncio.wait([sending])
    await asyncio.wait_for(served.up.hung_up.wait(), 5)
    row = await case.at_rest("cancelled")
    assert (row["cost"] > 0) is (row["completion_tokens"] > 0) is (stream and when == "within")
    state = await served.state(case.model)
    assert (state["state"], state["last_error"], state["error_ratio"]) == ("closed", None, 0)


@every
async def test_a_model_that_said_when_to_come_back_is_left_alone_until_then(
    served: World, case: Case, dialect: Dialect, stream: bool
) -> None:
    served.up.replies = [FAULTS["429"].reply(dialect, stream)]
    await served.chat(case.model, told=case.headers, stream=stream)
    asked = len(served.up.asked)
    again = await served.chat(case.model, told={"x-codelab-thread": f"{case.thread}-2"}, stream=stream)
    assert (again.status_code, again.json()["error"]["code"]) == (503, "unavailable")
    assert 7 <= int(again.headers["retry-after"]) <= 8
    assert len(served.up.asked) == asked
    row = await served.row(thread_id=f"{case.thread}-2")
    assert (row["error"], row["attempts"], row["cost"]) == ("unavailable", 0, 0)


@pytest.mark.parametrize("fault", ["none", *BAD_VECTORS])
async def test_vectors_have_a_clear_end_too(served: World, fault: str) -> None:
    agent, model = f"embed-{fault.replace(' ', '-')}", f"embeds-{['none', *BAD_VECTORS].index(fault)}"
    budget = await served.limit(LIMIT, "agent", agent)
    reply, status, code = BAD_VECTORS.get(fault, (whole(VECTORS), 200, ""))
    served.up.replies = [reply]
    tasks = running()
    body = {"model": model, "input": [f"a text for {fault}"]}
    answer = await served.http.post("/v1/embeddings", json=body, headers={"x-codelab-agent": agent})
    assert answer.status_code == status, answer.text
    if code:
        assert answer.json()["error"]["code"] == code
        assert answer.headers.get("retry-after") == ("7" if fault == "429" else None)
    row = await served.row(agent=agent)
    assert (row["error"], row["model"], row["attempts"]) == (code, model, 1)
    assert (row["cost"], row["request_id"]) == (0 if code else 3 * INPUT, answer.headers["x-request-id"])
    assert (await served.spent(budget))[0] == row["cost"]
    assert all(not part.flying for part in served.runtime.llm.budgets._book.slices.values())
    await eventually(lambda: not served.open_upstreams, "the connections", seconds=3)
    await eventually(lambda: not running() - tasks, "tasks", seconds=3)
