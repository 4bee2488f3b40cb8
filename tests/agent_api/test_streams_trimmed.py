"""A stream that would begin before what is kept is refused with a status, before it begins."""

from typing import Any

import httpx

from codelab.runtime.agent import AgentRuntime
from tests.agent_api.thread_graphs import made

RUN = {"assistant_id": "talk", "input": {"messages": []}, "stream_mode": "values", "stream_resumable": True}


async def _streamed(api: httpx.AsyncClient, thread: str) -> tuple[str, str]:
    """The address of a run that has ended, and all that its stream said."""
    answer = await api.post(f"{thread}/runs/stream", json=RUN)
    assert answer.status_code == 200, answer.text
    return answer.headers["location"], answer.text


async def _again(api: httpx.AsyncClient, where: str, after: str) -> Any:
    return await api.get(where, headers={"last-event-id": after}, timeout=5)


async def test_a_run_that_is_no_longer_kept_is_refused_and_a_later_one_is_not(
    agent: AgentRuntime, api: httpx.AsyncClient
) -> None:
    thread = await made(api)
    old, _ = await _streamed(api, thread)
    _, head = await agent.log.head(thread.rpartition("/")[2])
    young, told = await _streamed(api, thread)
    assert await agent.log.trim(thread.rpartition("/")[2], head + 1) == head
    for after in ("0", "-1", "1"):
        refused = await _again(api, old, after)
        assert refused.status_code == 410
        assert "no longer kept" in refused.json()["detail"]
    rest = await _again(api, old, str(head))
    assert (rest.status_code, "event: values" in rest.text) == (200, False)
    again = await _again(api, young, "-1")
    assert again.status_code == 200
    assert told.count("event: values") == again.text.count("event: values") > 0
