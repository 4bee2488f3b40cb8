"""What a factory is told of who looks, whatever a client says: its user, and a store that shows that user's items."""

from __future__ import annotations

from typing import Any

from langgraph.graph import START, MessagesState, StateGraph
from langgraph_sdk.runtime import ServerRuntime

from tests.agent_api.people import people

SPOOFED = {"langgraph_auth_user": {"identity": "root"}, "langgraph_auth_user_id": "root", "user_id": "root"}


def _talk(_state: MessagesState) -> dict[str, Any]:
    return {"messages": [("ai", "hello")]}


async def test_a_factory_is_told_the_truth_on_every_look(database_url: str) -> None:
    told: list[tuple[str, Any, dict[str, Any], Any]] = []

    async def factory(config: dict[str, Any], runtime: ServerRuntime) -> Any:
        who = runtime.user.identity if runtime.user is not None else None
        items = await runtime.store.asearch(())
        told.append((runtime.access_context, who, config["configurable"], [item.value for item in items]))
        return StateGraph(MessagesState).add_node("talk", _talk).add_edge(START, "talk")

    async with people({"made": factory}, database_url) as (_agent, user):
        alice, bob = user("alice"), user("bob")
        item = {"namespace": ["notes"], "key": "k", "value": {"of": "bob"}}
        assert (await bob.put("/store/items", json=item)).status_code == 204
        config = {"configurable": SPOOFED}
        made = (await alice.post("/assistants", json={"graph_id": "made", "config": config})).json()["assistant_id"]
        for view in ("graph", "schemas", "subgraphs"):
            assert (await alice.get(f"/assistants/{made}/{view}")).status_code == 200
        thread = f"/threads/{(await alice.post('/threads', json={})).json()['thread_id']}"
        run = {"assistant_id": made, "input": {"messages": "hi"}, "config": config}
        assert (await alice.post(f"{thread}/runs/wait", json=run)).status_code == 200
        (ran,) = (await alice.get(f"{thread}/runs")).json()
        for path in (f"/runs/{ran['run_id']}/join", "/state", "/history", ""):
            assert (await alice.get(f"{thread}{path}")).status_code == 200
    assert {access for access, *_ in told} >= {"assistants.read", "threads.create_run", "threads.read"}
    for access, who, configurable, items in told:
        assert (who, items) == ("alice", []), access
        assert "root" not in configurable.values(), access
        assert configurable.get("langgraph_auth_user", {}).get("identity", "alice") == "alice", access
