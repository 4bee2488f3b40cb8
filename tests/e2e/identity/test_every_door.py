"""Every surface, over the socket: who may come in, with what, to what, and for how long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.errors import APIStatusError
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.support.people_service import PeopleService
from tests.support.person import Person

pytestmark = pytest.mark.e2e
SOON_S = 2.0
ALL = "threads:read threads:write runs:read runs:write assistants:read store:read llm:invoke approvals:read"
LLM = "llm:invoke"
SUBSCRIBE = '{"id": 1, "method": "subscription.subscribe", "params": {"channels": ["lifecycle", "messages", "values"]}}'


@dataclass(frozen=True)
class Door:
    """One address of a surface; `{thread}` in it is somebody's thread."""

    name: str
    path: str
    scope: str
    body: dict[str, Any] | None = None

    def __str__(self) -> str:
        return self.name

    def knock(self, http: httpx.Client, thread: str) -> httpx.Response:
        path = self.path.format(thread=thread)
        return http.get(path) if self.body is None else http.post(path, json=self.body)


DOORS = (
    Door("rest", "/api/v1/threads/{thread}", "threads:read"),
    Door("sse", "/api/v1/threads/{thread}/events?follow=false", "runs:read"),
    Door("agent-api", "/threads/{thread}", "threads:read"),
    Door("agent-sse", "/threads/{thread}/runs/{thread}/stream", "runs:read"),
    Door("commands", "/threads/{thread}/commands", "runs:write", {"id": 1, "method": "agent.getTree", "params": {}}),
    Door("models", "/v1/models", LLM),
)
OWNED = tuple(door for door in DOORS if "{thread}" in door.path and door.name not in {"agent-sse", "commands"})


@dataclass
class Socket:
    """The thread protocol over a WebSocket, asked one thing."""

    service: PeopleService

    def status(self, token: str | None, thread: str, *, path: str = "/threads/{thread}/stream/events") -> int:
        """0: it opened and answered; else the HTTP status, or the code it was closed with."""
        address = self.service.url.replace("http", "ws", 1) + path.format(thread=thread)
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        try:
            with connect(address, additional_headers=headers, open_timeout=10) as socket:
                socket.send(SUBSCRIBE)
                assert '"id":1' in str(socket.recv(timeout=10)).replace(" ", "")
        except InvalidStatus as exc:
            return exc.response.status_code
        except ConnectionClosed as exc:
            return exc.rcvd.code if exc.rcvd else -1
        return 0


@pytest.fixture(scope="module")
def thread(service: PeopleService, ann: Person) -> str:
    """A thread of Ann's."""
    with service.http(service.tokens(ann, ALL)["access_token"]) as http:
        answer = http.post("/threads", json={"metadata": {"graph_id": "codelab"}})
        assert answer.status_code == 200, answer.text
        return answer.json()["thread_id"]


def status_of(service: PeopleService, door: Door, token: str | None, thread: str) -> int:
    with service.http(token) as http:
        return door.knock(http, thread).status_code


def soon(what: Callable[[], int], wanted: int) -> None:
    """It becomes so within two seconds."""
    deadline = time.monotonic() + SOON_S
    while (status := what()) != wanted:
        assert time.monotonic() < deadline, f"still {status}, not {wanted}"
        time.sleep(0.1)


@pytest.fixture
def token(service: PeopleService, ann: Person) -> str:
    return service.tokens(ann, ALL)["access_token"]


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_a_good_token_opens_and_one_without_the_scope_does_not(
    service: PeopleService, ann: Person, token: str, thread: str, door: Door
) -> None:
    opened = status_of(service, door, token, thread)
    assert opened == (404 if door.name == "agent-sse" else 200)  # there is no such run
    assert status_of(service, door, None, thread) == 401
    narrow = service.tokens(ann, " ".join(sorted(set(ALL.split()) - {door.scope})))["access_token"]
    with service.http(narrow) as http:  # attack 31
        answer = door.knock(http, thread)
    assert answer.status_code == 403
    challenge = answer.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert f'scope="{door.scope}"' in challenge


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_a_token_for_another_audience_opens_nothing(
    service: PeopleService, ann: Person, thread: str, door: Door
) -> None:
    elsewhere = "https://other.example.org/api"
    client = service.client(audiences=[elsewhere], scopes=ALL.split())
    for resource in (elsewhere, f"{service.url}/mcp"):
        token = service.tokens(ann, ALL, client_id=client.id, resource=resource)["access_token"]
        with service.http(token) as http:
            answer = door.knock(http, thread)
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("door", OWNED, ids=str)
def test_what_is_another_persons_is_not_there(service: PeopleService, bob: Person, thread: str, door: Door) -> None:
    token = service.tokens(bob, ALL)["access_token"]
    with service.http(token) as http:
        other = thread[:-4] + "0000"
        theirs, nobodys = door.knock(http, thread), door.knock(http, other)
    assert theirs.status_code == nobodys.status_code == 404
    known, unknown = (dict(answer.json(), correlation_id="") for answer in (theirs, nobodys))
    assert str(known).replace(thread, other) == str(unknown)


def test_commands_on_another_persons_thread_change_nothing(
    service: PeopleService, bob: Person, token: str, thread: str
) -> None:
    stranger = service.tokens(bob, ALL)["access_token"]
    start = {"id": 7, "method": "run.start", "params": {"assistant_id": "codelab", "input": {"messages": []}}}
    with service.http(stranger) as http:
        answer = http.post(f"/threads/{thread}/commands", json=start)
    assert answer.json().get("error") or answer.status_code == 404, answer.text
    with service.http(token) as http:
        assert http.get(f"/threads/{thread}/runs").json() == []


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_a_revoked_token_is_dead_soon(service: PeopleService, ann: Person, thread: str, door: Door) -> None:
    made = service.tokens(ann, ALL + " offline_access")
    opened = status_of(service, door, made["access_token"], thread)
    assert opened not in {401, 403}
    with service.http() as http:
        answer = http.post("/oauth/revoke", data={"token": made["refresh_token"], "client_id": "codelab-cli"})
    assert answer.status_code == 200
    soon(lambda: status_of(service, door, made["access_token"], thread), 401)


def test_the_socket_asks_the_same(service: PeopleService, ann: Person, thread: str, token: str) -> None:
    socket = Socket(service)
    assert socket.status(token, thread) == 0
    assert socket.status(None, thread) == 403
    assert socket.status("nonsense", thread) == 403
    assert socket.status(service.tokens(ann, "threads:read")["access_token"], thread) == 403
    assert socket.status(service.tokens(ann, ALL, resource=f"{service.url}/mcp")["access_token"], thread) == 403
    made = service.tokens(ann, ALL + " offline_access")
    assert socket.status(made["access_token"], thread) == 0
    with service.http() as http:
        http.post("/oauth/revoke", data={"token": made["refresh_token"], "client_id": "codelab-cli"})
    soon(lambda: socket.status(made["access_token"], thread), 403)


def test_the_socket_tells_nobody_of_anothers_thread(
    service: PeopleService, bob: Person, thread: str, token: str
) -> None:
    """For a stranger the thread is one that does not exist yet: they are told nothing of what happens in it."""
    stranger = service.tokens(bob, ALL)["access_token"]
    address = f"{service.url.replace('http', 'ws', 1)}/threads/{thread}/stream/events"
    said = {"assistant_id": "codelab", "input": {"messages": [{"role": "user", "content": "hello"}]}}
    with connect(address, additional_headers={"authorization": f"Bearer {stranger}"}) as socket:
        socket.send(SUBSCRIBE)
        socket.recv(timeout=10)
        with service.http(token) as http:
            run = http.post(f"/threads/{thread}/runs/wait", json=said)
            assert run.status_code == 200, run.text
        with pytest.raises(TimeoutError):
            socket.recv(timeout=1)


def test_the_sdk_with_a_token(service: PeopleService, bob: Person, thread: str, token: str) -> None:
    stranger = service.tokens(bob, ALL)["access_token"]

    async def ask(bearer: str) -> tuple[Any, list[str]]:
        client = get_client(url=service.url, headers={"authorization": f"Bearer {bearer}"})
        found = [each["thread_id"] for each in await client.threads.search(limit=100)]
        try:
            return (await client.threads.get(thread))["thread_id"], found
        except APIStatusError as exc:
            return exc.status_code, found

    assert asyncio.run(ask(token)) == (thread, [thread])
    assert asyncio.run(ask(stranger)) == (404, [])


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_who_loses_a_role_loses_what_it_allowed(service: PeopleService, door: Door) -> None:
    person = service.person(f"loses-{door}")
    made, key = service.tokens(person, ALL), None
    with service.http(made["access_token"]) as http:
        mine = http.post("/threads", json={}).json()["thread_id"]
    person.sign_in()
    if door.scope == LLM:
        made_key = person.api("POST", "/api/v1/api-keys", json={"name": "mine"})
        assert made_key.status_code == 201, made_key.text
        key = made_key.json()["key"]
        assert status_of(service, door, key, mine) == 200
    assert status_of(service, door, made["access_token"], mine) in {200, 404}
    service.roles(person)
    soon(lambda: status_of(service, door, made["access_token"], mine), 403)
    if key:
        soon(lambda: status_of(service, door, key, mine), 403)
    elif door.body is None:
        soon(lambda: door.knock(person.http, mine).status_code, 403)


@pytest.mark.parametrize("door", [door for door in DOORS if door.scope != LLM], ids=str)
def test_an_ended_session_ends_its_cookie_and_its_tokens(service: PeopleService, door: Door) -> None:
    person = service.person(f"leaves-{door}")
    made = service.tokens(person, ALL)
    with service.http(made["access_token"]) as http:
        mine = http.post("/threads", json={}).json()["thread_id"]
    cookie = person.cookie
    with service.http(cookies={"sid": cookie}, headers={"origin": service.url}) as http:
        assert door.knock(http, mine).status_code in {200, 404}
        person.sign_out()
        assert door.knock(http, mine).status_code == 401
    soon(lambda: status_of(service, door, made["access_token"], mine), 401)
