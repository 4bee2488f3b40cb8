"""LangGraph's own conformance suite, whole, on every saver of ours."""

from collections.abc import AsyncGenerator

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import Capability

from codelab.store.checkpoints import open_checkpoints
from codelab.store.engine import Database


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def where(request: pytest.FixtureRequest) -> str:
    return "sqlite://" if request.param == "memory" else request.getfixturevalue(f"{request.param}_url")


@pytest.mark.parametrize("capability", list(Capability), ids=lambda capability: capability.value)
async def test_conformance(where: str, capability: Capability) -> None:
    database = Database(where)

    @checkpointer_test(name=where)
    async def ours() -> AsyncGenerator[BaseCheckpointSaver]:
        async with open_checkpoints(database) as checkpoints:
            yield checkpoints.saver()

    report = (await validate(ours, capabilities={capability.value})).results[capability.value]
    await database.close()
    assert report.detected
    assert report.failures == []
    assert report.tests_passed > 0
