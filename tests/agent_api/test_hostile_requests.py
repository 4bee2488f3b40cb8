"""What no honest client sends: it is refused in words, and does nothing."""

from __future__ import annotations

import httpx
import pytest

from codelab.runtime.agent_runs.schemas import RunRequest
from tests.agent_api.people import Clients
from tests.agent_api.thread_graphs import made

DEEP = "[" * 100_000
LONG = "9" * 5000


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


COMMANDS = [
    DEEP,
    LONG,
    f'{{"id":1,"method":"run.start","params":{{"assistant_id":"talk","input":{nested(300)}}}}}',
    r'{"id":1,"method":"\ud800"}',
    r'{"id":"\ud800","method":1}',
    r'{"id":1,"method":"run.start","params":{"assistant_id":"talk","input":{"messages":"\ud800"}}}',
]


@pytest.mark.parametrize("sent", COMMANDS, ids=range(len(COMMANDS)))
@pytest.mark.parametrize("path", ["/commands", "/stream/events"])
async def test_the_protocol_takes_no_json_that_is_none(api: httpx.AsyncClient, path: str, sent: str) -> None:
    """Too deep, too long, or with half a character: what was stored of it could not be read back."""
    thread = await made(api)
    answer = await api.post(f"{thread}{path}", content=sent.encode())
    assert (answer.status_code, answer.json()) == (400, {"detail": "Invalid JSON body"})
    assert (await api.get(f"{thread}/runs")).json() == []


@pytest.mark.parametrize("run_id", ["\x00", "nope", {"a": 1}, ["x"], 7])
async def test_a_tree_of_a_run_that_cannot_be(api: httpx.AsyncClient, run_id: object) -> None:
    thread = await made(api, "ask")
    command = {"id": 1, "method": "agent.getTree", "params": {"run_id": run_id}}
    answer = await api.post(f"{thread}/commands", json=command)
    assert (answer.status_code, answer.json()["error"]) == (200, "no_such_run")


@pytest.mark.parametrize(
    "sent", [DEEP, r'{"jsonrpc":"2.0","id":"\ud800","method":"ping"}', r'{"jsonrpc":"2.0","id":1,"method":"\ud800"}']
)
async def test_a_tool_takes_no_json_that_is_none(api: httpx.AsyncClient, sent: str) -> None:
    answer = await api.post("/mcp", content=sent.encode())
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32700)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/runs/cancel", r'{"run_ids":["\u0000"]}'),
        ("/runs/cancel", r'{"thread_id":"\u0000","status":"all"}'),
        ("/runs/crons", '{"assistant_id":"talk","schedule":"* * * * *","end_time":"0001-01-01T00:00:00+14:00"}'),
        ("/runs/crons", '{"assistant_id":"talk","schedule":"* * * * *","end_time":"9999-12-31T23:59:59-14:00"}'),
    ],
)
async def test_values_beyond_what_databases_hold(api: httpx.AsyncClient, path: str, sent: str) -> None:
    answer = await api.post(path, content=sent.encode())
    assert answer.status_code == 422, answer.text
    assert isinstance(answer.json()["detail"], str)


async def test_pages_beyond_what_databases_count(api: httpx.AsyncClient) -> None:
    thread = await made(api)
    answer = await api.get(f"{thread}/runs", params={"offset": "9" * 30})
    assert answer.status_code == 422
    assert isinstance(answer.json()["detail"], str)


async def test_a_path_that_counts_too_far_leads_nowhere(api: httpx.AsyncClient) -> None:
    await made(api, "ask")
    answer = await api.post("/threads/search", json={"extract": {"far": f"values.log[{LONG}]"}})
    assert answer.status_code == 200, answer.text
    assert answer.json()[0]["extracted"] == {"far": None}


@pytest.mark.parametrize("goto", [True, 7, {}, {"x": 1}, {"node": 7}])
async def test_a_thread_cannot_begin_with_a_jump_to_nowhere(api: httpx.AsyncClient, goto: object) -> None:
    steps = [{"updates": [{"command": {"goto": goto}, "as_node": "first"}]}]
    answer = await api.post("/threads", json={"graph_id": "ask", "supersteps": steps})
    assert answer.status_code in {200, 400}, answer.text  # an empty jump is none
    assert goto == {} or answer.status_code == 400
    assert (await api.post("/threads/count", json={})).json() == (answer.status_code == 200)


async def test_no_client_goes_first(api: httpx.AsyncClient) -> None:
    """A run's priority and the form of its records are the server's own to say."""
    sent = {"assistant_id": "talk", "input": {"messages": "x"}, "priority": 10**30, "protocol": True}
    asked = RunRequest.model_validate(sent)
    assert (asked.priority, asked.protocol) == (0, False)
    thread = await made(api)
    assert (await api.post(f"{thread}/runs/wait", json=sent)).status_code == 200
    (run,) = (await api.get(f"{thread}/runs")).json()
    assert run["kwargs"]["protocol"] is False


async def test_who_may_only_look_stops_nothing(user: Clients, api: httpx.AsyncClient) -> None:
    thread = await made(api)
    run = (await api.post(f"{thread}/runs", json={"assistant_id": "wait"})).json()["run_id"]
    async with user(**{"x-scopes": "runs:read threads:read"}) as reader:
        answer = await reader.get(f"{thread}/runs/{run}/stream", params={"cancel_on_disconnect": "true"})
    assert (answer.status_code, answer.json()) == (403, {"detail": "This needs the permission runs:write."})


async def test_who_may_write_assistants_deletes_no_threads(user: Clients, api: httpx.AsyncClient) -> None:
    made_of = (await api.post("/assistants", json={"graph_id": "talk"})).json()["assistant_id"]
    async with user(**{"x-scopes": "assistants:write"}) as writer:
        answer = await writer.delete(f"/assistants/{made_of}", params={"delete_threads": "true"})
        assert (answer.status_code, answer.json()) == (403, {"detail": "This needs the permission threads:write."})
        assert (await writer.delete(f"/assistants/{made_of}")).status_code == 204


@pytest.mark.parametrize("messages", [None, [1], [[]], {"x": 1}])
async def test_an_input_that_no_reducer_takes_spoils_no_search(api: httpx.AsyncClient, messages: object) -> None:
    """It waits in the thread's checkpoint, where every look at the state meets it again."""
    good, bad = await made(api, "talk", sent={"messages": "hi"}), await made(api)
    failed = await api.post(f"{bad}/runs/wait", json={"assistant_id": "talk", "input": {"messages": messages}})
    assert "__error__" in failed.json()
    found = {f"/threads/{each['thread_id']}": each for each in (await api.post("/threads/search", json={})).json()}
    assert found.keys() == {good, bad}
    assert found[good]["values"]["messages"]
    for path in (bad, f"{bad}/state", f"{bad}/history"):
        assert (await api.get(path)).status_code == 200, path
    assert (await api.post("/threads/search", json={"values": {"n": 1}})).json() == []


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e400", r'"\u0000"'])
async def test_what_json_cannot_hold_in_a_state_and_about_it(api: httpx.AsyncClient, value: str) -> None:
    thread = await made(api, "ask")
    update = f'{{"values":{{"n":{value}}},"as_node":"last"}}'
    assert (await api.post(f"{thread}/state", content=update)).status_code == 200
    assert (await api.get(f"{thread}/state")).status_code == 200
    run = f'{{"assistant_id":"ask","input":{{"log":["again"]}},"config":{{"metadata":{{"rate":{value}}}}}}}'
    assert "__interrupt__" in (await api.post(f"{thread}/runs/wait", content=run)).json()
    found = await api.post(f"{thread}/history", json={"metadata": {"source": "update"}})
    assert (found.status_code, len(found.json())) == (200, 1), found.text


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/store/namespaces", {"prefix": ["x" * 100_000]}),
        ("/store/namespaces", {"suffix": ["x" * 100_000]}),
        ("/store/items/search", {"namespace_prefix": ["x" * 100_000]}),
        ("/store/items/search", {"filter": {"a": {"$gt": 10**400}}}),
        ("/store/items/search", {"filter": {"a": 10**400}}),
    ],
    ids=range(5),
)
async def test_a_store_is_asked_nothing_that_it_cannot_hold(api: httpx.AsyncClient, path: str, sent: object) -> None:
    answer = await api.post(path, json=sent)
    assert answer.status_code in {200, 400, 422}, answer.text  # a database that counts so far may find nothing
    assert answer.status_code == 200 or isinstance(answer.json()["detail"], str)
