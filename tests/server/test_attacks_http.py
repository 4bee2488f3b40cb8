"""Odd requests: each gets a plain answer, never a 500, and spoils nothing for the next one."""

from __future__ import annotations

import base64
import json

import httpx
import pytest
from fastapi.routing import APIRoute
from structlog.testing import capture_logs

from codelab.auth.local import COOKIE, LocalAuth
from codelab.core.types import utc_now
from codelab.server.sse import encoded
from codelab.store.records import LoggedEvent
from tests.server.conftest import TOKEN


@pytest.mark.parametrize("host", ["[", "[::1", "]", "[x]"])
async def test_a_broken_host_is_refused(client: httpx.AsyncClient, host: str) -> None:
    answer = await client.get("/ok", headers={"host": host})
    assert (answer.status_code, "host" in answer.json()["detail"]) == (422, True)


async def test_a_broken_origin_is_refused(client: httpx.AsyncClient, local_auth: LocalAuth) -> None:
    headers = {"cookie": f"{COOKIE}={local_auth.session}", "authorization": "", "origin": "http://["}
    answer = await client.post("/api/v1/threads", json={}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "bad_origin")


@pytest.mark.parametrize("length", ["\u00b2", "9" * 5000, "-1", "+1", "1_0", ""])
async def test_a_length_that_is_no_number_is_refused(client: httpx.AsyncClient, length: str) -> None:
    answer = await client.get("/ok", headers={"content-length": length.encode("latin-1")})
    assert answer.status_code == 413


async def test_a_correlation_id_ends_where_its_line_does(client: httpx.AsyncClient) -> None:
    answer = await client.get("/ok", headers={"x-correlation-id": "abc\n"})
    assert "\n" not in answer.headers["x-correlation-id"]


@pytest.mark.parametrize("path", ["/", "/ok", "/api/v1/threads", "/static/app.css"])
async def test_no_websocket_is_let_in(client: httpx.AsyncClient, path: str) -> None:
    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": "websocket.connect"}

    async def send(message: dict) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {TOKEN}".encode())]
    scope = {"type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers}
    await client.app(scope, receive, send)  # type: ignore[attr-defined]
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize(
    "cursor", ["2020-01-01T00:00:00|x", "2020-01-01", "0001-01-01T00:00:00+23:59|x", "9999-12-31T23:59:59-23:59|x", "|",
               "2020-01-01T00:00:00+00:00|a\0b"],
)  # fmt: skip
async def test_a_forged_cursor_is_no_accident(client: httpx.AsyncClient, cursor: str) -> None:
    value = base64.urlsafe_b64encode(cursor.encode()).decode()
    assert (await client.get("/api/v1/threads", params={"cursor": value})).status_code in {200, 422}


async def _thread(client: httpx.AsyncClient, path: str) -> dict:
    space = (await client.post("/api/v1/workspaces", json={"path": path})).json()
    return (await client.post("/api/v1/threads", json={"workspace_id": space["id"]})).json()


@pytest.mark.parametrize("seq", ["9" * 30, "\u00b2", "-1"])
async def test_a_forged_position_is_refused(client: httpx.AsyncClient, git_repo, seq: str) -> None:
    thread = await _thread(client, str(git_repo))
    value = f"x:{seq}".encode("latin-1")
    url = f"/api/v1/threads/{thread['id']}/events?follow=false"
    assert (await client.get(url, headers={"last-event-id": value})).status_code == 422


async def test_a_path_too_long_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/workspaces", json={"path": "x" * 4000})
    assert (answer.status_code, answer.json()["code"]) == (422, "path_refused")


@pytest.mark.parametrize("path", ["threads/%00", "threads/a%00b/events", "approvals?thread_id=%00", "approvals/a%00"])
async def test_an_address_with_a_nul_is_refused(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"/api/v1/{path}")
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_path")


async def test_names_hold_no_nul(client: httpx.AsyncClient, git_repo) -> None:
    made = await client.post("/api/v1/workspaces", json={"path": str(git_repo), "name": "a\0b"})
    assert made.json()["name"] == "a\ufffdb"
    assert (await client.post("/api/v1/threads", json={"workspace_id": "a\0b"})).status_code == 404


async def _asked(client: httpx.AsyncClient, git_repo) -> dict:
    thread = await _thread(client, str(git_repo))
    url = f"/api/v1/threads/{thread['id']}/runs"
    await client.post(url, json={"text": "write", "agent": "coder"}, headers={"accept": "text/event-stream"})
    (approval,) = (await client.get("/api/v1/approvals", params={"thread_id": thread["id"]})).json()
    return approval


@pytest.mark.parametrize("value", ["[" * 400 + "]" * 400, "9" * 30])
async def test_arguments_that_cannot_be_kept_are_refused(client: httpx.AsyncClient, git_repo, value: str) -> None:
    approval = await _asked(client, git_repo)
    body = f'{{"decision":"edit","arguments":{{"path":"a","content":{value}}}}}'
    url = f"/api/v1/approvals/{approval['id']}"
    answer = await client.post(url, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert (await client.get("/api/v1/approvals")).json()[0]["status"] == "pending"


async def test_arguments_are_kept_as_every_reader_can_read_them(client: httpx.AsyncClient, git_repo) -> None:
    approval = await _asked(client, git_repo)
    body = '{"decision":"edit","arguments":{"path":"x\\ud800","content":NaN,"z":"a\\u0000b"}}'
    url = f"/api/v1/approvals/{approval['id']}"
    for _ in range(2):  # the second is a replay of the very same decision
        answer = await client.post(url, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 200
        assert answer.json()["approval"]["edited_arguments"] == {"path": "x\ufffd", "content": None, "z": "a\ufffdb"}


async def test_half_a_character_does_not_end_the_stream() -> None:
    data = {"message_id": "m", "delta": "a\ud83d\0\r\nevent: x\n\ndata: {}", "n": float("nan")}

    async def records():
        yield [LoggedEvent("t", 1, "r", 0, "text.delta", data, utc_now())]

    (event,) = [event async for event in encoded(records(), "e")]
    raw = event.decode()
    lines = [line for line in raw.replace("\r\n", "\n").split("\n") if line]
    assert [line.partition(":")[0] for line in lines] == ["id", "data"]
    assert json.loads(lines[1][5:])["delta"].startswith("a\ufffd\ufffd\r\nevent")


async def test_an_accident_does_not_write_the_token_into_the_log(client: httpx.AsyncClient) -> None:
    async def broken(*_args: object, **_more: object) -> None:
        raise RuntimeError("boom")

    client.app.router.routes.insert(0, APIRoute("/api/v1/broken", broken))  # type: ignore[attr-defined]
    with capture_logs() as logs:
        answer = await client.get("/api/v1/broken", params={"_args": "1", "_more": "1"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    (entry,) = [entry for entry in logs if entry["event"] == "request_failed"]
    assert "exc_info" not in entry  # a console renderer would show every local variable, headers included
    assert "boom" in entry["trace"]
    assert TOKEN not in str(entry)
