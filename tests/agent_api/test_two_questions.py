"""Two questions at the same time: both are told, and each answer finds its own."""

from __future__ import annotations

import httpx
import pytest

from tests.conformance.graphs.asking import twice
from tests.support.agent_server import serving


async def waited(api: httpx.AsyncClient, thread: str, **body: object) -> dict[str, object]:
    answer = await api.post(f"{thread}/runs/wait", json={"assistant_id": "twice", **body})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("first", [0, 1])
async def test_answers_by_id_one_after_the_other(database_url: str, first: int) -> None:
    async with serving({"twice": twice}, database_url) as api:
        thread = f"/threads/{(await api.post('/threads', json={})).json()['thread_id']}"
        asked = await waited(api, thread, input={"text": "x"})
        ids = [each["id"] for each in asked["__interrupt__"]]
        assert len(set(ids)) == 2
        left = await waited(api, thread, command={"resume": {ids[first]: "one"}})
        assert [each["id"] for each in left["__interrupt__"]] == [ids[1 - first]]
        # An answer that was given already, sent along again, is no answer to the other question.
        done = await waited(api, thread, command={"resume": {ids[first]: "one", ids[1 - first]: "two"}})
        assert "__interrupt__" not in done
        assert sorted(item.split()[-1] for item in done["items"]) == ["one", "two"]
        run = (await api.get(f"{thread}/runs")).json()[0]
        assert run["metadata"].items() >= {"created_by": "system", "graph_id": "twice"}.items()
