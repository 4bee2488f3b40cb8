"""An application's own saver and store, in place of ours."""

import pytest
from structlog.testing import capture_logs

from codelab.core.errors import ConfigError
from tests.support.configs import config_served, project, ran

OWN = """
from contextlib import asynccontextmanager
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.store.memory import InMemoryStore

opened = []
kept = InMemoryStore()

@asynccontextmanager
async def saver():
    async with AsyncSqliteSaver.from_conn_string(FILE) as made:
        opened.append(made)
        yield made
    opened.clear()

async def plain():
    return InMemorySaver()

@asynccontextmanager
async def store():
    yield kept

def wrong():
    return 3
"""


def brought(tmp_path, **config):
    return project(tmp_path, {"own.py": OWN.replace("FILE", repr(str(tmp_path / "theirs.db")))}, **config)


@pytest.mark.parametrize("name", ["saver", "plain"])
async def test_state_is_in_the_applications_saver(tmp_path, database_url, name):
    path = brought(tmp_path, checkpointer={"path": f"./own.py:{name}"})
    with capture_logs() as logs:
        async with config_served(path, database_url) as client:
            api = client()
            thread = (await api.post("/threads", json={})).json()["thread_id"]
            await ran(api, thread)
            assert (await ran(api, thread))["log"] == ["in", "echo", "in", "echo"]
            assert (await api.get(f"/threads/{thread}/state")).json()["values"]["log"] == ["in", "echo"] * 2
            history = (await api.post(f"/threads/{thread}/history", json={"limit": 100})).json()
            copied = (await api.post(f"/threads/{thread}/copy")).json()["thread_id"]
            again = (await api.post(f"/threads/{copied}/history", json={"limit": 100})).json()
            assert [each["values"] for each in again] == [each["values"] for each in history]
            assert (await ran(api, copied))["log"] == ["in", "echo"] * 3
            fork = {"values": {"log": ["by hand"]}}
            assert (await api.post(f"/threads/{thread}/state", json=fork)).status_code == 200
            assert (await api.delete(f"/threads/{thread}")).status_code == 204
            assert (await api.get(f"/threads/{thread}/state")).status_code == 404
    (warned,) = [entry for entry in logs if entry["event"] == "checkpointer_borrowed"]
    assert warned["log_level"] == "warning"


async def test_items_are_in_the_applications_store(tmp_path, database_url):
    path = brought(tmp_path, store={"path": "./own.py:store"})
    async with config_served(path, database_url) as client:
        sent = {"namespace": ["notes"], "key": "k", "value": {"n": 1}}
        assert (await client().put("/store/items", json=sent)).status_code == 204
        found = (await client().post("/store/items/search", json={"namespace_prefix": ["notes"]})).json()["items"]
        assert [item["value"] for item in found] == [{"n": 1}]
        assert (await ran(client()))["log"] == ["in", "echo"]
    async with config_served(path, "sqlite:///:memory:") as client:  # another database, the same store
        found = (await client().post("/store/items/search", json={"namespace_prefix": ["notes"]})).json()["items"]
        assert [item["value"] for item in found] == [{"n": 1}]


@pytest.mark.parametrize("key", ["checkpointer", "store"])
async def test_a_factory_that_makes_something_else(tmp_path, key):
    path = brought(tmp_path, **{key: {"path": "./own.py:wrong"}})
    with pytest.raises((ConfigError, AssertionError), match=f"{key}.path"):
        async with config_served(path, "sqlite:///:memory:"):
            pass
