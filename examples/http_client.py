"""Drive a server over HTTP; a broken event stream goes on exactly where it stopped.

CODELAB_SERVER__TOKEN=choose-one codelab serve -w DIR
CODELAB_SERVER__TOKEN=choose-one python examples/http_client.py http://127.0.0.1:8000
"""

import json
import os
import sys
from collections.abc import Iterator

import httpx


def events(http: httpx.Client, url: str, after: str = "") -> Iterator[tuple[str, dict]]:
    """Read server-sent events: pairs of an id and an AG-UI event."""
    with http.stream("GET", url, headers={"last-event-id": after} if after else {}) as response:
        event_id = ""
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                event_id = value
            elif name == "data":
                yield event_id, json.loads(value)


bearer = {"authorization": f"Bearer {os.environ['CODELAB_SERVER__TOKEN']}"}
with httpx.Client(base_url=f"{sys.argv[1]}/api/v1", headers=bearer, timeout=60) as http:
    workspace = http.get("/workspaces").json()[0]
    thread = http.post("/threads", json={"workspace_id": workspace["id"]}).json()
    run = http.post(f"/threads/{thread['id']}/runs", json={"text": "list files"}).json()
    url, seen, taken = f"/threads/{thread['id']}/events?run_id={run['id']}", "", []
    while not taken or not taken[-1].startswith("RUN_FINISHED"):
        for count, (event_id, event) in enumerate(events(http, url, seen), 1):
            seen, taken = event_id, [*taken, event["type"]]
            if count == 5:  # noqa: PLR2004 - hang up on purpose
                break
    print(*taken, sep="\n")
