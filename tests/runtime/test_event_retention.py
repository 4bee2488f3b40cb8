"""A conversation outlives its log: what is no longer kept is not needed to go on."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from codelab.core.errors import Trimmed
from codelab.core.types import RunStatus, utc_now
from codelab.store.models import RunEventRow
from tests.runtime.conftest import ME, Lab


async def age(lab: Lab, days: float) -> None:
    async with lab.rt.database.transaction() as session:
        await session.execute(update(RunEventRow).values(at=utc_now() - timedelta(days=days)))


async def trim(lab: Lab) -> None:
    (chore,) = [chore for chore in lab.rt.agent.chores if chore.name == "events"]
    await chore.do()


async def test_a_conversation_goes_on_without_its_old_records(lab: Lab) -> None:
    first = await lab.say("hi")
    _, told = await lab.rt.log.head(lab.thread_id)
    await age(lab, 6)
    await trim(lab)
    assert (await lab.events())[0].seq == 1
    await age(lab, 8)
    await trim(lab)
    with pytest.raises(Trimmed):
        await lab.events()
    assert (await lab.say("again")).status == RunStatus.SUCCESS
    assert [text for role, text in await lab.messages() if role == "user"] == ["hi", "again"]
    assert (await lab.rt.log.read(lab.thread_id, None))[0].seq == told + 1
    assert (await lab.rt.runs.wait(ME, lab.thread_id, first.id, 5)).status == RunStatus.SUCCESS


async def test_a_turn_that_waits_for_a_person_keeps_its_records(lab: Lab) -> None:
    await lab.say("touch")
    assert await lab.pending()
    before = await lab.events()
    await age(lab, 30)
    await trim(lab)
    assert [event.seq for event in await lab.events()] == [event.seq for event in before]
    assert (await lab.decide()).status == RunStatus.SUCCESS
