"""Strangers, neighbours and hostile bytes before `/v1` and the routes around it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from codelab.server.openai_api import exchange
from tests.llm.providers.dialects import ANTHROPIC, GEMINI, KEY, OPENAI
from tests.llm.whole.world import CHAT, World, asking, bearing, world
from tests.support.agent_server import eventually
from tests.support.upstream import streamed, upstream, whole

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANN, BOB, EVE = "ann@t1", "bob@t1", "eve@t2"
PLAIN = "?llm:invoke+usage:read+api-keys:read+api-keys:write"
"""What a member has who does not run the tenant."""
GOOD = whole(OPENAI.answer)
DEEP = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
ODD = (DEEP, b"\xff\xfe{}", b"{", b"[" * 100_000, b"null", b'{"a\\u0000": 1}')
DOUBLED = b'{"model": "no-such", "model": "%s", "messages": [{"role": "user", "content": "Hi"}], "messages": []}'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("attacks"), each=60) as one:
        one.up.replies = [GOOD]
        yield one


async def raw(served: World, data: bytes, *, seconds: float = 5) -> bytes:
    """Write bytes to the server and read until it hangs up, or has said nothing more for a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.http.base_url.port)
    writer.write(data)
    read = b""
    try:
        async with asyncio.timeout(seconds):
            while part := await reader.read(65536):
                read += part
                if b"\r\n\r\n" in read and b"connection: close" not in data.lower():
                    break
    finally:
        writer.close()
    return read


def head(method: str, path: str, *lines: str, whom: str = ANN) -> bytes:
    told = ("host: 127.0.0.1", f"authorization: Bearer {whom}", "connection: close", *lines, "", "")
    return "\r\n".join((f"{method} {path} HTTP/1.1", *told)).encode("latin-1")


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


# ---- neighbours ------------------------------------------------------------------------------------------------------


async def test_neighbours_do_not_see_each_others_rows(served: World) -> None:
    model = served.fresh()
    for whom in (ANN, BOB + PLAIN, EVE):
        assert (await served.chat(model, whom=whom, told={"x-codelab-agent": "walls"})).status_code == 200
    await eventually(lambda: seen(served, ANN, 2), "ann's and bob's rows")
    await eventually(lambda: seen(served, EVE, 1), "eve's row")
    assert await seen(served, BOB + PLAIN, 1)
    for path in ("/usage", "/usage/requests"):
        mine = await served.get(path, whom=BOB + PLAIN, agent="walls", user_id="ann")
        assert (mine.get("items") or [], mine.get("total", {}).get("requests", 0)) == ([], 0)
    row = (await served.get("/usage/requests", whom=EVE, agent="walls"))["items"][0]
    hidden = await served.get("/usage/requests", whom=ANN, request_id=row["request_id"])
    assert hidden["items"] == []
    page = await served.get("/usage/requests", whom=ANN, agent="walls", limit=1)
    stolen = await served.get("/usage/requests", whom=EVE, agent="walls", cursor=page["next_cursor"])
    assert {item["user_id"] for item in stolen["items"]} <= {"eve"}


async def seen(served: World, whom: str, count: int) -> bool:
    return len((await served.get("/usage/requests", whom=whom, agent="walls"))["items"]) == count


async def test_what_is_another_tenants_is_not_there(served: World) -> None:
    budget = await served.limit(10**9, "agent", "nobody")
    key = await served.key(BOB)
    for method, path in (
        ("GET", f"/budgets/{budget}"),
        ("DELETE", f"/budgets/{budget}"),
        ("DELETE", f"/api-keys/{key['id']}"),
        ("POST", f"/api-keys/{key['id']}/rotate"),
    ):
        for whom in (EVE, ANN) if "api-keys" in path else (EVE,):
            answer = await served.http.request(method, f"/api/v1{path}", headers=bearing(whom))
            assert answer.status_code == 404, (method, path, whom)
    assert [b["id"] for b in await served.get("/budgets", whom=EVE)] == []
    assert [k["id"] for k in await served.get("/api-keys", whom=BOB)] == [key["id"]]
    assert (await served.http.get("/v1/models", headers=bearing(key["key"]))).status_code == 200


async def test_a_limit_of_one_tenant_binds_nobody_in_another(served: World) -> None:
    model = served.fresh()
    await served.limit(0, "agent", "miser")
    statuses = [(await served.chat(model, whom=w, told={"x-codelab-agent": "miser"})).status_code for w in (ANN, EVE)]
    assert statuses == [402, 200]


async def test_without_the_permission_there_is_no_way(served: World) -> None:
    for method, path, body in (
        ("GET", "/providers", None),
        ("GET", "/llm-cache", None),
        ("POST", "/llm-cache/invalidate", {"tenant": True}),
        ("PUT", "/budgets", {"scope": "user", "period": "day", "limit": 1}),
        ("DELETE", "/budgets/x", None),
    ):
        answer = await served.http.request(method, f"/api/v1{path}", json=body, headers=bearing(BOB + PLAIN))
        assert answer.status_code == 403, path
    only = "bob@t1?threads:read"
    for method, path in (("GET", "/usage"), ("GET", "/usage/requests"), ("GET", "/budgets"), ("GET", "/api-keys")):
        assert (await served.http.request(method, f"/api/v1{path}", headers=bearing(only))).status_code == 403, path
    assert (await served.chat(served.fresh(), whom=only)).status_code == 403
    greedy = await served.http.post(
        "/api/v1/api-keys", json={"name": "x", "scopes": ["llm:admin"]}, headers=bearing(BOB + PLAIN)
    )
    assert greedy.status_code == 403


async def test_a_key_is_its_owners_whatever_the_headers_say(served: World) -> None:
    key = await served.key(BOB)
    told = {"x-user": "ann", "x-codelab-tenant": "t2", "x-codelab-user": "eve", "x-codelab-agent": "mask"}
    answer = await served.chat(served.fresh(), whom=key["key"], told=told, user="eve")
    assert answer.status_code == 200
    row = await served.row(agent="mask")
    assert (row["user_id"], row["key_id"]) == ("bob", key["id"])
    assert (await served.get("/usage/requests", whom=EVE, agent="mask"))["items"] == []


async def test_forgetting_and_counting_stop_at_the_tenants_wall(served: World) -> None:
    """The same question in two tenants has two answers, and each forgets its own."""
    model = served.fresh()
    told = {"x-codelab-tags": "prompt:1"}

    async def outcome(whom: str) -> str:
        return (await served.chat(model, whom=whom, told=told, temperature=0)).headers["x-codelab-cache"]

    assert [await outcome(ANN), await outcome(EVE)] == ["miss", "miss"]

    async def kept() -> bool:
        return await outcome(ANN) == "hit"

    await eventually(kept, "ann's answer")
    key = (await served.chat(model, whom=ANN, told=told, temperature=0)).headers["x-codelab-cache-key"]
    for body in ({"tenant": True}, {"tags": ["prompt:1"]}, {"key": key}, {"tags": [f"model:{model}"]}):
        answer = await served.http.post("/api/v1/llm-cache/invalidate", json=body, headers=bearing(EVE))
        assert answer.status_code in {204, 404}, body
        assert await outcome(ANN) == "hit", body
    assert await outcome(EVE) == "miss"


# ---- what is said, and to whom ---------------------------------------------------------------------------------------


async def test_secrets_and_prompts_are_never_logged(
    served: World, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over good answers, refusals, faults of the provider that quote us, and our own."""
    key = await served.key(ANN)
    secret = "the-crown-jewels-0451"
    quoting = whole(OPENAI.error(f"{KEY} said {secret} to {served.up.url}"), 401)
    said = ""
    for reply in (GOOD, quoting, whole(OPENAI.error(f"{KEY} {secret}"), 500), streamed(*OPENAI.frames[:1], cut=True)):
        served.up.replies = [reply]
        answer = await served.chat(
            served.fresh(), whom=key["key"], stream=True, messages=[{"role": "user", "content": secret}]
        )
        said += answer.text + str(answer.headers)
    served.up.replies = [GOOD]
    broken = f'{{"model": "m", "messages": [{{"role": "user", "content": "{secret}"}}'.encode()
    for body in (broken, orjson.dumps({"model": "x", "messages": [{"role": "user", "content": secret}]})):
        await served.http.post(CHAT, content=body, headers=bearing(key["key"]))
    await served.http.post("/api/v1/api-keys", json={"name": "x", "scopes": [key["key"]]})
    await served.http.get("/v1/models", headers=bearing(key["key"][:-1] + "x"))

    def broken_gateway(_request: object) -> None:
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as patch:
        patch.setattr(served.runtime.llm.gateway, "answer", broken_gateway)
        failed = await served.chat("openai-0", whom=key["key"], messages=[{"role": "user", "content": secret}])
    assert (failed.status_code, failed.json()["error"]["code"]) == (500, "internal")
    logged = "".join(capfd.readouterr())
    assert "a fault of ours" in logged
    assert not any(word in logged for word in (key["key"], KEY, secret))
    assert KEY not in said
    assert str(served.up.port) not in said
    rows = orjson.dumps((await served.get("/usage/requests", key_id=key["id"]))["items"]).decode()
    assert not any(word in rows for word in (KEY, key["key"], secret))


async def test_another_requests_words_are_in_nobodys_error(served: World) -> None:
    secret = "the-crown-jewels-0452"
    served.up.replies = [whole(OPENAI.error("bad"), 500)]
    model = served.fresh()
    await served.chat(model, messages=[{"role": "user", "content": secret}])
    answers = [await served.chat(model, whom=EVE), await served.http.get("/api/v1/providers")]
    served.up.replies = [GOOD]
    assert all(secret not in answer.text for answer in answers)


async def test_nobody_fetches_a_picture(served: World) -> None:
    """An address of a picture is handed on, or refused, and never looked up from here."""
    async with upstream(whole(b"x")) as inside:
        address = f"{inside.url}/latest/meta-data"
        picture = [{"type": "image_url", "image_url": {"url": address}}]
        for dialect in (OPENAI, ANTHROPIC, GEMINI):
            served.up.replies = [whole(dialect.answer)]
            answer = await served.chat(served.fresh(dialect.name), messages=[{"role": "user", "content": picture}])
            assert answer.status_code == 200, answer.text
        for odd in ("file:///etc/passwd", "gopher://127.0.0.1", "data:image/png;base64,%%%", "", "\0"):
            wanted = [{"type": "image_url", "image_url": {"url": odd}}]
            for dialect in (ANTHROPIC, GEMINI):
                served.up.replies = [whole(dialect.answer)]
                answer = await served.chat(served.fresh(dialect.name), messages=[{"role": "user", "content": wanted}])
                assert answer.status_code in {200, 400}, (odd, answer.text)
        served.up.replies = [GOOD]
        assert inside.connections == 0


# ---- hostile bytes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 10**17 + 1},
        {"limit": 2**63},
        {"limit": -1},
        {"limit": 10**400},
        {"limit": 1.5},
        {"limit": True},
        {"limit": "1e9999"},
        {"thresholds": [0]},
        {"thresholds": [2**70]},
        {"thresholds": [1] * 11},
        {"subject": "a\0b"},
        {"subject": "x" * 201},
        {"subject": "\ud800"},
        {"subject": ""},
        {"scope": "world"},
        {"scope": "tenant", "subject": "ann"},
        {"period": "year"},
        {"owner_id": "eve"},
        {"tenant_id": "t2"},
    ],
    ids=[str(number) for number in range(19)],
)
async def test_a_limit_of_a_strange_form(served: World, body: dict[str, Any]) -> None:
    sent = {"scope": "user", "period": "day", "limit": 1, **body}
    answer = await served.http.put("/api/v1/budgets", content=json.dumps(sent).encode())
    assert answer.status_code == 422, answer.text


async def test_the_largest_limit_holds_what_is_added_to_it(served: World) -> None:
    budget = await served.limit(10**17, "agent", "rich")
    served.up.replies = [GOOD]
    answer = await served.chat(served.fresh(), told={"x-codelab-agent": "rich"}, max_tokens=10_000_000, n=128)
    assert answer.status_code == 200, answer.text
    assert (await served.spent(budget))[0] > 0


@pytest.mark.parametrize("path", ["/api/v1/budgets", "/api/v1/api-keys", "/api/v1/llm-cache/invalidate", CHAT])
@pytest.mark.parametrize("body", ODD, ids=[str(number) for number in range(len(ODD))])
async def test_bodies_that_are_none(served: World, path: str, body: bytes) -> None:
    method = "PUT" if path.endswith("budgets") else "POST"
    answer = await served.http.request(method, path, content=body)
    assert answer.status_code in {400, 422}, answer.text


async def test_of_doubled_members_one_counts_everywhere(served: World) -> None:
    """What was checked is what is sent: no other reader of the same bytes sees another request."""
    model = served.fresh()
    answer = await served.http.post(CHAT, content=DOUBLED % model.encode())
    assert answer.status_code == 400
    key = await served.key(ANN, models=[model])
    sneaky = b'{"model": "gpt-secret", "messages": [{"role": "user", "content": "Hi"}], "model": "%s"}' % model.encode()
    asked = len(served.up.asked)
    answer = await served.http.post(CHAT, content=sneaky, headers=bearing(key["key"]))
    assert answer.status_code == 200
    assert served.up.asked[asked].body["model"] == OPENAI.upstream


async def test_ten_thousand_tags(served: World) -> None:
    many = ",".join(f"t{number}" for number in range(10_000))
    model = served.fresh()
    answer = await served.chat(model, told={"x-codelab-tags": many[:60_000]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_header")
    body = {"tags": [f"t{number}" for number in range(10_000)]}
    assert (await served.http.post("/api/v1/llm-cache/invalidate", json=body)).status_code == 422


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-codelab-thread", "a\x00b"),
        ("x-codelab-agent", "x" * 129),
        ("x-codelab-session", "\xff\xfe"),
        ("x-codelab-deadline", "inf"),
        ("x-codelab-deadline", "1e3"),
        ("x-codelab-deadline", "-1"),
        ("x-codelab-cache-ttl", "9" * 400),
        ("x-replay-rate", "nan"),
        ("x-codelab-priority", "urgent"),
        ("x-codelab-cache", "ON"),
    ],
)
async def test_headers_of_a_strange_form(served: World, name: str, value: str) -> None:
    body = orjson.dumps(asking("openai-0"))
    answer = await raw(served, head("POST", CHAT, f"{name}: {value}", f"content-length: {len(body)}") + body)
    assert status(answer) == 400, answer
    assert value.encode("latin-1") not in answer or len(value) < 8


async def test_a_name_of_ours_cannot_be_written_into_logs_or_heads(served: World) -> None:
    for sent in ("a\r\nx-evil: 1", "a\nlevel=critical", "\x1b[2J", "é" * 20, "x" * 200):
        answer = await raw(served, head("GET", "/v1/models", "x-correlation-id: " + sent.replace("\r\n", "%0d%0a")))
        told = answer.split(b"\r\n\r\n")[0].lower()
        assert not any(word in told for word in (b"x-evil", b"\x1b", b"critical"))


@pytest.mark.parametrize(
    "lines",
    [
        ("content-length: 5", "transfer-encoding: chunked"),
        ("content-length: 5", "content-length: 6"),
        ("transfer-encoding: xchunked",),
        ("transfer-encoding: chunked", "transfer-encoding: identity"),
        ("content-length: -1",),
        ("content-length: 5, 5",),
        ("content-length: 0x5",),
        ("content-length: 99999999999999999999",),
    ],
    ids=[str(number) for number in range(8)],
)
@pytest.mark.parametrize("path", [CHAT, "/api/v1/budgets"])
async def test_no_second_request_is_smuggled_in(served: World, path: str, lines: tuple[str, ...]) -> None:
    asked = len(served.up.asked)
    hidden = head("GET", "/v1/models")
    answer = await raw(served, head("POST", path, *lines) + b"0\r\n\r\n" + hidden)
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert status(answer) in {0, 400, 405, 413, 422}, answer
    assert len(served.up.asked) == asked


async def test_a_body_that_never_ends_is_given_up(served: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "BODY_S", 0.2)
    answer = await raw(served, head("POST", CHAT, "content-length: 1000") + b'{"model": ')
    assert status(answer) == 408, answer
    assert b"request_timeout" in answer


async def test_a_client_that_stops_reading_holds_nobody_else_up(served: World) -> None:
    """Its answer waits where it is; others are answered meanwhile, and what it held is free when it goes."""
    big = OPENAI.frames[0].replace(b"Hello", b"x" * 100_000)
    served.up.replies = [streamed(*itertools.repeat(big, 200), *OPENAI.frames[1:])]
    model = served.fresh()
    body = orjson.dumps(asking(model, stream=True))
    _, writer = await asyncio.open_connection("127.0.0.1", served.http.base_url.port, limit=1024)
    writer.transport.pause_reading()
    asked = len(served.up.asked)
    writer.write(head("POST", CHAT, "x-codelab-agent: deaf", f"content-length: {len(body)}") + body)
    await eventually(lambda: len(served.up.asked) > asked, "the request")
    served.up.replies = [GOOD]
    assert (await served.chat(served.fresh())).status_code == 200
    writer.transport.abort()
    row = await served.row(agent="deaf")
    assert row["error"] == "cancelled"
    await eventually(lambda: not served.open_upstreams, "the connection")


async def test_a_spent_budget_says_when_it_starts_anew(served: World) -> None:
    await served.limit(0, "agent", "spent", period="day")
    answer = await served.chat(served.fresh(), told={"x-codelab-agent": "spent"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "budget_exceeded")
    assert answer.json()["error"]["type"] == "insufficient_quota"
    assert 0 < int(answer.headers["retry-after"]) <= 86_400


async def test_a_crowd_of_strangers_costs_no_model(served: World) -> None:
    asked = len(served.up.asked)
    async with httpx.AsyncClient(base_url=served.http.base_url) as http:
        sent = [bearing("sk-cl-" + "A" * 43), bearing("nobody"), {}, {"cookie": "codelab_session=x"}]
        answers = await asyncio.gather(*(http.post(CHAT, json=asking("openai-0"), headers=h) for h in sent * 5))
    assert {answer.status_code for answer in answers} == {401}
    assert len(served.up.asked) == asked
