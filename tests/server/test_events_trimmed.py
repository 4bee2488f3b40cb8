"""The stream of a thread whose beginning is no longer kept."""

import json
from typing import Any

import httpx

from codelab.store.eventlog import EventLog
from tests.server.test_rest import new_thread, rest, start


async def test_an_id_from_before_what_is_kept_is_refused(client: httpx.AsyncClient, git_repo: Any) -> None:
    thread_id = await new_thread(client, git_repo)
    first = await start(client, thread_id, "hello")
    await rest(client, thread_id)
    log: EventLog = client.app.state.runtime.log  # type: ignore[attr-defined]
    epoch, head = await log.head(thread_id)
    await start(client, thread_id, "hello again")
    await rest(client, thread_id)
    assert await log.trim(thread_id, head + 1) == head
    path = f"/api/v1/threads/{thread_id}/events"
    for follow in ("true", "false"):
        refused = await client.get(path, params={"follow": follow}, headers={"last-event-id": f"{epoch}:1"})
        assert (refused.status_code, refused.json()["code"]) == (410, "trimmed")
        assert refused.json()["first_seq"] == head + 1
    left = await client.get(path, params={"follow": "false"})
    from_the_edge = await client.get(path, params={"follow": "false"}, headers={"last-event-id": f"{epoch}:{head}"})
    assert left.text == from_the_edge.text
    told = [json.loads(line[5:]) for line in left.text.splitlines() if line.startswith("data:")]
    assert [event["type"] for event in told].count("RUN_FINISHED") == 1
    none = await client.get(path, params={"follow": "true", "run_id": first["id"]}, timeout=5)
    assert (none.status_code, none.text.count("data:")) == (200, 0)
