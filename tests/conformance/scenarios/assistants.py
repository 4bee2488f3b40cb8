"""Assistants: the graphs themselves, configured ones, versions, schemas and drawings."""

from __future__ import annotations

import json
from uuid import uuid4

from tests.conformance.recording import Recorder

SYSTEM = {"metadata": {"created_by": "system"}}


async def meta(r: Recorder) -> None:
    """Whether it lives, and what it can do."""
    await r.call("ok", "GET", "/ok")
    await r.call("info", "GET", "/info")


async def system(r: Recorder) -> None:
    """Each graph is an assistant; Studio asks for them as plain text."""
    found = await r.call("search", "POST", "/assistants/search", json={"graph_id": "echo", **SYSTEM})
    assistant = r.name("echo", found[0]["assistant_id"])
    await r.call(
        "search as plain text",
        "POST",
        "/assistants/search",
        content=json.dumps({"graph_id": "echo", **SYSTEM}),
        headers={"content-type": "text/plain"},
    )
    await r.call("get by id", "GET", f"/assistants/{assistant}")
    await r.call("get by name", "GET", "/assistants/echo")
    await r.call("count", "POST", "/assistants/count", json=SYSTEM)
    await r.call("select", "POST", "/assistants/search", json={**SYSTEM, "limit": 1, "select": ["assistant_id"]})
    await r.call("versions", "POST", f"/assistants/{assistant}/versions", json={})
    described = await r.call("described", "POST", "/assistants/search", json={"graph_id": "made"})
    r.name("made", described[0]["assistant_id"])


async def shapes(r: Recorder) -> None:
    """Schemas and drawings."""
    for graph in ("echo", "seen", "chat", "nested", "made"):
        found = await r.http.post("/assistants/search", json={"graph_id": graph, **SYSTEM})
        assistant = r.name(graph, found.json()[0]["assistant_id"])
        await r.call(f"schemas {graph}", "GET", f"/assistants/{assistant}/schemas")
        await r.call(f"graph {graph}", "GET", f"/assistants/{assistant}/graph")
    nested = (await r.http.post("/assistants/search", json={"graph_id": "nested"})).json()[0]["assistant_id"]
    await r.call("graph xray", "GET", f"/assistants/{nested}/graph", params={"xray": "true"})
    await r.call("graph xray depth", "GET", f"/assistants/{nested}/graph", params={"xray": 1})
    await r.call("graph xray zero", "GET", f"/assistants/{nested}/graph", params={"xray": 0})
    await r.call("graph by name", "GET", "/assistants/echo/graph")
    await r.call("subgraphs", "GET", f"/assistants/{nested}/subgraphs")
    await r.call("subgraphs recursive", "GET", f"/assistants/{nested}/subgraphs", params={"recurse": "true"})
    await r.call("subgraph named", "GET", f"/assistants/{nested}/subgraphs/inner")
    await r.call("subgraph unknown", "GET", f"/assistants/{nested}/subgraphs/nowhere")
    await r.call("schemas by name", "GET", "/assistants/echo/schemas")


async def life(r: Recorder) -> None:
    """Make, change, go back, delete."""
    mine = {"graph_id": "seen", "name": "mine", "metadata": {"probe": "life"}, "context": {"tone": "calm"}}
    made = await r.call("create", "POST", "/assistants", name="assistant_id=mine", json=mine)
    path = f"/assistants/{made['assistant_id']}"
    await r.call("get", "GET", path)
    await r.call("patch", "PATCH", path, json={"name": "renamed", "metadata": {"more": 1}})
    await r.call("patch context", "PATCH", path, json={"context": {"tone": "loud"}, "description": "Loud"})
    await r.call("versions", "POST", f"{path}/versions", json={"limit": 2})
    await r.call("versions by metadata", "POST", f"{path}/versions", json={"metadata": {"more": 1}})
    await r.call("latest", "POST", f"{path}/latest", json={"version": 1})
    await r.call("latest unknown", "POST", f"{path}/latest", json={"version": 9})
    again = {**mine, "assistant_id": made["assistant_id"]}
    await r.call("create again", "POST", "/assistants", json=again)
    await r.call("create again do nothing", "POST", "/assistants", json={**again, "if_exists": "do_nothing"})
    await r.call("search", "POST", "/assistants/search", json={"metadata": {"probe": "life"}})
    await r.call("run", "POST", "/runs/wait", json={"assistant_id": made["assistant_id"], "input": {"text": "x"}})
    await r.call("delete", "DELETE", path)
    await r.call("get deleted", "GET", path)
    await r.call("delete again", "DELETE", path)


async def pages(r: Recorder) -> None:
    """Pages of a search and their headers."""
    for number in range(3):
        body = {"graph_id": "echo", "name": f"page {number}", "metadata": {"probe": "pages"}}
        await r.http.post("/assistants", json=body)
    wanted = {"metadata": {"probe": "pages"}, "sort_by": "name", "sort_order": "asc"}
    for step, more in {
        "first": {"limit": 2},
        "second": {"limit": 2, "offset": 2},
        "all": {},
        "exact": {"limit": 3},
        "beyond": {"offset": 7},
        "by name": {"name": "PAGE 1"},
        "descending": {"sort_order": "desc", "limit": 1},
    }.items():
        await r.call(step, "POST", "/assistants/search", json={**wanted, **more})
    await r.call("count", "POST", "/assistants/count", json={"metadata": {"probe": "pages"}})


async def refused(r: Recorder) -> None:
    """What is refused, and how."""
    await r.call("unknown", "GET", f"/assistants/{uuid4()}")
    await r.call("unknown name", "GET", "/assistants/nonsense")
    await r.call("no graph", "POST", "/assistants", json={"name": "x"})
    await r.call("unknown graph", "POST", "/assistants", json={"graph_id": "nonsense"})
    both = {"graph_id": "seen", "config": {"configurable": {"tone": "a"}}, "context": {"tone": "b"}}
    await r.call("config and context", "POST", "/assistants", json=both)
    await r.call("bad id", "POST", "/assistants", json={"graph_id": "echo", "assistant_id": "x"})
    await r.call("not json", "POST", "/assistants/search", content="{", headers={"content-type": "application/json"})
    await r.call("bad sort", "POST", "/assistants/search", json={"sort_by": "colour"})
    await r.call("bad limit", "POST", "/assistants/search", json={"limit": -1})
    await r.call("patch unknown", "PATCH", f"/assistants/{uuid4()}", json={"name": "x"})
    await r.call("schemas unknown", "GET", f"/assistants/{uuid4()}/schemas")
    await r.call("versions unknown", "POST", f"/assistants/{uuid4()}/versions", json={})


SCENARIOS = (meta, system, shapes, life, pages, refused)
