"""Waiting for a run's result: clients that leave, over real sockets."""

import asyncio

import httpx
import pytest

from tests.agent_api.thread_graphs import graphs, made
from tests.support.agent_server import serving


@pytest.mark.parametrize(("how", "ends"), [("continue", "running"), ("cancel", "interrupted")])
async def test_a_client_that_leaves_a_wait_stops_the_run_only_where_it_asked_for_that(
    database_url: str, how: str, ends: str
) -> None:
    gate = asyncio.Event()
    async with serving(graphs(gate), database_url) as api:
        thread = await made(api)
        body = {"assistant_id": "wait", "input": {"log": []}, "on_disconnect": how}
        with pytest.raises(httpx.ReadTimeout):
            await api.post(f"{thread}/runs/wait", json=body, timeout=0.5)

        async def status() -> str:
            return (await api.get(f"{thread}/runs")).json()[0]["status"]

        if ends == "running":
            await asyncio.sleep(1)
            assert await status() == ends
        else:
            deadline = asyncio.get_running_loop().time() + 10
            while await status() != ends and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - only HTTP tells
                await asyncio.sleep(0.05)
            assert await status() == ends
        gate.set()
