"""Decisions: each kind, again, too late, not allowed, several of one interrupt, and interrupts that are not ours."""

from datetime import timedelta

import pytest
from langgraph.types import Interrupt
from sqlalchemy import update

from codelab.core.errors import Conflict, InvalidInput
from codelab.core.types import RunStatus, ThreadStatus, utc_now
from codelab.runtime.approvals.requests import EXPIRED_TEXT, resume_for, rows_for
from codelab.store.models import ApprovalRow
from tests.runtime.conftest import ME, Lab, Open
from tests.runtime.toy import Toy
from tests.support.agent_server import eventually


async def test_reject_with_a_word_to_the_agent(lab: Lab, toy: Toy) -> None:
    await lab.say("touch")
    run = await lab.decide("reject", message="use b.txt")
    assert run.status == RunStatus.SUCCESS
    assert toy.ran == []
    assert ("tool", "use b.txt") in await lab.messages()
    (approval,) = await lab.rt.approvals.list(ME, thread_id=lab.thread_id)
    assert (approval.status, approval.decided_by, approval.message) == ("rejected", "local", "use b.txt")


async def test_respond_needs_words_and_edit_needs_arguments(lab: Lab) -> None:
    await lab.say("touch")
    (asked,) = await lab.pending()
    for decision, more in (
        ("respond", {}),
        ("edit", {}),
        ("approve", {"arguments": {"path": "x"}}),
        ("allow", {}),
    ):
        with pytest.raises(InvalidInput) as refused:
            await lab.rt.approvals.decide(ME, asked.id, decision, **more)
        assert refused.value.code == "invalid_decision"
    assert [approval.id for approval in await lab.pending()] == [asked.id]


async def test_the_same_again_is_replayed_and_another_refused(lab: Lab) -> None:
    await lab.say("touch")
    (asked,) = await lab.pending()
    first, replayed = await lab.rt.approvals.decide(ME, asked.id, "edit", arguments={"path": "b.txt"})
    assert (first.status, replayed, first.edited_arguments) == ("edited", False, {"path": "b.txt"})
    again, replayed = await lab.rt.approvals.decide(ME, asked.id, "edit", arguments={"path": "b.txt"})
    assert (again, replayed) == (first, True)
    for decision, more in (("approve", {}), ("edit", {"arguments": {"path": "c.txt"}})):
        with pytest.raises(Conflict) as refused:
            await lab.rt.approvals.decide(ME, asked.id, decision, **more)
        assert refused.value.code == "approval_already_decided"
    await lab.newest()
    assert len(await lab.rt.runs.list(ME, lab.thread_id)) == 2


async def test_the_turn_goes_on_when_all_are_in(lab: Lab, toy: Toy) -> None:
    await lab.say("two")
    first, second = await lab.pending()
    await lab.rt.approvals.decide(ME, second.id, "reject", message="not b")
    assert (await lab.thread()).status == ThreadStatus.INTERRUPTED
    assert len(await lab.rt.runs.list(ME, lab.thread_id)) == 1
    await lab.rt.approvals.decide(ME, first.id, "approve")
    assert (await lab.newest()).status == RunStatus.SUCCESS
    assert toy.ran == [("touch", "a.txt")]
    results = [(e.data["tool_call_id"], e.data["content"]) for e in await lab.events() if e.type == "tool.result"]
    assert sorted(results) == sorted([(first.tool_call_id, "touch a.txt done"), (second.tool_call_id, "not b")])


async def test_nobody_decides_in_time(lab: Lab, toy: Toy) -> None:
    await lab.say("touch")
    (asked,) = await lab.pending()
    async with lab.rt.database.transaction() as session:
        late = update(ApprovalRow).where(ApprovalRow.id == asked.id)
        await session.execute(late.values(expires_at=utc_now() - timedelta(seconds=1)))
    with pytest.raises(Conflict) as refused:
        await lab.rt.approvals.decide(ME, asked.id, "approve")
    assert refused.value.code == "approval_expired"

    async def resumed() -> bool:
        return len(await lab.rt.runs.list(ME, lab.thread_id)) == 2

    await lab.rt.approvals.expire()  # or the runtime's own clock was faster
    await eventually(resumed, "the run that goes on")
    run = await lab.newest()
    assert (run.status, toy.ran) == (RunStatus.SUCCESS, [])
    assert ("tool", EXPIRED_TEXT) in await lab.messages()
    assert (await lab.rt.approvals.get(ME, asked.id)).status == "expired"
    with pytest.raises(Conflict) as refused:
        await lab.rt.approvals.decide(ME, asked.id, "approve")
    assert refused.value.code == "approval_expired"


async def test_decisions_survive_a_restart(open_lab: Open, database_url: str, toy: Toy) -> None:
    async with open_lab(database_url) as lab:
        await lab.say("touch")
        thread_id = lab.thread_id
    async with open_lab(database_url, thread_id=thread_id) as lab:
        assert (await lab.decide()).status == RunStatus.SUCCESS
    assert toy.ran == [("touch", "a.txt")]


class _Run:
    id, thread_id, turn_id = "r", "t", "u"


def _rows(value: object) -> list[ApprovalRow]:
    owner = {"owner_id": "local", "tenant_id": "default"}
    return rows_for([Interrupt(value=value, id="i")], run=_Run(), owner=owner, expiry=timedelta(hours=1))


def test_a_foreign_interrupt_becomes_one_question() -> None:
    for value in ("Which one?", {"question": "Which one?"}, ["a", "b"]):
        (row,) = _rows(value)
        assert (row.kind, row.tool_call_id, row.allowed) == ("question", "i", ["respond", "edit"])
    row.status, row.message = "responded", "the first"
    assert resume_for([row]) == {"i": "the first"}


def test_the_request_may_name_its_own_expiry() -> None:
    at = utc_now() + timedelta(minutes=5)
    action = {"name": "x", "args": {}, "tool_call_id": "c", "expires_at": at.isoformat()}
    config = {"action_name": "x", "allowed_decisions": ["approve"]}
    (row,) = _rows({"action_requests": [action], "review_configs": [config]})
    assert (row.expires_at, row.allowed) == (at, ["approve"])


def test_an_expired_call_that_cannot_be_rejected_is_answered() -> None:
    action = {"name": "x", "args": {}, "tool_call_id": "c"}
    config = {"action_name": "x", "allowed_decisions": ["respond"]}
    (row,) = _rows({"action_requests": [action], "review_configs": [config]})
    row.status = "expired"
    assert resume_for([row]) == {"i": {"decisions": [{"type": "respond", "message": EXPIRED_TEXT}]}}


async def test_the_clock_leaves_alone_what_a_person_or_a_deletion_was_quicker_with(lab: Lab) -> None:
    await lab.say("touch")
    (asked,) = await lab.pending()
    await lab.decide("reject", message="no")
    await lab.rt.approvals._expire(ME, asked.id)
    assert (await lab.rt.approvals.get(ME, asked.id)).status == "rejected"
    await lab.rt.threads.delete(ME, lab.thread_id)
    await lab.rt.approvals._expire(ME, asked.id)


async def test_the_same_answer_again_is_replayed_and_another_answer_refused(lab: Lab) -> None:
    await lab.say("touch")
    (asked,) = await lab.pending()
    await lab.rt.approvals.decide(ME, asked.id, "respond", message="blue")
    _, replayed = await lab.rt.approvals.decide(ME, asked.id, "respond", message="blue")
    assert replayed
    with pytest.raises(Conflict):
        await lab.rt.approvals.decide(ME, asked.id, "respond", message="red")
