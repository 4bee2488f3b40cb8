"""The thread protocol v2 over a WebSocket, on a real port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from codelab.core import permissions
from codelab.core.types import Principal
from codelab.server.agent_api import protocol_socket
from codelab.server.agent_api.app import create_agent_server
from codelab.server.agent_api.protocol_socket import MOST_SUBSCRIPTIONS
from tests.agent_api.protocol_graphs import Thread, asked, graph, phases, rested, values
from tests.support.agent_server import listening

TOKEN = "a-token"


class People:
    """`alice` and `bob` may do everything, `reader` may read."""

    cookie_name = "codelab_session"

    async def bearer(self, token: str, path: str = "/") -> Principal | None:  # noqa: ARG002
        if token == "reader":
            return Principal("alice", scopes=frozenset({"runs:read"}))
        if token == "writer":
            return Principal("alice", scopes=frozenset({"runs:write"}))
        return Principal(token, scopes=permissions.ALL) if token in {"alice", "bob"} else None

    async def cookie(self, value: str) -> Principal | None:
        return await self.bearer(value)

    async def lives(self, token: str) -> bool:
        return bool(token)

    async def bounded(self, principal: Principal) -> Principal:
        return principal

    def nobody(self) -> Principal | None:
        return None


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    app = create_agent_server({"g": graph()}, database_url, People())
    async with listening(app) as client:
        client.headers["authorization"] = "Bearer alice"
        yield client


class Socket:
    """A socket of one thread; answers and events as they come."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.sent = 0
        self.early: list[dict[str, Any]] = []  # events that came before an answer

    async def send(self, method: str, **params: Any) -> int:
        self.sent += 1
        await self.connection.send(json.dumps({"id": self.sent, "method": method, "params": params}))
        return self.sent

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            return json.loads(await self.connection.recv())

    async def ask(self, method: str, **params: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Send a command; its answer, and the events that came before it."""
        number = await self.send(method, **params)
        events = []
        while (message := await self.next())["type"] == "event":
            events.append(message)
        assert message["id"] == number
        self.early += events
        return message, events

    async def events(self, until: Any) -> list[dict[str, Any]]:
        events, self.early = self.early, []
        while not until(events):
            events.append(await self.next())
        return events

    async def drain(self, into: list[dict[str, Any]]) -> None:
        while True:
            into.append(await self.next())

    async def silent(self) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await self.connection.recv()


@asynccontextmanager
async def connected(
    client: httpx.AsyncClient, thread_id: str, who: str = "alice", **more: Any
) -> AsyncIterator[Socket]:
    url = f"ws://{client.base_url.host}:{client.base_url.port}/threads/{thread_id}/stream/events"
    headers = {"authorization": f"Bearer {who}"} if who else {}
    async with connect(url, additional_headers=headers, max_size=2**24, **more) as connection:
        yield Socket(connection)


@pytest.fixture
async def socket(client: httpx.AsyncClient) -> AsyncIterator[Socket]:
    async with connected(client, str(uuid4())) as socket:
        yield socket


async def test_a_conversation(socket):
    told, events = await socket.ask("subscription.subscribe", channels=["values", "lifecycle", "input"])
    assert (told["type"], told["result"]["replayed_events"], events) == ("success", 0, [])
    told, _ = await socket.ask("run.start", assistant_id="g", input={"mode": "ask"})
    assert told["result"]["run_id"]
    events = await socket.events(rested())
    assert phases(events) == ["running", "interrupted"]
    told, _ = await socket.ask("input.respond", interrupt_id=asked(events)[0], response="yes")
    assert (told["type"], told["result"]) == ("success", {})
    events = await socket.events(rested())
    assert values(events)[-1]["items"] == ["work", "yes"]


async def test_what_a_new_subscription_missed_comes_before_its_answer(socket):
    await socket.ask("subscription.subscribe", channels=["lifecycle"])
    await socket.ask("run.start", assistant_id="g", input={"mode": "x"})
    first = await socket.events(rested())
    told, missed = await socket.ask("subscription.subscribe", channels=["values"])
    assert values(missed)[-1]["items"] == ["work"]
    assert told["result"]["replayed_events"] == len(missed) == 2
    assert told["meta"]["applied_through_seq"] >= first[-1]["seq"]
    told, missed = await socket.ask("subscription.subscribe", channels=["values"], since=first[-1]["seq"])
    assert (told["result"]["replayed_events"], missed) == (0, [])


async def test_an_event_comes_once_however_many_subscriptions_want_it(socket):
    await socket.ask("subscription.subscribe", channels=["values"])
    await socket.ask("subscription.subscribe", channels=["values", "lifecycle"])
    await socket.ask("run.start", assistant_id="g", input={"mode": "x"})
    events = await socket.events(rested())
    assert len({e["event_id"] for e in events}) == len(events) == 4


async def test_what_is_no_longer_subscribed_comes_no_more(socket):
    told, _ = await socket.ask("subscription.subscribe", channels=["values"])
    name = told["result"]["subscription_id"]
    await socket.ask("subscription.subscribe", channels=["lifecycle"])
    assert (await socket.ask("subscription.unsubscribe", subscription_id=name))[0]["type"] == "success"
    again = (await socket.ask("subscription.unsubscribe", subscription_id=name))[0]
    assert again["error"] == "no_such_subscription"
    await socket.ask("run.start", assistant_id="g", input={"mode": "x"})
    assert {e["method"] for e in await socket.events(rested())} == {"lifecycle"}


async def test_one_that_comes_back_gets_what_it_missed_and_nothing_twice(client):
    thread = Thread(client)
    await thread.start("ask")
    whole = await thread.heard(rested())
    async with connected(client, thread.id) as socket:
        _, first = await socket.ask("subscription.subscribe", channels=["values", "lifecycle", "input"])
    seen = first[1]["seq"]
    async with connected(client, thread.id) as socket:
        _, rest = await socket.ask("subscription.subscribe", channels=["values", "lifecycle", "input"], since=seen)
        await socket.silent()
    assert first[:2] + rest == [e for e in whole if e["method"] in {"values", "lifecycle", "input.requested"}]


async def test_two_sockets_of_one_thread_see_the_same(client):
    thread_id = str(uuid4())
    async with connected(client, thread_id) as one, connected(client, thread_id) as other:
        for socket in (one, other):
            await socket.ask("subscription.subscribe", channels=["values", "lifecycle"])
        await one.ask("run.start", assistant_id="g", input={"mode": "x"})
        assert await one.events(rested()) == await other.events(rested())


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("nonsense", {}, "unknown_command"),
        ("subscription.reconnect", {}, "unknown_command"),
        ("subscription.subscribe", {}, "invalid_argument"),
        ("subscription.subscribe", {"channels": ["nonsense"]}, "invalid_argument"),
        ("subscription.subscribe", {"channels": ["values"], "since": -1}, "invalid_argument"),
        ("subscription.unsubscribe", {}, "invalid_argument"),
        ("agent.getTree", {}, "no_such_run"),
    ],
)
async def test_a_refusal_closes_nothing(socket, method, params, code):
    assert (await socket.ask(method, **params))[0]["error"] == code
    assert (await socket.ask("subscription.subscribe", channels=["values"]))[0]["type"] == "success"


@pytest.mark.parametrize("text", ["garbage", "[]", "5", "{}", "[" * 100_000, '{"id": 1, "method": ["x"]}'])
async def test_what_is_no_command_is_answered(socket, text):
    await socket.connection.send(text)
    answer = await socket.next()
    assert (answer["type"], answer["error"]) == ("error", "invalid_argument")
    assert (await socket.ask("agent.getTree"))[0]["error"] == "no_such_run"


async def test_a_frame_has_its_limit(socket):
    await socket.connection.send('"' + "x" * (5 * 1024 * 1024) + '"')
    with pytest.raises(ConnectionClosed) as closed:
        await socket.next()
    assert closed.value.rcvd.code == 1009


async def test_a_binary_frame_is_not_understood(socket):
    await socket.connection.send(b"\x00\x01")
    with pytest.raises(ConnectionClosed) as closed:
        await socket.next()
    assert closed.value.rcvd.code == 1003


async def test_subscriptions_have_their_number(socket):
    for _ in range(MOST_SUBSCRIPTIONS):
        assert (await socket.ask("subscription.subscribe", channels=["values"]))[0]["type"] == "success"
    assert (await socket.ask("subscription.subscribe", channels=["values"]))[0]["error"] == "invalid_argument"


async def test_who_does_not_read_is_closed_and_can_come_back(client, monkeypatch):
    monkeypatch.setattr(protocol_socket, "SEND_S", 0.5)
    thread = Thread(client)
    for _ in range(8):
        await thread.command("run.start", assistant_id="g", input={"mode": "x", "items": ["x" * 400_000]})
    whole = await thread.heard(rested(8), "lifecycle", "values")
    async with connected(client, thread.id, max_queue=1, compression=None) as socket:
        await socket.send("subscription.subscribe", channels=["values", "lifecycle"])
        await asyncio.sleep(3)
        seen: list[dict[str, Any]] = []
        with pytest.raises(ConnectionClosed) as closed:
            await socket.drain(seen)
    assert closed.value.rcvd is None or closed.value.rcvd.code == 1013
    assert len(seen) < len(whole)
    async with connected(client, thread.id) as socket:
        since = seen[-1]["seq"] if seen else 0
        _, rest = await socket.ask("subscription.subscribe", channels=["values", "lifecycle"], since=since)
    assert seen + rest == whole


async def test_a_deleted_thread_closes_its_sockets(client):
    thread = Thread(client)
    await thread.start("x")
    await thread.heard(rested(), "lifecycle")
    async with connected(client, thread.id) as socket:
        await socket.ask("subscription.subscribe", channels=["lifecycle"])
        assert (await client.delete(f"/threads/{thread.id}")).status_code == 204
        with pytest.raises(ConnectionClosed) as closed:
            await socket.drain([])
    assert closed.value.rcvd.code == 1000


async def test_nobody_hears_another_ones_thread(client):
    thread = Thread(client)
    await thread.start("x")
    await thread.heard(rested(), "lifecycle")
    async with connected(client, thread.id, "bob") as socket:
        told, events = await socket.ask("subscription.subscribe", channels=["values", "lifecycle"])
        assert (told["result"]["replayed_events"], events) == (0, [])
        assert (await socket.ask("agent.getTree"))[0]["error"] == "no_such_run"
        refused = (await socket.ask("run.start", assistant_id="g", input={"mode": "x"}))[0]
        assert refused["error"] == "unknown_error"
        await thread.start("x")
        await socket.silent()


async def test_a_reader_starts_nothing(client):
    async with connected(client, str(uuid4()), "reader") as socket:
        assert (await socket.ask("run.start", assistant_id="g", input={}))[0]["error"] == "permission_denied"
        assert (await socket.ask("subscription.subscribe", channels=["values"]))[0]["type"] == "success"


@pytest.mark.parametrize(("token", "thread"), [("", None), ("wrong", None), ("writer", None), ("alice", "nonsense")])
async def test_the_door(client, token, thread):
    with pytest.raises(InvalidStatus) as refused:
        async with connected(client, thread or str(uuid4()), token):
            pass
    assert refused.value.response.status_code == 403


async def test_a_browser_comes_in_with_subprotocols(client):
    async with connected(client, str(uuid4()), "", subprotocols=["bearer", "alice"]) as socket:
        assert socket.connection.subprotocol == "bearer"
        assert (await socket.ask("subscription.subscribe", channels=["values"]))[0]["type"] == "success"
