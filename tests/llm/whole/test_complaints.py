"""What users of gateways suffer from, by the number of the issue in BerriAI/litellm unless another project is named.

Those that concern one part alone are tests beside that part.
"""

from __future__ import annotations

import asyncio
import gc
import re
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio
from sqlalchemy import event

from codelab.core.settings_llm import LedgerSettings
from codelab.core.types import utc_now
from codelab.llm.accounting.repository import forget_rows
from tests.llm.providers.dialects import ANTHROPIC, DIALECTS, GEMINI, OPENAI, Dialect
from tests.llm.whole.world import CHAT, INPUT, OUTPUT, World, asking, bearing, world
from tests.support.agent_server import eventually
from tests.support.tree import ROOT
from tests.support.upstream import SSE, Line, streamed, whole

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = whole(OPENAI.answer)
CACHED = {"input": 1, "output": 5, "cached": 0.1, "cache_write": 1.25}
USAGES = {
    OPENAI.name: {"prompt_tokens": 1000, "completion_tokens": 2, "total_tokens": 1002,
                  "prompt_tokens_details": {"cached_tokens": 900}},
    ANTHROPIC.name: {"input_tokens": 100, "cache_read_input_tokens": 900, "output_tokens": 2},
    GEMINI.name: {"promptTokenCount": 1000, "cachedContentTokenCount": 900, "candidatesTokenCount": 2,
                  "totalTokenCount": 1002},
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    more: dict[str, Any] = {
        "first": {"fallbacks": ["second"]},
        "second": {"upstream": "another"},
        **{f"cached-{d.name}": {"price": CACHED, "provider": f"{d.name}-0"} for d in DIALECTS},
    }
    async with world(tmp_path_factory.mktemp("complaints"), each=40, more=more) as one:
        one.up.replies = [GOOD]
        yield one


async def test_12685_27954_38193_requests_leave_nothing_behind(served: World) -> None:
    """Good answers, streams, refusals and unknown models: objects do not grow with their number."""
    quick, slow, broken = served.fresh(), served.fresh(), served.fresh()

    async def some(times: int) -> int:
        for number in range(times):
            served.up.replies = [GOOD]
            told = {"x-codelab-thread": f"t-{number}", "x-codelab-session": f"s-{time.monotonic_ns()}"}
            await served.chat(quick, told=told)
            served.up.replies = [streamed(*OPENAI.frames)]
            await served.chat(slow, told=told, stream=True)
            served.up.replies = [whole(OPENAI.error("no"), 400)]
            await served.chat(broken, told=told)
            await served.chat(f"unknown-{time.monotonic_ns()}")
        await eventually(lambda: not served.runtime.llm.ledger.waiting, "the ledger")
        served.up.asked.clear()
        gc.collect()
        return len(gc.get_objects())

    await some(30)
    before = await some(30)
    after = await some(60)
    assert after - before < 240  # of 240 requests not one keeps an object each


async def test_6404_a_chunk_makes_no_task_and_no_thread(served: World) -> None:
    model, loop = served.fresh(), asyncio.get_running_loop()
    made: list[int] = []
    before = loop.get_task_factory()

    def counted(loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> asyncio.Task[Any]:
        made.append(1)
        return asyncio.Task(coro, loop=loop, **more)

    async def tasks_for(chunks: int) -> int:
        served.up.replies = [streamed(*(OPENAI.frames[0] for _ in range(chunks)), *OPENAI.frames[2:])]
        made.clear()
        assert (await served.chat(model, stream=True)).status_code == 200
        return len(made)

    await tasks_for(5)
    loop.set_task_factory(counted)
    try:
        threads = threading.active_count()
        few, many = await tasks_for(5), await tasks_for(1_000)
    finally:
        loop.set_task_factory(before)
    assert many - few < 20
    assert threading.active_count() <= threads + 1


async def test_13805_a_stream_that_nobody_reads_is_not_read_into_memory(served: World) -> None:
    """The provider is held up by the client's pace: what lies between them is bounded."""
    sent = 0
    big = OPENAI.frames[0].replace(b"Hello", b"x" * 100_000)

    async def endless(line: Line) -> None:
        nonlocal sent
        await line.head(kind=SSE)
        while sent < 400_000_000:
            await line.chunk(big)
            sent += len(big)

    served.up.replies = [endless]
    body = orjson.dumps(asking(served.fresh(), stream=True))
    head = f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ann@t1\r\n"
    head += f"content-length: {len(body)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", served.http.base_url.port, limit=65_536)
    writer.write(head.encode() + body)
    await reader.read(1)
    still = 0
    while still < 10:  # until the provider has not got rid of anything for a while
        before = sent
        await asyncio.sleep(0.02)
        still = still + 1 if sent == before else 0
    assert sent < 200_000_000  # the kernel's own buffers on the way may hold 75 MB
    writer.transport.abort()
    await eventually(lambda: not served.open_upstreams, "the connection")
    served.up.replies = [GOOD]


async def test_15128_what_waits_for_the_ledger_is_bounded_and_what_is_lost_is_told(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    ledger = LedgerSettings(flush_s=5, queue=100)
    async with world(tmp_path_factory.mktemp("queue"), each=1, ledger=ledger) as one:
        one.up.replies = [GOOD]
        model = one.fresh()
        answers = [await one.chat(model) for _ in range(120)]
        assert {answer.status_code for answer in answers} == {200}
        report = await one.get("/usage")
        assert (report["rows_waiting"], report["rows_dropped"], report["total"]["requests"]) == (100, 20, 0)


async def test_18367_users_and_keys_share_the_connections(served: World) -> None:
    """Nobody gets a client, a pool or a connection of their own."""
    served.up.replies, model = [GOOD], served.fresh()
    await served.chat(model)
    before = served.up.connections
    for number in range(30):
        assert (await served.chat(model, whom=f"user-{number}@t1")).status_code == 200
    assert served.up.connections - before <= 2


async def test_21908_cleaning_up_loads_no_rows(served: World) -> None:
    served.up.replies, model = [GOOD], served.fresh()
    for _ in range(3):
        await served.chat(model, told={"x-codelab-agent": "dust"})
    await eventually(lambda: swept(served, 3), "the rows")
    asked: list[str] = []
    engine = served.runtime.database.engine.sync_engine

    def note(*args: Any) -> None:
        asked.append(args[2])

    event.listen(engine, "before_cursor_execute", note)
    try:
        assert await forget_rows(served.runtime.database, utc_now()) >= 3
    finally:
        event.remove(engine, "before_cursor_execute", note)
    read = [statement for statement in asked if statement.lstrip().startswith("SELECT")]
    assert read
    assert all(re.match(r"SELECT min\(", statement) for statement in read)
    assert await swept(served, 0)


async def swept(served: World, count: int) -> bool:
    return (await served.get("/usage", agent="dust"))["total"]["requests"] == count


async def test_8671_9491_little_work_is_done_on_the_way(served: World) -> None:
    """Client, gateway and provider together take less processor time than the 40 ms that were complained of."""
    served.up.replies, model = [GOOD], served.fresh()
    for _ in range(20):
        await served.chat(model)
    began = time.process_time()
    for _ in range(50):
        await served.chat(model)
    assert (time.process_time() - began) / 50 < 0.040


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_6215_36943_the_same_answer_costs_the_same_streamed_and_whole(served: World, dialect: Dialect) -> None:
    """Cached tokens at their own price, in each provider's words, as the provider counted them."""
    old, new = (
        orjson.dumps(usage)
        for usage in (dialect.answer.get("usage") or dialect.answer["usageMetadata"], USAGES[dialect.name])
    )
    replies = [whole(orjson.dumps(dialect.answer).replace(old, new))]
    frames = b"".join(dialect.frames).replace(old, new)
    if dialect is ANTHROPIC:  # there the prompt is counted at the start
        start = {key: value for key, value in USAGES[dialect.name].items() if key != "output_tokens"}
        frames = frames.replace(b'"usage":{"input_tokens":5,', b'"usage":' + orjson.dumps(start)[:-1] + b",")
    replies.append(streamed(frames))
    rows = []
    for reply, stream in zip(replies, (False, True), strict=True):
        served.up.replies = [reply]
        agent = f"bill-{dialect.name}-{stream}"
        assert (await served.chat(f"cached-{dialect.name}", stream=stream, told={"x-codelab-agent": agent})).is_success
        rows.append(await served.row(agent=agent))
    billed = ("prompt_tokens", "cached_tokens", "completion_tokens", "cost", "estimated")
    assert [tuple(row[name] for name in billed) for row in rows] == [(1000, 900, 2, 200_000, False)] * 2


async def test_caracal_371_aisix_882_a_broken_answer_is_not_gone_on_with_unasked(served: World) -> None:
    """Another model stands by, and is not asked once the first has said something."""
    served.up.replies = [streamed(*OPENAI.frames[:1], cut=True), streamed(*OPENAI.frames)]
    asked = len(served.up.asked)
    answer = await served.chat("first", stream=True)
    assert answer.text.count('"content":"Hello"') == 1
    assert "upstream_interrupted" in answer.text
    assert "[DONE]" not in answer.text
    assert len(served.up.asked) - asked == 1
    served.up.replies = [GOOD]


async def test_31416_30484_nobody_elses_gateway_is_among_the_dependencies(served: World) -> None:
    """A release of litellm stole credentials (1.82.7, 1.82.8): ours has none, and every package is pinned by hash."""
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    packages = re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==[^\n]*\\\n((?:    --hash=sha256:[0-9a-f]{64}[^\n]*\n)*)", lock, re.MULTILINE
    )
    names = {name.lower() for name, _ in packages}
    assert "aiohttp" in names
    assert not names & {"litellm", "portkey-ai"}
    assert all(hashes for _, hashes in packages)
    assert (await served.http.get("/v1/models", headers=bearing("ann@t1"))).status_code == 200


@pytest.mark.parametrize("told", [2**62, 10**12 + 1, -5, 5.5, "5", [5]], ids=str)
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_counts_that_are_none_are_no_bill(served: World, dialect: Dialect, told: Any) -> None:
    """They are refused as malformed; the ledger and the budgets go on for everybody else."""
    name, member = {
        "openai": ("usage", "prompt_tokens"),
        "anthropic": ("usage", "input_tokens"),
        "gemini": ("usageMetadata", "promptTokenCount"),
    }[dialect.name]
    served.up.replies = [whole(dialect.answer | {name: dialect.answer[name] | {member: told}})]
    agent = f"odd-{dialect.name}-{DIALECTS.index(dialect)}-{sum(map(ord, str(told)))}"
    budget = await served.limit(10**9, "agent", agent)
    model = served.fresh(dialect.name)
    answer = await served.chat(model, told={"x-codelab-agent": agent})
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_malformed")
    row = await served.row(agent=agent)
    assert (row["cost"], row["prompt_tokens"], row["error"]) == (0, 0, "upstream_malformed")
    served.up.replies = [whole(dialect.answer)]
    assert (await served.chat(model, told={"x-codelab-agent": agent})).status_code == 200
    assert (await served.spent(budget))[0] == 5 * INPUT + 2 * OUTPUT
    served.up.replies = [GOOD]
