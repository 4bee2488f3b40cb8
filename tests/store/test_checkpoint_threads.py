"""Whole threads: a run is taken back, a thread copied, its history pruned."""

import operator
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from codelab.store.checkpoints import Checkpoints, open_checkpoints
from codelab.store.engine import Database


class State(TypedDict):
    said: Annotated[list, operator.add]


def _joined(state: list, writes: list) -> list:
    return state + [item for write in writes for item in write]


class Differences(TypedDict):
    said: Annotated[list, DeltaChannel(_joined, snapshot_frequency=100)]


def _graph(saver: Any, kind: type = State, *, asks: bool = False) -> Any:
    def work(state: dict[str, Any]) -> dict[str, Any]:
        answer = interrupt("go on?") if asks else "done"
        return {"said": [f"{answer} {len(state['said'])}"]}

    inner = StateGraph(kind).add_node("work", work).add_edge(START, "work").compile()
    return StateGraph(kind).add_node("inner", inner).add_edge(START, "inner").compile(checkpointer=saver)


async def _run(graph: Any, thread_id: str, run_id: str, given: Any = "hi") -> Any:
    config = {"configurable": {"thread_id": thread_id}, "metadata": {"run_id": run_id}}
    return await graph.ainvoke({"said": [given]} if isinstance(given, str) else given, config)


async def _history(checkpoints: Checkpoints, thread_id: str) -> list[Any]:
    return [saved async for saved in checkpoints.reader.alist({"configurable": {"thread_id": thread_id}})]


async def _said(checkpoints: Checkpoints, thread_id: str, kind: type = State) -> Any:
    state = await _graph(checkpoints.reader, kind).aget_state({"configurable": {"thread_id": thread_id}})
    return state.values.get("said")


async def _blobs(checkpoints: Checkpoints) -> int:
    """How many values are stored apart from their checkpoints; on SQLite none are."""
    saver: Any = checkpoints.reader
    if hasattr(saver, "blobs"):
        return len(saver.blobs)
    if "Postgres" not in type(saver).__name__:
        return 0
    async with saver.conn.connection() as connection:
        found = await (await connection.execute("SELECT count(*) AS n FROM checkpoint_blobs")).fetchone()
    return int(found["n"])


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def checkpoints(request: pytest.FixtureRequest) -> AsyncIterator[Checkpoints]:
    url = "sqlite://" if request.param == "memory" else request.getfixturevalue(f"{request.param}_url")
    database = Database(url)
    async with open_checkpoints(database) as opened:
        yield opened
    await database.close()


async def test_every_checkpoint_names_its_run_those_of_sub_graphs_too(checkpoints: Checkpoints) -> None:
    await _run(_graph(checkpoints.saver()), "t", "r1")
    history = await _history(checkpoints, "t")
    assert {saved.config["configurable"]["checkpoint_ns"].split(":")[0] for saved in history} == {"", "inner"}
    assert {saved.metadata["run_id"] for saved in history} == {"r1"}


@pytest.mark.parametrize("second", ["success", "interrupted"])
async def test_a_run_taken_back_leaves_no_trace(checkpoints: Checkpoints, second: str) -> None:
    await _run(_graph(checkpoints.saver()), "t", "r1")
    before, blobs = await _history(checkpoints, "t"), await _blobs(checkpoints)
    await _run(_graph(checkpoints.saver(), asks=second == "interrupted"), "t", "r2", "again")
    assert len(await _history(checkpoints, "t")) > len(before)
    await checkpoints.drop_runs("t", ["r2"])
    assert await _history(checkpoints, "t") == before
    assert await _blobs(checkpoints) == blobs
    assert await _said(checkpoints, "t") == ["hi", "hi", "done 1"]
    assert (await _run(_graph(checkpoints.saver()), "t", "r3", "third"))["said"][3:] == [
        "third",
        *["hi", "hi", "done 1", "third", "done 4"],
    ]


async def test_a_resumed_run_taken_back_waits_for_its_answer_again(checkpoints: Checkpoints) -> None:
    """It wrote into checkpoints of the run before: the answer, and what the task made of it."""
    graph = _graph(checkpoints.saver(), asks=True)
    asked = await _run(graph, "t", "r1")
    before = await _history(checkpoints, "t")
    await _run(graph, "t", "r2", Command(resume="yes"))
    await checkpoints.drop_runs("t", ["r2"])
    assert await _history(checkpoints, "t") == before
    state = await graph.aget_state({"configurable": {"thread_id": "t"}})
    assert list(state.interrupts) == asked["__interrupt__"]
    assert (await _run(graph, "t", "r3", Command(resume="no")))["said"] == ["hi", "hi", "no 1"]


async def test_a_first_run_taken_back_leaves_an_empty_thread(checkpoints: Checkpoints) -> None:
    await _run(_graph(checkpoints.saver()), "t", "r1")
    await checkpoints.reader.adelete_for_runs(["r1"])
    assert await _history(checkpoints, "t") == []
    assert await _blobs(checkpoints) == 0
    assert not await _said(checkpoints, "t")


async def test_a_run_is_taken_back_in_its_thread_and_not_in_a_copy(checkpoints: Checkpoints) -> None:
    await _run(_graph(checkpoints.saver()), "t", "r1")
    await checkpoints.reader.acopy_thread("t", "copy")
    await checkpoints.drop_runs("t", ["r1"])
    assert not await _said(checkpoints, "t")
    assert await _said(checkpoints, "copy") == ["hi", "hi", "done 1"]


async def test_a_copy_goes_its_own_way(checkpoints: Checkpoints) -> None:
    graph = _graph(checkpoints.saver(), asks=True)
    await _run(graph, "t", "r1")
    await checkpoints.reader.acopy_thread("t", "copy")
    assert (await _run(graph, "copy", "r2", Command(resume="yes")))["said"] == ["hi", "hi", "yes 1"]
    assert await _said(checkpoints, "t") == ["hi"]
    await checkpoints.delete("t")
    assert await _said(checkpoints, "copy") == ["hi", "hi", "yes 1"]
    await checkpoints.delete("copy")
    assert await _blobs(checkpoints) == 0


async def test_pruning_keeps_the_newest_and_what_it_needs(checkpoints: Checkpoints) -> None:
    graph = _graph(checkpoints.saver())
    for thread_id in ("t", "other"):
        for run_id in ("r1", "r2"):
            await _run(graph, thread_id, run_id)
    said, other = await _said(checkpoints, "t"), await _history(checkpoints, "other")
    await checkpoints.reader.aprune(["t"])
    (left,) = await _history(checkpoints, "t")
    assert left.config["configurable"]["checkpoint_ns"] == ""
    assert left.parent_config is None
    assert await _said(checkpoints, "t") == said
    assert await _history(checkpoints, "other") == other
    assert (await _run(graph, "t", "r3"))["said"][: len(said)] == said


async def test_pruning_keeps_what_an_interrupted_sub_graph_resumes_from(checkpoints: Checkpoints) -> None:
    graph = _graph(checkpoints.saver(), asks=True)
    await _run(graph, "t", "r1")
    await checkpoints.reader.aprune(["t"])
    assert len(await _history(checkpoints, "t")) == 2
    assert (await _run(graph, "t", "r2", Command(resume="yes")))["said"] == ["hi", "hi", "yes 1"]


async def test_a_pruned_thread_may_be_pruned_again_or_away(checkpoints: Checkpoints) -> None:
    await _run(_graph(checkpoints.saver()), "t", "r1")
    for _ in range(2):
        await checkpoints.reader.aprune(["t", "nobody"])
    assert await _said(checkpoints, "t") == ["hi", "hi", "done 1"]
    await checkpoints.reader.aprune(["t"], strategy="delete")
    assert await _history(checkpoints, "t") == []
    assert await _blobs(checkpoints) == 0


async def test_a_thread_kept_as_differences_is_not_pruned(checkpoints: Checkpoints) -> None:
    graph = _graph(checkpoints.saver(), Differences)
    await _run(graph, "t", "r1")
    said, before = await _said(checkpoints, "t", Differences), await _history(checkpoints, "t")
    assert said
    await checkpoints.reader.aprune(["t"])
    assert await _history(checkpoints, "t") == before
    assert await _said(checkpoints, "t", Differences) == said


@pytest.mark.parametrize(("threads", "strategy", "refused"), [("t", "delete", TypeError), (["t"], "all", ValueError)])
async def test_a_wrong_wish_is_refused(
    checkpoints: Checkpoints, threads: Any, strategy: str, refused: type[Exception]
) -> None:
    with pytest.raises(refused):
        await checkpoints.reader.aprune(threads, strategy=strategy)
