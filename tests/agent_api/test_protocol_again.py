"""What clients of the thread protocol see when a run is delivered again."""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.graph import START, StateGraph

from tests.agent_api.protocol_graphs import Thread, phases, rested, values
from tests.support.agent_server import eventually, serving


class State(TypedDict, total=False):
    mode: str
    said: str


class Model(GenericFakeChatModel):
    stuck: bool = False

    async def _astream(self, *args: Any, **more: Any) -> Any:
        async for chunk in super()._astream(*args, **more):
            yield chunk
            if self.stuck:
                await asyncio.sleep(60)


def graph(*, stuck: bool) -> Any:
    async def first(_state: State) -> State:
        return {"said": "nothing yet"}

    async def speak(_state: State) -> State:
        model = Model(messages=iter([AIMessage("one two three")]), stuck=stuck)
        return {"said": (await model.ainvoke("x")).text}

    made = StateGraph(State)
    made.add_node("first", first)
    made.add_node("speak", speak)
    made.add_edge(START, "first")
    made.add_edge("first", "speak")
    return made.compile()


def messages(events: list[Any]) -> list[Any]:
    return [e["params"]["data"] for e in events if e["method"] == "messages"]


async def test_a_message_that_a_stop_cut_off_is_closed_and_said_anew(database_url):
    async with serving({"g": graph(stuck=True)}, database_url) as client:
        thread = Thread(client)
        run_id = await thread.start("x")
        half = await thread.heard(lambda events: any("delta" in m for m in messages(events)))
    async with serving({"g": graph(stuck=False)}, database_url) as client:
        thread.client = client
        whole = await thread.heard(rested())
        await eventually(lambda: thread.status(run_id), "the run")
    assert whole[: len(half)] == half
    assert [e["seq"] for e in whole] == sorted({e["seq"] for e in whole})
    assert len({e["event_id"] for e in whole}) == len(whole)
    assert phases(whole) == ["running", "running", "completed"]
    cut, anew = [m["id"] for m in messages(whole) if m["event"] == "message-start"]
    (closed,) = [m for m in messages(whole) if m["event"] == "error"]
    assert closed["id"] == cut != anew
    later = messages(whole)[messages(whole).index(closed) + 1 :]
    assert "".join(m["delta"]["text"] for m in later if "delta" in m) == "one two three"
    assert values(whole)[-1] == {"mode": "x", "said": "one two three"}
