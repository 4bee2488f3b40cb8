"""The long-term store and crons."""

from __future__ import annotations

from uuid import uuid4

from tests.conformance.recording import Recorder
from tests.conformance.scenarios.runs import thread_of


async def items(r: Recorder) -> None:
    """Put, get, search, list, delete."""
    place = ["probe", "items"]
    for key, value in {"a": {"colour": "red", "size": 1}, "b": {"colour": "blue", "size": 2}}.items():
        await r.call(f"put {key}", "PUT", "/store/items", json={"namespace": place, "key": key, "value": value})
    await r.call(
        "put again", "PUT", "/store/items", json={"namespace": place, "key": "a", "value": {"colour": "green"}}
    )
    await r.call("get", "GET", "/store/items", params={"namespace": "probe.items", "key": "a"})
    await r.call("get nothing", "GET", "/store/items", params={"namespace": "probe.items", "key": "zzz"})
    await r.call("search", "POST", "/store/items/search", json={"namespace_prefix": ["probe"]})
    blue = {"namespace_prefix": ["probe"], "filter": {"colour": "blue"}}
    await r.call("search filtered", "POST", "/store/items/search", json=blue)
    await r.call(
        "search page", "POST", "/store/items/search", json={"namespace_prefix": place, "limit": 1, "offset": 1}
    )
    await r.call("search elsewhere", "POST", "/store/items/search", json={"namespace_prefix": ["nowhere"]})
    await r.http.put("/store/items", json={"namespace": ["probe", "more", "deep"], "key": "x", "value": {}})
    await r.call("namespaces", "POST", "/store/namespaces", json={"prefix": ["probe"]})
    await r.call("namespaces of depth", "POST", "/store/namespaces", json={"prefix": ["probe"], "max_depth": 2})
    await r.call("namespaces by suffix", "POST", "/store/namespaces", json={"prefix": ["probe"], "suffix": ["deep"]})
    await r.call("delete", "DELETE", "/store/items", json={"namespace": place, "key": "a"})
    await r.call("deleted", "GET", "/store/items", params={"namespace": "probe.items", "key": "a"})
    await r.call("delete again", "DELETE", "/store/items", json={"namespace": place, "key": "a"})


async def refused_items(r: Recorder) -> None:
    """What is refused, and how."""
    await r.call("dot", "PUT", "/store/items", json={"namespace": ["a.b"], "key": "k", "value": {}})
    await r.call("empty namespace", "PUT", "/store/items", json={"namespace": [], "key": "k", "value": {}})
    await r.call("empty label", "PUT", "/store/items", json={"namespace": ["a", ""], "key": "k", "value": {}})
    await r.call("reserved", "PUT", "/store/items", json={"namespace": ["langgraph", "x"], "key": "k", "value": {}})
    await r.call("no value", "PUT", "/store/items", json={"namespace": ["a"], "key": "k"})
    await r.call("value not a dict", "PUT", "/store/items", json={"namespace": ["a"], "key": "k", "value": 3})
    await r.call("no key", "GET", "/store/items", params={"namespace": "a"})
    await r.call("bad limit", "POST", "/store/items/search", json={"namespace_prefix": ["a"], "limit": -3})


async def crons(r: Recorder) -> None:
    """Schedules: make, find, change, delete."""
    body = {"schedule": "0 3 1 1 *", "assistant_id": "echo", "input": {"text": "x"}, "metadata": {"probe": "crons"}}
    made = await r.call("create", "POST", "/runs/crons", name="cron_id=cron", json=body)
    path = await thread_of(r)
    bound = await r.call("create on a thread", "POST", f"{path}/runs/crons", name="cron_id=bound", json=body)
    thread = path.rpartition("/")[2]
    await r.call("search", "POST", "/runs/crons/search", json={"thread_id": thread})
    await r.call("count", "POST", "/runs/crons/count", json={"thread_id": thread})
    await r.call("get", "GET", f"/runs/crons/{made['cron_id']}")
    await r.call("patch", "PATCH", f"/runs/crons/{made['cron_id']}", json={"schedule": "0 4 1 1 *", "enabled": False})
    zoned = {**body, "timezone": "Europe/Vienna", "end_time": "2099-01-01T00:00:00Z"}
    other = await r.call("create zoned", "POST", "/runs/crons", name="cron_id=zoned", json=zoned)
    for cron in (made, bound, other):
        await r.call(
            f"delete {cron['cron_id'][:0]}{'abc'[(made, bound, other).index(cron)]}",
            "DELETE",
            f"/runs/crons/{cron['cron_id']}",
        )
    await r.call("delete again", "DELETE", f"/runs/crons/{made['cron_id']}")


async def refused_crons(r: Recorder) -> None:
    """What is refused, and how."""
    body = {"schedule": "0 3 1 1 *", "assistant_id": "echo"}
    await r.call("bad schedule", "POST", "/runs/crons", json={**body, "schedule": "whenever"})
    await r.call("bad timezone", "POST", "/runs/crons", json={**body, "timezone": "Moon/Crater"})
    await r.call("unknown graph", "POST", "/runs/crons", json={**body, "assistant_id": "nonsense"})
    await r.call("unknown assistant", "POST", "/runs/crons", json={**body, "assistant_id": str(uuid4())})
    await r.call("unknown thread", "POST", f"/threads/{uuid4()}/runs/crons", json=body)
    await r.call("no schedule", "POST", "/runs/crons", json={"assistant_id": "echo"})
    await r.call("unknown cron", "PATCH", f"/runs/crons/{uuid4()}", json={"enabled": False})
    await r.call("get unknown", "GET", f"/runs/crons/{uuid4()}")


SCENARIOS = (items, refused_items, crons, refused_crons)
